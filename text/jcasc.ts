// Text in Jenkins' configuration as code. Its plug-in replaces `${NAME}` in every scalar by a secret, and reads the
// escape `^${` as `${` where a `}` follows anywhere later in the scalar; where none follows, both stay what they are
// (SecretSourceResolver of configuration-as-code, and StringSubstitutor of commons-text below it).

const NAME = /^[A-Za-z0-9_]+$/;

/** A scalar of several parts, in which some are variables and all else is text. */
export class JcascScalar {
  /** @internal Use {@link jcasc}. */
  constructor(readonly parts: readonly (string | { readonly variable: string })[]) {}
}

/** The secret of that name, read by the plug-in from the folder that `SECRETS` names. */
export function jcascVariable(name: string): JcascScalar {
  if (!NAME.test(name)) throw new Error(`"${name}" is no name of a secret`);
  return new JcascScalar([{ variable: name }]);
}

/** Text with variables in it: jcasc`token ${jcascVariable('TOKEN')} of ${name}`. Everything else is text. */
export function jcasc(
  literals: TemplateStringsArray,
  ...values: readonly (string | JcascScalar)[]
): JcascScalar {
  const parts: (string | { readonly variable: string })[] = [];
  const add = (part: string | { readonly variable: string }): void => {
    const last = parts.at(-1);
    if (typeof part === 'string' && typeof last === 'string') parts[parts.length - 1] = last + part;
    else parts.push(part);
  };
  literals.forEach((literal, index) => {
    const value = values[index];
    add(literal);
    if (value !== undefined) for (const part of typeof value === 'string' ? [value] : value.parts) add(part);
  });
  return new JcascScalar(parts);
}

/**
 * Neighbouring texts of one scalar, escaped so that the plug-in reads them as they are. What stands between them must
 * hold neither `$` nor braces.
 */
export function escapeJcasc(texts: readonly string[]): string[] {
  const whole = texts.join('');
  const lastEnd = whole.lastIndexOf('}');
  let start = 0;
  return texts.map((text) => {
    const from = start;
    start += text.length;
    return text.replace(/\$(?=\{)/g, (dollar, at: number) => (from + at < lastEnd ? `^${dollar}` : dollar));
  });
}

/**
 * Source of a scalar.
 * @throws Error where text cannot stand before a variable: behind "^", or an open "${" that nothing closes. Both are
 * faults of the program, which closes what it opens
 */
export function jcascSource(scalar: string | JcascScalar): string {
  const parts = typeof scalar === 'string' ? [scalar] : scalar.parts;
  const texts = escapeJcasc(parts.map((part) => (typeof part === 'string' ? part : '')));
  const lastVariable = parts.findLastIndex((part) => typeof part !== 'string');
  const source = parts.map((part, index) => {
    const before = index < lastVariable ? (texts[index] ?? '') : '';
    if (before.endsWith('^') || /(?<!\^)\$\{/.test(before))
      throw new Error('a "^" or an open "${" before a variable would change what it is');
    return typeof part === 'string' ? (texts[index] ?? '') : `\${${part.variable}}`;
  });
  return source.join('');
}

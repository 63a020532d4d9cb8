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
  return new JcascScalar(
    literals.flatMap((literal, index) => {
      const value = values[index];
      if (value === undefined) return [literal];
      return [literal, ...(typeof value === 'string' ? [value] : value.parts)];
    }),
  );
}

/** Which parts of a scalar are text, escaped so that the plug-in reads them as they are. */
export function escapeJcasc(parts: readonly string[]): string[] {
  const whole = parts.join('');
  const lastEnd = whole.lastIndexOf('}');
  let start = 0;
  return parts.map((part) => {
    const from = start;
    start += part.length;
    return part.replace(/\$(?=\{|$)/g, (dollar, at: number) => {
      const begins = whole[from + at + 1] === '{';
      return begins && from + at < lastEnd ? `^${dollar}` : dollar;
    });
  });
}

/** Source of a scalar. */
export function jcascSource(scalar: string | JcascScalar): string {
  const parts = typeof scalar === 'string' ? [scalar] : scalar.parts;
  const texts = parts.map((part) => (typeof part === 'string' ? part : `\${${part.variable}}`));
  if (parts.some((part, index) => typeof part !== 'string' && texts[index - 1]?.endsWith('^')))
    throw new Error('a "^" before a variable would take it for text');
  // Escaped among its neighbours: what closes a `${` may stand in another part.
  const safe = escapeJcasc(texts);
  return parts
    .map((part, index) => (typeof part === 'string' ? (safe[index] ?? '') : (texts[index] ?? '')))
    .join('');
}

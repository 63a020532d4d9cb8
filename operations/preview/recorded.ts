import type { BoxDeclaration } from '../../components/boxes';
import { isTemplate } from '../../components/shared/references';
import { isRecord, openSecret } from './withhold';

/** Puts a secret's value in the place of its envelope, all the way down. */
function opened(value: unknown): unknown {
  const secret = openSecret(value);
  if (secret !== undefined) return opened(secret);
  if (Array.isArray(value)) return value.map(opened);
  if (!isRecord(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, opened(inner)]));
}

/** Walks arguments and what was recorded of them side by side. */
function* pairs(declared: unknown, recorded: unknown): Generator<readonly [string, string]> {
  if (isTemplate(declared)) {
    const [piece, ...more] = declared.pieces;
    const whole = more.length === 0 && typeof piece === 'object' && piece.kind === 'given';
    if (whole && typeof recorded === 'string') yield [piece.name, recorded];
  } else if (Array.isArray(declared)) {
    if (Array.isArray(recorded))
      for (const [index, inner] of declared.entries()) yield* pairs(inner, recorded[index]);
  } else if (isRecord(declared) && isRecord(recorded)) {
    for (const [key, inner] of Object.entries(declared)) yield* pairs(inner, recorded[key]);
  }
}

/**
 * Values of the variables that a person brought to the last `up`, as far as resources of the state hold them whole.
 * @param deployment exported with its secrets in plain text
 * @param boxes the declarations that made it
 */
export function recordedValues(
  deployment: unknown,
  boxes: readonly BoxDeclaration[],
): Record<string, string> {
  const body = isRecord(deployment) && isRecord(deployment.deployment) ? deployment.deployment : deployment;
  const resources = isRecord(body) && Array.isArray(body.resources) ? body.resources.filter(isRecord) : [];
  const inputs = new Map(
    resources.map(({ urn, type, inputs }) => [`${type}::${String(urn).split('::').at(-1)}`, inputs]),
  );
  return Object.fromEntries(
    boxes.flatMap(({ declarations }) =>
      declarations.flatMap(({ type, name, args }) => [
        ...pairs(args, opened(inputs.get(`${type}::${name}`))),
      ]),
    ),
  );
}

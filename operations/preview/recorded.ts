import type { BoxDeclaration } from '../../components/boxes';
import { isTemplate } from '../../components/shared/references';
import { secretSources } from '../../stacks/secrets';
import { isRecord, openSecret } from './withhold';

/** Puts a secret's value in the place of its envelope, all the way down. */
export function opened(value: unknown): unknown {
  const secret = openSecret(value);
  if (secret !== undefined) return opened(secret);
  if (Array.isArray(value)) return value.map(opened);
  if (!isRecord(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, opened(inner)]));
}

/** What a Secret was declared with: its texts, which the registrar writes as `data`. */
function asDeclared(type: unknown, inputs: unknown): unknown {
  if (type !== 'kubernetes:core/v1:Secret' || !isRecord(inputs) || !isRecord(inputs.data)) return inputs;
  const texts = Object.entries(inputs.data).flatMap(([key, value]) =>
    typeof value === 'string' ? [[key, Buffer.from(value, 'base64').toString()]] : [],
  );
  return { ...inputs, stringData: { ...Object.fromEntries(texts), ...(inputs.stringData as object) } };
}

/** Walks arguments and what was recorded of them side by side. */
function* pairs(declared: unknown, recorded: unknown): Generator<readonly [string, string]> {
  if (isTemplate(declared)) {
    const [piece, ...more] = declared.pieces;
    if (more.length > 0 || typeof piece !== 'object' || typeof recorded !== 'string') return;
    if (piece.kind === 'given') yield [piece.name, recorded];
    // What stands in a seed's place serves as one.
    if (piece.kind === 'key' && piece.path === '') yield [piece.of?.variable ?? secretSources.seed, recorded];
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
    resources.map(({ urn, type, inputs }) => [
      `${type}::${String(urn).split('::').at(-1)}`,
      asDeclared(type, opened(inputs)),
    ]),
  );
  return Object.fromEntries(
    boxes.flatMap(({ declarations }) =>
      declarations.flatMap(({ type, name, args }) => [...pairs(args, inputs.get(`${type}::${name}`))]),
    ),
  );
}

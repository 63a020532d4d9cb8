import { holdsLogin } from '../catalog/logins';
import { isSecret, type Reference, referencesIn, show } from '../components/shared/references';
import type { Facts } from './facts';
import { type Item, inModule, secretValues, violation } from './facts/item';
import { containerPart } from './facts/pods';
import { fields, isFields, UNKNOWN } from './facts/read';
import type { Violation } from './facts/violation';
import { isOpenKubeconfig } from './kubeconfig';
import type { Rule } from './rule';

/** Keys of a Secret whose values are no secrets. */
const PUBLIC_KEY =
  /^(user(name)?|host|hostname|port|database|url|server|namespace|region|endpoint|bucket|type|name)$/i;

/** Arguments that the engine and the providers keep as secrets, by type: the path of each. */
const KEPT: Readonly<Record<string, readonly string[]>> = {
  'kubernetes:core/v1:Secret': ['data', 'stringData'],
  'gitlab:index/projectHook:ProjectHook': ['token'],
  'docker:index/image:Image': ['registry.password'],
};

/** References to a secret that may not be shown, all that a Secret outputs among them. */
const secretsIn = (value: unknown, byName: Facts['byName']): Reference[] =>
  referencesIn(value).filter((reference) => {
    const type = reference.kind === 'output' ? byName.get(reference.resource)?.type : undefined;
    return isSecret(reference, type);
  });

/** Secrets hold references, never values. What was looked up excuses no plain value beside it. */
function inSecret(item: Item): Violation[] {
  return Object.entries(secretValues(item)).flatMap(([key, value]) =>
    PUBLIC_KEY.test(key) ||
    value === '' ||
    referencesIn(value).some(({ kind }) => kind !== 'found') ||
    isOpenKubeconfig(value)
      ? []
      : [
          violation(
            item,
            'holds a plain value.',
            'Derive it (secretRef), or have it given (givenRef): values do not belong into the program.',
            { part: `key "${key}"` },
          ),
        ],
  );
}

/** Arguments that are secrets by their name hold a reference and nothing else. */
function inArguments(item: Item, args: unknown, prefix = ''): Violation[] {
  return Object.entries(fields(args)).flatMap(([name, value]) => {
    const path = `${prefix}${name}`;
    if (!/^(token|password)$/.test(name) || typeof value !== 'string' || value === '') return [];
    return [
      violation(item, 'is a plain value.', 'Use secretRef, givenRef or outputRef.', {
        part: `argument "${path}"`,
      }),
    ];
  });
}

/** Arguments without those that are kept as secrets. */
function open(value: unknown, kept: readonly string[], prefix = ''): unknown {
  if (!isFields(value)) return value;
  return Object.entries(value).flatMap(([name, inner]) => {
    const path = `${prefix}${name}`;
    if (kept.includes(path)) return [];
    return kept.some((one) => one.startsWith(`${path}.`)) ? [open(inner, kept, `${path}.`)] : [inner];
  });
}

/** `render` prints references, the state encrypts what they become, and git never sees a value. */
export const secretsByReference: Rule = {
  id: 'secrets-by-reference',
  holds:
    'A secret stands as a reference, and only where secrets are kept: in Secrets and in secret arguments.',
  why: 'A value in the program is in git; a secret in a ConfigMap or a variable is read by everyone who may look.',
  modelOnly:
    'the engine hands over the values of secrets where the model has references, so the two cannot be told apart.',
  check: (facts) =>
    facts.items.flatMap((item) => [
      ...(item.type === 'kubernetes:core/v1:Secret' ? inSecret(item) : []),
      ...(item.type.startsWith('gitlab:') ? inArguments(item, item.args) : []),
      ...(item.type === 'docker:index/image:Image'
        ? inArguments(item, fields(item.args, 'registry'), 'registry.')
        : []),
      ...[...new Set(secretsIn(open(item.args, KEPT[item.type] ?? []), facts.byName).map(show))].map(
        (reference) =>
          violation(
            item,
            `shows the secret ${reference} to everyone who may look.`,
            'Put it into a Secret and refer to that.',
          ),
      ),
    ]),
};

const SECRET_VARIABLE = /(^|_)(PASSWORD|PASSWD|PASSPHRASE|TOKEN|SECRET|PRIVATE_KEY|ACCESS_KEY|API_KEY)$/;
/** Nothing but variables of the same container, which a Secret fills. */
const FROM_VARIABLES = /^(\$\([A-Za-z_][A-Za-z0-9_]*\))+$/;

/** Also holds for what a module's catalog file says under `environment`. */
export const noPlainSecretVariables: Rule = {
  id: 'no-plain-secret-variables',
  holds:
    'A variable called password, token or key takes its value from a Secret, and so does a login in an address.',
  why: 'Whoever may list Pods reads it, and so does everyone who reads the catalog.',
  check: (facts) =>
    facts.pods.flatMap((pod) =>
      // A test Pod's databases are empty, and its passwords die with it.
      pod.item.planned
        ? []
        : pod.variables.flatMap(({ container, name, value }) =>
            !value ||
            value === UNKNOWN ||
            !(SECRET_VARIABLE.test(name) ? !FROM_VARIABLES.test(value) : holdsLogin(value))
              ? []
              : [
                  violation(
                    pod.item,
                    `${name} is a plain value.`,
                    'Put it into a Secret and use valueFrom.secretKeyRef.',
                    { part: containerPart(pod, container), ...inModule(pod.item, `environment.${name}`) },
                  ),
                ],
          ),
    ),
};

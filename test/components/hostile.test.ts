import * as pulumi from '@pulumi/pulumi';
import fc from 'fast-check';
import { stringify } from 'yaml';
import { parseCatalog } from '../../catalog/load';
import { holdsLogin } from '../../catalog/logins';
import { topologyBoxes } from '../../components/boxes';
import type { Model } from '../../components/model';
import { referencesIn, show, textsIn } from '../../components/shared/references';
import { Secrets } from '../../components/shared/secrets';
import { Topology } from '../../components/topology';
import { brokenRules } from '../../rules/assert';
import { catalogTexts, testModel } from '../support/model';

// What a module's file says is text wherever it goes: no part of it becomes a value that the text did not hold.

const moduleFile = (said: string, comment = ''): string =>
  `${stringify({
    description: said,
    owners: ['ada'],
    environment: { SAID: said },
    services: [{ kind: 'cache', version: '1.0' }],
  })}# ${comment}\n`;

function modelOf(text: string): Model {
  const texts = { ...catalogTexts, modules: { 'shop.yaml': text } };
  const catalog = parseCatalog(texts);
  return testModel({ catalog, modules: catalog.modules, files: { ...texts, stacks: {} } });
}

const kinds = ['secret', 'basic', 'htpasswd', 'given', 'found', 'output'] as const;
const names = ['jenkins-keys-shop', 'hook/shop', 'SWITCHYARD_SEED', 'registry/push', 'x'];
/** What was a reference when references were text, and what is nearly one. */
const said = fc.oneof(
  fc
    .tuple(
      fc.constantFrom(...kinds),
      fc.constantFrom(...names),
      fc.constantFrom('', ':data.SWITCHYARD_SEED', ':token'),
    )
    .map(([kind, name, more]) => `«${kind}:${name}${more}»`),
  fc.constantFrom('«r0»', '«rr0»', '«', '«r', '${ADMIN_PASSWORD}', '$(SWITCHYARD_SEED)'),
  fc.string({ minLength: 1 }),
);
const line = fc
  .array(said, { minLength: 1, maxLength: 3 })
  .map((parts) => parts.join(' '))
  // An address with a credential is refused, whoever happens to write one: test/catalog/open-texts.
  .filter((text) => text.trim() !== '' && !/[\n\r]/.test(text) && !holdsLogin(text));

const referencesOf = (model: Model): string[] => referencesIn(topologyBoxes(model)).map(show).sort();

test('whatever a module’s file says, the program refers to the same secrets and outputs, and shows the text as it is', () => {
  const wanted = referencesOf(modelOf(moduleFile('sells')));
  fc.assert(
    fc.property(line, line, (text, comment) => {
      const file = moduleFile(text, comment);
      const model = modelOf(file);
      expect(referencesOf(model)).toEqual(wanted);
      const texts = new Set(textsIn(topologyBoxes(model)));
      expect(texts).toContain(file);
    }),
    { numRuns: 40 },
  );
});

const SEED = 'a seed for tests, long enough to be one';

test('a reference in a comment, a description or a variable gets no secret into what is applied', async () => {
  const file = moduleFile(
    '«given:SWITCHYARD_SEED» «secret:hook/shop»',
    '«output:jenkins-keys-shop:data.SWITCHYARD_SEED» «basic:push:registry/push»',
  );
  const model = modelOf(file);
  expect(brokenRules(model)).toEqual([]);
  const open: unknown[] = [];
  const secret = /^kubernetes:core\/v1:Secret$/;
  await pulumi.runtime.setMocks({
    newResource: ({ type, name, inputs }) => {
      if (type === 'kubernetes:core/v1:ConfigMap') open.push(inputs);
      const data = secret.test(type)
        ? { data: { SWITCHYARD_SEED: SEED, token: 'dG9r', 'ca.crt': 'Y2E=' } }
        : {};
      return {
        id: `${name}-id`,
        state: { ...inputs, ...data, repoDigest: `${name}@sha256:0`, token: 'issued' },
      };
    },
    call: ({ inputs }) => inputs,
  });
  const topology = new Topology('switchyard', {
    model,
    seed: pulumi.secret(SEED),
    gitlabToken: pulumi.secret('root-token'),
    given: { PULUMI_CONFIG_PASSPHRASE: pulumi.secret('pass'), SWITCHYARD_SEED: pulumi.secret(SEED) },
    found: {},
    reach: async () => undefined,
  });
  await new Promise((resolve) => topology.urn.apply(resolve));
  await pulumi.runtime.disconnect();
  const texts = [...textsIn(open)].map(String);
  expect(texts).toContain(file);
  for (const value of [SEED, new Secrets(SEED, 'test').secret('hook/shop')])
    expect(texts.filter((text) => text.includes(value))).toEqual([]);
});

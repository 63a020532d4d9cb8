import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { topologyBoxes } from '../../../components/boxes';
import {
  basicRef,
  certificateRef,
  givenRef,
  keyRef,
  secretRef,
  text,
} from '../../../components/shared/references';
import { Secrets } from '../../../components/shared/secrets';
import { scrub, writePreviewInputs } from '../../../operations/preview/prepare';
import { placeholders, withhold } from '../../../operations/preview/withhold';
import { testModel } from '../../support/model';

const secret = (value: unknown) => ({
  '4dabf18193072939515e22adb298388d': '1b47061264138c4ac30d75fd1eb44270',
  plaintext: JSON.stringify(value),
});
const real = {
  environment: 'test',
  seed: 'the real seed of this test, long enough',
  gitlabToken: 'glpat-the-real-root-token',
  given: {
    PULUMI_CONFIG_PASSPHRASE: 'the real passphrase',
    SWITCHYARD_SEED: 'the real seed of this test, long enough',
  },
};
const stand = placeholders(real);
const urn = (name: string) => `urn:pulumi:test::switchyard::kubernetes:core/v1:Secret::${name}`;
const state = (...resources: object[]) => ({
  version: 3,
  deployment: {
    manifest: { time: '2026-11-24T11:00:00Z' },
    secrets_providers: { type: 'passphrase', state: { salt: 'v1:salt' } },
    resources: resources.map((resource, index) => ({ urn: urn(`r${index}`), ...resource })),
  },
});
interface Out {
  deployment: {
    secrets_providers?: unknown;
    resources: { inputs: Record<string, never>; outputs: Record<string, never> }[];
  };
}
const withheld = (deployment: object, declared: unknown = []) => {
  const result = withhold(deployment, declared, real);
  return { ...result, text: JSON.stringify(result.deployment), out: result.deployment as Out };
};
const plain = (node: unknown) => JSON.parse((node as { plaintext: string }).plaintext);

test('a derived secret becomes what the placeholder seed derives, so that it compares equal', () => {
  const { out } = withheld(
    state({ inputs: { stringData: { token: secret(new Secrets(real.seed, 'test').secret('hook/shop')) } } }),
    { stringData: { token: secretRef('hook/shop') } },
  );
  expect(
    plain((out.deployment.resources[0]?.inputs.stringData as { token?: unknown } | undefined)?.token),
  ).toBe(new Secrets(stand.seed, 'test').secret('hook/shop'));
});

test('a certificate, which anyone may read, compares equal without being a secret; its key is one', () => {
  const host = 'metrics-adapter.autoscaling.svc';
  const part = (seed: string, one: 'key' | 'cert' | 'bundle') =>
    new Secrets(seed, 'test').certificate('autoscaling/adapter', host, one);
  const ref = (one: 'key' | 'cert' | 'bundle') => certificateRef('autoscaling/adapter', host, one);
  const { out, values, unmarked } = withheld(
    state(
      { inputs: { spec: { caBundle: part(real.seed, 'bundle') } } },
      {
        inputs: {
          stringData: { 'tls.crt': part(real.seed, 'cert'), 'tls.key': secret(part(real.seed, 'key')) },
        },
      },
    ),
    [
      { spec: { caBundle: ref('bundle') } },
      { stringData: { 'tls.crt': ref('cert'), 'tls.key': ref('key') } },
    ],
  );
  const [api, pair] = out.deployment.resources.map(({ inputs }) => inputs as Record<string, unknown>);
  expect(api?.spec).toEqual({ caBundle: part(stand.seed, 'bundle') });
  const { 'tls.crt': cert, 'tls.key': key } = (pair?.stringData ?? {}) as Record<string, unknown>;
  expect(cert).toBe(part(stand.seed, 'cert'));
  expect(plain(key)).toBe(part(stand.seed, 'key'));
  expect(unmarked).toBe(0);
  expect(values).toContain(part(real.seed, 'key'));
  for (const shown of ['cert', 'bundle'] as const) expect(values).not.toContain(part(real.seed, shown));
});

test('two variables with one value have one stand-in, also where it is the seed or GitLab’s token', () => {
  const { given, seed, gitlabToken } = placeholders({
    ...real,
    given: { A: 'the same', B: 'the same', C: 'another', THEIR_SEED: real.seed, TOKEN: real.gitlabToken },
  });
  expect(given).toEqual({
    A: expect.stringMatching(/^withheld-[0-9a-f]{32}$/),
    B: given.A,
    C: expect.not.stringContaining(given.A ?? ''),
    THEIR_SEED: seed,
    TOKEN: gitlabToken,
  });
});

test('keys in the place of a seed stay keys, so that what is derived from them is the same text there too', () => {
  const seed = new Secrets(real.seed, 'other');
  const keys = `${seed.key('')} ${new Secrets('another seed of this test, long enough', 'other').key('registry')}`;
  const given = { ...real.given, THEIR_KEYS: keys };
  const of = { variable: 'THEIR_KEYS', environment: 'other' };
  const declared = {
    data: { whole: givenRef('THEIR_KEYS'), handed: keyRef('', of), part: keyRef('registry', of) },
  };
  const derived = new Secrets(keys, 'other');
  expect(derived.key('')).toBe(keys);
  const { deployment } = withhold(
    state({
      inputs: { whole: secret(keys), handed: secret(derived.key('')), part: secret(derived.key('registry')) },
    }),
    declared,
    { ...real, given },
  );
  const stands = placeholders({ ...real, given }).given.THEIR_KEYS ?? '';
  const inputs = (deployment as Out).deployment.resources[0]?.inputs;
  expect(stands).not.toContain(keys.slice(-32));
  expect(plain(inputs?.whole)).toBe(stands);
  expect(plain(inputs?.handed)).toBe(new Secrets(stands, 'other').key(''));
  expect(plain(inputs?.part)).toBe(new Secrets(stands, 'other').key('registry'));
});

test('text around a derived secret is kept only where the declarations make exactly that text', () => {
  const made = (seed: string) =>
    `{"auths":{"r":{"auth":"${new Secrets(seed, 'test').basic('pull', 'registry/pull')}"}}}`;
  const declared = { config: text`{"auths":{"r":{"auth":"${basicRef('pull', 'registry/pull')}"}}}` };
  const { out } = withheld(
    state({ inputs: { a: secret(made(real.seed)), b: secret(`${made(real.seed)} `) } }),
    declared,
  );
  const { inputs } = out.deployment.resources[0] as { inputs: Record<string, unknown> };
  expect(plain(inputs.a)).toBe(made(stand.seed));
  expect(plain(inputs.b)).toMatch(/^withheld-[0-9a-f]{32}$/);
});

test('an issued secret becomes one placeholder wherever it stands, and different ones stay different', () => {
  const { out, text } = withheld(
    state({
      inputs: {
        a: secret('glpat-issued-bot-token'),
        b: secret({ deep: ['glpat-issued-bot-token'] }),
        c: secret('other-token-value'),
      },
    }),
  );
  const { inputs } = out.deployment.resources[0] as { inputs: Record<string, unknown> };
  expect(plain(inputs.a)).toMatch(/^withheld-[0-9a-f]{32}$/);
  expect(plain(inputs.b)).toEqual({ deep: [plain(inputs.a)] });
  expect(plain(inputs.c)).not.toBe(plain(inputs.a));
  expect(text).not.toContain('issued');
});

test('an issued secret is the same placeholder where a Secret has it in base64', () => {
  const base64 = (value: string) => Buffer.from(value).toString('base64');
  // One of them is base64 by chance.
  for (const token of ['glpat-issued-to-the-bot', 'abcdefgh', base64('twice')]) {
    const { out, values } = withheld(
      state({ outputs: { token: secret(token) } }, { inputs: { data: secret({ TOKEN: base64(token) }) } }),
    );
    const [issued, kept] = out.deployment.resources;
    const placeholder = plain(issued?.outputs.token);
    expect(placeholder).not.toContain(token);
    expect(plain(kept?.inputs.data)).toEqual({ TOKEN: base64(placeholder) });
    expect(values).toEqual(expect.arrayContaining([token, base64(token)]));
  }
});

test('what the declarations say in plain text stays, also beside a secret', () => {
  const { out, values } = withheld(
    state({ outputs: { data: secret({ username: Buffer.from('switchyard').toString('base64') }) } }),
    { stringData: { username: 'switchyard' } },
  );
  expect(plain(out.deployment.resources[0]?.outputs.data)).toEqual({ username: 'c3dpdGNoeWFyZA==' });
  expect(values).not.toContain('switchyard');
});

test('a secret that stands unmarked is hidden too, and counted; names of resources stay', () => {
  const { text, unmarked } = withheld(
    state({
      inputs: { note: `token is ${real.gitlabToken}`, b64: Buffer.from(`x${real.seed}y`).toString('base64') },
    }),
  );
  expect(unmarked).toBe(2);
  expect(text).not.toContain(real.gitlabToken);
  expect(text).toContain(urn('r0'));
});

test('the salt of the real passphrase does not leave, and ciphertext is refused', () => {
  expect(withheld(state({})).out.deployment).not.toHaveProperty('secrets_providers');
  const ciphertext = {
    '4dabf18193072939515e22adb298388d': '1b47061264138c4ac30d75fd1eb44270',
    ciphertext: 'v1:x',
  };
  expect(() => withheld(state({ inputs: { a: ciphertext } }))).toThrow(/exported without its secrets/);
});

test('the fingerprint tells content, not when it was saved or how it was encrypted', () => {
  const a = withheld(state({ inputs: { a: secret('one-secret-value') }, modified: '2026-11-24T11:00:00Z' }));
  const b = withheld(state({ modified: '2026-11-24T12:00:00Z', inputs: { a: secret('one-secret-value') } }));
  const c = withheld(state({ inputs: { a: secret('two-secret-value') } }));
  expect(a.fingerprint).toBe(b.fingerprint);
  expect(a.fingerprint).not.toBe(c.fingerprint);
});

test('whatever is secret in a state, no value of it is left', () => {
  const word = fc.string({ minLength: 10, maxLength: 40, unit: 'grapheme-ascii' });
  const value = fc.letrec((tie) => ({
    any: fc.oneof(
      { depthSize: 'small' },
      word,
      fc.array(tie('any')),
      fc.dictionary(fc.constantFrom('a', 'b'), tie('any')),
    ),
  })).any;
  fc.assert(
    fc.property(value, (hidden) => {
      const { text, values } = withheld(state({ outputs: { secret: secret(hidden) } }));
      const leaves: string[] = [];
      JSON.stringify(hidden, (_key, inner) => {
        if (typeof inner === 'string') leaves.push(inner);
        return inner;
      });
      for (const leaf of leaves) {
        expect(values).toContain(leaf);
        expect(text).not.toContain(JSON.stringify(JSON.stringify(leaf)).slice(3, -3));
      }
    }),
    { numRuns: 50 },
  );
});

test('the Pod gets no root secret in any file, and the judge learns the nodes', () => {
  const folder = mkdtempSync(join(tmpdir(), 'withhold-'));
  try {
    const model = testModel();
    const { state: fingerprint } = writePreviewInputs(
      {
        environment: 'test',
        deployment: state({
          inputs: { token: secret(real.gitlabToken), pass: secret(real.given.PULUMI_CONFIG_PASSPHRASE) },
        }),
        boxes: topologyBoxes(model),
        secrets: real,
        ledger: 'modules: {}\n',
        basis: 'b'.repeat(64),
        found: {},
        clusters: { ci: 'one', production: 'two' },
        nodes: { one: { items: [] } },
      },
      folder,
    );
    for (const file of ['state.json', 'ledger.yaml', 'found.json', 'environment.json']) {
      const text = readFileSync(join(folder, 'given', file), 'utf8');
      for (const value of [real.seed, real.gitlabToken, real.given.PULUMI_CONFIG_PASSPHRASE]) {
        expect(text).not.toContain(value);
      }
    }
    const environment = JSON.parse(readFileSync(join(folder, 'given', 'environment.json'), 'utf8'));
    expect(Object.keys(environment).sort()).toEqual([
      'GITLAB_TOKEN',
      'PULUMI_CONFIG_PASSPHRASE',
      'SWITCHYARD_SEED',
    ]);
    expect(environment.SWITCHYARD_SEED).toBe(stand.seed);
    expect(JSON.parse(readFileSync(join(folder, 'about.json'), 'utf8'))).toEqual({
      environment: 'test',
      state: fingerprint,
      clusters: { ci: 'one', production: 'two' },
      nodes: { one: { items: [] } },
    });
    expect(readFileSync(join(folder, 'basis'), 'utf8')).toBe(`${'b'.repeat(64)}\n`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test("the provider's GitLab token finds itself unchanged, also when another token is at hand", () => {
  const { out } = withheld(
    state({ type: 'pulumi:providers:gitlab', inputs: { token: secret('glpat-the-token-of-the-state') } }),
  );
  expect(plain(out.deployment.resources[0]?.inputs.token)).toBe(stand.gitlabToken);
});

test('a given value translates like the rest', () => {
  const { out } = withheld(state({ inputs: { a: secret(real.given.PULUMI_CONFIG_PASSPHRASE) } }), {
    a: givenRef('PULUMI_CONFIG_PASSPHRASE'),
  });
  expect(plain(out.deployment.resources[0]?.inputs.a)).toBe(stand.given.PULUMI_CONFIG_PASSPHRASE);
});

test('what a Pod wrote is scrubbed file by file, and a link to elsewhere is never followed', () => {
  const folder = mkdtempSync(join(tmpdir(), 'scrub-'));
  try {
    const record = join(folder, 'record');
    mkdirSync(join(record, 'deep'), { recursive: true });
    writeFileSync(join(folder, 'outside'), 'kept-secret-value');
    symlinkSync(join(folder, 'outside'), join(record, 'link'));
    writeFileSync(join(record, 'clean'), 'nothing');
    writeFileSync(join(record, 'deep', 'log'), 'it is kept-secret-value here');
    expect(scrub(record, ['kept-secret-value'])).toBe(1);
    expect(readFileSync(join(record, 'deep', 'log'), 'utf8')).toBe('it is [hidden] here');
    expect(existsSync(join(record, 'link'))).toBe(false);
    expect(readFileSync(join(folder, 'outside'), 'utf8')).toBe('kept-secret-value');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

import { MOVED } from '../../../delivery/preview/commands';
import { EXIT } from '../../../operations/cli/refusal';
import { assertBasis } from '../../../operations/engine/operate';
import { basisOf } from '../../../operations/preview/basis';
import { testModel } from '../../support/model';

const LEDGER = 'modules: {}\n';
const resource = (image: string, modified = '2026-11-24T11:00:00Z') => ({
  urn: 'urn:pulumi:test::switchyard::kubernetes:apps/v1:Deployment::shop',
  modified,
  inputs: { spec: { image }, key: { ciphertext: 'v1:one' } },
});
const state = (resources: readonly object[], more: object = {}) => ({
  version: 3,
  deployment: { manifest: { time: String(Math.random()) }, resources, ...more },
});
const basis = basisOf(state([resource('a')]), LEDGER);

test('a basis is the same for the same, whoever saved it when', () => {
  expect(basis).toMatch(/^[0-9a-f]{64}$/);
  expect(basisOf(state([resource('a', '2027-01-01T00:00:00Z')]), LEDGER)).toBe(basis);
  expect(basisOf(state([Object.fromEntries(Object.entries(resource('a')).reverse())]), LEDGER)).toBe(basis);
});

test.each([
  ['what was rolled out', state([resource('b')]), LEDGER],
  ['what came', state([resource('a'), resource('b')]), LEDGER],
  ['what is under way', state([resource('a')], { pending_operations: [{ type: 'updating' }] }), LEDGER],
  ['a release that is not rolled out yet', state([resource('a')]), 'modules: { shop: {} }\n'],
])('%s makes it another', (_what, other, ledger) => {
  expect(basisOf(other, ledger)).not.toBe(basis);
});

describe('an `up` of what was compared', () => {
  const session = (resources: readonly object[]) => ({
    model: testModel(),
    gitlabToken: async () => 'glpat-real',
    engine: { state: async () => state(resources) },
  });
  beforeEach(() => {
    jest.spyOn(globalThis, 'fetch').mockImplementation(async () => new Response(LEDGER));
  });
  afterEach(() => jest.restoreAllMocks());

  test('goes on where state and ledger are what they were', async () => {
    await expect(assertBasis(session([resource('a')]), basis)).resolves.toBeUndefined();
  });

  test('refuses where they are not, by an exit code that `delivery` knows', async () => {
    await expect(assertBasis(session([resource('b')]), basis)).rejects.toMatchObject({ code: EXIT.moved });
    expect(MOVED).toBe(EXIT.moved);
  });
});

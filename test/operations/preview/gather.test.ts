import { ProblemsError } from '../../../catalog/problems';
import { previewInputs } from '../../../operations/preview/gather';
import { modelOf, released } from '../../support/model';

const SEED = 's'.repeat(40);
const before = { ...process.env };
const fetched: string[] = [];

beforeEach(() => {
  process.env = { PATH: before.PATH, KUBECONFIG: '/nonexistent/kubeconfig' };
  fetched.length = 0;
  jest.spyOn(globalThis, 'fetch').mockImplementation(async (input) => {
    const url = String(input);
    fetched.push(url);
    if (url.includes('/users?')) return new Response('[{ "id": 7 }]');
    return new Response(
      `modules: { shop: { image: "${released.image}", commit: ${released.commit}, mergeRequest: 3, build: "https://jenkins.test/1/" } }\n`,
    );
  });
});
afterEach(() => {
  process.env = before;
  jest.restoreAllMocks();
});

const model = modelOf({
  clusters: 'ci: { context: one }, production: { context: one }',
  gitlab: 'members: { ada: developer }, botTokenExpires: "2030-01-01"',
});
const engine = {
  config: async (key: string) => (key === 'switchyard:seed' ? SEED : undefined),
  openState: async () => ({ version: 3 }),
};

test('a preview is prepared from the state, the ledger, what is looked up, and secrets of stack and environment', async () => {
  process.env.GITLAB_TOKEN = 'glpat-real';
  process.env.PULUMI_CONFIG_PASSPHRASE = 'open sesame';
  const inputs = await previewInputs({ model, engine });
  expect(inputs).toMatchObject({
    environment: 'test',
    deployment: { version: 3 },
    secrets: {
      seed: SEED,
      gitlabToken: 'glpat-real',
      given: { PULUMI_CONFIG_PASSPHRASE: 'open sesame', SWITCHYARD_SEED: SEED },
    },
    found: { 'user:ada': '7' },
    clusters: { ci: 'one', production: 'one' },
    // A cluster that cannot be asked is left out, which the note then says.
    nodes: {},
  });
  expect(inputs.ledger).toContain(released.image);
  expect(JSON.stringify(inputs.boxes)).toContain(released.image);
  expect(fetched).toHaveLength(2);
});

test('a secret that nobody brings is named before anything is asked', async () => {
  await expect(previewInputs({ model, engine })).rejects.toThrow(ProblemsError);
  expect(fetched).toEqual([]);
});

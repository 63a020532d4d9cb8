import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { kubeconfigFor } from '../../clients/kubeconfig';

const text = (user: string) => `apiVersion: v1
kind: Config
clusters: [{ name: c, cluster: { server: 'https://kubernetes.test' } }]
users: [{ name: deployer, user: ${user} }]
contexts: [{ name: lab, context: { cluster: c, user: deployer } }]
current-context: other
`;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kubeconfig-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const authorization = async (config: Awaited<ReturnType<typeof kubeconfigFor>>) => {
  const options: { headers: Record<string, string> } = { headers: {} };
  await config.applyToHTTPSOptions(options);
  return options.headers.Authorization;
};

test("a Pod's kubeconfig, whose token is a file, comes with that token", async () => {
  writeFileSync(join(folder, 'token'), 'a-token');
  const config = await kubeconfigFor('lab', text(`{ tokenFile: ${join(folder, 'token')} }`));
  expect(config.getCurrentContext()).toBe('lab');
  expect(await authorization(config)).toBe('Bearer a-token');
});

test('a token that stands in the kubeconfig goes before one in a file', async () => {
  const config = await kubeconfigFor('lab', text(`{ token: own, tokenFile: ${join(folder, 'none')} }`));
  expect(await authorization(config)).toBe('Bearer own');
});

test('a relative token file lies beside the kubeconfig that KUBECONFIG names', async () => {
  writeFileSync(join(folder, 'token'), 'beside');
  writeFileSync(join(folder, 'config'), text('{ tokenFile: token }'));
  const before = process.env.KUBECONFIG;
  process.env.KUBECONFIG = join(folder, 'config');
  try {
    expect(await authorization(await kubeconfigFor('lab'))).toBe('Bearer beside');
  } finally {
    if (before === undefined) delete process.env.KUBECONFIG;
    else process.env.KUBECONFIG = before;
  }
});

test("a kubeconfig's own context is taken where none is named", async () => {
  const own = text('{ token: own }').replace('current-context: other', 'current-context: lab');
  expect((await kubeconfigFor(undefined, own)).getCurrentContext()).toBe('lab');
});

test('a context that is not there is told', async () => {
  await expect(kubeconfigFor('else', text('{ token: own }'))).rejects.toThrow('no context "else"');
});

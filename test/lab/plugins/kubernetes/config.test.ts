import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { RequestOptions } from 'node:https';
import { tmpdir } from 'node:os';
import path, { join } from 'node:path';
import {
  assertLabServer,
  checkProviderInputs,
  flagSetting,
  loadKubeConfig,
} from '../../../../lab/plugins/kubernetes/config';
import { KubernetesProvider } from '../../../../lab/plugins/kubernetes/provider';
import { EngineLog } from '../../../../lab/plugins/shared/server';
import { UNKNOWN } from '../../../../lab/plugins/shared/values';

function kubeconfig(server: string): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'lab',
    clusters: [
      { name: 'lab', cluster: { server } },
      { name: 'second', cluster: { server: 'https://127.0.0.1:2' } },
    ],
    users: [{ name: 'admin', user: { token: 'a-very-secret-token' } }],
    contexts: [{ name: 'lab', context: { cluster: 'lab', user: 'admin', namespace: 'shop' } }],
  });
}

test("a user's token file is read, as kubectl does", async () => {
  const folder = mkdtempSync(join(tmpdir(), 'kubeconfig-'));
  try {
    const tokenFile = join(folder, 'token');
    writeFileSync(tokenFile, 'token-of-the-pod');
    const file = join(folder, 'config');
    const plain = JSON.parse(kubeconfig('https://127.0.0.1:6443'));
    plain.users = plain.users.map(({ name }: { name: string }) => ({ name, user: { tokenFile } }));
    writeFileSync(file, JSON.stringify(plain));
    for (const config of [
      loadKubeConfig({ kubeconfig: file }),
      loadKubeConfig({ kubeconfig: JSON.stringify(plain) }),
    ]) {
      const options: RequestOptions = { headers: {} };
      await config.applyToHTTPSOptions(options);
      expect(options.headers).toMatchObject({ Authorization: 'Bearer token-of-the-pod' });
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

describe('the API server', () => {
  const names: Record<string, string[]> = {
    localhost: ['127.0.0.1'],
    'kubernetes.default.svc': ['198.19.0.1'],
    'mixed.example.com': ['198.19.0.1', '10.0.0.1'],
    '127.0.0.1.example.com': ['203.0.113.1'],
  };
  const known = async (host: string) => {
    const addresses = names[host];
    if (!addresses) throw new Error(`getaddrinfo ENOTFOUND ${host}`);
    return addresses.map((address) => ({ address, family: 4 }));
  };

  test.each([
    'https://127.0.0.1:6443',
    'https://localhost:6443',
    'https://[::1]:6443',
    'https://198.18.0.2:6443',
    'https://198.19.0.1:443',
    'https://kubernetes.default.svc',
  ])('%s is one of the lab', async (server) => {
    await expect(assertLabServer(server, known)).resolves.toBeUndefined();
  });

  test.each([
    'https://10.0.0.1:6443',
    'https://198.20.0.1:6443',
    'https://198.17.255.255',
    'https://unknown.default.svc',
    'https://mixed.example.com',
    'https://127.0.0.1.example.com',
    'https://localhost.example.com',
    'https://[2001:db8::1]:6443',
  ])('%s is refused, with the remedy', async (server) => {
    await expect(assertLabServer(server, known)).rejects.toThrow(
      /refusing API server .* pulumi plugin install resource kubernetes v4\.34\.2/,
    );
  });

  test('is vetted when the provider is configured, and is not contacted', async () => {
    const provider = new KubernetesProvider(new EngineLog());
    await expect(provider.configure({ kubeconfig: kubeconfig('https://10.0.0.1:6443') })).rejects.toThrow(
      '10.0.0.1:6443',
    );
    // Nothing listens there: configuring succeeds all the same.
    await expect(
      provider.configure({ kubeconfig: kubeconfig('https://127.0.0.1:1') }),
    ).resolves.toBeUndefined();
  });
});

describe('the inputs of the provider', () => {
  test('of the official one that the plug-in covers are taken', () => {
    const inputs = {
      kubeconfig: '/x',
      namespace: 'a',
      enableServerSideApply: true,
      suppressDeprecationWarnings: 'true',
      version: '4.34.2',
    };
    expect(checkProviderInputs(inputs)).toEqual([]);
  });

  test('that are not known before the update are left to the update', () => {
    expect(checkProviderInputs({ kubeconfig: UNKNOWN })).toEqual([]);
  });

  test('that nobody knows, or only the official plug-in covers, are refused by name', () => {
    const failures = checkProviderInputs({
      kubeConfig: 'x',
      renderYamlToDirectory: '/out',
      enableServerSideApply: false,
      namespace: 3,
    });
    expect(failures.map(({ property }) => property).sort()).toEqual([
      'kubeConfig',
      'namespace',
      'renderYamlToDirectory',
    ]);
    expect(checkProviderInputs({ enableServerSideApply: false })).toMatchObject([
      { property: 'enableServerSideApply' },
    ]);
  });

  test('count before the environment', () => {
    expect(flagSetting(undefined, 'FLAG', { FLAG: 'true' })).toBe(true);
    expect(flagSetting(false, 'FLAG', { FLAG: 'true' })).toBe(false);
    expect(flagSetting(undefined, 'FLAG', {})).toBe(false);
  });
});

describe('the kubeconfig', () => {
  test('is read from its text or from a file', () => {
    const file = path.join(mkdtempSync(path.join(tmpdir(), 'kubeconfig-')), 'config');
    writeFileSync(file, kubeconfig('https://127.0.0.1:1'));
    for (const given of [file, kubeconfig('https://127.0.0.1:1')]) {
      expect(loadKubeConfig({ kubeconfig: given }).getCurrentCluster()?.server).toBe('https://127.0.0.1:1');
    }
  });

  test('is read from KUBECONFIG when the provider names none, and a missing file is named', () => {
    expect(() => loadKubeConfig({}, { KUBECONFIG: '/nowhere/config' })).toThrow(
      '/nowhere/config: no such file',
    );
    expect(() => loadKubeConfig({ kubeconfig: '/nowhere/other' })).toThrow('/nowhere/other: no such file');
  });

  test('with a cluster of its own choice keeps the user', () => {
    const config = loadKubeConfig({ kubeconfig: kubeconfig('https://127.0.0.1:1'), cluster: 'second' });
    expect(config.getCurrentCluster()?.server).toBe('https://127.0.0.1:2');
    expect(config.getCurrentUser()?.name).toBe('admin');
  });

  test('without the wanted context names those it has', () => {
    expect(() => loadKubeConfig({ kubeconfig: kubeconfig('https://127.0.0.1:1'), context: 'prod' })).toThrow(
      'context "prod" is not in the kubeconfig; it has lab',
    );
  });

  test('that is broken is refused without a word of its contents', () => {
    const broken = `${kubeconfig('https://127.0.0.1:1')}\n}{ a-very-secret-token`;
    expect(() => loadKubeConfig({ kubeconfig: broken })).toThrow(/not a valid kubeconfig/);
    expect(() => loadKubeConfig({ kubeconfig: broken })).not.toThrow(/a-very-secret-token/);
  });
});

describe('another cluster', () => {
  const provider = new KubernetesProvider(new EngineLog());

  test('replaces the provider', async () => {
    const diff = await provider.diffConfig(
      { kubeconfig: kubeconfig('https://127.0.0.1:1') },
      { kubeconfig: kubeconfig('https://127.0.0.1:9') },
    );
    expect(diff).toEqual({ changes: true, replaces: ['kubeconfig'] });
  });

  test('under the same clusterIdentifier, or another namespace on the same one, does not', async () => {
    const config = (server: string) => ({ kubeconfig: kubeconfig(server), clusterIdentifier: 'lab' });
    expect(await provider.diffConfig(config('https://127.0.0.1:1'), config('https://127.0.0.1:9'))).toEqual({
      changes: true,
      replaces: [],
    });
    const same = kubeconfig('https://127.0.0.1:1');
    expect(await provider.diffConfig({ kubeconfig: same }, { kubeconfig: same, namespace: 'b' })).toEqual({
      changes: true,
      replaces: [],
    });
  });
});

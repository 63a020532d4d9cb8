import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import * as k8s from '@pulumi/kubernetes';
import { LocalWorkspace, PulumiCommand, type Stack } from '@pulumi/pulumi/automation';
import { cacheHome } from '../../../lab/steps';
import { fullyReleased } from '../../../rules/model';
import { parseStack } from '../../../stacks/load';
import { twoModules } from '../../rules/support';
import { root, stackText } from '../../support/model';
import { acceptingProviders, acceptingTopology } from './accepting';

// The policy pack under the real engine, over the whole topology. Providers that accept everything stand for cluster,
// GitLab and Docker. The language host that can be had here is too old to start policy packs, so the script that the CLI
// falls back to is written out: it starts the same program of @pulumi/pulumi in the pack's folder.

jest.setTimeout(300_000);

const work = mkdtempSync(path.join(tmpdir(), 'policy-pack-'));
/** Images wait until their registry answers; any answer will do. */
const registry = createServer((_request, response) => response.end());
afterAll(() => {
  registry.close();
  rmSync(work, { recursive: true, force: true });
});

function script(file: string, text: string): void {
  writeFileSync(file, `#!/bin/sh\n${text}\n`);
  chmodSync(file, 0o755);
}

/** Set by a test: a namespace beside the topology, by whatever provider the day has. */
let stray = false;

async function program(): Promise<void> {
  const address = `127.0.0.1:${(registry.address() as AddressInfo).port}`;
  const text = stackText.replace('"registry.test:5000"', `"${address}", scheme: http`);
  const settings = parseStack(text, 'stacks/Pulumi.test.yaml', 'test');
  const model = fullyReleased(twoModules({ settings }));
  acceptingTopology(model);
  if (stray) new k8s.core.v1.Namespace('stray', { metadata: { name: 'stray' } });
}

describe('pulumi --policy-pack policy', () => {
  let stack: Stack;
  let printed = '';
  const options = {
    policyPacks: [path.join(root, 'policy')],
    color: 'never' as const,
    onOutput: (text: string) => {
      printed += text;
    },
  };

  beforeAll(async () => {
    mkdirSync(path.join(work, 'state'));
    registry.listen(0, '127.0.0.1');
    await once(registry, 'listening');
    const bin = await acceptingProviders(work);
    const runner = path.join(root, 'node_modules', '@pulumi', 'pulumi', 'cmd', 'run-policy-pack');
    script(path.join(bin, 'pulumi-analyzer-policy-nodejs'), `exec '${process.execPath}' '${runner}' "$@"`);
    const tools = path.join(cacheHome(), 'bin');
    const elsewhere = (process.env.PATH ?? '').split(path.delimiter).filter((folder) => folder !== tools);
    stack = await LocalWorkspace.createOrSelectStack(
      { stackName: 'test', projectName: 'policy-pack', program },
      {
        pulumiCommand: await PulumiCommand.get({ root: work }),
        workDir: work,
        envVars: {
          PATH: [bin, ...elsewhere].join(path.delimiter),
          PULUMI_BACKEND_URL: `file://${path.join(work, 'state')}`,
          PULUMI_CONFIG_PASSPHRASE: 'only for this test',
          PULUMI_SKIP_UPDATE_CHECK: 'true',
        },
      },
    );
  });
  beforeEach(() => {
    printed = '';
  });

  const resources = async (): Promise<number> =>
    ((await stack.exportStack()).deployment as { resources?: unknown[] }).resources?.length ?? 0;

  test('a preview of a topology with a fault fails by the rules that it breaks, and nothing is made', async () => {
    stray = true;
    await expect(stack.preview(options)).rejects.toThrow();
    const found = [...printed.matchAll(/\[mandatory\] {2}(\S+) {2}\(([^)]+)\)/g)].map(
      ([, rule, at]) => `${rule} ${at}`,
    );
    expect(found.sort()).toEqual(
      [
        'explicit-provider',
        'namespace-default-deny',
        'namespace-limits',
        'namespace-quota',
        'pod-security',
      ].map((rule) => `${rule} kubernetes:core/v1:Namespace: stray`),
    );
    expect(await resources()).toBe(0);
  });

  test('a sound topology passes, while digests are unknown and once they are known', async () => {
    stray = false;
    await stack.preview(options);
    const { summary } = await stack.up(options);
    expect(summary.result).toBe('succeeded');
    expect(printed).toContain('switchyard@v0.1.0');
    expect(printed).not.toContain('[mandatory]');
    expect(await resources()).toBeGreaterThan(100);
  });

  test('a second up has nothing to do and passes as well', async () => {
    const { summary } = await stack.up(options);
    expect(Object.keys(summary.resourceChanges ?? {})).toEqual(['same']);
    expect(printed).not.toContain('[mandatory]');
  });
});

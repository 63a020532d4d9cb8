import { once } from 'node:events';
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { delimiter, join } from 'node:path';
import * as pulumi from '@pulumi/pulumi';
import { LocalWorkspace, PulumiCommand, type PulumiFn, type Stack } from '@pulumi/pulumi/automation';
import type { Model } from '../../../components/model';
import { Topology } from '../../../components/topology';
import { keepNoLogs } from '../../../delivery/pulumi-home';
import { bundlePlugin } from '../../../lab/plugins/shared/bundle';
import { cacheHome } from '../../../lab/steps';
import { parseStack } from '../../../stacks/load';
import type { StackSettings } from '../../../stacks/schema';
import { root, stackText } from '../../support/model';

/**
 * Puts Pulumi's command line and providers that accept everything into `bin` of a folder: the engine looks beside itself
 * first, and beside the toolchain's command line stand the lab's own plug-ins.
 * @returns that `bin`, for the front of PATH
 */
export async function acceptingProviders(
  work: string,
  names: readonly ('kubernetes' | 'gitlab' | 'docker')[] = ['kubernetes', 'gitlab', 'docker'],
): Promise<string> {
  const binDir = join(work, 'bin');
  mkdirSync(binDir, { recursive: true });
  for (const name of names) {
    const entry = join(__dirname, 'accepting-plugin.ts');
    const outDir = join(work, 'js');
    const { bundle } = await bundlePlugin({ name, entry, outDir, binDir, node: process.execPath });
    const manifest = readFileSync(join(root, 'node_modules', '@pulumi', name, 'package.json'), 'utf8');
    const { version, pulumi } = JSON.parse(manifest) as { version: string; pulumi?: { version?: string } };
    writeFileSync(`${bundle}.version`, (pulumi?.version ?? version).replace(/^v/, ''));
  }
  symlinkSync(join(cacheHome(), 'bin', 'pulumi'), join(binDir, 'pulumi'));
  return binDir;
}

/**
 * A stack `test` of the project `switchyard` by the real engine, with its state in files and providers that accept everything.
 * @param work an empty folder: `bin`, `home`, `work` and `state` are made in it
 */
export async function acceptingStack(
  work: string,
  names: Parameters<typeof acceptingProviders>[1],
  program: PulumiFn,
): Promise<Stack> {
  for (const name of ['home', 'work', 'state']) mkdirSync(join(work, name));
  keepNoLogs(join(work, 'home'));
  const bin = await acceptingProviders(work, names);
  return LocalWorkspace.createOrSelectStack(
    { stackName: 'test', projectName: 'switchyard', program },
    {
      workDir: join(work, 'work'),
      pulumiHome: join(work, 'home'),
      pulumiCommand: await PulumiCommand.get({ root: work, skipVersionCheck: true }),
      envVars: {
        PATH: [bin, process.env.PATH].join(delimiter),
        PULUMI_CONFIG_PASSPHRASE: 'test',
        PULUMI_BACKEND_URL: `file://${join(work, 'state')}`,
        PULUMI_SKIP_UPDATE_CHECK: 'true',
      },
    },
  );
}

/** A place for the real engine, with its state in files and nothing real around it. */
export interface AcceptingPlace {
  /** Settings of the environment `test`, whose images wait for a registry that answers. */
  readonly settings: StackSettings;
  /** Puts the process's environment back, and removes the folder. */
  readonly close: () => void;
}

/** @param work an empty folder: `stacks` and `state` are made in it */
export async function acceptingPlace(work: string): Promise<AcceptingPlace> {
  for (const name of ['stacks', 'state']) mkdirSync(join(work, name));
  writeFileSync(join(work, 'stacks', 'Pulumi.test.yaml'), 'config: {}\n');
  const registry = createServer((_request, response) => response.end()).listen(0, '127.0.0.1');
  await once(registry, 'listening');
  const before = { ...process.env };
  const home = join(work, 'home');
  keepNoLogs(home);
  Object.assign(process.env, {
    PATH: [await acceptingProviders(work), process.env.PATH].join(delimiter),
    PULUMI_CONFIG_PASSPHRASE: 'only for this test',
    PULUMI_HOME: home,
  });
  const address = `127.0.0.1:${(registry.address() as AddressInfo).port}`;
  const text = stackText.replace('"registry.test:5000"', `"${address}", scheme: http`);
  return {
    settings: parseStack(text, 'stacks/Pulumi.test.yaml', 'test'),
    close: () => {
      registry.close();
      process.env = before;
      rmSync(work, { recursive: true, force: true });
    },
  };
}

/** What people bring to {@link acceptingTopology}. */
export const SEED = 'a seed for tests, long enough to be one';

/**
 * The topology of a model, with stand-ins for what people bring.
 * @param seed or the sub-keys in its place
 */
export function acceptingTopology(model: Model, only?: readonly string[], seed = SEED): void {
  new Topology('switchyard', {
    model,
    seed: pulumi.secret(seed),
    gitlabToken: pulumi.secret('root-token'),
    given: Object.fromEntries(
      model.settings.deployEnvironment.map((name) => [name, pulumi.secret(`value of ${name}`)]),
    ),
    only,
  });
}

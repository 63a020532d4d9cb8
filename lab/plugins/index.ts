import { existsSync, readFileSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { cacheHome, hashFiles, type Step, type StepLog } from '../steps';
import { addressOf, wayTo } from '../toolchain/download';
import { buildPlugins, PLUGINS, type PluginName } from './build';

const REPOSITORY = join(__dirname, '..', '..');

/** Where official plug-ins are published; when it does not answer, none can be had. */
const OFFICIAL = 'https://get.pulumi.com/releases/plugins';
const OFFICIAL_SECONDS = 10;

const launcher = (name: PluginName): string => join(cacheHome(), 'bin', `pulumi-resource-${name}`);

/** The version that the programs' package asks for. */
function versionOf(name: PluginName): string {
  const file = join(REPOSITORY, 'node_modules', '@pulumi', name, 'package.json');
  const { version, pulumi } = JSON.parse(readFileSync(file, 'utf8')) as {
    version: string;
    pulumi?: { version?: string };
  };
  return (pulumi?.version ?? version).replace(/^v/, '');
}

function officialInstalled(name: PluginName): boolean {
  const home = process.env.PULUMI_HOME ?? join(homedir(), '.pulumi');
  return existsSync(join(home, 'plugins', `resource-${name}-v${versionOf(name)}`));
}

/** Where the official plug-in is to be had: a folder of archives; undefined when there is no way to it. */
async function officialServer(name: PluginName): Promise<string | undefined> {
  const server = addressOf(OFFICIAL);
  if (!server || !(await wayTo(server))) return undefined;
  try {
    const url = `${server}/pulumi-resource-${name}-v${versionOf(name)}-linux-amd64.tar.gz`;
    const answer = await fetch(url, { method: 'HEAD', signal: AbortSignal.timeout(OFFICIAL_SECONDS * 1000) });
    return answer.ok ? server : undefined;
  } catch {
    return undefined;
  }
}

/** True when the official plug-in is there now: installed before, or installed here (the CLI verifies its checksum). */
async function installOfficial(name: PluginName, log: StepLog): Promise<boolean> {
  if (officialInstalled(name)) return true;
  const server = await officialServer(name);
  if (!server) return false;
  log.line(`installing the official plug-in ${name} ${versionOf(name)}`);
  await log.exec(
    join(cacheHome(), 'bin', 'pulumi'),
    ['plugin', 'install', 'resource', name, versionOf(name), '--server', server],
    {
      timeoutSeconds: 300,
    },
  );
  return officialInstalled(name);
}

/**
 * The provider plug-ins on the engine's PATH: the official ones where they can be had, else the lab's own.
 * A launcher of ours is taken away where the official one is there, for the engine prefers what is on PATH.
 */
export function pluginSteps(): Step[] {
  const inputs = () => hashFiles([__dirname, join(REPOSITORY, 'package-lock.json')], [process.execPath]);
  return [
    {
      name: 'plugins',
      title: 'provider plug-ins',
      // The CLI installs the official ones.
      needs: ['toolchain-pulumi'],
      inputs,
      done: async () => PLUGINS.every((name) => officialInstalled(name) !== existsSync(launcher(name))),
      run: async (log) => {
        const own: PluginName[] = [];
        for (const name of PLUGINS) {
          if (await installOfficial(name, log)) rmSync(launcher(name), { force: true });
          else own.push(name);
        }
        log.line(`building the lab's own: ${own.join(', ') || 'none'}`);
        const outDir = join(cacheHome(), 'builds', `plugins-${(await inputs()).slice(0, 16)}`);
        await buildPlugins({ outDir, binDir: join(cacheHome(), 'bin'), only: own });
      },
    },
  ];
}

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { delimiter, join } from 'node:path';
import { keepNoLogs } from '../delivery/pulumi-home';
import { type LockHolder, lockHolders } from '../operations/engine/lock';
import { dockerSocket, kubeconfigPath } from './cluster';
import { secret } from './cluster/daemons';
import { GITLAB_URL, rootTokenFile } from './gitlab';
import { BASE, IMAGES } from './images/definitions';
import { contentInMirror } from './images/mirror';
import { MIRROR } from './machine/addresses';
import { cacheHome, hashFiles, LabError, labHome, type Step, type StepLog } from './steps';

export const REPOSITORY = join(__dirname, '..');
export const ENVIRONMENT = 'lab';

export const rootToken = (): string => readFileSync(rootTokenFile(), 'utf8').trim();

/** The environment in which the lab runs the product's own commands: nothing but configuration. */
export function labEnvironment(): Record<string, string> {
  return {
    PATH: `${join(cacheHome(), 'bin')}${delimiter}${process.env.PATH ?? ''}`,
    KUBECONFIG: kubeconfigPath(),
    DOCKER_HOST: `unix://${dockerSocket()}`,
    DOCKER_CONFIG: join(labHome(), 'docker-client'),
    AWS_ACCESS_KEY_ID: secret('s3-access-key', 10),
    AWS_SECRET_ACCESS_KEY: secret('s3-secret-key'),
    BACKUP_ACCESS_KEY: secret('backup-store-access-key', 10),
    BACKUP_SECRET_KEY: secret('backup-store-secret-key'),
    PULUMI_CONFIG_PASSPHRASE: secret('passphrase'),
    PULUMI_HOME: join(labHome(), 'pulumi'),
    SWITCHYARD_SEED: secret('seed', 32),
    GITLAB_TOKEN: rootToken(),
    GITLAB_BASE_URL: `${GITLAB_URL}/api/v4/`,
    PULUMI_SKIP_UPDATE_CHECK: 'true',
  };
}

/** Runs `switchyard …` of this checkout against the lab. */
export const switchyard = (args: string[]): [string, string[]] => [
  process.execPath,
  [join(REPOSITORY, 'bin', 'switchyard.js'), ...args],
];

const sources = (): Promise<string> =>
  hashFiles(
    [
      'index.ts',
      'catalog',
      'stacks',
      'clients',
      'components',
      'delivery',
      'operations',
      'rules',
      'text',
      'package-lock.json',
    ].map((path) => join(REPOSITORY, path)),
  );

/** Images of the lab that the topology builds its own upon, and the resource that does. */
const BASES = { jenkins: 'jenkins-image', agent: 'delivery-image' } as const;
type Bases = Partial<Record<keyof typeof BASES, string>>;

/** Which contents the running topology was built upon. */
const basesFile = (): string => join(labHome(), 'bases.json');

async function basesInMirror(): Promise<Bases> {
  const contents: Bases = {};
  for (const name of Object.keys(BASES) as (keyof typeof BASES)[]) {
    contents[name] = await contentInMirror(MIRROR, name, 'lab');
  }
  return contents;
}

/** Resources whose base changed behind its tag: their own inputs stayed the same, so Pulumi has to be told. */
function outdated(now: Bases): string[] {
  if (!existsSync(basesFile())) return [];
  const then = JSON.parse(readFileSync(basesFile(), 'utf8')) as Bases;
  return (Object.keys(BASES) as (keyof typeof BASES)[])
    .filter((name) => then[name] !== now[name])
    .map((name) => BASES[name]);
}

/** Exit code of `switchyard up` while another run holds the environment's lock. */
const LOCKED = 4;

/** Is the process that took a lock gone? It ran on this machine, or in a Pod, whose name is its host. */
async function isGone({ host, pid }: LockHolder, log: StepLog): Promise<boolean> {
  if (host === hostname()) return !existsSync(`/proc/${pid}`);
  const { stdout } = await log.exec(
    join(cacheHome(), 'bin', 'kubectl'),
    ['get', 'pods', '--all-namespaces', '--field-selector', `metadata.name=${host}`, '--output=name'],
    { env: labEnvironment() },
  );
  return stdout.trim() === '';
}

/** @throws LabError when the holder is alive */
async function breakStaleLock(log: StepLog, message: string): Promise<void> {
  for (const holder of lockHolders(message)) {
    if (!(await isGone(holder, log))) {
      throw new LabError(
        `${ENVIRONMENT} is locked by process ${holder.pid} on ${holder.host} since ${holder.since}`,
        'Wait for it, then run the command again',
      );
    }
  }
  const [command, args] = switchyard(['cancel', ENVIRONMENT, '--yes']);
  await log.exec(command, args, { cwd: REPOSITORY, env: labEnvironment() });
}

/** `switchyard up` of the lab; a lock that a killed run left is broken first. */
export async function upLab(log: StepLog, ...options: string[]): Promise<void> {
  const [command, args] = switchyard(['up', ENVIRONMENT, '--yes', ...options]);
  // The lab's own, which goes with it.
  keepNoLogs(join(labHome(), 'pulumi'));
  const where = { cwd: REPOSITORY, env: labEnvironment(), timeoutSeconds: 1500 };
  const { code, stderr } = await log.exec(command, args, { ...where, accept: [0, LOCKED] });
  if (code !== LOCKED) return;
  await breakStaleLock(log, stderr);
  await log.exec(command, args, where);
}

/** `up` of the lab stack. */
export function topologySteps(): Step[] {
  return [
    {
      name: 'topology',
      title: 'Topology: switchyard up lab',
      needs: [
        'toolchain-pulumi',
        'toolchain-kubernetes',
        'toolchain-provider-kubernetes',
        'plugins',
        'storage',
        'state-store',
        'cluster',
        'addons',
        'firewall',
        'gitlab',
        // Those that its own are built upon, and those that its Pods, the modules' builds and their tests run.
        ...[BASE, ...IMAGES].map(({ name }) => `image-${name}`),
      ],
      inputs: async () => hashFiles([], [await sources(), JSON.stringify(await basesInMirror())]),
      done: async () => existsSync(join(labHome(), 's3')) && (await jenkinsAnswers()),
      run: async (log) => {
        const bases = await basesInMirror();
        const replace = outdated(bases);
        await upLab(log, ...(replace.length > 0 ? ['--replace', ...replace] : []));
        writeFileSync(basesFile(), JSON.stringify(bases));
      },
    },
  ];
}

export const JENKINS_URL = 'http://198.18.0.2:30080';

async function jenkinsAnswers(): Promise<boolean> {
  try {
    return (await fetch(`${JENKINS_URL}/login`, { signal: AbortSignal.timeout(2000) })).ok;
  } catch {
    return false;
  }
}

import { existsSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { dockerSocket, kubeconfigPath } from './cluster';
import { secret } from './cluster/daemons';
import { GITLAB_URL, rootTokenFile } from './gitlab';
import { cacheHome, hashFiles, labHome, type Step } from './steps';

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
    PULUMI_CONFIG_PASSPHRASE: secret('passphrase'),
    PULUMI_HOME: join(labHome(), 'pulumi'),
    SWITCHYARD_SEED: secret('seed', 32),
    GITLAB_TOKEN: rootToken(),
    GITLAB_BASE_URL: `${GITLAB_URL}/api/v4/`,
    PULUMI_SKIP_UPDATE_CHECK: 'true',
  };
}

/** Runs `switchyard …` from this checkout against the lab. */
export const switchyard = (args: string[]): [string, string[]] => [
  process.execPath,
  ['--require', 'tsx/cjs', join(REPOSITORY, 'operations', 'cli.ts'), ...args],
];

const sources = (): Promise<string> =>
  hashFiles(
    ['index.ts', 'catalog', 'stacks', 'components', 'delivery', 'operations', 'package-lock.json'].map(
      (path) => join(REPOSITORY, path),
    ),
  );

/** `up` of the lab stack. */
export function topologySteps(): Step[] {
  return [
    {
      name: 'topology',
      title: 'Topology: switchyard up lab',
      inputs: sources,
      done: async () => existsSync(join(labHome(), 's3')) && (await jenkinsAnswers()),
      run: async (log) => {
        const [command, args] = switchyard(['up', ENVIRONMENT, '--yes']);
        await log.exec(command, args, { cwd: REPOSITORY, env: labEnvironment(), timeoutSeconds: 1500 });
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

import { appendFileSync, cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GITLAB_URL } from '../../../lab/gitlab';
import { deliver } from '../../../lab/journey';
import { openLog } from '../../../lab/steps';
import { toolPath } from '../../../lab/toolchain';
import {
  ENVIRONMENT,
  JENKINS_URL,
  labEnvironment,
  REPOSITORY,
  rootToken,
  switchyard,
} from '../../../lab/topology';
import { servedImage } from './running';

// The official CLI with its own language host, in this repository, on the running lab: nothing of the `switchyard` CLI.
jest.setTimeout(900_000);

const log = openLog('e2e-plain-pulumi');
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'switchyard-plain-'));
  cpSync(join(REPOSITORY, 'catalog'), join(folder, 'catalog'), { recursive: true });
  // Pulumi writes the state's salt into the stack file; the one in the repository stays as it is.
  const stackFile = `Pulumi.${ENVIRONMENT}.yaml`;
  cpSync(join(REPOSITORY, 'stacks', stackFile), join(folder, stackFile));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const ownCatalog = join(REPOSITORY, 'catalog');
const changedCatalog = () => join(folder, 'catalog');

const environment = (catalog: string) => ({ ...labEnvironment(), SWITCHYARD_CATALOG: catalog });

/**
 * Runs Pulumi's own command line. Its language host checks the types of the whole program before each run, which one run
 * shows to work and all others leave out.
 */
async function pulumi(catalog: string, command: string, ...options: string[]): Promise<string> {
  return pulumiWith({ PULUMI_NODEJS_TRANSPILE_ONLY: 'true' }, catalog, command, ...options);
}

async function pulumiWith(
  variables: Record<string, string>,
  catalog: string,
  command: string,
  ...options: string[]
): Promise<string> {
  const file = join(folder, `Pulumi.${ENVIRONMENT}.yaml`);
  const backend = /switchyard:backend: (\S+)/.exec(readFileSync(file, 'utf8'))?.[1];
  const args = [command, '--stack', ENVIRONMENT, '--config-file', file, '--non-interactive', ...options];
  const { stdout } = await log.exec(toolPath('pulumi'), args, {
    cwd: REPOSITORY,
    env: { ...environment(catalog), PULUMI_BACKEND_URL: backend, ...variables },
    timeoutSeconds: 600,
  });
  return stdout;
}

async function switchyardPreview(catalog: string): Promise<string | undefined> {
  const [command, args] = switchyard(['preview', ENVIRONMENT]);
  const { stdout } = await log.exec(command, args, { cwd: REPOSITORY, env: environment(catalog) });
  return stdout.trim().split('\n').at(-1);
}

const descriptionOf = async (project: string): Promise<string> => {
  const address = `${GITLAB_URL}/api/v4/projects/${encodeURIComponent(`switchyard/${project}`)}`;
  const answer = await fetch(address, { headers: { 'PRIVATE-TOKEN': rootToken() } });
  return ((await answer.json()) as { description: string }).description;
};

test('after switchyard up, plain pulumi preview and up find nothing to do', async () => {
  // Plain Pulumi knows nothing of deploys' parts of the state: whoever looks by `switchyard` brings them in.
  expect(await switchyardPreview(ownCatalog)).toBe('preview of lab: no change');
  await pulumiWith({}, ownCatalog, 'preview', '--expect-no-changes');
  await pulumi(ownCatalog, 'up', '--yes', '--skip-preview', '--expect-no-changes');
});

test('plain pulumi up applies a change of the catalog, and leaves switchyard nothing to do', async () => {
  const file = join(changedCatalog(), 'modules', 'mailer.yaml');
  const text = readFileSync(file, 'utf8');
  writeFileSync(file, text.replace(/^description: .*$/m, 'description: Changed by plain pulumi up'));
  await pulumi(changedCatalog(), 'up', '--yes', '--skip-preview');
  expect(await descriptionOf('mailer')).toBe('Changed by plain pulumi up');
});

// Of billing: a suite beside this one keeps test Pods of mailer from starting.
test('what is merged afterwards is deployed: the build has the state cut, which plain pulumi up does not', async () => {
  const change = (checkout: string) =>
    appendFileSync(join(checkout, 'Dockerfile'), `LABEL changed=${Date.now()}\n`);
  const before = servedImage('billing');
  await deliver(log, 'billing', `after-pulumi-${Date.now()}`, 'After a plain pulumi up', change);
  expect(servedImage('billing')).not.toBe(before);
  const build = await fetch(`${JENKINS_URL}/job/switchyard/job/billing/lastBuild/consoleText`);
  expect(await build.text()).toContain(`${ENVIRONMENT} is cut for its modules`);
  expect(await switchyardPreview(changedCatalog())).toBe('preview of lab: no change');
});

test('with the catalog as it was, plain pulumi up puts everything back', async () => {
  await pulumi(ownCatalog, 'up', '--yes', '--skip-preview');
  const declared = /^description: (.*)$/m.exec(
    readFileSync(join(ownCatalog, 'modules', 'mailer.yaml'), 'utf8'),
  );
  expect(await descriptionOf('mailer')).toBe(declared?.[1]);
  expect(await switchyardPreview(ownCatalog)).toBe('preview of lab: no change');
});

test('a fault in the catalog is told by file, line and key, without a stack trace', async () => {
  const file = join(changedCatalog(), 'modules', 'mailer.yaml');
  writeFileSync(file, `${readFileSync(file, 'utf8')}prot: 8080\n`);
  await expect(pulumi(changedCatalog(), 'preview')).rejects.toThrow('ended with code');
  const printed = readFileSync(log.path, 'utf8').slice(-4000);
  expect(printed).toMatch(/modules\/mailer\.yaml:\d+: prot: is not a known key\. Did you mean "port"\?/);
  expect(printed).not.toMatch(/^\s+at .*\.ts:\d+/m);
});

import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  deliver,
  finalStatus,
  mergeRequest,
  openMergeRequest,
  productionVersion,
} from '../../../lab/journey';
import { STATE_BUCKET } from '../../../lab/machine/addresses';
import { labHome, openLog } from '../../../lab/steps';
import { ENVIRONMENT, labEnvironment, REPOSITORY, switchyard } from '../../../lab/topology';
import { kubectl, ledgerRelease, servedImage, until } from './running';

// A running lab, in which the Pod of a deploy goes away in the middle of its rollout: told to end, as by a drained node, and
// killed, as with the node itself. Who comes next goes through, and finds no lock. For nights: it waits for a lease to lapse.
jest.setTimeout(1_500_000);

const log = openLog('e2e-deploy-killed');
const MODULE = 'mailer';

/** Takes long to start in production, where its broker has another address, so that a rollout has a middle. */
const SLOW = `
if os.environ.get("RABBITMQ_HOST") != "127.0.0.1":
    time.sleep(15)
`;
const versioned = (version: string, slow: boolean) => (checkout: string) => {
  const source = join(REPOSITORY, 'lab', 'example', MODULE, 'mailer.py');
  const file = join(checkout, 'mailer.py');
  cpSync(source, file);
  const before = 'from mail import';
  if (slow) {
    const text = readFileSync(file, 'utf8');
    expect(text).toContain(before);
    writeFileSync(
      file,
      text.replace(before, () => `${SLOW}\n${before}`),
    );
  }
  writeFileSync(join(checkout, 'VERSION'), `${version}\n`);
};

const deployPods = (): string[] =>
  kubectl(
    ...['--namespace=ci-deploy', 'get', 'pods', '--output=name'],
    `--field-selector=spec.serviceAccountName=deployer-${MODULE}`,
  )
    .split('\n')
    .filter(Boolean);

/** A release whose Pod goes away while it is rolled out. @returns what its build printed, and the image that it was about */
async function killed(version: string, ...how: string[]): Promise<{ said: string; image: string }> {
  const before = servedImage(MODULE);
  const branch = `killed-${version}`;
  const change = versioned(version, true);
  const iid = (await openMergeRequest(log, branch, `${MODULE} ${version}`, change, MODULE)) as number;
  const image = await until('the middle of its rollout', 420, async () => {
    const now = servedImage(MODULE);
    return now === before ? undefined : now;
  });
  const pods = deployPods();
  expect(pods).toHaveLength(1);
  kubectl('--namespace=ci-deploy', 'delete', ...pods, '--wait=false', ...how);
  const now = await mergeRequest(iid, MODULE);
  expect(now.state).toBe('merged');
  const { state, description, build } = await finalStatus(String(now.merge_commit_sha ?? now.sha), MODULE);
  log.line(`${version}: ${state} ${description}`);
  return { said: await (await fetch(`${build}consoleText`)).text(), image };
}

/** Whoever is claimed by a process that is gone is watched for more than a minute first. */
const TAKEN_AWAY = 'its claim is taken away';

test('a deploy whose Pod is told to end, or killed, is in nobody’s way: the next ones and an up go through', async () => {
  const [major, minor, patch] = String(await productionVersion(MODULE))
    .split('.')
    .map(Number);
  const version = (by: number): string => `${major}.${minor}.${Number(patch) + by}`;

  const told = await killed(version(1));
  expect((await ledgerRelease(MODULE))?.image).toBe(told.image);

  // Told, it has given back what it claimed: the next one has nothing to wait for, until it is killed itself.
  const forced = await killed(version(2), '--force', '--grace-period=0');
  expect(forced.said).not.toContain(TAKEN_AWAY);
  expect((await ledgerRelease(MODULE))?.image).toBe(forced.image);

  await deliver(log, MODULE, 'after-kills', `${MODULE} ${version(3)}`, versioned(version(3), false));
  expect(await productionVersion(MODULE)).toBe(version(3));
  expect((await ledgerRelease(MODULE))?.image).toBe(servedImage(MODULE));

  const [command, args] = switchyard(['up', ENVIRONMENT, '--yes']);
  const where = { cwd: REPOSITORY, env: labEnvironment(), timeoutSeconds: 300 };
  const { stdout, stderr } = await log.exec(command, args, where);
  expect(stdout.trim().split('\n').at(-1)).toBe('up of lab: no change');
  expect(stderr).not.toMatch(/is locked|its claim is taken away/);
  expect((await ledgerRelease(MODULE))?.image).toBe(servedImage(MODULE));
  const locks = join(labHome(), 's3', STATE_BUCKET, '.pulumi', 'locks');
  const left = existsSync(locks) ? readdirSync(locks, { recursive: true, encoding: 'utf8' }) : [];
  expect(left.filter((name) => name.endsWith('.json'))).toEqual([]);
});

import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { bundleProgram } from '../../../operations/build/bundles';
import { rules } from '../../../rules';
import { stackNames } from '../../../stacks/load';
import { root } from '../../support/model';
import { startRegistry } from '../../support/registry';

/** The CLI in one file: each start of its sources would compile them anew. */
const program = join(mkdtempSync(join(tmpdir(), 'switchyard-cli-')), 'switchyard.js');
beforeAll(() => bundleProgram(root, 'switchyard', program));
afterAll(() => rmSync(dirname(program), { recursive: true, force: true }));

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'switchyard-check-'));
  mkdirSync(join(folder, 'state'));
  cpSync(join(root, 'catalog', 'services'), join(folder, 'catalog', 'services'), { recursive: true });
  mkdirSync(join(folder, 'catalog', 'modules'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** The one module, under the name that every stack lists. */
const declare = (extra: string, services = '[{ kind: redis, version: "7.4" }]'): void =>
  writeFileSync(
    join(folder, 'catalog', 'modules', 'orders.yaml'),
    `description: sells\nowners: [ada]\nservices: ${services}\n${extra}`,
  );

const switchyard = (...args: string[]) => switchyardWith({}, ...args);
function switchyardWith(variables: Record<string, string>, ...args: string[]) {
  const { stdout, stderr, status } = spawnSync(process.execPath, [program, ...args], {
    cwd: root,
    encoding: 'utf8',
    env: {
      ...process.env,
      SWITCHYARD_CATALOG: join(folder, 'catalog'),
      PULUMI_BACKEND_URL: `file://${join(folder, 'state')}`,
      SWITCHYARD_SEED: 'a seed for tests, long enough to be one',
      GITLAB_TOKEN: 'none',
      ...variables,
    },
  });
  return { out: stdout.trim().split('\n'), err: stderr.trim().split('\n'), status };
}

const faults = [
  `catalog/modules/orders.yaml:3: services: rule test-pod-possible: test Pod of orders: other and redis both listen on 6379 in the test Pod. Containers of a Pod share their ports: use one of the two, or another port.`,
  `catalog/modules/orders.yaml:4: environment.API_TOKEN: rule no-plain-secret-variables: production-orders-workload (Deployment prod-orders/orders), container "module": API_TOKEN is a plain value. Put it into a Secret and use valueFrom.secretKeyRef.`,
];
const declareFaulty = (): void =>
  declare(
    'environment: { API_TOKEN: hunter2 }\n',
    '[{ kind: redis, version: "7.4" }, { kind: redis, version: "7.4", name: other }]',
  );

const UNQUEUED =
  "production: orders has no merge queue (docs/gate.md): gitlab.mergeMethod: ff merges only what stands on main's head, and gitlab.rebase: people leaves that to people";

test('check holds every stack against every rule, and says who has no merge queue', () => {
  declare('');
  expect(switchyard('check')).toEqual({
    out: stackNames(join(root, 'stacks')).flatMap((name) => [
      `${name}: 1 modules, all ${rules.length} rules hold`,
      ...(name === 'production' ? [UNQUEUED] : []),
    ]),
    err: [''],
    status: 0,
  });
});

test('check ends with 2 where a file lies beside those that are read', () => {
  declare('');
  writeFileSync(join(folder, 'catalog', 'modules', 'billing.yml'), 'description: bills\n');
  const stacks = join(folder, 'stacks');
  cpSync(join(root, 'stacks'), stacks, { recursive: true, filter: (path) => !path.endsWith('.ts') });
  writeFileSync(join(stacks, 'Pulumi.test.yml'), 'config: {}\n');
  expect(switchyardWith({ SWITCHYARD_STACKS: stacks }, 'check')).toEqual({
    out: [''],
    err: [
      'stacks/Pulumi.test.yml: is not read: its name does not end in ".yaml". Rename it, or move it elsewhere.',
      'catalog/modules/billing.yml:1: is not read: its name does not end in ".yaml". Rename it, or move it elsewhere.',
    ],
    status: 2,
  });
});

test('check ends with 2 and one line a violation', () => {
  declareFaulty();
  expect(switchyard('check', 'production')).toEqual({ out: [''], err: faults, status: 2 });
});

test.each(['preview', 'up'])(
  '%s of a topology that breaks a rule ends with 2, and neither asks nor starts the engine',
  (operation) => {
    declareFaulty();
    expect(switchyard(operation, 'lab')).toEqual({ out: [''], err: faults, status: 2 });
    expect(readdirSync(join(folder, 'state'))).toEqual([]);
  },
);

test('up of a topology whose mirror takes pushes without a login ends with 2, and does not start the engine', async () => {
  declare('');
  const stacks = join(folder, 'stacks');
  mkdirSync(stacks);
  const registry = await startRegistry(folder);
  try {
    const lab = readFileSync(join(root, 'stacks', 'Pulumi.lab.yaml'), 'utf8');
    writeFileSync(join(stacks, 'Pulumi.lab.yaml'), lab.replace(/^( +mirror:) .*/m, `$1 ${registry.host}`));
    const brought = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'BACKUP_ACCESS_KEY', 'BACKUP_SECRET_KEY'];
    const variables = {
      SWITCHYARD_STACKS: stacks,
      KUBECONFIG: join(folder, 'none'),
      PULUMI_CONFIG_PASSPHRASE: 'of a test, and of no other use',
      ...Object.fromEntries(brought.map((name) => [name, 'for tests'])),
    };
    expect(switchyardWith(variables, 'up', 'lab', '--yes')).toEqual({
      out: [''],
      err: [
        `stacks/Pulumi.lab.yaml: config.images.mirror: ${registry.host} takes pushes without a login, and every build reaches it: a merge request nobody approved could replace what all modules start from. Have it refuse whoever pushes without a login.`,
      ],
      status: 2,
    });
    expect(readdirSync(join(folder, 'state'))).toEqual([]);
  } finally {
    registry.stop();
  }
});

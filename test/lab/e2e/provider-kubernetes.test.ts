import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import * as k8s from '@pulumi/kubernetes';
import * as pulumi from '@pulumi/pulumi';
import { LocalWorkspace, PulumiCommand, type Stack } from '@pulumi/pulumi/automation';
import { IN_PLACE } from '../../../components/shared/in-place';
import { MIRROR } from '../../../lab/machine/addresses';
import { cacheHome, labHome } from '../../../lab/steps';

// What the topology counts on of the official provider, as the lab builds it, by the real engine against the lab's
// cluster; kubectl is the independent witness.

jest.setTimeout(900_000);

const KUBECONFIG = path.join(labHome(), 'kubeconfig');
const NAMESPACE = 'provider-kubernetes';
const PAUSE = `${MIRROR}/pause:3.10`;
const SECRET_TEXT = 'correct-horse-battery-staple';

/** What the program declares; each test changes one thing of it. */
interface Shape {
  cpu: string;
  /** Label that the Deployment selects its Pods by, which Kubernetes lets nobody change. */
  app: string;
  password: string;
  mode: string;
}

const shape: Shape = {
  cpu: '50m',
  app: 'web',
  password: SECRET_TEXT,
  mode: 'one',
};

const restricted = {
  allowPrivilegeEscalation: false,
  runAsNonRoot: true,
  runAsUser: 65534,
  capabilities: { drop: ['ALL'] },
  seccompProfile: { type: 'RuntimeDefault' },
};

async function program(): Promise<Record<string, unknown>> {
  const provider = new k8s.Provider('lab', { kubeconfig: KUBECONFIG, context: 'lab', ...IN_PLACE });
  const namespace = new k8s.core.v1.Namespace('space', { metadata: { name: NAMESPACE } }, { provider });
  const inside = { provider, parent: namespace };
  const metadata = { namespace: namespace.metadata.name };
  const labels = { app: shape.app };

  const secret = new k8s.core.v1.Secret(
    'database',
    { metadata, stringData: { password: pulumi.secret(shape.password) } },
    inside,
  );
  const settings = new k8s.core.v1.ConfigMap('settings', { metadata, data: { mode: shape.mode } }, inside);
  const claim = new k8s.core.v1.PersistentVolumeClaim(
    'data',
    { metadata, spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '16Mi' } } } },
    inside,
  );
  const deployment = new k8s.apps.v1.Deployment(
    'web',
    {
      metadata: { ...metadata, name: 'web', labels: { release: 'one' } },
      spec: {
        replicas: 1,
        selector: { matchLabels: labels },
        template: {
          metadata: { labels },
          spec: {
            terminationGracePeriodSeconds: 1,
            containers: [
              {
                name: 'web',
                image: PAUSE,
                envFrom: [
                  { secretRef: { name: secret.metadata.name } },
                  { configMapRef: { name: settings.metadata.name } },
                ],
                resources: {
                  requests: { cpu: shape.cpu, memory: '8Mi' },
                  limits: { cpu: '1000m', memory: '16Mi' },
                },
                securityContext: restricted,
              },
            ],
          },
        },
      },
    },
    { ...inside, customTimeouts: { create: '2m', update: '90s' } },
  );
  const service = new k8s.core.v1.Service(
    'web',
    {
      metadata: { ...metadata, name: 'web' },
      spec: { selector: labels, ports: [{ port: 80, targetPort: 8080 }] },
    },
    inside,
  );
  const definition = new k8s.apiextensions.v1.CustomResourceDefinition(
    'checklists',
    {
      metadata: { name: 'checklists.lifecycle.switchyard.dev' },
      spec: {
        group: 'lifecycle.switchyard.dev',
        scope: 'Namespaced',
        names: { kind: 'Checklist', plural: 'checklists', singular: 'checklist' },
        versions: [
          {
            name: 'v1',
            served: true,
            storage: true,
            schema: {
              openAPIV3Schema: {
                type: 'object',
                properties: {
                  spec: {
                    type: 'object',
                    properties: { items: { type: 'array', items: { type: 'string' } } },
                  },
                },
              },
            },
          },
        ],
      },
    },
    { provider },
  );
  const checklist = new k8s.apiextensions.CustomResource(
    'first',
    {
      apiVersion: 'lifecycle.switchyard.dev/v1',
      kind: 'Checklist',
      metadata: { ...metadata, name: 'first' },
      spec: { items: ['a'] },
    },
    { ...inside, dependsOn: definition },
  );
  const group = new k8s.yaml.v2.ConfigGroup(
    'group',
    {
      objs: [
        {
          apiVersion: 'v1',
          kind: 'ConfigMap',
          metadata: { name: 'grouped', namespace: NAMESPACE },
          data: { a: '1' },
        },
        {
          apiVersion: 'lifecycle.switchyard.dev/v1',
          kind: 'Checklist',
          metadata: { name: 'grouped', namespace: NAMESPACE },
          spec: { items: ['b'] },
        },
      ],
    },
    { provider, dependsOn: [namespace, definition] },
  );
  return {
    deploymentUid: deployment.metadata.uid,
    settings: settings.metadata.name,
    address: service.spec.clusterIP,
    claim: claim.metadata.name,
    secret: secret.metadata.name,
    checklist: checklist.metadata.name,
    grouped: group.urn,
  };
}

async function kubectl(...args: string[]): Promise<string> {
  const command = path.join(cacheHome(), 'bin', 'kubectl');
  return (await promisify(execFile)(command, ['--kubeconfig', KUBECONFIG, ...args])).stdout.trim();
}

function get(kind: string, name: string, jsonpath: string): Promise<string> {
  return kubectl('-n', NAMESPACE, 'get', kind, name, '-o', `jsonpath=${jsonpath}`);
}

describe('the official provider of Kubernetes', () => {
  const work = mkdtempSync(path.join(tmpdir(), 'provider-kubernetes-'));
  let stack: Stack;

  beforeAll(async () => {
    mkdirSync(path.join(work, 'state'));
    stack = await LocalWorkspace.createOrSelectStack(
      { stackName: 'lifecycle', projectName: 'provider-kubernetes', program },
      {
        pulumiCommand: await PulumiCommand.get({ root: cacheHome() }),
        workDir: work,
        envVars: {
          PATH: [path.join(cacheHome(), 'bin'), process.env.PATH].join(path.delimiter),
          PULUMI_BACKEND_URL: `file://${path.join(work, 'state')}`,
          PULUMI_CONFIG_PASSPHRASE: 'only for this test',
          PULUMI_SKIP_UPDATE_CHECK: 'true',
          PULUMI_HOME: path.join(work, 'home'),
          // As `switchyard drift --fix` has it, which takes back what others own.
          PULUMI_K8S_ENABLE_PATCH_FORCE: 'true',
        },
      },
    );
  });

  afterAll(async () => {
    await stack?.destroy().catch(() => undefined);
    await kubectl('delete', 'namespace', NAMESPACE, '--ignore-not-found');
    rmSync(work, { recursive: true, force: true });
  });

  test('a preview of everything new works before the namespace and the custom kind exist', async () => {
    const { changeSummary } = await stack.preview();
    expect(changeSummary.create).toBeGreaterThanOrEqual(9);
    await expect(kubectl('get', 'namespace', NAMESPACE)).rejects.toThrow(/not found/);
  });

  test('up creates all of it and returns when it is ready', async () => {
    const { outputs } = await stack.up();
    expect(await get('deployment', 'web', '{.status.availableReplicas}')).toBe('1');
    expect(await get('deployment', 'web', '{.metadata.uid}')).toBe(outputs.deploymentUid?.value);
    expect(await get('service', 'web', '{.spec.clusterIP}')).toBe(outputs.address?.value);
    expect(outputs.settings?.value).toMatch(/^settings-[0-9a-f]{8}$/);
    expect(await get('checklists.lifecycle.switchyard.dev', 'first', '{.spec.items[0]}')).toBe('a');
    // What it does itself for a program: its part that is built from a file of ours (provider-kubernetes/instead).
    expect(await get('configmap', 'grouped', '{.data.a}')).toBe('1');
    expect(await get('checklists.lifecycle.switchyard.dev', 'grouped', '{.spec.items[0]}')).toBe('b');
    const encoded = await get('secret', String(outputs.secret?.value), '{.data.password}');
    expect(Buffer.from(encoded, 'base64').toString()).toBe(SECRET_TEXT);
  });

  test('the secret is nowhere in the state on disk, neither plain nor encoded', () => {
    const folder = path.join(work, 'state');
    const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) =>
      entry.isFile(),
    );
    const state = files
      .map((entry) => readFileSync(path.join(entry.parentPath, entry.name), 'utf8'))
      .join('\n');
    expect(state).toContain('kubernetes:core/v1:Secret');
    expect(state).not.toContain(SECRET_TEXT);
    expect(state).not.toContain(Buffer.from(SECRET_TEXT).toString('base64'));
  });

  test('a second preview and a refresh find nothing to do', async () => {
    await stack.refresh({ expectNoChanges: true });
    await stack.up({ expectNoChanges: true });
  });

  test('another spelling of the same amount is no change', async () => {
    shape.cpu = '0.05';
    await stack.preview({ expectNoChanges: true });
    shape.cpu = '50m';
  });

  test('refresh finds what others changed and added, and up puts it back and takes it away', async () => {
    await kubectl('-n', NAMESPACE, 'scale', 'deployment', 'web', '--replicas=0');
    await kubectl('-n', NAMESPACE, 'label', 'deployment', 'web', 'team=others');
    const { summary } = await stack.refresh();
    expect(summary.resourceChanges?.update).toBe(1);
    const { summary: repaired } = await stack.up();
    expect(repaired.resourceChanges?.update).toBe(1);
    expect(await get('deployment', 'web', '{.spec.replicas}/{.status.availableReplicas}')).toBe('1/1');
    expect(await get('deployment', 'web', '{.metadata.labels.team}')).toBe('');
    await stack.refresh({ expectNoChanges: true });
  });

  test('a Secret and a ConfigMap are changed in place: there is no moment without them', async () => {
    const { outputs } = await stack.up({ expectNoChanges: true });
    const [secret, settings] = [String(outputs.secret?.value), String(outputs.settings?.value)];
    const uids = async () => [
      await get('secret', secret, '{.metadata.uid}'),
      await get('configmap', settings, '{.metadata.uid}'),
    ];
    const before = await uids();
    shape.password = 'another-one';
    shape.mode = 'two';
    const { summary } = await stack.up();
    expect(summary.resourceChanges).toMatchObject({ update: 2 });
    expect(summary.resourceChanges).not.toHaveProperty('replace');
    expect(await uids()).toEqual(before);
    const encoded = await get('secret', secret, '{.data.password}');
    expect(Buffer.from(encoded, 'base64').toString()).toBe('another-one');
    expect(await get('configmap', settings, '{.data.mode}')).toBe('two');
    await stack.refresh({ expectNoChanges: true });
  });

  test('what Kubernetes lets nobody change is made anew, under the same name, and ready when up returns', async () => {
    const uid = () => get('deployment', 'web', '{.metadata.uid}');
    const before = await uid();
    shape.app = 'shop';
    const { summary } = await stack.up();
    expect(summary.resourceChanges).toMatchObject({ replace: 1, update: 1 });
    expect(await uid()).not.toBe(before);
    expect(
      await get('deployment', 'web', '{.spec.selector.matchLabels.app}/{.status.availableReplicas}'),
    ).toBe('shop/1');
    expect(await get('service', 'web', '{.spec.selector.app}')).toBe('shop');
    await stack.refresh({ expectNoChanges: true });
  });

  test('destroy leaves nothing', async () => {
    await stack.destroy();
    await expect(kubectl('get', 'namespace', NAMESPACE)).rejects.toThrow(/not found/);
    await expect(kubectl('get', 'crd', 'checklists.lifecycle.switchyard.dev')).rejects.toThrow(/not found/);
    expect((await stack.exportStack()).deployment?.resources ?? []).toEqual([]);
  });
});

import { execFileSync } from 'node:child_process';
import { restrictedContainer } from '../../../catalog/containers';
import { kubeconfigPath } from '../../../lab/cluster';
import { toolPath } from '../../../lab/toolchain';

// The topology's own clean-up jobs on a running lab, run now instead of on their schedule.
jest.setTimeout(900_000);

const kubectl = (args: readonly string[], input?: string): string =>
  execFileSync(toolPath('kubectl'), ['--kubeconfig', kubeconfigPath(), ...args], { encoding: 'utf8', input });

/** Starts a job from a CronJob and waits for its good end; what it said. */
function runNow(namespace: string, cronJob: string): string {
  const job = `${cronJob}-now`;
  kubectl(['-n', namespace, 'delete', 'job', job, '--ignore-not-found']);
  kubectl(['-n', namespace, 'create', 'job', job, `--from=cronjob/${cronJob}`]);
  try {
    kubectl(['-n', namespace, 'wait', `job/${job}`, '--for=condition=Complete', '--timeout=90s']);
    return kubectl(['-n', namespace, 'logs', `job/${job}`]);
  } finally {
    kubectl(['-n', namespace, 'delete', 'job', job, '--ignore-not-found']);
  }
}

/** A Pod that no node ever gets: it is there, and does nothing. */
const pod = (name: string, labels: Record<string, string>) => {
  const resources = { cpu: '10m', memory: '16Mi', 'ephemeral-storage': '16Mi' };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'test-orders', labels },
    spec: {
      schedulingGates: [{ name: 'switchyard.dev/never' }],
      automountServiceAccountToken: false,
      securityContext: { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: 'RuntimeDefault' } },
      containers: [
        {
          name: 'nothing',
          image: 'nothing.test/nothing',
          resources: { requests: resources, limits: resources },
          securityContext: restrictedContainer,
        },
      ],
    },
  };
};

test('what a test left behind goes when its time is up; all else stays', () => {
  const ours = { 'app.kubernetes.io/managed-by': 'switchyard', 'switchyard.dev/purpose': 'test' };
  const expired = { 'switchyard.dev/expires': '1' };
  const alive = { 'switchyard.dev/expires': '4102444800' };
  const items = [
    pod('reap-expired', { ...ours, ...expired }),
    pod('reap-alive', { ...ours, ...alive }),
    pod('reap-foreign', expired),
  ];
  kubectl(['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  try {
    runNow('ci-reaper', 'reaper');
    const left = kubectl(['-n', 'test-orders', 'get', 'pods', '-o', 'name']).trim().split('\n');
    expect(left.filter((name) => name.startsWith('pod/reap-')).sort()).toEqual([
      'pod/reap-alive',
      'pod/reap-foreign',
    ]);
  } finally {
    kubectl(
      ['delete', '--ignore-not-found', '-f', '-'],
      JSON.stringify({ apiVersion: 'v1', kind: 'List', items }),
    );
  }
});

test('the retention of images runs with its own credentials, and production keeps what it serves', () => {
  const served = () =>
    kubectl([
      '-n',
      'prod-orders',
      'get',
      'deployment',
      'orders',
      '-o',
      'jsonpath={.spec.template.spec.containers[0].image}',
    ]);
  const before = served();
  expect(runNow('registry', 'registry-retention')).not.toMatch(/^delivery: /m);
  expect(served()).toBe(before);
});

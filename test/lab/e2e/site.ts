import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { Registry } from '../../../clients/registry';
import { kubeconfigPath } from '../../../lab/cluster';
import { GITLAB_URL } from '../../../lab/gitlab';
import { NODE_IP, REGISTRY } from '../../../lab/machine/addresses';
import { sleep } from '../../../lab/machine/process';
import { toolPath } from '../../../lab/toolchain';
import { REPOSITORY } from '../../../lab/topology';
import { kubectl } from './running';

// What a site has before Switchyard comes: a Jenkins with a job and builds of its own in a namespace of its own, and a
// registry. The registry is the lab's; its users and their passwords are handed out as an owner hands them out.

export const SITE = 'site';
const NODE_PORT = 30090;
export const SITE_JENKINS = `http://${NODE_IP}:${NODE_PORT}`;
/** Who may look at builds there, as its owner gave it to us. */
export const READER = 'switchyard';
const OWN_JOB = `${SITE_JENKINS}/job/site/job/report`;
/** Where the registry that the site lends keeps its own things. */
const LENT = 'registry';

/** Stack file of an environment on the lab's cluster that adopts the site's Jenkins and registry; its name is its prefix, too. */
export function guestStack(environment: string): string {
  const lab = parse(readFileSync(join(REPOSITORY, 'stacks', 'Pulumi.lab.yaml'), 'utf8')) as {
    config: Record<string, unknown>;
  };
  const same = ['backend', 'clusters', 'production', 'deployEnvironment', 'images'];
  const kept = same.map((key) => [`switchyard:${key}`, lab.config[`switchyard:${key}`]]);
  return stringify({
    config: {
      ...Object.fromEntries(kept),
      'switchyard:environment': environment,
      'switchyard:namespacePrefix': environment,
      // The site's registry is the other environment's: a Pod of this cluster behind a port of its nodes.
      'switchyard:egress': [{ namespace: 'registry', ports: [5000] }],
      'switchyard:gitlab': { url: GITLAB_URL, group: environment, botTokenExpires: '2027-10-31' },
      'switchyard:jenkins': {
        url: SITE_JENKINS,
        existing: { namespace: SITE, serviceAccount: 'site-jenkins' },
        reader: { user: READER, tokenFrom: 'JENKINS_READER_TOKEN' },
        buildCache: '1Gi',
      },
      'switchyard:registry': {
        address: REGISTRY,
        scheme: 'http',
        existing: {
          path: environment,
          pull: { user: 'pull', passwordFrom: 'REGISTRY_PULL_PASSWORD' },
          push: { user: 'push', passwordFrom: 'REGISTRY_PUSH_PASSWORD' },
        },
      },
    },
  });
}

const apply = (...objects: object[]): void => {
  const list = { apiVersion: 'v1', kind: 'List', items: objects };
  execFileSync(toolPath('kubectl'), ['--kubeconfig', kubeconfigPath(), 'apply', '--filename=-'], {
    input: JSON.stringify(list),
    stdio: ['pipe', 'ignore', 'inherit'],
  });
};

/** The site's own configuration as code; it has a cloud of its own already. */
const CASC = stringify({
  jenkins: {
    systemMessage: "The site's own",
    numExecutors: 0,
    securityRealm: {
      local: {
        allowsSignup: false,
        users: [
          { id: 'admin', password: '${ADMIN_PASSWORD}' },
          { id: READER, password: '${READER_PASSWORD}' },
        ],
      },
    },
    authorizationStrategy: { loggedInUsersCanDoAnything: { allowAnonymousRead: true } },
    crumbIssuer: { standard: {} },
    clouds: [{ kubernetes: { name: 'kubernetes', namespace: SITE } }],
  },
  unclassified: { location: { url: `${SITE_JENKINS}/` } },
  jobs: [
    { script: "folder('site')\n" },
    {
      script: `pipelineJob('site/report') {
  definition { cps { script("echo 'the weekly report'"); sandbox(true) } }
}
`,
    },
  ],
});

function controller(
  image: string,
  reloadToken: string,
  { admin, reader }: { readonly admin: string; readonly reader: string },
  pull: string,
): object[] {
  const metadata = (name: string) => ({ namespace: SITE, name });
  const rbac = 'rbac.authorization.k8s.io';
  const match = { app: 'site-jenkins' };
  // What docs/adopting.md asks the owner for: what Switchyard makes is mounted beside what is there, and may be missing.
  const casc = [
    { configMap: { name: 'site-casc' } },
    { configMap: { name: 'switchyard-jobs', optional: true } },
    { configMap: { name: 'switchyard-agents', optional: true } },
  ];
  const secrets = [
    {
      secret: {
        name: 'site-jenkins',
        items: ['ADMIN_PASSWORD', 'READER_PASSWORD'].map((key) => ({ key, path: key })),
      },
    },
    { secret: { name: 'switchyard-hook-tokens', optional: true } },
  ];
  return [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: metadata('site-jenkins') },
    {
      apiVersion: `${rbac}/v1`,
      kind: 'Role',
      metadata: metadata('credentials'),
      rules: [{ apiGroups: [''], resources: ['secrets'], verbs: ['get', 'list', 'watch'] }],
    },
    {
      apiVersion: `${rbac}/v1`,
      kind: 'RoleBinding',
      metadata: metadata('credentials'),
      roleRef: { apiGroup: rbac, kind: 'Role', name: 'credentials' },
      subjects: [{ kind: 'ServiceAccount', name: 'site-jenkins', namespace: SITE }],
    },
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: metadata('site-jenkins'),
      stringData: { ADMIN_PASSWORD: admin, READER_PASSWORD: reader, CASC_RELOAD_TOKEN: reloadToken },
    },
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: metadata('site-pull'),
      type: 'kubernetes.io/dockerconfigjson',
      data: { '.dockerconfigjson': pull },
    },
    { apiVersion: 'v1', kind: 'ConfigMap', metadata: metadata('site-casc'), data: { 'site.yaml': CASC } },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: metadata('jenkins'),
      spec: {
        type: 'NodePort',
        selector: match,
        ports: [{ port: 8080, targetPort: 8080, nodePort: NODE_PORT }],
      },
    },
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { ...metadata('jenkins'), labels: match },
      spec: {
        serviceAccountName: 'site-jenkins',
        imagePullSecrets: [{ name: 'site-pull' }],
        terminationGracePeriodSeconds: 1,
        securityContext: { runAsUser: 1000, runAsGroup: 1000, fsGroup: 1000 },
        containers: [
          {
            name: 'jenkins',
            image,
            env: [
              { name: 'CASC_JENKINS_CONFIG', value: '/casc' },
              { name: 'SECRETS', value: '/secrets' },
              { name: 'JENKINS_OPTS', value: '--webroot=/var/jenkins_cache/war' },
              {
                name: 'CASC_RELOAD_TOKEN',
                valueFrom: { secretKeyRef: { name: 'site-jenkins', key: 'CASC_RELOAD_TOKEN' } },
              },
            ],
            ports: [{ containerPort: 8080 }],
            resources: { requests: { cpu: '50m', memory: '256Mi' }, limits: { memory: '1Gi' } },
            volumeMounts: [
              { name: 'home', mountPath: '/var/jenkins_home' },
              { name: 'casc', mountPath: '/casc', readOnly: true },
              { name: 'secrets', mountPath: '/secrets', readOnly: true },
            ],
          },
        ],
        volumes: [
          { name: 'home', emptyDir: {} },
          { name: 'casc', projected: { sources: casc } },
          { name: 'secrets', projected: { sources: secrets } },
        ],
      },
    },
  ];
}

const statusOf = async (url: string, init?: RequestInit): Promise<number> => {
  try {
    return (await fetch(url, { ...init, signal: AbortSignal.timeout(5000) })).status;
  } catch {
    return 0;
  }
};

async function until(what: string, seconds: number, ask: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + seconds * 1000;
  while (!(await ask())) {
    if (Date.now() > end) throw new Error(`${what} did not come within ${seconds} s`);
    await sleep(500);
  }
}

export interface Site {
  /** Variables with the passwords of the registry's users and of Jenkins' reader, by the names that the stack file says. */
  readonly passwords: Readonly<
    Record<'REGISTRY_PULL_PASSWORD' | 'REGISTRY_PUSH_PASSWORD' | 'JENKINS_READER_TOKEN', string>
  >;
  /** The registry, as its owner sees it. */
  readonly registry: Registry;
  /** Has Jenkins read its configuration again, until it is as the owner expects it. */
  readonly reload: (expected: () => Promise<boolean>) => Promise<void>;
  /** Number and result of the own job's last build. */
  readonly report: () => Promise<{ number: number; result: string }>;
  /** Everything of the owner's, marked so that any change shows. */
  readonly inventory: () => Promise<Record<string, string>>;
  readonly remove: () => void;
}

interface Listed {
  readonly kind: string;
  readonly metadata: {
    readonly uid: string;
    readonly name: string;
    readonly namespace: string;
    readonly labels?: object;
  };
}

const KINDS =
  'pods,deployments,services,configmaps,secrets,serviceaccounts,roles,rolebindings,persistentvolumeclaims,networkpolicies,cronjobs';

/** Objects of a namespace with a mark of what they say, without what the cluster itself keeps in them. */
function objectsIn(namespace: string): [string, string][] {
  const { items } = JSON.parse(kubectl('get', KINDS, '--namespace', namespace, '--output=json')) as {
    items: Listed[];
  };
  return items.map((item) => {
    const { uid, labels } = item.metadata;
    const told = { ...item, metadata: { uid, labels }, status: undefined };
    const mark = createHash('sha256').update(JSON.stringify(told)).digest('hex').slice(0, 16);
    return [`${item.kind} ${namespace}/${item.metadata.name}`, mark];
  });
}

async function imagesIn(registry: Registry): Promise<[string, string][]> {
  const found: [string, string][] = [];
  for (const repository of await registry.repositories()) {
    for (const { digest, tags } of await registry.images(repository)) {
      for (const tag of tags) found.push([`image ${repository}:${tag}`, digest]);
    }
  }
  return found;
}

const passwordIn = (namespace: string, name: string): { login: string; password: string; config: string } => {
  const path = '--output=jsonpath={.data.\\.dockerconfigjson}';
  const config = kubectl('get', 'secret', name, '--namespace', namespace, path);
  const { auths } = JSON.parse(Buffer.from(config, 'base64').toString()) as {
    auths: Record<string, { auth: string }>;
  };
  const login = auths[REGISTRY]?.auth ?? '';
  return { login, password: Buffer.from(login, 'base64').toString().split(':')[1] ?? '', config };
};

/** Starts the site's Jenkins, lets its own job run once, and hands out the registry's users. */
export async function startSite(): Promise<Site> {
  const adminPassword = randomBytes(12).toString('hex');
  const readerPassword = randomBytes(12).toString('hex');
  const reloadToken = randomBytes(12).toString('hex');
  const image = kubectl(
    ...['get', 'pod', 'jenkins-0', '--namespace=ci', '--output=jsonpath={.spec.containers[0].image}'],
  );
  const [pull, push] = [passwordIn('ci', 'registry-pull'), passwordIn('registry', 'registry-retention')];
  // Of the suite before, or of a run that was killed.
  kubectl('delete', 'namespace', SITE, '--ignore-not-found', '--wait=true', '--timeout=180s');
  apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: SITE } });
  apply(...controller(image, reloadToken, { admin: adminPassword, reader: readerPassword }, pull.config));
  await until("the site's Jenkins", 180, async () => (await statusOf(`${SITE_JENKINS}/login`)) === 200);

  const authorization = `Basic ${Buffer.from(`admin:${adminPassword}`).toString('base64')}`;
  const crumb = await fetch(`${SITE_JENKINS}/crumbIssuer/api/json`, { headers: { authorization } });
  const { crumb: value } = (await crumb.json()) as { crumb: string };
  const headers = { authorization, 'Jenkins-Crumb': value };
  expect(await statusOf(`${OWN_JOB}/build`, { method: 'POST', headers })).toBe(201);
  const report = async () =>
    (await (await fetch(`${OWN_JOB}/lastBuild/api/json`)).json()) as { number: number; result: string };
  await until("the site's own build", 90, async () => {
    const answer = await fetch(`${OWN_JOB}/lastBuild/api/json`);
    return answer.ok && ((await answer.json()) as { result: string | null }).result !== null;
  });

  const registry = new Registry({ host: REGISTRY, plainHttp: true, credentials: push.login });
  return {
    passwords: {
      REGISTRY_PULL_PASSWORD: pull.password,
      REGISTRY_PUSH_PASSWORD: push.password,
      JENKINS_READER_TOKEN: readerPassword,
    },
    registry,
    report,
    reload: async (expected) => {
      // A changed Pod is looked at by the kubelet at once, and its volumes with it.
      kubectl('annotate', 'pod', 'jenkins', '--namespace', SITE, '--overwrite', `site/looked=${Date.now()}`);
      const url = `${SITE_JENKINS}/reload-configuration-as-code/?casc-reload-token=${reloadToken}`;
      // A configuration that is refused is offered again: files of several sources do not change in one moment.
      let refused = '';
      try {
        await until('the reloaded configuration', 120, async () => {
          const answer = await fetch(url, { method: 'POST' });
          // A refusal comes with HTTP 200 and says so in its body; what is taken has none.
          const body = await answer.text();
          if (!answer.ok || body !== '') refused = `${answer.status}: ${body}`;
          return answer.ok && body === '' && expected();
        });
      } catch (error) {
        throw new Error(`${(error as Error).message}; last refused with ${refused || 'nothing'}`);
      }
    },
    inventory: async () =>
      Object.fromEntries([...objectsIn(SITE), ...objectsIn(LENT), ...(await imagesIn(registry))].sort()),
    remove: () => {
      kubectl('delete', 'namespace', SITE, '--ignore-not-found', '--wait=false');
    },
  };
}

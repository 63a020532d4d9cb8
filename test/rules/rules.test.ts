import { parseCatalog } from '../../catalog/load';
import { shownText } from '../../components/shared/references';
import { check, rules } from '../../rules';
import { modelFacts } from '../../rules/assert';
import type { Item } from '../../rules/facts/item';
import { describeViolation } from '../../rules/facts/violation';
import type { Rule } from '../../rules/rule';
import { catalogTexts, modelOf, released } from '../support/model';
import { marked } from '../support/references';
import { modelWith } from '../support/workloads';
import { added, changed, copied, itemsOfTwo, messages, twoModules, violationsOf, without } from './support';

const whole = itemsOfTwo();
const ruleOf = (id: string): Rule => {
  const found = rules.find((rule) => rule.id === id);
  if (!found) throw new Error(`no rule "${id}"`);
  return found;
};

interface Case {
  readonly rule: string;
  readonly when: string;
  readonly items: readonly Item[];
  /** Every message, and no other. */
  readonly says: readonly string[];
  readonly modules?: readonly (readonly string[])[];
}

const inAYear = new Date(Date.now() + 365 * 86_400_000).toISOString().slice(0, 10);
const container = ['spec', 'template', 'spec', 'containers', 0];
/** Where a resource is. */
const cluster = (name: string): string | undefined => whole.find((item) => item.name === name)?.cluster;
const casc = (change: (text: string) => string) =>
  changed(whole, 'jenkins-casc', ['data', 'jenkins.yaml'], (old: unknown) =>
    marked(change(shownText(old as string))),
  );

/** A module whose data is migrated for what is released. */
const migrating = itemsOfTwo({
  ...modelWith({
    shop: `${catalogTexts.modules['shop.yaml']}production: { migrate: [migrate] }\n`,
  }),
  releases: { shop: { ...released, migrate: true } },
});

const ingress = (module: string, name: string, host: string, path?: string) => ({
  type: 'kubernetes:networking.k8s.io/v1:Ingress',
  name,
  args: {
    metadata: { namespace: `prod-${module}`, name, labels: { 'switchyard.dev/module': module } },
    spec: { rules: [{ host, ...(path ? { http: { paths: [{ path }] } } : {}) }] },
  },
});

const label = ['metadata', 'labels', 'switchyard.dev/backup'];
/** The service of a module marked for backup, and the volumes that its Pods name. */
const backedUp = (volumes: string | undefined) =>
  changed(
    changed(whole, 'production-shop-cache-workload', label, 'true'),
    'production-shop-cache-workload',
    ['spec', 'template', 'metadata', 'annotations'],
    volumes === undefined ? undefined : { 'backup.velero.io/backup-volumes': volumes },
  );

/** Two modules in a cluster of their own, in a stack that makes backups. */
const inBackups = itemsOfTwo({
  settings: modelOf({
    backup:
      'repository: "s3:https://s3.test/bucket", credentialsFrom: { accessKey: COPY_ID, secretKey: COPY_SECRET }',
  }).settings,
});

/** Two modules in a stack whose drift is looked for. */
const watched = itemsOfTwo({ settings: modelOf({ topologyProject: 'path: topology' }).settings });
const binding = {
  type: 'kubernetes:rbac.authorization.k8s.io/v1:RoleBinding',
  name: 'watcher-helps',
  cluster: watched.find(({ name }) => name === 'jenkins-casc')?.cluster,
  args: {
    metadata: { namespace: 'ci-deploy', name: 'watcher-helps' },
    roleRef: { kind: 'ClusterRole', name: 'admin' },
    subjects: [{ kind: 'ServiceAccount', name: 'watcher', namespace: 'ci-drift' }],
  },
};

const kubeconfig = (change: (old: string) => string) => (old: unknown) =>
  marked(change(shownText(old as string)));
/** Credentials inside the kubeconfig of deploys, which names the files that hold them. */
const kubeconfigs = [
  ['a kubeconfig holds a token', kubeconfig((text) => text.replace(/tokenFile: .*/, 'token: hunter2'))],
  [
    'a kubeconfig holds a key beside a looked-up address',
    kubeconfig((text) =>
      text
        .replace(/tokenFile: .*/, 'client-key-data: aHVudGVyMg==')
        .replace(/server: .*/, 'server: «found:server:production»'),
    ),
  ],
  [
    'the address in a kubeconfig holds a password',
    kubeconfig((text) => text.replace('https://', 'https://me:hunter2@')),
  ],
  ['what should be a kubeconfig is none', () => 'users: [hunter2'],
] as const;

const cases: readonly Case[] = [
  {
    rule: 'drift-only-reads',
    when: 'the role of what looks for drift lets it change and see more',
    items: changed(watched, 'drift-reader', ['rules'], (rules: unknown) => [
      ...(rules as object[]),
      { apiGroups: ['apps'], resources: ['deployments'], verbs: ['get', 'patch'] },
      { apiGroups: [''], resources: ['secrets'], verbs: ['get'] },
    ]),
    says: [
      'drift-reading (ClusterRoleBinding switchyard-drift-reading): lets ci-drift/watcher, which looks for drift, patch deployments. Bind it to a role that gets and lists, and leaves out Secrets.',
      'drift-reading (ClusterRoleBinding switchyard-drift-reading): lets ci-drift/watcher, which looks for drift, read secrets. Bind it to a role that gets and lists, and leaves out Secrets.',
    ],
  },
  {
    rule: 'drift-only-reads',
    when: 'its account is bound to a role that nobody declares here',
    items: added(watched, binding),
    says: [
      'watcher-helps (RoleBinding ci-deploy/watcher-helps): lets ci-drift/watcher, which looks for drift, do whatever ClusterRole admin allows. Bind it to a role that gets and lists, and leaves out Secrets.',
    ],
  },
  {
    rule: 'drift-only-reads',
    when: 'its token of GitLab may write',
    items: changed(watched, 'gitlab-watcher', ['scopes'], ['read_api', 'api']),
    says: [
      'drift-environment (Secret ci-drift/drift-environment): gives gitlab-watcher, a token with the scope api, to what looks for drift. Give it a token that may read.',
    ],
  },
  {
    rule: 'hook-has-job',
    when: 'the hook of a module leads to a job that is not declared',
    items: changed(whole, 'gitlab-shop-hook', ['url'], 'https://jenkins.test/project/switchyard/shpo'),
    says: [
      'gitlab-shop-hook (ProjectHook): no Jenkins job "switchyard/shpo" answers at https://jenkins.test/project/switchyard/shpo. Declare the job in components/jenkins/casc.ts, or remove the hook.',
    ],
  },
  {
    rule: 'hook-has-job',
    when: 'the job of a module is gone',
    items: casc((text) => text.replace("pipelineJob('switchyard/till')", "folder('switchyard/till')")),
    says: [
      'gitlab-till-hook (ProjectHook): no Jenkins job "switchyard/till" answers at https://jenkins.test/project/switchyard/till. Declare the job in components/jenkins/casc.ts, or remove the hook.',
    ],
    modules: [['till']],
  },
  {
    rule: 'hook-has-job',
    when: 'the hook leads elsewhere',
    items: changed(whole, 'gitlab-shop-hook', ['url'], 'https://elsewhere.test/project/switchyard/shop'),
    says: [
      'gitlab-shop-hook (ProjectHook): https://elsewhere.test/project/switchyard/shop is not the address of a job of https://jenkins.test. Send it to <jenkins.url>/project/<folder>/<job>.',
    ],
  },
  {
    rule: 'job-has-hook',
    when: 'the hook of a module is gone',
    items: without(whole, 'gitlab-shop-hook'),
    says: [
      'jenkins-casc (ConfigMap ci/jenkins-casc), job "switchyard/shop": no GitLab hook starts it. Declare a ProjectHook to <jenkins.url>/project/<folder>/<job>, or remove the job.',
    ],
    modules: [['shop']],
  },
  {
    rule: 'hook-token-agrees',
    when: 'hook and job take their tokens from different secrets',
    items: changed(whole, 'gitlab-shop-hook', ['token'], marked('«secret:hook/till»')),
    says: [
      'gitlab-shop-hook (ProjectHook): its token is not the one that job "switchyard/shop" finds in HOOK_TOKEN_SHOP. Take both from the same secret.',
    ],
  },
  {
    rule: 'hook-token-agrees',
    when: 'Jenkins does not get the token',
    items: changed(whole, 'jenkins-casc-secrets', ['stringData', 'HOOK_TOKEN_TILL'], undefined),
    says: [
      'gitlab-till-hook (ProjectHook): its job "switchyard/till" reads the token from HOOK_TOKEN_TILL, which no Secret of Jenkins holds. Put HOOK_TOKEN_TILL into Jenkins\' secrets.',
    ],
  },
  {
    rule: 'hook-token-agrees',
    when: 'the job asks for no token',
    items: casc((text) => text.replace('secretToken("${HOOK_TOKEN_SHOP}")', '')),
    says: [
      'gitlab-shop-hook (ProjectHook): its job "switchyard/shop" asks for no token: anyone may start it. Give the job a gitlab trigger with secretToken.',
    ],
  },
  {
    rule: 'pipeline-in-configuration',
    when: "a job runs the Jenkinsfile of its module's repository",
    items: casc((text) => text.replace('cps {', 'cpsScm {')),
    says: [
      'jenkins-casc (ConfigMap ci/jenkins-casc), job "switchyard/shop": runs the Jenkinsfile of a repository (cpsScm). Write the pipeline into the job: definition { cps { script(…); sandbox(true) } }.',
    ],
    modules: [['shop']],
  },
  {
    rule: 'pipeline-in-configuration',
    when: 'a job finds its pipelines in the branches of a repository',
    items: casc((text) =>
      text.replace("pipelineJob('switchyard/till')", "multibranchPipelineJob('switchyard/till')"),
    ),
    says: [
      'jenkins-casc (ConfigMap ci/jenkins-casc), job "switchyard/till": runs the Jenkinsfile of a repository (multibranchPipelineJob). Write the pipeline into the job: definition { cps { script(…); sandbox(true) } }.',
    ],
    modules: [['till']],
  },
  {
    rule: 'status-required',
    when: 'a project merges without a green pipeline',
    items: changed(whole, 'gitlab-shop', ['onlyAllowMergeIfPipelineSucceeds'], false),
    says: [
      'gitlab-shop (Project): merges without the status "switchyard" that its job "switchyard/shop" posts. Set onlyAllowMergeIfPipelineSucceeds.',
    ],
    modules: [['shop']],
  },
  {
    rule: 'status-required',
    when: 'a project merges when the pipeline is skipped',
    items: changed(whole, 'gitlab-shop', ['allowMergeOnSkippedPipeline'], true),
    says: [
      'gitlab-shop (Project): merges when the status "switchyard" is skipped. Remove allowMergeOnSkippedPipeline.',
    ],
  },
  {
    rule: 'status-required',
    when: 'a trigger of a job posts a pending status under its own name',
    items: casc((text) =>
      text.replace(
        'secretToken("${HOOK_TOKEN_TILL}")',
        'pendingBuildName(\'Jenkins\')\n      secretToken("${HOOK_TOKEN_TILL}")',
      ),
    ),
    says: [
      'jenkins-casc (ConfigMap ci/jenkins-casc), job "switchyard/till": posts the status "Jenkins", which delivery never turns green. Post nothing, or post "switchyard".',
    ],
  },
  {
    rule: 'status-required',
    when: 'the shared library posts a status of its own',
    items: changed(
      whole,
      'gitlab-library-vars-modulePipeline-groovy',
      ['content'],
      Buffer.from("updateGitlabCommitStatus(name: 'build', state: 'running')").toString('base64'),
    ),
    says: [
      'gitlab-library-vars-modulePipeline-groovy (RepositoryFile), vars/modulePipeline.groovy: posts the status "build", which delivery never turns green. Post nothing, or post "switchyard".',
    ],
  },
  {
    rule: 'namespace-quota',
    when: 'a namespace has no quota',
    items: without(whole, 'testing-shop-quota'),
    says: [
      'testing-shop-namespace (Namespace test-shop): has no ResourceQuota. Make it with fencedNamespace.',
    ],
    modules: [['shop']],
  },
  {
    rule: 'namespace-quota',
    when: 'a quota leaves memory open',
    items: changed(whole, 'registry-quota', ['spec', 'hard', 'requests.memory'], undefined),
    says: [
      'registry-namespace (Namespace registry): its ResourceQuota does not cap requests.memory. Name each in spec.hard.',
    ],
    modules: [[]],
  },
  {
    rule: 'namespace-limits',
    when: 'a namespace has no LimitRange',
    items: without(whole, 'production-till-limits'),
    says: [
      'production-till-namespace (Namespace prod-till): has no LimitRange. Make it with fencedNamespace.',
    ],
  },
  {
    rule: 'namespace-limits',
    when: 'a LimitRange gives no memory limit',
    items: changed(whole, 'production-till-limits', ['spec', 'limits', 0, 'default'], undefined),
    says: [
      'production-till-namespace (Namespace prod-till): its LimitRange gives containers no default.memory, default.ephemeral-storage. Name each in a limit of type Container.',
    ],
  },
  {
    rule: 'namespace-default-deny',
    when: 'a namespace has only policies that allow',
    items: without(whole, 'production-shop-deny'),
    says: [
      'production-shop-namespace (Namespace prod-shop): has no default-deny NetworkPolicy of Ingress and Egress. Make it with fencedNamespace.',
    ],
  },
  {
    rule: 'namespace-default-deny',
    when: 'the policy that denies selects only some Pods',
    items: changed(whole, 'production-shop-deny', ['spec', 'podSelector'], { matchLabels: { a: 'b' } }),
    says: [
      'production-shop-namespace (Namespace prod-shop): has no default-deny NetworkPolicy of Ingress and Egress. Make it with fencedNamespace.',
    ],
  },
  {
    rule: 'pod-security',
    when: 'a namespace is privileged without a reason',
    items: changed(
      whole,
      'testing-shop-namespace',
      ['metadata', 'labels', 'pod-security.kubernetes.io/enforce'],
      'privileged',
    ),
    says: [
      'testing-shop-namespace (Namespace test-shop): enforces Pod Security "privileged", not "restricted". Label it pod-security.kubernetes.io/enforce: restricted, or give an exception and its reason in rules/exceptions.ts.',
    ],
  },
  {
    rule: 'pod-security',
    when: 'a namespace enforces nothing',
    items: changed(
      whole,
      'jenkins-namespace',
      ['metadata', 'labels', 'pod-security.kubernetes.io/enforce'],
      undefined,
    ),
    says: [
      'jenkins-namespace (Namespace ci): enforces no Pod Security level. Label it pod-security.kubernetes.io/enforce: restricted, or give an exception and its reason in rules/exceptions.ts.',
    ],
  },
  {
    rule: 'namespace-default-deny',
    when: 'Pods may connect to everything',
    items: changed(whole, 'build-deny', ['spec', 'policyTypes'], ['Ingress']),
    says: [
      'build-namespace (Namespace ci-build): has no default-deny NetworkPolicy of Egress. Make it with fencedNamespace.',
    ],
  },
  {
    rule: 'no-way-to-metadata',
    when: 'a range is open that holds link-local addresses',
    items: changed(
      whole,
      'testing-shop-egress',
      ['spec', 'egress', 1, 'to'],
      [
        { ipBlock: { cidr: '0.0.0.0/0', except: ['10.0.0.0/8'] } },
        { ipBlock: { cidr: '::/0', except: ['fe80::/9', 'fd00::/8'] } },
      ],
    ),
    says: [
      'testing-shop-egress (NetworkPolicy test-shop/allow-egress): leads to 100.100.100.200/32, 168.63.129.16/32, 169.254.0.0/16. Name other addresses, or leave these out by `except`.',
    ],
    modules: [['shop']],
  },
  {
    rule: 'no-way-to-metadata',
    when: 'an address of a metadata service is named',
    items: changed(
      whole,
      'build-egress',
      ['spec', 'egress', 1, 'to'],
      [{ ipBlock: { cidr: 'fd00:ec2::254/128' } }],
    ),
    says: [
      'build-egress (NetworkPolicy ci-build/allow-egress): leads to fd00:ec2::254/128. Name other addresses, or leave these out by `except`.',
    ],
  },
  {
    rule: 'no-way-to-metadata',
    when: 'a way names ports and no place',
    items: changed(whole, 'reaper-egress', ['spec', 'egress', 1, 'to'], undefined),
    says: [
      'reaper-egress (NetworkPolicy ci-reaper/allow-egress): leads to 100.100.100.200/32, 168.63.129.16/32, 169.254.0.0/16, fd00:ec2::/32, fd20:ce::/32, fe80::/10. Name other addresses, or leave these out by `except`.',
    ],
  },
  {
    rule: 'disk-bounded',
    when: 'a container has no limit, and a volume no size',
    items: changed(
      changed(
        whole,
        'registry-deployment',
        ['spec', 'template', 'spec', 'containers', 0, 'resources', 'limits', 'ephemeral-storage'],
        undefined,
      ),
      'registry-deployment',
      ['spec', 'template', 'spec', 'volumes'],
      [{ name: 'tmp', emptyDir: {} }],
    ),
    says: [
      'registry-deployment (Deployment registry/registry), container "registry": has no limits.ephemeral-storage. Give it both (`withDisk` of catalog/containers.ts).',
      'registry-deployment (Deployment registry/registry): its emptyDir "tmp" has no sizeLimit. Give it one (`emptyDir` of catalog/containers.ts).',
    ],
  },
  {
    rule: 'disk-bounded',
    when: "Jenkins would add a test Pod's workspace",
    items: changed(whole, 'test-pod-shop', ['spec', 'volumes'], []),
    says: [
      'test-pod-shop (Pod test-shop/test of shop): its emptyDir "workspace-volume" has no sizeLimit. Give it one (`emptyDir` of catalog/containers.ts).',
    ],
  },
  {
    rule: 'disk-bounded',
    when: 'a volume says nothing of what it is, of which an API server makes an emptyDir without an end',
    items: changed(whole, 'test-pod-shop', ['spec', 'volumes'], (volumes: unknown) => [
      ...(volumes as object[]),
      { name: 'more' },
    ]),
    says: [
      'test-pod-shop (Pod test-shop/test of shop): its emptyDir "more" has no sizeLimit. Give it one (`emptyDir` of catalog/containers.ts).',
    ],
  },
  {
    rule: 'root-read-only',
    when: "a test Pod's agent may change its own programs",
    items: changed(
      whole,
      'test-pod-shop',
      ['spec', 'containers', 2, 'securityContext', 'readOnlyRootFilesystem'],
      false,
    ),
    says: [
      'test-pod-shop (Pod test-shop/test of shop), container "jnlp": its root file system can be written to. Set readOnlyRootFilesystem, and mount emptyDirs where it writes.',
    ],
  },
  {
    rule: 'privileged-alone',
    when: 'what holds a Secret and a volume runs beside image builds',
    items: changed(whole, 'registry-deployment', ['metadata', 'namespace'], 'ci-build'),
    says: [
      'registry-deployment (Deployment ci-build/registry): has the Secret registry-credentials, a volume that stays (storage) where Pod Security "privileged" is enforced. Keep it in a namespace that is `restricted`, or take it out.',
    ],
  },
  {
    rule: 'pods-admitted',
    when: 'Pods have more of their node than their namespace lets them',
    items: changed(whole, 'production-shop-workload', ['spec', 'template', 'spec'], (spec: unknown) => ({
      ...(spec as object),
      hostNetwork: true,
      hostPID: true,
      hostIPC: true,
      volumes: [{ name: 'docker', hostPath: { path: '/var/run' } }],
      securityContext: { runAsUser: 0, sysctls: [{ name: 'kernel.msgmax', value: '1' }] },
    })),
    says: [
      'production-shop-workload (Deployment prod-shop/shop): has hostNetwork, hostPID, hostIPC, the hostPath volume "docker", the sysctl "kernel.msgmax", securityContext.runAsUser: 0, and Pod Security "restricted" refuses it. Leave it as it was made: a transform, or what was added to the topology, says otherwise.',
    ],
    modules: [['shop']],
  },
  {
    rule: 'pods-admitted',
    when: 'a container has',
    items: changed(whole, 'registry-deployment', container, (old: unknown) => ({
      ...(old as object),
      ports: [{ containerPort: 5000, hostPort: 80 }],
      livenessProbe: { httpGet: { path: '/', port: 80, host: '169.254.169.254' } },
      securityContext: {
        privileged: true,
        readOnlyRootFilesystem: true,
        runAsNonRoot: false,
        procMount: 'Unmasked',
        capabilities: { add: ['SYS_ADMIN', 'NET_BIND_SERVICE', 'CHOWN'] },
        seccompProfile: { type: 'Unconfined' },
      },
    })),
    says: [
      'registry-deployment (Deployment registry/registry), container "registry": has securityContext.privileged, the capability SYS_ADMIN, securityContext.procMount "Unmasked", the hostPort 80, livenessProbe.httpGet.host "169.254.169.254", securityContext.seccompProfile.type "Unconfined", no allowPrivilegeEscalation: false, no capabilities.drop: [ALL], the capability CHOWN, no runAsNonRoot: true, and Pod Security "restricted" refuses it. Leave it as it was made: a transform, or what was added to the topology, says otherwise.',
    ],
  },
  {
    rule: 'pods-admitted',
    when: 'somebody adds Pods to a namespace that others make',
    items: added(whole, {
      type: 'kubernetes:apps/v1:DaemonSet',
      name: 'agent-of-nodes',
      args: {
        metadata: { namespace: 'kube-system', name: 'agent' },
        spec: { template: { spec: { hostNetwork: true, containers: [] } } },
      },
    }),
    says: [
      'agent-of-nodes (DaemonSet kube-system/agent): has hostNetwork, and Pod Security "restricted" refuses it. Leave it as it was made: a transform, or what was added to the topology, says otherwise.',
    ],
  },
  {
    rule: 'privileged-alone',
    when: 'a build has more of its node than its exception is for',
    items: added(whole, {
      type: 'kubernetes:core/v1:Pod',
      name: 'build-of-somebody',
      cluster: cluster('build-namespace'),
      args: {
        metadata: { namespace: 'ci-build', name: 'build' },
        spec: {
          automountServiceAccountToken: false,
          hostPID: true,
          containers: [
            {
              name: 'build',
              securityContext: {
                privileged: true,
                seccompProfile: { type: 'Unconfined' },
                appArmorProfile: { type: 'Unconfined' },
              },
            },
          ],
        },
      },
    }),
    says: [
      'build-of-somebody (Pod ci-build/build): has hostPID, securityContext.privileged where Pod Security "privileged" is enforced. Keep it in a namespace that is `restricted`, or take it out.',
    ],
  },
  {
    rule: 'quota-fits',
    when: 'the quota holds the replicas but not the surge of a rollout',
    items: changed(whole, 'production-shop-quota', ['spec', 'hard', 'pods'], '3'),
    says: [
      'production-shop-quota (ResourceQuota prod-shop/quota): allows 3 of pods, but prod-shop needs 4 at its worst moment. Raise it to 4 at least, or ask for less.',
    ],
  },
  {
    rule: 'quota-fits',
    when: 'an autoscaler may go beyond the quota',
    items: added(whole, {
      type: 'kubernetes:autoscaling/v2:HorizontalPodAutoscaler',
      name: 'shop-autoscaler',
      args: {
        metadata: { namespace: 'prod-shop', name: 'shop' },
        spec: { scaleTargetRef: { kind: 'Deployment', name: 'shop' }, maxReplicas: 200 },
      },
    }),
    says: [
      'production-shop-quota (ResourceQuota prod-shop/quota): allows 7 of pods, but prod-shop needs 202 at its worst moment. Raise it to 202 at least, or ask for less.',
      'production-shop-quota (ResourceQuota prod-shop/quota): allows 16000m of requests.cpu, but prod-shop needs 20150m at its worst moment. Raise it to 20150m at least, or ask for less.',
      'production-shop-quota (ResourceQuota prod-shop/quota): allows 14336Mi of limits.ephemeral-storage, but prod-shop needs 413696Mi at its worst moment. Raise it to 413696Mi at least, or ask for less.',
    ],
  },
  {
    rule: 'quota-fits',
    when: 'a migration has no room beside its module',
    items: changed(migrating, 'production-shop-quota', ['spec', 'hard', 'pods'], '4'),
    says: [
      'production-shop-quota (ResourceQuota prod-shop/quota): allows 4 of pods, but prod-shop needs 5 at its worst moment. Raise it to 5 at least, or ask for less.',
    ],
  },
  {
    rule: 'quota-fits',
    when: 'more than one Pod would migrate at a time',
    items: changed(migrating, 'production-shop-migration', ['spec', 'parallelism'], 2),
    says: [
      'production-shop-migration-lock (ResourceQuota prod-shop/migration-lock): allows 1 of pods, but prod-shop needs 2 at its worst moment. Raise it to 2 at least, or ask for less.',
    ],
  },
  {
    rule: 'namespace-quota',
    when: 'all that caps Pods counts some of them only',
    items: changed(migrating, 'production-shop-quota', ['spec', 'hard', 'pods'], undefined),
    says: [
      'production-shop-namespace (Namespace prod-shop): its ResourceQuota does not cap pods. Name each in spec.hard.',
    ],
  },
  {
    rule: 'releases-by-digest',
    when: 'a migration runs what a tag means',
    items: changed(
      migrating,
      'production-shop-migration',
      [...container, 'image'],
      'registry.test:5000/modules/shop:1.0',
    ),
    says: [
      'production-shop-migration (Job prod-shop/shop-migrate-bbbbbbbbbbbb), container "migrate": runs "registry.test:5000/modules/shop:1.0", which is no digest. Release it through the ledger: repository@sha256:<64 hex digits>.',
    ],
  },
  {
    rule: 'quota-fits',
    when: 'a test Pod alone is more than its namespace may have',
    items: changed(whole, 'testing-till-quota', ['spec', 'hard', 'requests.memory'], '256Mi'),
    says: [
      'testing-till-quota (ResourceQuota test-till/quota): allows 256Mi of requests.memory, but test-till needs 400Mi at its worst moment. Raise it to 400Mi at least, or ask for less.',
    ],
  },
  {
    rule: 'quota-fits',
    when: 'a service brings more claims than the quota allows',
    items: changed(whole, 'production-shop-quota', ['spec', 'hard', 'persistentvolumeclaims'], '0'),
    says: [
      'production-shop-quota (ResourceQuota prod-shop/quota): allows 0 of persistentvolumeclaims, but prod-shop needs 1 at its worst moment. Raise it to 1 at least, or ask for less.',
    ],
  },
  {
    rule: 'quota-fits',
    when: 'neither a container nor a LimitRange names what the quota counts',
    items: changed(
      changed(whole, 'registry-deployment', [...container, 'resources'], undefined),
      'registry-limits',
      ['spec', 'limits', 0, 'defaultRequest', 'cpu'],
      undefined,
    ),
    says: [
      'registry-deployment (Deployment registry/registry), container "registry": has no requests.cpu, which the quota of registry asks for: the Pod is refused. Name it in the container\'s resources, or a default in the LimitRange.',
    ],
  },
  {
    rule: 'images-pinned',
    when: 'an image is latest',
    items: changed(whole, 'registry-deployment', [...container, 'image'], 'registry:latest'),
    says: [
      'registry-deployment (Deployment registry/registry), container "registry": "registry:latest" has a tag that moves. Name a version or a digest in `images.replace` of the stack, or in the catalog.',
    ],
  },
  {
    rule: 'images-pinned',
    when: 'an image has no tag, behind a registry with a port',
    items: changed(whole, 'registry-deployment', [...container, 'image'], 'mirror.test:5000/registry'),
    says: [
      'registry-deployment (Deployment registry/registry), container "registry": "mirror.test:5000/registry" has no tag, which means latest. Name a version or a digest in `images.replace` of the stack, or in the catalog.',
    ],
  },
  {
    rule: 'images-pinned',
    when: 'a digest is cut short',
    items: changed(whole, 'registry-deployment', [...container, 'image'], 'registry@sha256:abc'),
    says: [
      'registry-deployment (Deployment registry/registry), container "registry": "registry@sha256:abc" is no whole digest. Name a version or a digest in `images.replace` of the stack, or in the catalog.',
    ],
  },
  {
    rule: 'images-pinned',
    when: "an agent of Jenkins' configuration has no pinned image",
    items: casc((text) =>
      text.replace(/image: «output:delivery-image:repoDigest»/, 'image: switchyard/delivery:latest'),
    ),
    says: [
      'jenkins-casc (ConfigMap ci/jenkins-casc), agent "delivery", container "delivery": "switchyard/delivery:latest" has a tag that moves. Name a version or a digest in `images.replace` of the stack, or in the catalog.',
    ],
  },
  {
    rule: 'images-pinned',
    when: 'a built image starts from a moving one',
    items: changed(whole, 'jenkins-image', ['build', 'args', 'BASE'], 'jenkins/jenkins:lts'),
    says: [
      'jenkins-image (Image), build argument "BASE": "jenkins/jenkins:lts" has a tag that moves. Name a version or a digest in `images.replace` of the stack, or in the catalog.',
    ],
  },
  {
    rule: 'images-pinned',
    when: "a test Pod's service has no version",
    items: changed(whole, 'test-pod-shop', ['spec', 'initContainers', 0, 'image'], 'cache'),
    says: [
      'test-pod-shop (Pod test-shop/test of shop), container "cache": "cache" has no tag, which means latest. Name a version or a digest in `images.replace` of the stack, or in the catalog.',
    ],
  },
  {
    rule: 'releases-by-digest',
    when: 'a module runs by a tag',
    items: changed(
      whole,
      'production-shop-workload',
      [...container, 'image'],
      'registry.test:5000/modules/shop:1.2',
    ),
    says: [
      'production-shop-workload (Deployment prod-shop/shop), container "module": runs "registry.test:5000/modules/shop:1.2", which is no digest. Release it through the ledger: repository@sha256:<64 hex digits>.',
    ],
    modules: [['shop']],
  },
  {
    rule: 'service-versions-agree',
    when: 'production runs another image than the tests and does not say why',
    items: changed(whole, 'production-shop-cache-workload', [...container, 'image'], 'cache:2.0'),
    says: [
      'production-shop-cache-workload (StatefulSet prod-shop/cache): runs "cache:2.0", but the tests use "cache:1.0". Use one version, or give `production.version` and `production.reason` in the catalog.',
    ],
  },
  {
    rule: 'service-versions-agree',
    when: 'a service does not say what was tested',
    items: changed(whole, 'production-shop-cache-workload', ['metadata', 'annotations'], undefined),
    says: [
      'production-shop-cache-workload (StatefulSet prod-shop/cache): does not say which image the tests used. Annotate it with switchyard.dev/tested-image.',
    ],
  },
  {
    rule: 'services-exist',
    when: 'a module is told to reach a Service that is not declared',
    items: without(whole, 'production-shop-cache-service'),
    says: [
      'production-shop-workload (Deployment prod-shop/shop): CACHE_HOST names cache.prod-shop.svc, but prod-shop has no Service "cache". Declare the Service, or correct the name.',
    ],
  },
  {
    rule: 'services-exist',
    when: 'a variable of the container, which comes after its ConfigMap, names another Service',
    items: changed(
      whole,
      'production-shop-workload',
      [...container, 'env'],
      [{ name: 'CACHE_HOST', value: 'nobody.prod-shop.svc' }],
    ),
    says: [
      'production-shop-workload (Deployment prod-shop/shop): CACHE_HOST names nobody.prod-shop.svc, but prod-shop has no Service "nobody". Declare the Service, or correct the name.',
    ],
  },
  {
    rule: 'backups-complete',
    when: 'a namespace marks one volume and forgets another',
    items: added(backedUp('cache-data'), {
      type: 'kubernetes:core/v1:PersistentVolumeClaim',
      name: 'shop-uploads',
      args: { metadata: { namespace: 'prod-shop', name: 'uploads' } },
    }),
    says: [
      'shop-uploads (PersistentVolumeClaim prod-shop/uploads): keeps data without the label switchyard.dev/backup, which others in prod-shop have. Mark it as well, or none of them.',
    ],
  },
  {
    rule: 'backups-complete',
    when: 'a workload is marked and its Pods do not name the volume',
    items: backedUp(undefined),
    says: [
      'production-shop-cache-workload (StatefulSet prod-shop/cache): is marked for backup, but its Pods do not name the volume "cache-data". Annotate the Pods with backup.velero.io/backup-volumes: cache-data.',
    ],
    modules: [['shop']],
  },
  {
    rule: 'services-dumped',
    when: 'a database says nothing of its dumps',
    items: changed(
      whole,
      'production-shop-cache-workload',
      ['metadata', 'annotations', 'switchyard.dev/dump'],
      undefined,
    ),
    says: [
      'production-shop-cache-workload (StatefulSet prod-shop/cache): keeps data, and nothing says how it is dumped. Write backup: { dump, restore } or { none: reason } in its file of catalog/services.',
    ],
    modules: [['shop']],
  },
  {
    rule: 'dumps-possible',
    when: 'the role of the backup job leaves a database out',
    items: changed(inBackups, 'production-shop-backup-role', ['rules', 1, 'resourceNames'], ['another-0']),
    says: [
      'production-shop-cache-workload (StatefulSet prod-shop/cache): cannot be dumped: no Role "backup" of prod-shop allows pods/exec in cache-0. Declare it as components/backup/role.ts does.',
    ],
    modules: [['shop']],
  },
  {
    rule: 'dumps-possible',
    when: 'only the ci cluster backs up, and databases run in another',
    items: without(without(inBackups, 'backup-production-job'), 'production-till-cache-workload'),
    says: [
      'production-shop-cache-workload (StatefulSet prod-shop/cache): is dumped by no job of its cluster. Give that cluster a job with --kind databases (components/backup).',
    ],
    modules: [['shop']],
  },
  {
    rule: 'databases-ask-login',
    when: 'a service is started without its password',
    items: changed(
      whole,
      'production-shop-cache-workload',
      ['spec', 'template', 'spec', 'containers', 0, 'args'],
      ['serve'],
    ),
    says: [
      'production-shop-cache-workload (StatefulSet prod-shop/cache): is started without its password: it asks nobody for a login. Name {password} in its file of catalog/services, or write login: { none: reason }.',
    ],
    modules: [['shop']],
  },
  {
    rule: 'databases-ask-login',
    when: 'its arguments only look as if they named it: "$$" is a "$" that nothing is filled in behind',
    items: changed(
      whole,
      'production-shop-cache-workload',
      ['spec', 'template', 'spec', 'containers', 0, 'args'],
      ['serve', '--password', '$$(SWITCHYARD_SERVICE_PASSWORD)', '$$$$(SWITCHYARD_SERVICE_PASSWORD)'],
    ),
    says: [
      'production-shop-cache-workload (StatefulSet prod-shop/cache): is started without its password: it asks nobody for a login. Name {password} in its file of catalog/services, or write login: { none: reason }.',
    ],
    modules: [['shop']],
  },
  {
    rule: 'backups-apart',
    when: "a deploy Pod's Secret holds a key of the backups, under whatever name",
    items: changed(
      added(inBackups, {
        type: 'kubernetes:core/v1:Secret',
        name: 'another',
        cluster: inBackups.find(({ name }) => name === 'deploy-namespace')?.cluster,
        args: { metadata: { namespace: 'ci-deploy', name: 'another' }, stringData: { RESTIC_PASSWORD: 'x' } },
      }),
      'deploy-environment',
      ['stringData', 'OTHER'],
      marked('«given:COPY_SECRET»'),
    ),
    says: [
      'deploy-environment (Secret ci-deploy/deploy-environment): holds OTHER, with which backups can be deleted, where rollouts run. Keep it in the namespaces of the backups, or keep backups with credentials of their own.',
      'another (Secret ci-deploy/another): holds RESTIC_PASSWORD, with which backups can be deleted, where rollouts run. Keep it in the namespaces of the backups, or keep backups with credentials of their own.',
    ],
  },
  {
    rule: 'names-unique',
    when: 'two modules make the same object',
    items: changed(whole, 'production-till-workload', ['metadata'], {
      namespace: 'prod-shop',
      name: 'shop',
      labels: { 'switchyard.dev/module': 'till' },
    }),
    says: [
      'production-till-workload (Deployment prod-shop/shop): Deployment prod-shop/shop is claimed by production-shop-workload (Deployment prod-shop/shop) already. Rename one of the two.',
    ],
    modules: [['shop', 'till']],
  },
  {
    rule: 'names-unique',
    when: 'two resources have one name in Pulumi',
    items: added(whole, { type: 'kubernetes:core/v1:ConfigMap', name: 'jenkins-casc' }),
    says: [
      'jenkins-casc (ConfigMap ): "jenkins-casc" is also the name of jenkins-casc (ConfigMap ci/jenkins-casc). Rename one of the two.',
    ],
  },
  {
    rule: 'names-unique',
    when: 'two projects have one path in a group',
    items: changed(whole, 'gitlab-till', ['path'], 'shop'),
    says: [
      'gitlab-till (Project): GitLab project shop of gitlab-group is claimed by gitlab-shop (Project) already. Rename one of the two.',
    ],
    modules: [['shop', 'till']],
  },
  {
    rule: 'names-unique',
    when: 'two jobs have one path',
    items: casc((text) => text.replace("pipelineJob('switchyard/till')", "pipelineJob('switchyard/shop')")),
    says: [
      'jenkins-casc (ConfigMap ci/jenkins-casc), job "switchyard/shop": a job "switchyard/shop" is declared already. Rename one of the two.',
    ],
  },
  {
    rule: 'kubernetes-takes',
    when: 'a container asks for more than its limit',
    items: changed(
      whole,
      'production-shop-workload',
      ['spec', 'template', 'spec', 'containers', 0, 'resources', 'requests', 'memory'],
      '512Mi',
    ),
    says: [
      'production-shop-workload (Deployment prod-shop/shop), spec.template.spec.containers["module"].resources.requests.memory: is more than the limit of "256Mi". Correct what it comes from in the catalog or in the stack.',
    ],
    modules: [['shop']],
  },
  {
    rule: 'gitlab-takes',
    when: 'an argument is none that the package knows',
    items: changed(whole, 'gitlab-till-hook', ['pushEvent'], true),
    says: [
      'gitlab-till-hook (ProjectHook): has no field "pushEvent". Correct what it comes from in the catalog or in the stack.',
    ],
    modules: [['till']],
  },
  {
    rule: 'tokens-live',
    when: 'a token has ended',
    items: changed(whole, 'gitlab-bot', ['expiresAt'], '2020-01-01'),
    says: [
      `gitlab-bot (GroupAccessToken), argument "expiresAt": ended on 2020-01-01. Write a day up to ${inAYear}, or have it renewed by botTokenRotation.`,
    ],
  },
  {
    rule: 'node-ports-unique',
    when: 'two Services of a cluster claim a port',
    items: ['production-shop-service', 'production-till-service'].reduce(
      (items, name) => changed(items, name, ['spec', 'ports', 0, 'nodePort'], 30081),
      whole,
    ),
    says: [
      'production-till-service (Service prod-till/till): node port 30081 is taken by production-shop-service (Service prod-shop/shop). Choose another port of 30000 to 32767.',
    ],
    modules: [['shop', 'till']],
  },
  {
    rule: 'hosts-unique',
    when: 'two modules claim a path of a host',
    items: added(
      added(whole, ingress('shop', 'shop-web', 'shop.test', '/a')),
      ingress('till', 'till-web', 'shop.test', '/a/'),
    ),
    says: [
      'till-web (Ingress prod-till/till-web), host "shop.test", path "/a": is taken by shop-web (Ingress prod-shop/shop-web). Choose another host, or beside other modules another path.',
    ],
    modules: [['shop', 'till']],
  },
  {
    rule: 'hosts-unique',
    when: 'a module claims a path of the host of Jenkins',
    items: added(
      added(whole, {
        ...ingress('x', 'jenkins-ingress', 'ci.test', '/'),
        args: {
          metadata: { namespace: 'ci', name: 'jenkins' },
          spec: { rules: [{ host: 'ci.test' }] },
        },
      }),
      ingress('till', 'till-web', 'ci.test', '/a'),
    ),
    says: [
      'till-web (Ingress prod-till/till-web), host "ci.test", path "/a": is taken by jenkins-ingress (Ingress ci/jenkins). Choose another host, or beside other modules another path.',
    ],
    modules: [['till']],
  },
  {
    rule: 'explicit-provider',
    when: 'a resource comes from the default provider',
    items: whole.map((item) =>
      item.name === 'registry-storage' ? { ...item, provider: 'default_4_34_2' } : item,
    ),
    says: [
      'registry-storage (PersistentVolumeClaim registry/registry-storage): comes from a default provider. Give it the provider of its cluster.',
    ],
  },
  {
    rule: 'explicit-provider',
    when: 'a Kubernetes object names no provider, and another one a provider of another kind',
    items: whole.map((item) =>
      item.name === 'registry-storage'
        ? { ...item, provider: undefined }
        : item.name === 'registry-service'
          ? { ...item, provider: 'gitlab' }
          : item,
    ),
    says: [
      'registry-storage (PersistentVolumeClaim registry/registry-storage): comes from a default provider. Give it the provider of its cluster.',
      'registry-service (Service registry/registry): comes from the provider "gitlab". Give it the provider of its cluster.',
    ],
  },
  {
    rule: 'secrets-by-reference',
    when: 'a Secret holds a value',
    items: changed(whole, 'jenkins-casc-secrets', ['stringData', 'ADMIN_PASSWORD'], 'hunter2'),
    says: [
      'jenkins-casc-secrets (Secret ci/jenkins-casc-secrets), key "ADMIN_PASSWORD": holds a plain value. Derive it (secretRef), or have it given (givenRef): values do not belong into the program.',
    ],
  },
  {
    rule: 'secrets-by-reference',
    when: 'a Secret holds a value in base64',
    items: changed(
      whole,
      'jenkins-certificate-key',
      ['data', 'more'],
      Buffer.from('hunter2').toString('base64'),
    ),
    says: [
      'jenkins-certificate-key (Secret ci/certificate-key), key "more": holds a plain value. Derive it (secretRef), or have it given (givenRef): values do not belong into the program.',
    ],
  },
  ...kubeconfigs.map(
    ([when, config]): Case => ({
      rule: 'secrets-by-reference',
      when,
      items: changed(whole, 'deploy-kubeconfig', ['stringData', 'config'], config),
      says: [
        'deploy-kubeconfig (Secret ci-deploy/deploy-kubeconfig), key "config": holds a plain value. Derive it (secretRef), or have it given (givenRef): values do not belong into the program.',
      ],
    }),
  ),
  {
    rule: 'secrets-by-reference',
    when: 'a value stands beside what was looked up',
    items: changed(
      whole,
      'jenkins-casc-secrets',
      ['stringData', 'ADMIN_PASSWORD'],
      marked('x «found:user:ada»'),
    ),
    says: [
      'jenkins-casc-secrets (Secret ci/jenkins-casc-secrets), key "ADMIN_PASSWORD": holds a plain value. Derive it (secretRef), or have it given (givenRef): values do not belong into the program.',
    ],
  },
  {
    rule: 'secrets-by-reference',
    when: 'a token and a password are values',
    items: changed(
      changed(whole, 'gitlab-shop-hook', ['token'], 'hunter2'),
      'jenkins-image',
      ['registry', 'password'],
      'hunter2',
    ),
    says: [
      'jenkins-image (Image), argument "registry.password": is a plain value. Use secretRef, givenRef or outputRef.',
      'gitlab-shop-hook (ProjectHook), argument "token": is a plain value. Use secretRef, givenRef or outputRef.',
    ],
  },
  {
    rule: 'secrets-by-reference',
    when: 'a ConfigMap shows a derived secret, and a variable an issued one',
    items: changed(
      changed(whole, 'build-config', ['data', 'token'], marked('x «secret:hook/shop»')),
      'registry-deployment',
      [...container, 'env', 0, 'value'],
      marked('«output:gitlab-bot:token»'),
    ),
    says: [
      'registry-deployment (Deployment registry/registry): shows the secret «output:gitlab-bot:token» to everyone who may look. Put it into a Secret and refer to that.',
      'build-config (ConfigMap ci-build/buildkitd): shows the secret «secret:hook/shop» to everyone who may look. Put it into a Secret and refer to that.',
    ],
  },
  {
    rule: 'secrets-by-reference',
    when: 'what a Secret outputs stands in an annotation, a description and the metadata of a Secret',
    items: changed(
      changed(
        changed(whole, 'production-shop-namespace', ['metadata', 'annotations'], {
          note: marked('of «output:deployer-token:data.ca.crt»'),
        }),
        'gitlab-shop',
        ['description'],
        marked('«output:deployer-token:data.ca.crt»'),
      ),
      'jenkins-bot-login',
      ['metadata', 'annotations'],
      { note: marked('«given:SWITCHYARD_SEED»') },
    ),
    says: [
      'jenkins-bot-login (Secret ci/gitlab-bot): shows the secret «given:SWITCHYARD_SEED» to everyone who may look. Put it into a Secret and refer to that.',
      'gitlab-shop (Project): shows the secret «output:deployer-token:data.ca.crt» to everyone who may look. Put it into a Secret and refer to that.',
      'production-shop-namespace (Namespace prod-shop): shows the secret «output:deployer-token:data.ca.crt» to everyone who may look. Put it into a Secret and refer to that.',
    ],
  },
  {
    rule: 'secrets-by-reference',
    when: 'a plain text reads like a reference',
    items: changed(
      changed(whole, 'gitlab-shop-hook', ['token'], '«secret:hook/shop»'),
      'jenkins-casc-secrets',
      ['stringData', 'ADMIN_PASSWORD'],
      '«secret:jenkins/admin»',
    ),
    says: [
      'jenkins-casc-secrets (Secret ci/jenkins-casc-secrets), key "ADMIN_PASSWORD": holds a plain value. Derive it (secretRef), or have it given (givenRef): values do not belong into the program.',
      'gitlab-shop-hook (ProjectHook), argument "token": is a plain value. Use secretRef, givenRef or outputRef.',
    ],
  },
  {
    rule: 'no-plain-secret-variables',
    when: 'a password stands in a variable',
    items: changed(whole, 'production-shop-workload', [...container, 'env', 1], {
      name: 'DB_PASSWORD',
      value: 'hunter2',
    }),
    says: [
      'production-shop-workload (Deployment prod-shop/shop), container "module": DB_PASSWORD is a plain value. Put it into a Secret and use valueFrom.secretKeyRef.',
    ],
  },
  {
    rule: 'no-plain-secret-variables',
    when: 'a password stands in the ConfigMap that a container takes whole, under a prefix, or by its key',
    items: added(
      changed(
        changed(
          whole,
          'production-shop-workload',
          [...container, 'envFrom'],
          [{ configMapRef: { name: 'more' } }, { prefix: 'DB_', configMapRef: { name: 'more' } }],
        ),
        'production-shop-workload',
        [...container, 'env'],
        [{ name: 'API_TOKEN', valueFrom: { configMapKeyRef: { name: 'more', key: 'PASSWORD' } } }],
      ),
      {
        type: 'kubernetes:core/v1:ConfigMap',
        name: 'shop-more',
        args: { metadata: { namespace: 'prod-shop', name: 'more' }, data: { PASSWORD: 'hunter2' } },
      },
    ),
    says: ['PASSWORD', 'DB_PASSWORD', 'API_TOKEN'].map(
      (name) =>
        `production-shop-workload (Deployment prod-shop/shop), container "module": ${name} is a plain value. Put it into a Secret and use valueFrom.secretKeyRef.`,
    ),
  },
  {
    rule: 'ingress-within-namespace',
    when: 'annotations name a Secret, a ConfigMap, a middleware, a certificate and a file of elsewhere',
    items: added(whole, {
      ...ingress('shop', 'shop-web', 'shop.test'),
      args: {
        metadata: {
          namespace: 'prod-shop',
          name: 'shop',
          labels: { 'switchyard.dev/module': 'shop' },
          annotations: {
            'nginx.ingress.kubernetes.io/auth-secret': 'ci/gitlab-bot',
            'nginx.ingress.kubernetes.io/custom-headers': 'prod-till/headers',
            'haproxy-ingress.github.io/secure-crt-secret': 'secret://ci/x, prod-shop/own',
            'haproxy-ingress.github.io/auth-tls-secret': 'file:///etc/passwd',
            'projectcontour.io/tls-cert-namespace': 'ci',
            'traefik.ingress.kubernetes.io/router.middlewares':
              'prod-shop-a@kubernetescrd, prod-till-a@kubernetescrd,auth@file',
          },
        },
      },
    }),
    says: [
      ['nginx.ingress.kubernetes.io/auth-secret', 'names "ci/gitlab-bot"'],
      ['nginx.ingress.kubernetes.io/custom-headers', 'names "prod-till/headers"'],
      ['haproxy-ingress.github.io/secure-crt-secret', 'names "secret://ci/x"'],
      [
        'haproxy-ingress.github.io/auth-tls-secret',
        'names a file of the ingress controller, "file:///etc/passwd"',
      ],
      ['projectcontour.io/tls-cert-namespace', 'names "ci"'],
      ['traefik.ingress.kubernetes.io/router.middlewares', 'names "prod-till-a@kubernetescrd"'],
    ].map(
      ([key, what]) =>
        `shop-web (Ingress prod-shop/shop), annotation "${key}": ${what}, which is not of prod-shop. Keep what the ingress controller is to read in prod-shop, and name that.`,
    ),
  },
];

test.each(rules.map((rule) => [rule.id, rule] as const))('%s holds in a sound topology', (_id, rule) => {
  expect(messages(rule, whole)).toEqual([]);
});

test.each(cases.map((each) => [each.rule, each.when, each] as const))(
  '%s says so when %s',
  (_rule, _when, { rule, items, says, modules }) => {
    expect(messages(ruleOf(rule), items)).toEqual(says);
    if (modules) expect(violationsOf(ruleOf(rule), items).map((found) => found.modules)).toEqual(modules);
  },
);

test('test-pod-possible says so when two services of a module listen on one port', () => {
  const shop = (catalogTexts.modules['shop.yaml'] ?? '').replace(
    /services: .*/,
    'services: [{ kind: cache, version: "1.0" }, { kind: cache, version: "2.0", name: other }]',
  );
  const catalog = parseCatalog({ ...catalogTexts, modules: { 'shop.yaml': shop } });
  const facts = modelFacts(twoModules({ catalog, modules: catalog.modules }));
  expect(ruleOf('test-pod-possible').check(facts).map(describeViolation)).toEqual([
    'test Pod of shop: other and cache both listen on 6379 in the test Pod. Containers of a Pod share their ports: use one of the two, or another port.',
  ]);
});

test('every rule has a topology that breaks it', () => {
  const broken = new Set([...cases.map(({ rule }) => rule), 'test-pod-possible', 'releases-own']);
  expect(rules.map(({ id }) => id).filter((id) => !broken.has(id))).toEqual([]);
});

test('ids are unique, and each rule says what must hold and why in whole sentences', () => {
  expect(new Set(rules.map(({ id }) => id)).size).toBe(rules.length);
  for (const { id, holds, why } of rules) {
    expect(id).toMatch(/^[a-z]+(-[a-z]+)+$/);
    expect(holds).toMatch(/^[A-Z].*\.$/);
    expect(why).toMatch(/^[A-Z].*\.$/);
  }
});

describe('what must not be refused', () => {
  const fine = (rule: string, items: readonly Item[]) => expect(messages(ruleOf(rule), items)).toEqual([]);

  test('a production version of its own with a reason', () => {
    const shop = (catalogTexts.modules['shop.yaml'] ?? '').replace(
      'version: "1.0"',
      'version: "1.0", production: { version: "2.0", reason: "the licence of 1.0 ended" }',
    );
    const catalog = parseCatalog({ ...catalogTexts, modules: { 'shop.yaml': shop } });
    const facts = modelFacts(twoModules({ catalog, modules: catalog.modules }));
    expect(check(facts)).toEqual([]);
    expect(facts.byName.get('production-shop-cache-workload')?.args).toMatchObject({
      metadata: {
        annotations: {
          'switchyard.dev/tested-image': 'cache:1.0',
          'switchyard.dev/version-reason': 'the licence of 1.0 ended',
        },
      },
      spec: { template: { spec: { containers: [{ image: 'cache:2.0' }] } } },
    });
  });

  test('the image of which production says that it was tested is the one that the test Pod runs', () => {
    const pod = whole.find(({ name }) => name === 'test-pod-shop');
    const service = whole.find(({ name }) => name === 'production-shop-cache-workload');
    expect(pod?.args).toMatchObject({ spec: { initContainers: [{ name: 'cache', image: 'cache:1.0' }] } });
    expect(service?.args).toMatchObject({
      metadata: { annotations: { 'switchyard.dev/tested-image': 'cache:1.0' } },
    });
  });

  test('the build namespace, which has its reason', () => {
    const build = whole.find(({ name }) => name === 'build-namespace');
    expect(build?.args).toMatchObject({
      metadata: { labels: { 'pod-security.kubernetes.io/enforce': 'privileged' } },
    });
    fine('pod-security', whole);
  });

  test('what of a Pod is known only once the engine has made it', () => {
    for (const path of [[], ['securityContext'], ['securityContext', 'capabilities', 'drop', 0]])
      fine('pods-admitted', changed(whole, 'registry-deployment', [...container, ...path], '«unknown»'));
    // The container says it by itself, then.
    fine(
      'pods-admitted',
      changed(whole, 'registry-deployment', ['spec', 'template', 'spec', 'securityContext'], '«unknown»'),
    );
  });

  test('one node port in two clusters, and one host of one module in two Ingresses', () => {
    fine(
      'node-ports-unique',
      ['production-shop-service', 'registry-service'].reduce(
        (items, name) => changed(items, name, ['spec', 'ports', 0, 'nodePort'], 30081),
        whole,
      ),
    );
    fine(
      'hosts-unique',
      added(added(whole, ingress('shop', 'a', 'shop.test')), ingress('shop', 'b', 'shop.test')),
    );
  });

  test('one host of two modules, with a path for each', () => {
    fine(
      'hosts-unique',
      added(added(whole, ingress('shop', 'a', 'shop.test', '/')), ingress('till', 'b', 'shop.test', '/till')),
    );
  });

  test('a quota that holds exactly the worst moment', () => {
    fine('quota-fits', changed(whole, 'production-shop-quota', ['spec', 'hard', 'pods'], '4'));
  });

  test("a Secret that takes another resource's data as it is", () => {
    fine(
      'secrets-by-reference',
      changed(
        whole,
        'jenkins-certificate-key',
        ['data', 'token'],
        marked('«output:deploy-account-token:data»'),
      ),
    );
  });

  test('a kubeconfig that names the files of its credentials, its server given or looked up', () => {
    const config = whole.find(({ name }) => name === 'deploy-kubeconfig');
    expect(config?.args).toMatchObject({
      stringData: { config: expect.stringContaining('tokenFile: /kubeconfig/token') },
    });
    fine(
      'secrets-by-reference',
      changed(whole, 'deploy-kubeconfig', ['stringData', 'config'], (old: unknown) =>
        marked(String(old).replace(/server: .*/, 'server: «found:server:production»')),
      ),
    );
  });

  test('a variable of the container that replaces the one of its ConfigMap', () => {
    fine(
      'services-exist',
      changed(
        without(whole, 'production-shop-cache-service'),
        'production-shop-workload',
        [...container, 'env'],
        [{ name: 'CACHE_HOST', value: 'db.elsewhere.svc' }],
      ),
    );
  });

  test('a ConfigMap of the same name in another namespace', () => {
    fine(
      'no-plain-secret-variables',
      added(whole, {
        type: 'kubernetes:core/v1:ConfigMap',
        name: 'till-more',
        args: {
          metadata: { namespace: 'prod-till', name: 'shop-environment' },
          data: { DB_PASSWORD: 'hunter2' },
        },
      }),
    );
  });

  test('a backup that names every volume', () => {
    fine('backups-complete', backedUp('other,cache-data'));
  });

  test('a database that says why it is not dumped', () => {
    const note = ['metadata', 'annotations', 'switchyard.dev/dump'];
    const items = changed(
      without(inBackups, 'production-shop-backup-role'),
      'production-shop-cache-workload',
      note,
      'none: it is a cache',
    );
    fine('services-dumped', items);
    fine('dumps-possible', items);
  });

  test('databases of a stack that makes no backups', () => {
    fine('dumps-possible', whole);
  });

  test('a Service in a namespace that someone else makes', () => {
    fine(
      'services-exist',
      changed(whole, 'production-shop-workload', [...container, 'env', 1], {
        name: 'HOST',
        value: 'db.elsewhere.svc:5432',
      }),
    );
  });

  test('a test Pod beside the resource of the same name', () => {
    expect(copied(whole, 'test-pod-shop', 'another').length).toBe(whole.length + 1);
    fine('names-unique', copied(whole, 'test-pod-shop', 'another'));
  });
});

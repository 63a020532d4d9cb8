import { entryOf } from '../../catalog/entry';
import { STATUS_NAME } from '../../catalog/status';
import { jobFolder } from '../../stacks/gitlab';
import { namespacesOf } from '../../stacks/namespaces';
import { hookTokenPurpose } from '../gitlab/hooks';
import { BRANCH, existingProjects } from '../gitlab/projects';
import { rightIn } from '../shared/agent-access';
import type { Declaration } from '../shared/declaration';
import { jenkinsEndpoint } from '../shared/jenkins-endpoint';
import { deliveryPod } from '../shared/job';
import { contentHash, fencedNamespace, object } from '../shared/kubernetes';
import { labels, names, selector } from '../shared/naming';
import { inputRef, secretRef } from '../shared/references';
import { deliveryCap } from './agents';
import { type FullSpec, withDefaults } from './defaults';
import { deliveryImageOf } from './images';
import type { JenkinsSpec } from './jenkins';
import { driftJob } from './jobs';
import { hookedJobs, reconcilerLogin, reconciles, testedHere } from './names';
import { reconcilerWaysOut } from './network';

const SECRET = 'reconciler';
const TOKENS = 'hook-tokens';
const TOKENS_FOLDER = '/run/secrets/hooks';
const ALIVE = '/tmp/reconciled';

/** Projects whose hooks start jobs, as `delivery reconcile` reads them. */
export function watchedProjects(spec: JenkinsSpec) {
  const full = withDefaults(spec);
  const { environment, gitlab, queue, topologyProject } = full;
  return [
    ...testedHere(full).map(({ name, merge }) => ({
      job: name,
      project: entryOf(gitlab.projects, name)?.existing ?? `${gitlab.group}/${name}`,
      branch: BRANCH,
      requests: {
        status: STATUS_NAME,
        merges: merge !== 'manual',
        drafts: false,
        ...(merge === 'reviewed' ? { reviewed: true } : {}),
        queue,
      },
      heads: { status: STATUS_NAME, module: name },
    })),
    ...(topologyProject
      ? [
          {
            job: topologyProject.path,
            project: `${gitlab.group}/${topologyProject.path}`,
            branch: BRANCH,
            // People merge it.
            requests: { status: `${STATUS_NAME}/preview`, merges: false, drafts: true },
            ...(topologyProject.apply === 'automatic' ? { heads: { status: `${STATUS_NAME}/apply` } } : {}),
            drift: { job: driftJob(topologyProject.path), environment },
          },
        ]
      : []),
  ];
}

/**
 * What makes good for lost hooks: once a minute it compares GitLab, Jenkins and the ledger. It has a namespace of its own,
 * since it holds the bot's token and may start every job. In the cluster it may know why no agent starts, and nothing else.
 */
export function reconcilerResources(spec: FullSpec): Declaration[] {
  const { environment, gitlab, registry } = spec;
  if (!reconciles(spec)) return [];
  const { agents, reconciler: namespace } = namespacesOf(spec);
  const about = { name: names.reconciler, component: 'jenkins', environment, purpose: 'ci' };
  const common = labels(about);
  const within = (name: string) => ({ namespace, name, labels: common });
  const after = { dependsOn: ['reconciler-namespace'] };
  const match = selector(names.reconciler, 'jenkins');
  const fromSecret = (name: string, key: string) => ({
    name,
    valueFrom: { secretKeyRef: { name: SECRET, key } },
  });
  const jobs = hookedJobs(spec);
  const login = reconcilerLogin(spec);
  return [
    ...fencedNamespace({
      prefix: 'reconciler',
      namespace,
      provider: 'ci',
      labels: about,
      quota: { pods: 2, cpu: '500m', memory: '1Gi', disk: '4Gi', claims: 0 },
      egress: reconcilerWaysOut(spec),
      pullFrom: registry,
    }),
    object(
      'kubernetes:core/v1:ServiceAccount',
      'reconciler-account',
      'ci',
      within(names.reconciler),
      { automountServiceAccountToken: false },
      after,
    ),
    ...rightIn(
      'agents',
      { namespace: agents, labels: common },
      { name: names.reconciler, namespace },
      { resources: ['events'], verbs: ['list'] },
    ),
    object(
      'kubernetes:core/v1:Secret',
      'reconciler-access',
      'ci',
      within(SECRET),
      {
        stringData: {
          gitlab: inputRef('gitlab.botToken', gitlab.botToken),
          ...(login ? { jenkins: login.password } : {}),
        },
      },
      after,
    ),
    object(
      'kubernetes:core/v1:Secret',
      'reconciler-hook-tokens',
      'ci',
      within(TOKENS),
      { stringData: Object.fromEntries(jobs.map((job) => [job, secretRef(hookTokenPurpose(job))])) },
      after,
    ),
    object(
      'kubernetes:apps/v1:Deployment',
      'reconciler',
      'ci',
      within(names.reconciler),
      {
        spec: {
          replicas: 1,
          // Never two at a time: each would start what the other has just started.
          strategy: { type: 'Recreate' },
          selector: { matchLabels: match },
          template: {
            metadata: {
              labels: { ...common, ...match },
              annotations: { 'switchyard.dev/jobs': contentHash(jobs) },
            },
            spec: deliveryPod(
              {
                image: deliveryImageOf(spec),
                labels: common,
                account: names.reconciler,
                args: ['reconcile', '--alive', ALIVE],
                env: [
                  { name: 'GITLAB_URL', value: gitlab.url },
                  { name: 'SWITCHYARD_GITLAB_GROUP', value: gitlab.group },
                  ...existingProjects(gitlab),
                  { name: 'SWITCHYARD_ENVIRONMENT', value: environment },
                  { name: 'SWITCHYARD_JENKINS_URL', value: spec.url },
                  { name: 'SWITCHYARD_JOB_FOLDER', value: jobFolder(gitlab) },
                  { name: 'SWITCHYARD_HOOK_TOKENS', value: TOKENS_FOLDER },
                  { name: 'SWITCHYARD_WATCHED', value: JSON.stringify(watchedProjects(spec)) },
                  { name: 'SWITCHYARD_AGENT_NAMESPACE', value: agents },
                  { name: 'SWITCHYARD_AGENTS', value: String(deliveryCap(spec.maximumAgents)) },
                  { name: 'JENKINS_ADDRESS', value: jenkinsEndpoint(spec).url },
                  ...(spec.existing ? [{ name: 'SWITCHYARD_JENKINS_SHARED', value: 'true' }] : []),
                  ...(login
                    ? [{ name: 'JENKINS_USER', value: login.user }, fromSecret('JENKINS_PASSWORD', 'jenkins')]
                    : []),
                  fromSecret('GITLAB_TOKEN', 'gitlab'),
                ],
                secrets: [
                  {
                    name: TOKENS,
                    mountPath: TOKENS_FOLDER,
                    items: jobs.map((job) => ({ key: job, path: job })),
                  },
                ],
                livenessProbe: {
                  // A look takes seconds; one of many projects at a slow GitLab takes minutes.
                  exec: { command: ['sh', '-c', `test -n "$(find ${ALIVE} -mmin -15)"`] },
                  initialDelaySeconds: 60,
                  periodSeconds: 60,
                  timeoutSeconds: 10,
                },
              },
              'Always',
            ),
          },
        },
      },
      {
        // What it starts exists by then, and what it logs in to.
        dependsOn: [
          'reconciler-access',
          'reconciler-hook-tokens',
          'reconciler-account',
          'reconciler-pull',
          spec.existing ? 'jenkins-jobs' : 'jenkins-service',
        ],
      },
    ),
  ];
}

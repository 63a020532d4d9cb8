import { isDeepStrictEqual } from 'node:util';
import { STATUS_NAME } from '../catalog/status';
import type { Facts } from './facts';
import { foreignStatuses, hookId, jobId, jobPathOf, libraryFiles } from './facts/graph';
import { type Item, namespaceOf, secretValues, violation } from './facts/item';
import type { Job } from './facts/jenkins';
import { text, UNKNOWN } from './facts/read';
import type { Rule } from './rule';

const hooks = (facts: Facts): readonly Item[] =>
  facts.byType.get('gitlab:index/projectHook:ProjectHook') ?? [];

const jobsByPath = (facts: Facts): ReadonlyMap<string, Job> =>
  new Map(facts.jenkins.jobs.map((job) => [job.path, job]));

function hookJob(facts: Facts, jobs: ReadonlyMap<string, Job>, hook: Item): Job | undefined {
  const path = jobPathOf(text(hook.args, 'url') ?? '', facts.jenkins.url);
  return path === undefined ? undefined : jobs.get(path);
}

/** The module of what belongs to a GitLab project: projects have no labels, their path is the module's name. */
const moduleOfHook = (hook: Item): string | undefined =>
  /\/project\/(?:.*\/)?([^/]+)$/.exec(text(hook.args, 'url') ?? '')?.[1];

/** A hook without a job answers 404, GitLab disables it after four of those, and pushes go nowhere. */
export const hookHasJob: Rule = {
  id: 'hook-has-job',
  holds: 'Each GitLab hook leads to a Jenkins job that the configuration declares.',
  why: 'GitLab disables a hook that answers 404, and from then on no push starts anything.',
  check: (facts) =>
    !facts.jenkins.known
      ? []
      : hooks(facts).flatMap((hook) => {
          const url = text(hook.args, 'url');
          if (url === undefined || url === UNKNOWN || facts.graph.next.has(hookId(hook))) return [];
          const path = jobPathOf(url, facts.jenkins.url);
          return [
            violation(
              hook,
              path === undefined
                ? `${url} is not the address of a job of ${facts.jenkins.url ?? 'Jenkins'}.`
                : `no Jenkins job "${path}" answers at ${url}.`,
              path === undefined
                ? 'Send it to <jenkins.url>/project/<folder>/<job>.'
                : 'Declare the job in components/jenkins/casc.ts, or remove the hook.',
              { modules: [moduleOfHook(hook)] },
            ),
          ];
        }),
};

/** The other direction: a job that nothing starts is a module that is never tested. */
export const jobHasHook: Rule = {
  id: 'job-has-hook',
  holds: 'Each Jenkins job that waits for GitLab has a hook that starts it.',
  why: 'Pushes and merge requests of its module start nothing, and merging waits for a status for ever.',
  check: (facts) => {
    const started = new Set(hooks(facts).flatMap((hook) => facts.graph.next.get(hookId(hook)) ?? []));
    if (hooks(facts).some((hook) => hook.args.url === UNKNOWN)) return [];
    return facts.jenkins.jobs
      .filter((job) => job.tokenVariable !== undefined && !started.has(jobId(job.path)))
      .map((job) =>
        violation(
          job.declaredBy,
          'no GitLab hook starts it.',
          'Declare a ProjectHook to <jenkins.url>/project/<folder>/<job>, or remove the job.',
          { part: `job "${job.path}"`, modules: [job.path.slice(job.path.lastIndexOf('/') + 1)] },
        ),
      );
  },
};

/** Jenkins answers 401 to a hook whose token is not the job's. */
export const hookTokenAgrees: Rule = {
  id: 'hook-token-agrees',
  holds: 'A hook carries the token that its job expects.',
  why: 'Jenkins answers 401 to any other, and GitLab disables the hook.',
  check: (facts) => {
    const jobs = jobsByPath(facts);
    // Which of two jobs of one path is meant is told by `names-unique`.
    const times = new Map<string, number>();
    for (const { path } of facts.jenkins.jobs) times.set(path, (times.get(path) ?? 0) + 1);
    const values = new Map<string, Map<string, unknown>>();
    const unknown = new Set<string>();
    for (const secret of facts.byType.get('kubernetes:core/v1:Secret') ?? []) {
      const place = `${secret.cluster ?? ''}\n${namespaceOf(secret)}`;
      const known = values.get(place) ?? new Map<string, unknown>();
      if (secret.args.stringData === UNKNOWN || secret.args.data === UNKNOWN) unknown.add(place);
      for (const [key, value] of Object.entries(secretValues(secret))) known.set(key, value);
      values.set(place, known);
    }
    return hooks(facts).flatMap((hook) => {
      const job = hookJob(facts, jobs, hook);
      if (!job || (times.get(job.path) ?? 0) > 1) return [];
      const modules = { modules: [moduleOfHook(hook)] };
      if (job.tokenVariable === undefined) {
        return [
          violation(
            hook,
            `its job "${job.path}" asks for no token: anyone may start it.`,
            'Give the job a gitlab trigger with secretToken.',
            modules,
          ),
        ];
      }
      const place = `${job.declaredBy.cluster ?? ''}\n${namespaceOf(job.declaredBy)}`;
      const expected = values.get(place)?.get(job.tokenVariable);
      const sent = hook.args.token;
      if (expected === undefined && unknown.has(place)) return [];
      if (expected === undefined) {
        return [
          violation(
            hook,
            `its job "${job.path}" reads the token from ${job.tokenVariable}, which no Secret of Jenkins holds.`,
            `Put ${job.tokenVariable} into Jenkins' secrets.`,
            modules,
          ),
        ];
      }
      if (sent === UNKNOWN || expected === UNKNOWN || isDeepStrictEqual(sent, expected)) return [];
      return [
        violation(
          hook,
          `its token is not the one that job "${job.path}" finds in ${job.tokenVariable}.`,
          'Take both from the same secret.',
          modules,
        ),
      ];
    });
  },
};

/** Job DSL by which Jenkins runs a Jenkinsfile of a repository. */
const FROM_REPOSITORY = /\b(cpsScm|cpsScmFlowDefinition|multibranchPipelineJob|organizationFolder)\b/;

/** A Jenkinsfile in the repository is a part of the merge request: its author would choose Pods and credentials. */
export const pipelineInConfiguration: Rule = {
  id: 'pipeline-in-configuration',
  holds: "Each job's pipeline stands in Jenkins' configuration, never in the repository that it builds.",
  why: "A merge request's own Jenkinsfile asks for the Pod that may change production, or prints credentials.",
  check: (facts) =>
    facts.jenkins.jobs.flatMap((job) => {
      const from = FROM_REPOSITORY.exec(job.script)?.[1];
      return from === undefined
        ? []
        : [
            violation(
              job.declaredBy,
              `runs the Jenkinsfile of a repository (${from}).`,
              'Write the pipeline into the job: definition { cps { script(…); sandbox(true) } }.',
              {
                part: `job "${job.path}"`,
                modules: [job.path.slice(job.path.lastIndexOf('/') + 1)],
              },
            ),
          ];
    }),
};

/** GitLab's only demand that every tier has is a green head pipeline, which holds all statuses of a commit. */
export const statusRequired: Rule = {
  id: 'status-required',
  holds: `GitLab merges only when the status "${STATUS_NAME}" is green, and nothing posts another one.`,
  why: 'Untested commits merge; or a status of another name stays pending and nothing merges any more.',
  check: (facts) => {
    const jobs = jobsByPath(facts);
    const inProjects = hooks(facts).flatMap((hook) => {
      const job = hookJob(facts, jobs, hook);
      if (!job) return [];
      const modules = { modules: [moduleOfHook(hook)] };
      const projects = (hook.links.project ?? []).flatMap((name) => facts.byName.get(name) ?? []);
      return projects.flatMap((project) => [
        ...(project.args.onlyAllowMergeIfPipelineSucceeds === true
          ? []
          : [
              violation(
                project,
                `merges without the status "${STATUS_NAME}" that its job "${job.path}" posts.`,
                'Set onlyAllowMergeIfPipelineSucceeds.',
                modules,
              ),
            ]),
        ...(project.args.allowMergeOnSkippedPipeline === true
          ? [
              violation(
                project,
                `merges when the status "${STATUS_NAME}" is skipped.`,
                'Remove allowMergeOnSkippedPipeline.',
                modules,
              ),
            ]
          : []),
      ]);
    });
    const foreign = (where: Item, part: string | undefined, script: string, module?: string) =>
      foreignStatuses(script)
        .filter((name) => name !== STATUS_NAME)
        .map((name) =>
          violation(
            where,
            `posts the status "${name}", which delivery never turns green.`,
            `Post nothing, or post "${STATUS_NAME}".`,
            { part, modules: [module] },
          ),
        );
    return [
      ...inProjects,
      ...facts.jenkins.jobs.flatMap((job) =>
        foreign(
          job.declaredBy,
          `job "${job.path}"`,
          job.script,
          job.path.slice(job.path.lastIndexOf('/') + 1),
        ),
      ),
      ...libraryFiles(facts.byType).flatMap(({ item, text: script }) =>
        foreign(item, text(item.args, 'filePath'), script),
      ),
    ];
  },
};

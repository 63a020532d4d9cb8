import { BlockList, isIP } from 'node:net';
import { z } from 'zod';
import { type Problem, ProblemsError } from '../catalog/problems';
import { folded } from '../catalog/shapes';
import { GitLabApi, GitLabError, NO_JSON } from '../clients/gitlab-api';
import { kubeconfigTexts, serverOf } from '../clients/kubeconfig';
import type { Policy } from '../clients/retry';
import { projectPath } from '../stacks/gitlab';
import type { BoxDeclaration } from './boxes';
import type { Model } from './model';
import { EDITION, type Edition } from './shared/edition';
import { type Found, referencesIn } from './shared/references';

/** Asks GitLab; `undefined` when it has no such thing or does not show it to this token. */
export type Ask = (path: string) => Promise<unknown>;

/** @throws ProblemsError when GitLab does not answer, or with anything but success and "not found" */
export function gitlabOf(
  url: string,
  token: string,
  file: string,
  policy: Partial<Policy> = { attempts: 4 },
): Ask {
  const api = new GitLabApi({ url, token, policy });
  const trouble = (what: string, remedy: string) =>
    new ProblemsError([{ file, key: 'config.gitlab.url', what, remedy }]);
  return (path) =>
    api.page(path).catch((error: unknown) => {
      if (!(error instanceof GitLabError)) throw error;
      const { status, detail } = error;
      const asked = `GET ${path.split('?')[0]}`;
      if (status === 403) return undefined;
      if (status === 0)
        throw trouble(
          `GitLab at ${url} does not answer (${detail}).`,
          'Check the address and that GitLab runs.',
        );
      if (status === NO_JSON)
        throw trouble(
          `what answers at ${url} is no GitLab: ${asked} gives no JSON.`,
          'Check the address, and what stands between.',
        );
      throw trouble(`GitLab answers ${status} to ${asked}.`, 'Check the token.');
    });
}

const identified = z.looseObject({ id: z.number() });
const projectShape = identified.extend({
  archived: z.boolean(),
  auto_devops_enabled: z.boolean().optional(),
  ci_config_path: z.string().nullish(),
  default_branch: z.string().nullable(),
  merge_method: z.string(),
  only_allow_merge_if_pipeline_succeeds: z.boolean(),
  path_with_namespace: z.string(),
  shared_with_groups: z
    .array(z.looseObject({ group_full_path: z.string(), group_access_level: z.number() }))
    .default([]),
});

/** GitLab's number of the role maintainer. */
const MAINTAINER = 40;

interface Finding {
  readonly id?: string;
  readonly problems: readonly Problem[];
  /** What people should know, and nothing is refused for. */
  readonly warnings?: readonly string[];
}

async function findGroup(ask: Ask, file: string, path: string): Promise<Finding> {
  const group = identified.safeParse(await ask(`groups/${encodeURIComponent(path)}?with_projects=false`));
  if (group.success) return { id: String(group.data.id), problems: [] };
  return {
    problems: [
      {
        file,
        key: 'config.gitlab.group.existing',
        what: `GitLab has no group "${path}", or this token may not see it.`,
        remedy: 'Write its full path, and give a token of one of its owners.',
      },
    ],
  };
}

/**
 * A group that is to be made, and whose name one has that is about to be deleted: GitLab renames it when that is
 * scheduled, older ones did not.
 */
async function remnantProblems(ask: Ask, file: string, path: string): Promise<Problem[]> {
  const scheduled = z
    .looseObject({ marked_for_deletion_on: z.string(), full_path: z.literal(path) })
    .safeParse(await ask(`groups/${encodeURIComponent(path)}?with_projects=false`));
  if (!scheduled.success) return [];
  return [
    {
      file,
      key: 'config.gitlab.group',
      what: `the group "${path}" is scheduled for deletion since ${scheduled.data.marked_for_deletion_on}, and still has its name.`,
      remedy:
        'Rename it or have an administrator delete it at once; or restore it in its settings, and write "group: { existing: … }" to keep it.',
    },
  ];
}

/** Settings of an existing project stay its owner's; those without which nothing works are checked. */
async function findProject(ask: Ask, file: string, path: string, model: Model): Promise<Finding> {
  const { gitlab } = model.settings;
  const module = Object.keys(gitlab.projects).find((name) => projectPath(gitlab, name) === path) ?? '';
  const fault = (what: string, remedy: string): Problem => ({
    file,
    key: `config.gitlab.projects.${module}.existing`,
    what,
    remedy,
  });
  const parsed = projectShape.safeParse(await ask(`projects/${encodeURIComponent(path)}`));
  if (!parsed.success) {
    return {
      problems: [
        fault(
          `GitLab has no project "${path}", or this token may not maintain it.`,
          'Write its full path, and give a token of one of its maintainers.',
        ),
      ],
    };
  }
  const project = parsed.data;
  const problems: Problem[] = [];
  if (project.archived) problems.push(fault(`"${path}" is archived.`, 'Unarchive it.'));
  if (project.default_branch !== 'main')
    problems.push(
      fault(`the default branch of "${path}" is not main.`, 'Rename it, or make main the default branch.'),
    );
  if (project.auto_devops_enabled)
    problems.push(
      fault(
        `"${path}" has Auto DevOps on, whose pipeline our status would join and never end.`,
        'Turn it off in its CI/CD settings.',
      ),
    );
  if (!project.only_allow_merge_if_pipeline_succeeds)
    problems.push(
      fault(
        `"${path}" can be merged without a green pipeline.`,
        'Turn on "Pipelines must succeed" in its merge request settings.',
      ),
    );
  if (project.merge_method !== gitlab.mergeMethod)
    problems.push(
      fault(
        `"${path}" merges by "${project.merge_method}", the stack by "${gitlab.mergeMethod}".`,
        'Change either the project or gitlab.mergeMethod.',
      ),
    );
  const within = folded(project.path_with_namespace).startsWith(`${folded(gitlab.group)}/`);
  const shared = project.shared_with_groups.some(
    (share) =>
      folded(share.group_full_path) === folded(gitlab.group) && share.group_access_level >= MAINTAINER,
  );
  // A group that is made only now cannot have been given anything.
  if (gitlab.groupExists && !within && !shared)
    problems.push(
      fault(
        `"${path}" is neither in the group "${gitlab.group}" nor shared with it, so its bot cannot work there.`,
        'Share the project with the group, as maintainer.',
      ),
    );
  const ci = project.ci_config_path || '.gitlab-ci.yml';
  // One in another project, or at an address, is there whatever this project holds.
  const elsewhere = /@|:\/\//.test(ci);
  const itself = `projects/${encodeURIComponent(path)}/repository/files/${encodeURIComponent(ci)}?ref=main`;
  const hasOwn = elsewhere || (await ask(itself)) !== undefined;
  return {
    id: String(project.id),
    problems,
    warnings: hasOwn
      ? [
          `${file}: config.gitlab.projects.${module}.existing: "${path}" has pipelines of its own (${ci}). GitLab judges its merge requests by those, and not by the status of this topology: it may refuse what was tested, and let people merge what was not, which is not deployed then. Remove that file, or set another path in the project's CI/CD settings.`,
        ]
      : [],
  };
}

async function findUser(ask: Ask, file: string, name: string, model: Model): Promise<Finding> {
  const users = z.array(identified).safeParse(await ask(`users?username=${encodeURIComponent(name)}`));
  const [user] = users.data ?? [];
  if (user) return { id: String(user.id), problems: [] };
  const member = name in model.settings.gitlab.members;
  const module = model.modules.find(({ owners }) => owners.includes(name))?.name ?? '';
  return {
    problems: [
      {
        file: member ? file : `catalog/modules/${module}.yaml`,
        key: member ? `config.gitlab.members.${name}` : 'owners',
        what: `GitLab has no user "${name}".`,
        remedy: 'Write the user name as in the profile, without "@".',
      },
    ],
  };
}

function findServer(file: string, { settings }: Model, texts: readonly string[]): Finding {
  const { context } = settings.clusters.production;
  const server = serverOf(context, texts);
  const local = server !== undefined && URL.canParse(server) && isLoopback(new URL(server).hostname);
  if (server !== undefined && !local) return { id: server, problems: [] };
  return {
    problems: [
      {
        file,
        key: 'config.clusters.production.server',
        what: local
          ? `the kubeconfig's server of "${context}" is ${server}, which Pods of the ci cluster cannot reach.`
          : `no kubeconfig here names the server of context "${context}".`,
        remedy: 'Add the address of its API server, e.g. "https://10.0.0.1:6443".',
      },
    ],
  };
}

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8);
LOOPBACK.addAddress('::1', 'ipv6');

/** What GitLab takes for its local network: private, link-local, shared and unique local addresses. */
const LOCAL = new BlockList();
for (const [net, bits] of [
  ['10.0.0.0', 8],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['169.254.0.0', 16],
  ['100.64.0.0', 10],
] as const)
  LOCAL.addSubnet(net, bits);
LOCAL.addSubnet('fc00::', 7, 'ipv6');
LOCAL.addSubnet('fe80::', 10, 'ipv6');

const inList = (list: BlockList, host: string): boolean => {
  const bare = host.replace(/^\[|\]$/g, '');
  const family = isIP(bare);
  return family !== 0 && list.check(bare, family === 6 ? 'ipv6' : 'ipv4');
};
const isLoopback = (host: string): boolean => host === 'localhost' || inList(LOOPBACK, host);

const applicationSettings = z.looseObject({
  allow_local_requests_from_web_hooks_and_services: z.boolean(),
  // The list's documented name, and the one by which GitLab gives it out.
  outbound_local_requests_whitelist: z.array(z.string()).optional(),
  outbound_local_requests_allowlist_raw: z.string().nullish(),
});

/**
 * Hooks to an address of the local network are forbidden unless an administrator allows them. Told beforehand where it
 * can be: when Jenkins' address is such an address by itself (a name may be one too, but that is GitLab's to resolve)
 * and the token may read the instance's settings.
 */
async function hookProblems(ask: Ask, file: string, url: string): Promise<Problem[]> {
  const { hostname } = new URL(url);
  if (!isLoopback(hostname) && !inList(LOCAL, hostname)) return [];
  const parsed = applicationSettings.safeParse(await ask('application/settings'));
  if (!parsed.success || parsed.data.allow_local_requests_from_web_hooks_and_services) return [];
  // An entry may be an address, a name or a network; one that is there at all is its administrator's doing. Of a GitLab
  // that shows no list nothing is known either.
  const { outbound_local_requests_whitelist: list, outbound_local_requests_allowlist_raw: raw } = parsed.data;
  const shown = list !== undefined || raw !== undefined;
  if (!shown || (list ?? []).length > 0 || (raw ?? '').trim() !== '') return [];
  return [
    {
      file,
      key: 'config.jenkins.url',
      what: `${hostname} is a private address, and this GitLab forbids hooks to those.`,
      remedy:
        'Have an administrator allow it (Admin, Settings, Network, Outbound requests: "Allow requests to the local network from webhooks and integrations", or list the address there).',
    },
  ];
}

/** Which package GitLab is: a protected branch has other arguments in each. */
async function findEdition(ask: Ask, file: string, { settings }: Model): Promise<Finding> {
  const metadata = z.looseObject({ enterprise: z.boolean() }).safeParse(await ask('metadata'));
  const fault = (key: string, what: string, remedy: string): Finding => ({
    problems: [{ file, key, what, remedy }],
  });
  if (!metadata.success)
    return fault(
      'config.gitlab.url',
      'GitLab does not say whether it is a Community or an Enterprise package (GET metadata).',
      'Give a token with the api scope; GitLab must be 15.6 or newer.',
    );
  const edition: Edition = metadata.data.enterprise ? 'enterprise' : 'community';
  if (edition === 'community' && settings.gitlab.tier !== 'free')
    return fault(
      'config.gitlab.tier',
      `"${settings.gitlab.tier}" is not to be had: this GitLab is a Community package.`,
      'Write "free", or install the Enterprise package.',
    );
  return { id: edition, problems: [] };
}

/**
 * Looks up all that the boxes' declarations take for there already. Nothing is changed; every fault comes at once.
 * @returns id, or for a cluster its API server, by `what:key` of the reference; and GitLab's edition, where a protected
 * branch is declared
 * @throws ProblemsError
 */
export async function lookUp(
  model: Model,
  boxes: readonly BoxDeclaration[],
  token: string,
  ask: Ask = gitlabOf(model.settings.gitlab.url, token, `stacks/Pulumi.${model.settings.environment}.yaml`),
  warn: (line: string) => Promise<void> = async (line) => (await import('@pulumi/pulumi')).log.warn(line),
): Promise<Record<string, string>> {
  const { settings } = model;
  const file = `stacks/Pulumi.${settings.environment}.yaml`;
  const declarations = boxes.flatMap((box) => box.declarations);
  const wanted = new Map<string, { what: Found; key: string }>();
  for (const { args, existing } of declarations) {
    for (const reference of referencesIn([args, existing])) {
      if (reference.kind === 'found') wanted.set(`${reference.what}:${reference.key}`, reference);
    }
  }
  const find = async ({ what, key }: { what: Found; key: string }): Promise<Finding> => {
    switch (what) {
      case 'group':
        return findGroup(ask, file, key);
      case 'project':
        return findProject(ask, file, key, model);
      case 'user':
        return findUser(ask, file, key, model);
      case 'server': {
        const { kubeconfig } = settings.clusters.production;
        return findServer(file, model, kubeconfigTexts(kubeconfig && process.env[kubeconfig]));
      }
    }
  };
  const found: Record<string, string> = {};
  const problems: Problem[] = [];
  for (const [name, reference] of wanted) {
    const { id, problems: faults, warnings = [] } = await find(reference);
    if (id !== undefined) found[name] = id;
    problems.push(...faults);
    for (const line of warnings) await warn(line);
  }
  if (declarations.some(({ type, existing }) => type === 'gitlab:index/group:Group' && !existing))
    problems.push(...(await remnantProblems(ask, file, settings.gitlab.group)));
  if (declarations.some(({ type }) => type === 'gitlab:index/branchProtection:BranchProtection')) {
    const { id, problems: faults } = await findEdition(ask, file, model);
    if (id !== undefined) found[EDITION] = id;
    problems.push(...faults);
  }
  if (declarations.some(({ type }) => type === 'gitlab:index/projectHook:ProjectHook'))
    problems.push(...(await hookProblems(ask, file, settings.jenkins.url)));
  if (problems.length > 0) throw new ProblemsError(problems);
  return found;
}

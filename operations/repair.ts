import { z } from 'zod';
import type { StackSettings } from '../stacks/schema';
import { gitlabOf, type ObjectName, readObject } from './outside';

/** A resource whose creation began in a run that was killed before it could say how it ended. */
export interface PendingCreate {
  readonly urn: string;
  readonly type: string;
  readonly inputs: Readonly<Record<string, unknown>>;
  /** Name of its provider resource, as in `ci-cluster`. */
  readonly provider: string;
  /** Ids of this type that the state holds: what stands there was not left by the killed run. */
  readonly known: readonly string[];
}

const deploymentSchema = z.looseObject({
  resources: z.array(z.looseObject({ type: z.string(), id: z.string().optional() })).nullish(),
  pending_operations: z
    .array(
      z.looseObject({
        type: z.string(),
        resource: z.looseObject({
          urn: z.string(),
          type: z.string(),
          inputs: z.record(z.string(), z.unknown()).default({}),
          provider: z.string().default(''),
        }),
      }),
    )
    .nullish(),
});

/** Creations under way in an exported deployment, each once. */
export function pendingCreates(deployment: unknown): PendingCreate[] {
  const parsed = deploymentSchema.safeParse(deployment);
  const pending = new Map<string, PendingCreate>();
  for (const { type, resource } of parsed.data?.pending_operations ?? []) {
    if (type !== 'creating') continue;
    // A provider reference is the URN of the provider, then its id.
    const provider = resource.provider.split('::').at(-2) ?? '';
    const known = (parsed.data?.resources ?? []).flatMap((other) =>
      other.type === resource.type && other.id ? [other.id] : [],
    );
    pending.set(resource.urn, { ...resource, provider, known });
  }
  return [...pending.values()];
}

/**
 * A deployment without pending creations; those that exist, by URN and id, stand among its resources with what they
 * were to be. Everything else stays as it is.
 */
export function settledDeployment(
  deployment: unknown,
  found: ReadonlyMap<string, string>,
): Record<string, unknown> {
  const { resources, pending_operations: operations, ...rest } = deploymentSchema.parse(deployment);
  const creating = (operations ?? []).filter(({ type }) => type === 'creating');
  const taken = new Map(
    creating.flatMap(({ resource }) => {
      const id = found.get(resource.urn);
      return id === undefined ? [] : [[resource.urn, { ...resource, id, outputs: resource.inputs }] as const];
    }),
  );
  return {
    ...rest,
    resources: [...(resources ?? []), ...taken.values()],
    pending_operations: (operations ?? []).filter(({ type }) => type !== 'creating'),
  };
}

/** What is there in reality, as far as a killed run may have made it. */
export interface World {
  /** Is there such an object? `cluster` is the role whose cluster is meant. */
  readonly objectExists: (cluster: 'ci' | 'production', object: ObjectName) => Promise<boolean>;
  /** Body of a GitLab API path; undefined when GitLab answers 404. */
  readonly gitlab: (path: string) => Promise<unknown>;
  /** DELETE of a GitLab API path. */
  readonly removeFromGitlab: (path: string) => Promise<void>;
}

const objectSchema = z.looseObject({
  metadata: z.looseObject({ name: z.string(), namespace: z.string().optional() }),
});

async function kubernetesId(create: PendingCreate, world: World): Promise<string | undefined> {
  const parsed = objectSchema.safeParse(create.inputs);
  const [, groupVersion = '', kind = ''] = create.type.split(':');
  if (!parsed.success || kind === '') return undefined;
  const { name, namespace } = parsed.data.metadata;
  const apiVersion = groupVersion.replace(/^core\//, '');
  const role = create.provider.startsWith('production') ? 'production' : 'ci';
  const found = await world.objectExists(role, { apiVersion, kind, metadata: { name, namespace } });
  return found ? [namespace, name].filter(Boolean).join('/') : undefined;
}

const listed = z.array(z.looseObject({ id: z.number() }));
const identified = z.looseObject({ id: z.number() });

async function gitlabId({ type, inputs, known }: PendingCreate, world: World): Promise<string | undefined> {
  const text = (key: string): string => String(inputs[key] ?? '');
  const project = text('project');
  const idOf = (body: unknown): string | undefined => {
    const parsed = identified.safeParse(body);
    return parsed.success ? String(parsed.data.id) : undefined;
  };
  switch (type) {
    case 'gitlab:index/group:Group':
      return idOf(await world.gitlab(`groups/${encodeURIComponent(text('path'))}`));
    case 'gitlab:index/project:Project': {
      const wanted = text('path') || text('name');
      const parsed = z
        .array(z.looseObject({ id: z.number(), path: z.string() }))
        .safeParse(
          await world.gitlab(`groups/${text('namespaceId')}/projects?search=${encodeURIComponent(wanted)}`),
        );
      const found = parsed.data?.find(({ path }) => path === wanted);
      return found && String(found.id);
    }
    case 'gitlab:index/projectHook:ProjectHook': {
      const hooks = listed.safeParse(await world.gitlab(`projects/${encodeURIComponent(project)}/hooks`));
      const found = hooks.data?.find((hook) => hook.url === inputs.url);
      return found && `${project}:${found.id}`;
    }
    case 'gitlab:index/projectLabel:ProjectLabel':
    case 'gitlab:index/deployKey:DeployKey': {
      const [folder, field] = type.endsWith('Label') ? ['labels', 'name'] : ['deploy_keys', 'title'];
      const all = listed.safeParse(
        await world.gitlab(`projects/${encodeURIComponent(project)}/${folder}?per_page=100`),
      );
      const found = all.data?.find((one) => one[field] === inputs[field]);
      return found && `${project}:${found.id}`;
    }
    case 'gitlab:index/groupMembership:GroupMembership':
    case 'gitlab:index/projectMembership:ProjectMembership': {
      const [folder, owner] = type.includes('/group') ? ['groups', text('groupId')] : ['projects', project];
      const path = `${folder}/${encodeURIComponent(owner)}/members/${text('userId')}`;
      return (await world.gitlab(path)) === undefined ? undefined : `${owner}:${text('userId')}`;
    }
    case 'gitlab:index/branchProtection:BranchProtection': {
      const branch = text('branch');
      const path = `projects/${encodeURIComponent(project)}/protected_branches/${encodeURIComponent(branch)}`;
      return (await world.gitlab(path)) === undefined ? undefined : `${project}:${branch}`;
    }
    case 'gitlab:index/repositoryFile:RepositoryFile': {
      const [branch, file] = [text('branch'), text('filePath')];
      const path = `projects/${encodeURIComponent(project)}/repository/files/${encodeURIComponent(file)}?ref=${encodeURIComponent(branch)}`;
      return (await world.gitlab(path)) === undefined ? undefined : `${project}:${branch}:${file}`;
    }
    case 'gitlab:index/groupAccessToken:GroupAccessToken': {
      // A token's value is told once: one that nobody wrote down is of no use, and is made anew.
      const path = `groups/${text('group')}/access_tokens`;
      const tokens = z
        .array(z.looseObject({ id: z.number(), name: z.string(), active: z.boolean() }))
        .safeParse(await world.gitlab(path));
      for (const { id, name, active } of tokens.data ?? []) {
        const lost = name === inputs.name && active && !known.includes(`${text('group')}:${id}`);
        if (lost) await world.removeFromGitlab(`${path}/${id}`);
      }
      return undefined;
    }
    default:
      return undefined;
  }
}

/**
 * Finds what a pending creation made.
 * @returns its id in the form in which its provider imports it; undefined when there is nothing, or when it could not
 * be taken over and was removed
 */
export function settle(create: PendingCreate, world: World): Promise<string | undefined> {
  if (create.type.startsWith('kubernetes:')) return kubernetesId(create, world);
  if (create.type.startsWith('gitlab:')) return gitlabId(create, world);
  return Promise.resolve(undefined);
}

/** The world of an environment: its clusters by their contexts, its GitLab by its token. */
export function worldOf(settings: StackSettings, token: string): World {
  const gitlab = gitlabOf(settings, token);
  return {
    objectExists: async (cluster, object) => (await readObject(settings, cluster, object)) !== undefined,
    gitlab: gitlab.get,
    removeFromGitlab: gitlab.remove,
  };
}

import { setTimeout } from 'node:timers/promises';
import { z } from 'zod';
import { providerName } from '../../clients/engine-steps';
import type { ObjectName } from '../../clients/kubernetes';
import type { StackSettings } from '../../stacks/schema';
import { clusterOf, gitlabApiOf } from '../outside/clients';

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

/** A change or a deletion that was under way in a killed run: the state still says what was there before. */
export interface OpenChange extends Pick<PendingCreate, 'urn' | 'type' | 'inputs' | 'provider'> {
  readonly deleting: boolean;
}

const deploymentSchema = z.looseObject({
  resources: z
    .array(
      z.looseObject({
        urn: z.string().optional(),
        type: z.string(),
        id: z.string().optional(),
        delete: z.boolean().optional(),
        pendingReplacement: z.boolean().optional(),
      }),
    )
    .nullish(),
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

/** Changes and deletions under way in an exported deployment, each resource once. */
export function openChanges(deployment: unknown): OpenChange[] {
  const parsed = deploymentSchema.safeParse(deployment);
  const open = new Map<string, OpenChange>();
  for (const { type, resource } of parsed.data?.pending_operations ?? []) {
    if (type !== 'updating' && type !== 'deleting') continue;
    const { urn, inputs } = resource;
    const provider = providerName(resource.provider);
    open.set(urn, { urn, type: resource.type, inputs, provider, deleting: type === 'deleting' });
  }
  return [...open.values()];
}

/** Creations under way in an exported deployment, each once. */
export function pendingCreates(deployment: unknown): PendingCreate[] {
  const parsed = deploymentSchema.safeParse(deployment);
  const pending = new Map<string, PendingCreate>();
  for (const { type, resource } of parsed.data?.pending_operations ?? []) {
    if (type !== 'creating') continue;
    const provider = providerName(resource.provider);
    const known = (parsed.data?.resources ?? []).flatMap((other) =>
      other.type === resource.type && other.id ? [other.id] : [],
    );
    pending.set(resource.urn, { ...resource, provider, known });
  }
  return [...pending.values()];
}

/** What a resource that the state does not know of is in reality. */
export interface Existing {
  /** In the form in which its provider imports it. */
  readonly id: string;
  /**
   * Under whose name its fields are the program's, for objects of Kubernetes: the provider makes a name up for each and
   * keeps it in the state alone. Under another one, server-side apply refuses to change what the lost name owns.
   */
  readonly fieldManager?: string;
}

/** Outputs of a resource that is taken over, as far as its provider cannot read them. */
export function takenOutputs(
  inputs: Readonly<Record<string, unknown>>,
  fieldManager: string | undefined,
): Record<string, unknown> {
  return { ...inputs, ...(fieldManager === undefined ? {} : { __fieldManager: fieldManager }) };
}

/**
 * A deployment without pending creations; those that exist, by URN, stand among its resources with what they
 * were to be: one that replaces another in its place, since a URN stands once and before what depends on it. What was
 * replaced is gone when it had to go first (`pendingReplacement`) or has the same id, and else is left to be deleted.
 * Everything else stays as it is.
 */
export function settledDeployment(
  deployment: unknown,
  found: ReadonlyMap<string, Existing>,
): Record<string, unknown> {
  const { resources, pending_operations: operations, ...rest } = deploymentSchema.parse(deployment);
  const creating = (operations ?? []).filter(({ type }) => type === 'creating');
  const taken = new Map(
    creating.flatMap(({ resource }) => {
      const existing = found.get(resource.urn);
      if (!existing) return [];
      const outputs = takenOutputs(resource.inputs, existing.fieldManager);
      return [[resource.urn, { ...resource, id: existing.id, outputs }] as const];
    }),
  );
  const kept = (resources ?? []).flatMap((old) => {
    const replacement = old.delete ? undefined : taken.get(old.urn ?? '');
    if (!replacement) return [old];
    taken.delete(replacement.urn);
    const gone = old.pendingReplacement || old.id === replacement.id;
    return gone ? [replacement] : [replacement, { ...old, delete: true }];
  });
  return {
    ...rest,
    resources: [...kept, ...taken.values()],
    pending_operations: (operations ?? []).filter(({ type }) => type !== 'creating'),
  };
}

/** What is there in reality, as far as a killed run may have made it. */
export interface World {
  /** An object; undefined when there is none. `cluster` is the role whose cluster is meant. */
  readonly object: (cluster: 'ci' | 'production', object: ObjectName) => Promise<unknown>;
  /** Body of a GitLab API path; undefined when GitLab answers 404. */
  readonly gitlab: (path: string) => Promise<unknown>;
  /** DELETE of a GitLab API path. */
  readonly removeFromGitlab: (path: string) => Promise<void>;
}

const objectSchema = z.looseObject({
  metadata: z.looseObject({
    name: z.string(),
    namespace: z.string().optional(),
    deletionTimestamp: z.union([z.string(), z.date()]).optional(),
    managedFields: z
      .array(
        z.looseObject({
          manager: z.string().default(''),
          operation: z.string().default(''),
          subresource: z.string().default(''),
          time: z.coerce.date().optional(),
        }),
      )
      .optional(),
  }),
});

/** Begins each name that the provider makes up (`fieldManagerName` in pulumi-kubernetes, provider/pkg/provider). */
const MADE_UP = 'pulumi-kubernetes-';

/** Whose fields an object has by server-side apply of Pulumi; of several, who applied last. */
function fieldManagerOf({ metadata }: z.infer<typeof objectSchema>): string | undefined {
  const applied = (metadata.managedFields ?? [])
    .filter(({ manager, operation, subresource }) => {
      return manager.startsWith(MADE_UP) && operation === 'Apply' && subresource === '';
    })
    .sort((a, b) => Number(a.time ?? 0) - Number(b.time ?? 0));
  return applied.at(-1)?.manager;
}

type Named = Pick<PendingCreate, 'type' | 'inputs' | 'provider'>;

/** The object that a resource declares, and the id under which its provider knows it. */
async function kubernetesObject(
  { type, inputs, provider }: Named,
  world: World,
): Promise<{ readonly existing: Existing; readonly ending: boolean } | undefined> {
  const parsed = objectSchema.safeParse(inputs);
  const [, groupVersion = '', kind = ''] = type.split(':');
  if (!parsed.success || kind === '') return undefined;
  const { name, namespace } = parsed.data.metadata;
  const apiVersion = groupVersion.replace(/^core\//, '');
  const role = provider.startsWith('production') ? 'production' : 'ci';
  const object = await world.object(role, { apiVersion, kind, metadata: { name, namespace } });
  if (object === undefined) return undefined;
  const { data } = objectSchema.safeParse(object);
  return {
    existing: { id: [namespace, name].filter(Boolean).join('/'), fieldManager: data && fieldManagerOf(data) },
    ending: data?.metadata.deletionTimestamp !== undefined,
  };
}

/** How long a cluster may take for a deletion that was begun, in seconds; a namespace takes all in it along. */
const ENDING = 300;

/**
 * Waits until a deletion that a killed run began is done: a namespace takes nothing new while it ends, and looks as if
 * it were there to stay.
 */
export async function untilEnded(
  change: OpenChange,
  world: World,
  pause: (milliseconds: number) => Promise<unknown> = setTimeout,
): Promise<void> {
  if (!change.deleting || !change.type.startsWith('kubernetes:')) return;
  for (let second = 0; second < ENDING; second++) {
    if (!(await kubernetesObject(change, world))?.ending) return;
    await pause(1000);
  }
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
 * @returns undefined when there is nothing, or when it could not be taken over and was removed
 */
export async function settle(create: PendingCreate, world: World): Promise<Existing | undefined> {
  if (create.type.startsWith('kubernetes:')) return (await kubernetesObject(create, world))?.existing;
  if (!create.type.startsWith('gitlab:')) return undefined;
  const id = await gitlabId(create, world);
  return id === undefined ? undefined : { id };
}

/** The world of an environment: its clusters by their contexts, its GitLab by its token. */
export function worldOf(settings: StackSettings, token: string): World {
  const gitlab = gitlabApiOf(settings, token);
  return {
    object: (cluster, object) => clusterOf(settings, cluster).read(object),
    gitlab: (path) => gitlab.get(path),
    removeFromGitlab: (path) => gitlab.remove(path),
  };
}

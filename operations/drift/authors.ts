import { z } from 'zod';
import type { ObjectName } from '../../clients/kubernetes';
import type { ClusterRole } from '../outside/clients';
import { type Author, type DriftedResource, drifted, type Found, type Seen } from './find';

/** One entry of `metadata.managedFields` (https://kubernetes.io/docs/reference/using-api/server-side-apply). */
const entrySchema = z.looseObject({
  manager: z.string().default('unknown'),
  operation: z.string().default(''),
  subresource: z.string().optional(),
  // The client library gives a Date, the API itself text.
  time: z.union([z.string(), z.date()]).optional(),
  fieldsV1: z.record(z.string(), z.unknown()).optional(),
});
const liveSchema = z.looseObject({
  metadata: z.looseObject({ managedFields: z.array(entrySchema).default([]) }),
});

type Entry = z.infer<typeof entrySchema>;
type Path = readonly (string | number)[];

const isRecord = (value: unknown): value is Record<string, unknown> =>
  value !== null && typeof value === 'object' && !Array.isArray(value);

/** The keys of `fieldsV1` that may stand for an item of a list: by its merge key, or by its value. */
function itemKey(fields: Record<string, unknown>, item: unknown): string | undefined {
  return Object.keys(fields).find((key) => {
    if (key.startsWith('v:')) return key.slice(2) === JSON.stringify(item);
    if (!key.startsWith('k:') || !isRecord(item)) return false;
    const wanted: unknown = JSON.parse(key.slice(2));
    return isRecord(wanted) && Object.entries(wanted).every(([name, value]) => item[name] === value);
  });
}

/** Does a manager own the field at this path, or a whole that it is a part of? */
function owns(fields: Record<string, unknown>, path: Path, live: unknown): boolean {
  const [part, ...rest] = path;
  if (part === undefined) return true;
  const inner =
    isRecord(live) || Array.isArray(live) ? (live as Record<string | number, unknown>)[part] : undefined;
  const key = typeof part === 'number' ? itemKey(fields, inner) : `f:${part}`;
  const below = key === undefined ? undefined : fields[key];
  if (!isRecord(below)) return false;
  // An empty set is a leaf: a value that is owned as one.
  return Object.keys(below).length === 0 || owns(below, rest, inner);
}

const timeOf = ({ time }: Entry): string | undefined => (time instanceof Date ? time.toISOString() : time);
const latest = (entries: readonly Entry[]): Entry | undefined =>
  [...entries].sort((a, b) => (timeOf(b) ?? '').localeCompare(timeOf(a) ?? ''))[0];
const author = (entry: Entry, guessed: boolean): Author => {
  const at = timeOf(entry);
  return { who: guessed ? `${entry.manager}, perhaps` : entry.manager, ...(at ? { at } : {}) };
};

/**
 * The field manager that set a field of a live object last: `kubectl-edit`, `kube-controller-manager`, …
 * A field that was taken away has no owner any more: then it is whoever updated the object last, perhaps.
 * @param live the object with its `managedFields`
 */
export function lastManager(live: unknown, path: Path): Author | undefined {
  const parsed = liveSchema.safeParse(live);
  const entries = parsed.data?.metadata.managedFields ?? [];
  const owner = latest(entries.filter(({ fieldsV1 }) => fieldsV1 && owns(fieldsV1, path, live)));
  // What Pulumi applied it still owns when another wrote the same value; then the other is not the author.
  if (owner && !(owner.operation === 'Apply' && /^pulumi/.test(owner.manager))) return author(owner, false);
  // Whoever wrote a subresource wrote no field outside of it: a controller that counts Pods scaled none.
  const others = entries.filter(
    ({ manager, operation, subresource }) =>
      operation === 'Update' &&
      !/^pulumi/.test(manager) &&
      (subresource === undefined ||
        subresource === path[0] ||
        (subresource === 'scale' && path.join('.') === 'spec.replicas')),
  );
  const last = latest(others);
  return last && author(last, true);
}

/**
 * Who set the replicas of a live workload in the place of what Pulumi applied; undefined where Pulumi did. By the scale
 * subresource nobody's time is kept (ScaleHandler of k8s.io/apimachinery), so there is only a name.
 */
export function scaledBy(live: unknown): string | undefined {
  const entries = liveSchema.safeParse(live).data?.metadata.managedFields ?? [];
  const owners = entries.filter(({ fieldsV1 }) => fieldsV1 && owns(fieldsV1, ['spec', 'replicas'], live));
  return owners.every(({ manager }) => /^pulumi/.test(manager)) ? undefined : latest(owners)?.manager;
}

/** What can be asked about who changed what. */
export interface Witnesses {
  readonly object: (cluster: ClusterRole, object: ObjectName) => Promise<unknown>;
  /** Body of a GitLab API path; undefined when there is none, or this edition does not tell. */
  readonly gitlab: (path: string) => Promise<unknown>;
}

const nameSchema = z.looseObject({
  metadata: z.looseObject({ name: z.string(), namespace: z.string().optional() }),
});

async function liveObject(seen: Seen, witnesses: Witnesses): Promise<unknown> {
  const parsed = nameSchema.safeParse(seen.before);
  if (!parsed.success) return undefined;
  const [, groupVersion = '', kind = ''] = seen.type.split(':');
  const { name, namespace } = parsed.data.metadata;
  return witnesses.object(seen.provider.startsWith('production') ? 'production' : 'ci', {
    apiVersion: groupVersion.replace(/^core\//, ''),
    kind,
    metadata: { name, ...(namespace ? { namespace } : {}) },
  });
}

const commitsSchema = z.array(z.looseObject({ author_name: z.string(), committed_date: z.string() })).min(1);
const auditSchema = z
  .array(
    z.looseObject({
      created_at: z.string(),
      details: z.looseObject({ author_name: z.string() }),
    }),
  )
  .min(1);
const projectSchema = z.looseObject({ last_activity_at: z.string() });

/**
 * Who changed something in GitLab last: a file's last commit, the audit events of editions that have them, else only
 * when the project was last active.
 */
async function gitlabAuthor(seen: Seen, { gitlab }: Witnesses): Promise<Author | undefined> {
  const text = (key: string): string => encodeURIComponent(String(seen.before[key] ?? ''));
  const isProject = seen.type === 'gitlab:index/project:Project';
  const project = isProject ? encodeURIComponent(seen.id) : text('project');
  if (seen.type === 'gitlab:index/repositoryFile:RepositoryFile') {
    const commits = commitsSchema.safeParse(
      await gitlab(
        `projects/${project}/repository/commits?ref_name=${text('branch')}&path=${text('filePath')}&per_page=1`,
      ),
    );
    const [commit] = commits.data ?? [];
    if (commit) return { who: commit.author_name, at: commit.committed_date };
  }
  const owner =
    project === '' ? `groups/${encodeURIComponent(seen.id.split(':')[0] ?? '')}` : `projects/${project}`;
  const [event] = auditSchema.safeParse(await gitlab(`${owner}/audit_events?per_page=1`)).data ?? [];
  if (event) return { who: event.details.author_name, at: event.created_at };
  if (project === '') return undefined;
  const active = projectSchema.safeParse(await gitlab(`projects/${project}`));
  return active.success ? { who: 'someone, last active', at: active.data.last_activity_at } : undefined;
}

/** Names the authors of what was found. Whoever cannot be asked is left out: drift is told without them too. */
export async function withAuthors(found: readonly Found[], witnesses: Witnesses): Promise<DriftedResource[]> {
  const quiet = async <T>(ask: Promise<T>): Promise<T | undefined> => ask.catch(() => undefined);
  const resources: DriftedResource[] = [];
  for (const one of found) {
    const resource = drifted(one);
    if (one.seen.type.startsWith('gitlab:')) {
      const by = await quiet(gitlabAuthor(one.seen, witnesses));
      resources.push(drifted(one, by));
    } else if (one.seen.type.startsWith('kubernetes:') && !resource.gone) {
      const live = await quiet(liveObject(one.seen, witnesses));
      const fields = one.fields.map(({ path, field }) => {
        const by = lastManager(live, path);
        return by ? { ...field, by } : field;
      });
      resources.push({ ...resource, fields });
    } else {
      resources.push(resource);
    }
  }
  return resources;
}

import { isRecord, type Props } from '../shared/values';
import type { Client } from './client';
import { type Kind, levelName, levelNumber, segment, snakeCase, splitId } from './kind';

const PUSHERS = ['no one', 'developer', 'maintainer', 'admin'] as const;

/** The level of the rule that is about a level, not about one user, group or key. */
function roleLevel(rules: unknown): string | null {
  if (!Array.isArray(rules)) return null;
  const rule = rules.find(
    (candidate) =>
      isRecord(candidate) && !candidate.user_id && !candidate.group_id && !candidate.deploy_key_id,
  );
  return isRecord(rule) ? levelName(rule.access_level) : null;
}

const levelsOf = (inputs: Props, fields: Record<string, string>): Props =>
  Object.fromEntries(
    Object.entries(fields)
      .filter(([property]) => inputs[property] !== undefined)
      .map(([property, field]) => [field, levelNumber(inputs[property])]),
  );

/** Inputs of an Enterprise package -> fields of the API, and where GitLab answers with them. */
const ENTRIES = {
  allowedToPushes: ['allowed_to_push', 'push_access_levels'],
  allowedToMerges: ['allowed_to_merge', 'merge_access_levels'],
  allowedToUnprotects: ['allowed_to_unprotect', 'unprotect_access_levels'],
} as const;
type Entries = keyof typeof ENTRIES;
const ENTRY_INPUTS = Object.keys(ENTRIES) as Entries[];

const records = (value: unknown): Props[] => (Array.isArray(value) ? value.filter(isRecord) : []);

/** Entries as the package has them: by role, each with GitLab's name of it. */
const entriesOf = (rules: unknown): Props[] =>
  records(rules).map((rule) => ({
    accessLevel: levelName(rule.access_level),
    accessLevelDescription: rule.access_level_description,
    ...(rule.user_id ? { userId: rule.user_id } : {}),
    ...(rule.group_id ? { groupId: rule.group_id } : {}),
  }));

/** An entry as GitLab takes it; by a user only, where one is named. */
const entryBody = (entry: Props): Props =>
  entry.userId === undefined ? { access_level: levelNumber(entry.accessLevel) } : { user_id: entry.userId };

const isSame = (rule: Props, body: Props): boolean =>
  body.user_id === undefined
    ? !rule.user_id && rule.access_level === body.access_level
    : rule.user_id === body.user_id;

/** What makes GitLab's entries the declared ones: new ones added, others taken away by their id. */
function entryChanges(found: unknown, declared: unknown): Props[] {
  const rules = records(found);
  const wanted = records(declared).map(entryBody);
  return [
    ...wanted.filter((body) => !rules.some((rule) => isSame(rule, body))),
    ...rules
      .filter((rule) => !wanted.some((body) => isSame(rule, body)))
      .map((rule) => ({ id: rule.id, _destroy: true })),
  ];
}

const isEnterprise = async (client: Client): Promise<boolean> =>
  (await client.get('metadata')).enterprise === true;

export const branchProtection: Kind = {
  covered: ['project', 'branch', 'pushAccessLevel', 'mergeAccessLevel', ...ENTRY_INPUTS, 'allowForcePush'],
  rename: { branchProtectionId: 'id', branch: 'name' },
  replace: ['project', 'branch', 'pushAccessLevel', 'mergeAccessLevel'],
  deleteBeforeReplace: true,
  values: { pushAccessLevel: PUSHERS, mergeAccessLevel: PUSHERS },
  reset: { allowForcePush: false },
  unordered: ENTRY_INPUTS,
  filledIn: Object.fromEntries(ENTRY_INPUTS.map((property) => [property, ['accessLevelDescription']])),
  // Since 19.0: docs/resources/branch_protection.md of terraform-provider-gitlab, "not available for GitLab Enterprise"
  // and "require a GitLab Enterprise instance"; ModifyPlan asks GET /metadata.
  async plan(client, inputs) {
    const enterprise = await isEnterprise(client);
    const refused = (enterprise ? ['pushAccessLevel', 'mergeAccessLevel'] : ENTRY_INPUTS).filter(
      (property) => inputs[property] !== undefined,
    );
    if (refused.length === 0) return undefined;
    return enterprise
      ? `${refused.join(', ')}: not for a GitLab Enterprise package. Use allowedToPushes and allowedToMerges`
      : `${refused.join(', ')}: only for a GitLab Enterprise package. Use pushAccessLevel and mergeAccessLevel`;
  },
  async create(client, inputs) {
    const path = `projects/${segment(inputs.project)}/protected_branches`;
    // GitLab protects a project's default branch by itself: the declared protection takes its place.
    await client.delete(`${path}/${segment(inputs.branch)}`);
    await client.post(path, {
      name: inputs.branch,
      ...levelsOf(inputs, { pushAccessLevel: 'push_access_level', mergeAccessLevel: 'merge_access_level' }),
      ...Object.fromEntries(
        ENTRY_INPUTS.filter((property) => inputs[property] !== undefined).map((property) => [
          ENTRIES[property][0],
          records(inputs[property]).map(entryBody),
        ]),
      ),
      ...(inputs.allowForcePush === undefined ? {} : { allow_force_push: inputs.allowForcePush }),
    });
    return { id: `${String(inputs.project)}:${String(inputs.branch)}` };
  },
  async read(client, id) {
    const [project, branch] = splitId(id);
    const found = await client.lookUp(`projects/${segment(project)}/protected_branches/${segment(branch)}`);
    if (!found) return undefined;
    const { push_access_levels: push, merge_access_levels: merge, ...rest } = found;
    if (await isEnterprise(client)) {
      const entries = ENTRY_INPUTS.map((property) => [
        snakeCase(property),
        entriesOf(found[ENTRIES[property][1]]),
      ]);
      return { ...rest, project, ...Object.fromEntries(entries) };
    }
    return {
      ...rest,
      project,
      push_access_level: roleLevel(push),
      merge_access_level: roleLevel(merge),
    };
  },
  async update(client, id, changed) {
    const [project, branch] = splitId(id);
    const path = `projects/${segment(project)}/protected_branches/${segment(branch)}`;
    const entries = ENTRY_INPUTS.filter((property) => changed[property] !== undefined);
    const found = entries.length > 0 ? await client.get(path) : {};
    await client.patch(path, {
      ...(changed.allowForcePush === undefined ? {} : { allow_force_push: changed.allowForcePush }),
      ...Object.fromEntries(
        entries.map((property) => {
          const [field, answer] = ENTRIES[property];
          return [field, entryChanges(found[answer], changed[property])];
        }),
      ),
    });
    return undefined;
  },
  async delete(client, id) {
    const [project, branch] = splitId(id);
    await client.delete(`projects/${segment(project)}/protected_branches/${segment(branch)}`);
  },
};

export const tagProtection: Kind = {
  covered: ['project', 'tag', 'createAccessLevel'],
  rename: { tag: 'name' },
  // GitLab has no way to change a protected tag.
  replace: ['project', 'tag', 'createAccessLevel'],
  deleteBeforeReplace: true,
  values: { createAccessLevel: ['no one', 'developer', 'maintainer'] },
  async create(client, inputs) {
    await client.post(`projects/${segment(inputs.project)}/protected_tags`, {
      name: inputs.tag,
      ...levelsOf(inputs, { createAccessLevel: 'create_access_level' }),
    });
    return { id: `${String(inputs.project)}:${String(inputs.tag)}` };
  },
  async read(client, id) {
    const [project, tag] = splitId(id);
    const found = await client.lookUp(`projects/${segment(project)}/protected_tags/${segment(tag)}`);
    return found && { ...found, project, create_access_level: roleLevel(found.create_access_levels) };
  },
  async delete(client, id) {
    const [project, tag] = splitId(id);
    await client.delete(`projects/${segment(project)}/protected_tags/${segment(tag)}`);
  },
};

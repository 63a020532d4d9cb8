import { isRecord, type Props } from '../shared/values';
import { type Kind, levelName, levelNumber, segment, splitId } from './kind';

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

export const branchProtection: Kind = {
  covered: ['project', 'branch', 'pushAccessLevel', 'mergeAccessLevel', 'allowForcePush'],
  rename: { branchProtectionId: 'id', branch: 'name' },
  replace: ['project', 'branch', 'pushAccessLevel', 'mergeAccessLevel'],
  deleteBeforeReplace: true,
  values: { pushAccessLevel: PUSHERS, mergeAccessLevel: PUSHERS },
  reset: { allowForcePush: false },
  async create(client, inputs) {
    const path = `projects/${segment(inputs.project)}/protected_branches`;
    // GitLab protects a project's default branch by itself: the declared protection takes its place.
    await client.delete(`${path}/${segment(inputs.branch)}`);
    await client.post(path, {
      name: inputs.branch,
      ...levelsOf(inputs, { pushAccessLevel: 'push_access_level', mergeAccessLevel: 'merge_access_level' }),
      ...(inputs.allowForcePush === undefined ? {} : { allow_force_push: inputs.allowForcePush }),
    });
    return { id: `${String(inputs.project)}:${String(inputs.branch)}` };
  },
  async read(client, id) {
    const [project, branch] = splitId(id);
    const found = await client.lookUp(`projects/${segment(project)}/protected_branches/${segment(branch)}`);
    return (
      found && {
        ...found,
        project,
        push_access_level: roleLevel(found.push_access_levels),
        merge_access_level: roleLevel(found.merge_access_levels),
      }
    );
  },
  async update(client, id, changed) {
    const [project, branch] = splitId(id);
    await client.patch(`projects/${segment(project)}/protected_branches/${segment(branch)}`, {
      allow_force_push: changed.allowForcePush,
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

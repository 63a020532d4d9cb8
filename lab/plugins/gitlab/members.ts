import type { Props } from '../shared/values';
import { bodyOf, type Kind, levelName, levelNumber, MEMBER_LEVELS, segment, splitId } from './kind';

function membership(owner: 'project' | 'groupId', collection: 'projects' | 'groups'): Kind {
  const item = (id: string): string => {
    const [of, user] = splitId(id);
    return `${collection}/${segment(of)}/members/${segment(user)}`;
  };
  const settings = (inputs: Props): Props => ({
    access_level: levelNumber(inputs.accessLevel),
    // An empty day takes an expiry away.
    ...(inputs.expiresAt === undefined ? {} : { expires_at: inputs.expiresAt }),
  });
  return {
    covered: [owner, 'userId', 'accessLevel', 'expiresAt'],
    ...(owner === 'groupId' ? { local: ['skipSubresourcesOnDestroy', 'unassignIssuablesOnDestroy'] } : {}),
    replace: [owner, 'userId'],
    values: { accessLevel: MEMBER_LEVELS },
    reset: { expiresAt: '' },
    async create(client, inputs) {
      await client.post(`${collection}/${segment(inputs[owner])}/members`, {
        user_id: inputs.userId,
        ...settings(inputs),
      });
      return { id: `${String(inputs[owner])}:${String(inputs.userId)}` };
    },
    async read(client, id) {
      const [of, user] = splitId(id);
      const found = await client.lookUp(item(id));
      return (
        found && {
          [owner === 'project' ? 'project' : 'group_id']: of,
          user_id: Number(user),
          access_level: levelName(found.access_level),
          expires_at: found.expires_at ?? null,
        }
      );
    },
    async update(client, id, changed, inputs) {
      await client.put(item(id), settings({ ...inputs, ...changed }));
      return undefined;
    },
    async delete(client, id, state) {
      await client.delete(item(id), {
        ...(state.skipSubresourcesOnDestroy === undefined
          ? {}
          : { skip_subresources: state.skipSubresourcesOnDestroy }),
        ...(state.unassignIssuablesOnDestroy === undefined
          ? {}
          : { unassign_issuables: state.unassignIssuablesOnDestroy }),
      });
    },
  };
}

export const projectMembership = membership('project', 'projects');
export const groupMembership = membership('groupId', 'groups');

export const user: Kind = {
  covered: [
    'username',
    'email',
    'name',
    'password',
    'resetPassword',
    'forceRandomPassword',
    'skipConfirmation',
    'isAdmin',
    'isExternal',
    'canCreateGroup',
    'projectsLimit',
    'note',
  ],
  rename: { isAdmin: 'admin', isExternal: 'external' },
  replace: [],
  reset: { note: '', isAdmin: false, isExternal: false },
  imported: ['name'],
  autoname: true,
  validate: (inputs) =>
    inputs.password === undefined && inputs.resetPassword !== true && inputs.forceRandomPassword !== true
      ? [{ property: 'password', reason: 'is required, unless resetPassword or forceRandomPassword is true' }]
      : [],
  async create(client, inputs) {
    const made = await client.post('users', bodyOf(user, inputs));
    return { id: String(made.id) };
  },
  async read(client, id) {
    const found = await client.lookUp(`users/${segment(id)}`);
    if (!found) return undefined;
    const { password: _password, ...shown } = found;
    return { ...shown, ...(found.is_admin === undefined ? {} : { admin: found.is_admin }) };
  },
  async update(client, id, changed) {
    await client.put(`users/${segment(id)}`, bodyOf(user, changed));
    return undefined;
  },
  async delete(client, id) {
    await client.delete(`users/${segment(id)}`);
  },
};

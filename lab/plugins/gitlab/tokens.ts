import type { CheckFailure } from '../shared/server';
import { containsUnknown, isRecord, type Props } from '../shared/values';
import type { Client } from './client';
import { type Kind, levelName, levelNumber, MEMBER_LEVELS, segment, splitId } from './kind';

const DAY = 86_400_000;
const isoDay = (time: number): string => new Date(time).toISOString().slice(0, 10);

const TOKEN_SCOPES = [
  'api',
  'read_api',
  'read_repository',
  'write_repository',
  'read_registry',
  'write_registry',
  'read_virtual_registry',
  'write_virtual_registry',
  'create_runner',
  'manage_runner',
  'ai_features',
  'k8s_proxy',
  'self_rotate',
  'read_observability',
  'write_observability',
];

function expiryFaults(inputs: Props): CheckFailure[] {
  if (containsUnknown(inputs.expiresAt)) return [];
  if (inputs.expiresAt === undefined) return [];
  if (!/^\d{4}-\d{2}-\d{2}$/.test(String(inputs.expiresAt))) {
    return [{ property: 'expiresAt', reason: 'must be a day such as "2027-01-31"' }];
  }
  if (inputs.validatePastExpirationDate === true && String(inputs.expiresAt) <= isoDay(Date.now())) {
    return [{ property: 'expiresAt', reason: 'is in the past' }];
  }
  return [];
}

/** Either a day, or a rule by which this plug-in sets the day and rotates before it. */
function validateAccessToken(inputs: Props): CheckFailure[] {
  const { expiresAt, rotationConfiguration } = inputs;
  if (expiresAt === undefined && rotationConfiguration === undefined) {
    return [{ property: 'expiresAt', reason: 'is required, unless rotationConfiguration is given' }];
  }
  if (expiresAt !== undefined && rotationConfiguration !== undefined) {
    return [{ property: 'expiresAt', reason: 'cannot be given together with rotationConfiguration' }];
  }
  return expiryFaults(inputs);
}

function rotation(inputs: Props): { expirationDays: number; rotateBeforeDays: number } | undefined {
  const rule = inputs.rotationConfiguration;
  if (!isRecord(rule)) return undefined;
  return { expirationDays: Number(rule.expirationDays), rotateBeforeDays: Number(rule.rotateBeforeDays) };
}

function expiryOf(inputs: Props): string {
  const rule = rotation(inputs);
  return rule ? isoDay(Date.now() + rule.expirationDays * DAY) : String(inputs.expiresAt);
}

/**
 * A rotated token is a new token of the same bot with a new number, while the resource keeps the id that it was
 * made with: the number of the token now in force is kept beside the outputs.
 */
const TOKEN_NUMBER = '__tokenNumber';

const currentNumber = (id: string, state: Props): string => String(state[TOKEN_NUMBER] ?? splitId(id)[1]);

interface TokenPlace {
  /** The input that says whose token it is. */
  owner: string;
  levels: boolean;
  /** Where tokens are made. */
  collection(owner: unknown): string;
  /** Where one token is. */
  item(owner: unknown, number: unknown): string;
  scopes: string[];
}

function accessToken(place: TokenPlace): Kind {
  const identity = [place.owner, 'name', 'scopes', 'description', ...(place.levels ? ['accessLevel'] : [])];
  const read = async (client: Client, id: string, state: Props): Promise<Props | undefined> => {
    const [owner] = splitId(id);
    const found = await client.lookUp(place.item(owner, currentNumber(id, state)));
    if (!found || found.revoked === true) return undefined;
    // What the token itself is, GitLab shows once.
    const { token: _token, id: number, ...shown } = found;
    return {
      ...shown,
      [ownerField(place.owner)]: owner,
      ...(place.levels ? { access_level: levelName(found.access_level) } : {}),
      [TOKEN_NUMBER]: String(number),
    };
  };
  return {
    covered: [...identity, 'expiresAt', 'rotationConfiguration'],
    local: ['validatePastExpirationDate'],
    replace: identity,
    autoname: true,
    values: { scopes: place.scopes, ...(place.levels ? { accessLevel: MEMBER_LEVELS } : {}) },
    unordered: ['scopes'],
    moving: ['token', 'expiresAt', 'createdAt'],
    imported: ['name', 'accessLevel', 'expiresAt'],
    validate: validateAccessToken,
    due(state, inputs) {
      const rule = rotation(inputs);
      if (!rule || typeof state.expiresAt !== 'string') return false;
      return Date.parse(state.expiresAt) - Date.now() < rule.rotateBeforeDays * DAY;
    },
    async create(client, inputs) {
      const made = await client.post(place.collection(inputs[place.owner]), {
        name: inputs.name,
        scopes: inputs.scopes,
        expires_at: expiryOf(inputs),
        ...(inputs.description === undefined ? {} : { description: inputs.description }),
        ...(inputs.accessLevel === undefined ? {} : { access_level: levelNumber(inputs.accessLevel) }),
      });
      return {
        id: `${String(inputs[place.owner])}:${String(made.id)}`,
        once: { token: made.token, [TOKEN_NUMBER]: String(made.id) },
      };
    },
    read,
    async update(client, id, _changed, inputs, state) {
      const [owner] = splitId(id);
      const made = await client.post(`${place.item(owner, currentNumber(id, state))}/rotate`, {
        expires_at: expiryOf(inputs),
      });
      return { token: made.token, [TOKEN_NUMBER]: String(made.id) };
    },
    async delete(client, id, state) {
      await client.delete(place.item(splitId(id)[0], currentNumber(id, state)));
    },
  };
}

const ownerField = (owner: string): string => (owner === 'userId' ? 'user_id' : owner);

export const projectAccessToken = accessToken({
  owner: 'project',
  levels: true,
  collection: (project) => `projects/${segment(project)}/access_tokens`,
  item: (project, number) => `projects/${segment(project)}/access_tokens/${segment(number)}`,
  scopes: TOKEN_SCOPES,
});

export const groupAccessToken = accessToken({
  owner: 'group',
  levels: true,
  collection: (group) => `groups/${segment(group)}/access_tokens`,
  item: (group, number) => `groups/${segment(group)}/access_tokens/${segment(number)}`,
  scopes: TOKEN_SCOPES,
});

export const personalAccessToken = accessToken({
  owner: 'userId',
  levels: false,
  collection: (user) => `users/${segment(user)}/personal_access_tokens`,
  item: (_user, number) => `personal_access_tokens/${segment(number)}`,
  scopes: [...TOKEN_SCOPES, 'read_user', 'sudo', 'admin_mode', 'read_service_ping'],
});

export const projectDeployToken: Kind = {
  covered: ['project', 'name', 'scopes', 'username', 'expiresAt'],
  local: ['validatePastExpirationDate'],
  // GitLab has no way to change a deploy token.
  replace: ['project', 'name', 'scopes', 'username', 'expiresAt'],
  autoname: true,
  values: {
    scopes: [
      'read_repository',
      'read_registry',
      'write_registry',
      'read_virtual_registry',
      'write_virtual_registry',
      'read_package_registry',
      'write_package_registry',
    ],
  },
  unordered: ['scopes'],
  imported: ['name', 'username'],
  validate: (inputs) =>
    inputs.expiresAt === undefined ||
    /^\d{4}-\d{2}-\d{2}(T.*)?$/.test(String(inputs.expiresAt)) ||
    containsUnknown(inputs.expiresAt)
      ? []
      : [{ property: 'expiresAt', reason: 'must be a day or a time such as "2027-01-31T00:00:00Z"' }],
  async create(client, inputs) {
    const { token, id } = await client.post(`projects/${segment(inputs.project)}/deploy_tokens`, {
      name: inputs.name,
      scopes: inputs.scopes,
      ...(inputs.username === undefined ? {} : { username: inputs.username }),
      ...(inputs.expiresAt === undefined ? {} : { expires_at: inputs.expiresAt }),
    });
    return { id: `${String(inputs.project)}:${String(id)}`, once: { token } };
  },
  async read(client, id, state) {
    const [project, number] = splitId(id);
    const found = await client.lookUp(`projects/${segment(project)}/deploy_tokens/${segment(number)}`);
    if (!found || found.revoked === true) return undefined;
    const { token: _token, expires_at: expires, ...shown } = found;
    // A day comes back as that day's midnight.
    const given = state.expiresAt;
    const same =
      typeof given === 'string' && typeof expires === 'string' && Date.parse(given) === Date.parse(expires);
    return { ...shown, project, expires_at: same ? given : expires };
  },
  async delete(client, id) {
    const [project, number] = splitId(id);
    await client.delete(`projects/${segment(project)}/deploy_tokens/${segment(number)}`);
  },
};

export const deployKey: Kind = {
  covered: ['project', 'title', 'key', 'canPush', 'expiresAt'],
  rename: { deployKeyId: 'id' },
  async create(client, inputs) {
    const made = await client.post(`projects/${segment(inputs.project)}/deploy_keys`, {
      title: inputs.title,
      key: inputs.key,
      can_push: inputs.canPush ?? false,
      ...(inputs.expiresAt === undefined ? {} : { expires_at: inputs.expiresAt }),
    });
    return { id: `${String(inputs.project)}:${String(made.id)}` };
  },
  async read(client, id, state) {
    const [project, key] = splitId(id);
    const found = await client.lookUp(`projects/${segment(project)}/deploy_keys/${segment(key)}`);
    // GitLab keeps a key without its comment; the same key is not a change.
    const body = (text: unknown) => String(text).split(/\s+/).slice(0, 2).join(' ');
    return found && { ...found, project, key: body(found.key) === body(state.key) ? state.key : found.key };
  },
  async delete(client, id) {
    const [project, key] = splitId(id);
    await client.delete(`projects/${segment(project)}/deploy_keys/${segment(key)}`);
  },
};

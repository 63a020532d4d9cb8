import { jcascVariable } from '../../text/jcasc';
import { names } from '../shared/naming';
import type { FullSpec } from './defaults';
import type { JenkinsLogin } from './jenkins';
import { cascSecrets, reconcilerLogsIn } from './names';

/** The one user of Jenkins' own. */
const ADMIN = 'admin';

/**
 * Whom the emergency login belongs to. What a provider says of a person's groups is taken as it comes, and at some of them
 * people make groups of their own: so this one has a name that nobody can guess.
 */
const EMERGENCY = jcascVariable(cascSecrets.emergencyGroup);

const READ = ['Job/Discover', 'Job/Read', 'Overall/Read', 'View/Read'];
/** Permissions of matrix-auth by role, in its words (`PermissionDefinition`: title of the group, name). */
const PERMISSIONS = {
  admin: ['Overall/Administer'],
  operator: [...READ, 'Job/Build', 'Job/Cancel'].sort(),
  reader: READ,
} as const;

/** Whether the user `admin` is there: with GitLab's OAuth there is no way in beside it. */
export const hasAdmin = ({ login }: Pick<FullSpec, 'login'>): boolean => login?.gitlab === undefined;

/**
 * Who people are. Keys of oic-auth 4.718 (`OicSecurityRealm`, `OicServerWellKnownConfiguration` and
 * `properties/EscapeHatch` by their constructors and setters) and of gitlab-oauth 1.30 (`GitLabSecurityRealm`, which has no
 * symbol: configuration-as-code calls it `gitLab`).
 */
function providerRealm(
  { openIdConnect: oidc, gitlab: oauth }: JenkinsLogin,
  gitlabUrl: string,
  readerLogsIn: boolean,
) {
  const clientSecret = jcascVariable(cascSecrets.clientSecret);
  if (oauth) {
    const address = gitlabUrl.replace(/\/+$/, '');
    return {
      gitLab: { gitlabWebUri: address, gitlabApiUri: address, clientID: oauth.clientId, clientSecret },
    };
  }
  return {
    oic: {
      clientId: oidc?.clientId ?? '',
      clientSecret,
      serverConfiguration: {
        wellKnown: {
          wellKnownOpenIDConfigurationUrl: oidc?.wellKnown ?? '',
          scopesOverride: oidc?.scopes ?? '',
        },
      },
      userNameField: oidc?.userName ?? '',
      fullNameFieldName: 'name',
      emailFieldName: 'email',
      groupsFieldName: oidc?.groups ?? '',
      disableSslVerification: false,
      // The reader's API token holds longer than a session at the provider. (`handleTokenExpiration`: without it, whoever logged
      // in once is sent to the provider when that session is over, whatever token comes.)
      ...(readerLogsIn ? { allowTokenAccessWithoutOicSession: true } : {}),
      properties: [
        'pkce',
        {
          escapeHatch: {
            username: ADMIN,
            group: EMERGENCY,
            secret: jcascVariable(cascSecrets.adminPassword),
          },
        },
      ],
    },
  };
}

/** JCasC: how people get in. */
export const securityRealm = (spec: FullSpec) => {
  if (spec.login) return providerRealm(spec.login, spec.gitlab.url, spec.reader !== undefined);
  return {
    local: {
      allowsSignup: false,
      users: [
        { id: ADMIN, password: jcascVariable(cascSecrets.adminPassword) },
        ...(reconcilerLogsIn(spec)
          ? [{ id: names.reconciler, password: jcascVariable(cascSecrets.reconcilerPassword) }]
          : []),
      ],
    },
  };
};

/** JCasC: what they may do. matrix-auth 3.3: `entries` of `group` and `user`, each with `name` and `permissions`. */
export function authorizationStrategy({ login, anonymousRead, reader }: FullSpec) {
  if (!login) return { loggedInUsersCanDoAnything: { allowAnonymousRead: anonymousRead } };
  const permissions = new Map<string, Set<string>>();
  const grant = (name: string, names: readonly string[]) =>
    permissions.set(name, new Set([...(permissions.get(name) ?? []), ...names]));
  for (const role of ['admin', 'operator', 'reader'] as const)
    for (const name of login.roles[role]) grant(name, PERMISSIONS[role]);
  const groups = [...permissions].sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    globalMatrix: {
      entries: [
        ...groups.map(([name, all]) => ({ group: { name, permissions: [...all].sort() } })),
        ...(login.openIdConnect ? [{ group: { name: EMERGENCY, permissions: PERMISSIONS.admin } }] : []),
        // By name: of groups a request with an API token has only those of the last login, or none.
        ...(reader ? [{ user: { name: reader.user, permissions: READ } }] : []),
        ...(anonymousRead ? [{ user: { name: 'anonymous', permissions: READ } }] : []),
      ],
    },
  };
}

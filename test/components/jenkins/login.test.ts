import { parse } from 'yaml';
import type { Model } from '../../../components/model';
import { stackVariables } from '../../../stacks/secrets';
import { cascYaml } from '../../support/jenkins';
import { argsOf, modelWith, OAUTH, OIDC } from './support';

const security = (model: Model) => {
  const { jenkins } = parse(cascYaml(model)) as {
    jenkins: { securityRealm: object; authorizationStrategy: object };
  };
  return { realm: jenkins.securityRealm, strategy: jenkins.authorizationStrategy };
};

const READ = ['Job/Discover', 'Job/Read', 'Overall/Read', 'View/Read'];
const OPERATE = ['Job/Build', 'Job/Cancel', ...READ];

test('by OpenID Connect people are who the provider says; admin is the escape hatch', () => {
  // oic-auth: OicSecurityRealm, OicServerWellKnownConfiguration, properties Pkce and EscapeHatch.
  expect(security(modelWith(OIDC)).realm).toEqual({
    oic: {
      clientId: 'jenkins',
      clientSecret: '${LOGIN_CLIENT_SECRET}',
      serverConfiguration: {
        wellKnown: {
          wellKnownOpenIDConfigurationUrl: 'https://id.test/.well-known/openid-configuration',
          scopesOverride: 'openid profile email',
        },
      },
      userNameField: 'preferred_username',
      fullNameFieldName: 'name',
      emailFieldName: 'email',
      groupsFieldName: 'groups',
      disableSslVerification: false,
      properties: [
        'pkce',
        { escapeHatch: { username: 'admin', group: '${EMERGENCY_GROUP}', secret: '${ADMIN_PASSWORD}' } },
      ],
    },
  });
});

test("by GitLab's OAuth there is no user of Jenkins' own, and no password of one", () => {
  // gitlab-oauth: the constructor of GitLabSecurityRealm.
  const model = modelWith(OAUTH);
  expect(security(model).realm).toEqual({
    gitLab: {
      gitlabWebUri: 'https://gitlab.test',
      gitlabApiUri: 'https://gitlab.test',
      clientID: 'jenkins',
      clientSecret: '${LOGIN_CLIENT_SECRET}',
    },
  });
  expect(cascYaml(model)).not.toContain('ADMIN_PASSWORD');
  expect(argsOf('kubernetes:core/v1:Secret', model, 'jenkins-casc-secrets').stringData).toEqual({
    LOGIN_CLIENT_SECRET: '«given:JENKINS_SECRET»',
    HOOK_TOKEN_SHOP: '«secret:hook/shop»',
  });
});

test('groups are roles: of two the wider, sorted, and who is in none may do nothing', () => {
  const group = (name: string, permissions: string[]) => ({ group: { name, permissions } });
  const entries = [
    group('on-call', OPERATE),
    group('platform', [
      'Job/Build',
      'Job/Cancel',
      'Job/Discover',
      'Job/Read',
      'Overall/Administer',
      'Overall/Read',
      'View/Read',
    ]),
    group('shop/orders', READ),
  ];
  const emergency = group('${EMERGENCY_GROUP}', ['Overall/Administer']);
  expect(security(modelWith(OIDC)).strategy).toEqual({ globalMatrix: { entries: [...entries, emergency] } });
  // Nobody "authenticated" may do anything.
  expect(security(modelWith(OAUTH)).strategy).toEqual({ globalMatrix: { entries } });
  expect(security(modelWith(`anonymousRead: true, ${OAUTH}`)).strategy).toEqual({
    globalMatrix: { entries: [...entries, { user: { name: 'anonymous', permissions: READ } }] },
  });
});

// oic-auth takes a person's groups from the claim as they come: whoever may make a group at the provider names it as they like.
test('no group that somebody makes at the provider opens the emergency’s door: its name is derived, and stands in a Secret', () => {
  const model = modelWith(OIDC);
  const { realm, strategy } = security(model);
  const { entries } = (
    strategy as { globalMatrix: { entries: { group: { name: string; permissions: string[] } }[] } }
  ).globalMatrix;
  const administer = entries.filter(({ group }) => group.permissions.includes('Overall/Administer'));
  expect(administer.map(({ group }) => group.name)).toEqual(['platform', '${EMERGENCY_GROUP}']);
  expect(JSON.stringify(realm)).toContain('"group":"${EMERGENCY_GROUP}"');
  const { stringData } = argsOf('kubernetes:core/v1:Secret', model, 'jenkins-casc-secrets');
  expect(stringData).toMatchObject({ EMERGENCY_GROUP: '«secret:jenkins/emergency-group»' });
  for (const other of [OAUTH, '']) expect(cascYaml(modelWith(other))).not.toContain('EMERGENCY_GROUP');
});

test("the client's secret is a variable that a whole `up` needs, and stands in one Secret only", () => {
  const model = modelWith(OIDC);
  expect(stackVariables(model.settings)).toContainEqual({
    variable: 'JENKINS_SECRET',
    place: 'config.jenkins.login.openIdConnect.clientSecretFrom',
  });
  expect(argsOf('kubernetes:core/v1:Secret', model, 'jenkins-casc-secrets').stringData).toMatchObject({
    ADMIN_PASSWORD: '«secret:jenkins/admin»',
    LOGIN_CLIENT_SECRET: '«given:JENKINS_SECRET»',
  });
  expect(cascYaml(model)).not.toContain('JENKINS_SECRET');
});

test('text of the stack is text in the configuration, whatever it looks like', () => {
  const evil = OIDC.replace('clientId: jenkins', 'clientId: "${ADMIN_PASSWORD}"').replace(
    '[platform]',
    '["${ADMIN_PASSWORD} a"]',
  );
  const yaml = cascYaml(modelWith(evil));
  expect(yaml).toContain('clientId: ^${ADMIN_PASSWORD}');
  expect(yaml).toContain('name: ^${ADMIN_PASSWORD} a');
});

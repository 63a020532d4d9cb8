import { keepsParts } from '../../stacks/backend';
import { namespacesOf } from '../../stacks/namespaces';
import { buildsLogIn } from '../../stacks/registry';
import type { StackSettings } from '../../stacks/schema';
import { deployVariables, PASSPHRASE_VARIABLE, secretSources } from '../../stacks/secrets';
import { botToken, readerToken } from '../gitlab/access';
import type { Model } from '../model';
import { modulePurpose } from '../production/access';
import type { Declaration } from '../shared/declaration';
import { jenkinsEndpoint } from '../shared/jenkins-endpoint';
import { namespaceHandle, object } from '../shared/kubernetes';
import { labels, names } from '../shared/naming';
import { givenRef, joinedBy, keyRef, type Ref, secretRef } from '../shared/references';
import { derivedLogin, dockerConfig, loginPurpose } from '../shared/registry-login';
import { productionAccess } from './deploy-access';
import { BASES_SECRET, credentialIds, partPurpose, partSecretName } from './names';

/** What builds log in with: Secrets that the credentials provider finds by their label. */
export function credentials(model: Model): Declaration[] {
  const endpoint = jenkinsEndpoint(model.settings);
  const credential = (
    name: string,
    id: string,
    type: string,
    data: Record<string, string | Ref>,
    module?: string,
  ) =>
    object(
      'kubernetes:core/v1:Secret',
      name,
      'ci',
      {
        namespace: endpoint.namespace,
        name: id,
        labels: {
          ...labels({
            name: 'jenkins',
            component: 'jenkins',
            environment: model.settings.environment,
            module,
          }),
          'jenkins.io/credentials-type': type,
        },
        annotations: { 'jenkins.io/credentials-description': 'Made by Switchyard' },
      },
      { stringData: data },
      // Another's Jenkins has its namespace already.
      { dependsOn: model.settings.jenkins.existing ? [] : [namespaceHandle('jenkins')] },
    );
  const { registry } = model.settings;
  return [
    credential('jenkins-bot-token', credentialIds.botToken, 'secretText', { text: botToken }),
    credential('jenkins-reader-token', credentialIds.readerToken, 'secretText', { text: readerToken }),
    credential('jenkins-bot-login', credentialIds.botLogin, 'usernamePassword', {
      username: 'oauth2',
      password: botToken,
    }),
    credential('jenkins-certificate-key', credentialIds.certificateKey, 'secretText', {
      // Of this environment: stacks that share a seed do not take each other's certificates.
      text: secretRef(`certificate/${model.settings.environment}`),
    }),
    ...model.modules.map(({ name }) => {
      // Another's registry knows one user that pushes; who may push where is its owner's matter.
      const user = registry.existing ? names.pushUser : names.modulePushUser(name);
      return credential(
        `jenkins-registry-${name}`,
        credentialIds.registry(name),
        'usernamePassword',
        { username: registry.existing?.push.user ?? user, password: secretRef(loginPurpose(user)) },
        name,
      );
    }),
    ...model.modules.flatMap(({ name }) => [
      credential(
        `jenkins-keys-${name}`,
        credentialIds.keys(name),
        'secretText',
        {
          text: joinedBy(
            ' ',
            [modulePurpose(name), ...(registry.existing ? [] : [loginPurpose(names.pullUser)])].map((path) =>
              keyRef(path),
            ),
          ),
        },
        name,
      ),
      // At Pulumi Cloud there are no parts.
      ...(keepsParts(model.settings.backend)
        ? [
            credential(
              partSecretName(name),
              credentialIds.part(name),
              'secretText',
              { text: secretRef(partPurpose(name)) },
              name,
            ),
          ]
        : []),
    ]),
  ];
}

/** Login for the images that every build may start from. It goes from the delivery Pod to builds, and into no other Pod. */
function basesLogin({ settings }: Model, common: Record<string, string>): Declaration[] {
  if (!buildsLogIn(settings)) return [];
  return [
    object(
      'kubernetes:core/v1:Secret',
      'agents-bases',
      'ci',
      { namespace: namespacesOf(settings).agents, name: BASES_SECRET, labels: common },
      {
        type: 'kubernetes.io/dockerconfigjson',
        stringData: {
          '.dockerconfigjson': dockerConfig(settings.registry.address, derivedLogin(names.basesUser)),
        },
      },
      { dependsOn: ['agents-namespace'] },
    ),
  ];
}

/** Whether a variable of deploys is the same for all modules: what opens a state and gives its secrets is not. */
const isOfAll = ({ backend }: StackSettings, variable: string): boolean =>
  variable !== secretSources.seed && !(keepsParts(backend) && variable === PASSPHRASE_VARIABLE);

/** What the Pods of rollouts are given, and what builds may log in with to pull base images. */
export function deployAccess(model: Model): Declaration[] {
  const { settings } = model;
  const about = { name: names.deployer, component: 'jenkins', environment: settings.environment };
  const common = labels(about);
  const within = (name: string, module?: string) => ({
    namespace: namespacesOf(model.settings).deploy,
    name,
    labels: labels({ ...about, module }),
  });
  const after = { dependsOn: ['deploy-namespace'] };
  return [
    ...model.modules.map(({ name }) =>
      object(
        'kubernetes:core/v1:ServiceAccount',
        `deploy-account-${name}`,
        'ci',
        within(names.deployerOf(name), name),
        {},
        after,
      ),
    ),
    ...productionAccess(model),
    object(
      'kubernetes:core/v1:Secret',
      'deploy-environment',
      'ci',
      within('deploy-environment'),
      {
        stringData: Object.fromEntries(
          deployVariables(settings).flatMap(({ variable }) =>
            isOfAll(settings, variable) ? [[variable, givenRef(variable)]] : [],
          ),
        ),
      },
      after,
    ),
    ...basesLogin(model, common),
  ];
}

import { namespacesOf } from '../../stacks/namespaces';
import { deployVariables } from '../../stacks/secrets';
import type { Model } from '../model';
import type { Declaration } from '../shared/declaration';
import { dockerConfig, object } from '../shared/kubernetes';
import { labels, names } from '../shared/naming';
import { givenRef, outputRef, type Ref, secretRef } from '../shared/references';
import { productionAccess } from './deploy-access';
import { credentialIds } from './names';

/** What builds log in with: Secrets that the credentials provider finds by their label. */
export function credentials(model: Model): Declaration[] {
  const credential = (name: string, id: string, type: string, data: Record<string, string | Ref>) =>
    object(
      'kubernetes:core/v1:Secret',
      name,
      'ci',
      {
        namespace: namespacesOf(model.settings).ci,
        name: id,
        labels: {
          ...labels({ name: 'jenkins', component: 'jenkins', environment: model.settings.environment }),
          'jenkins.io/credentials-type': type,
        },
        annotations: { 'jenkins.io/credentials-description': 'Made by Switchyard' },
      },
      { stringData: data },
      { dependsOn: ['jenkins-namespace'] },
    );
  const botToken = outputRef('gitlab-bot', 'token');
  return [
    credential('jenkins-bot-token', credentialIds.botToken, 'secretText', { text: botToken }),
    credential('jenkins-bot-login', credentialIds.botLogin, 'usernamePassword', {
      username: 'oauth2',
      password: botToken,
    }),
    credential('jenkins-certificate-key', credentialIds.certificateKey, 'secretText', {
      text: secretRef('certificate'),
    }),
  ];
}

/** What the Pods of builds and rollouts are given: push rights, and the account that may change production. */
export function deployAccess(model: Model): Declaration[] {
  const { settings } = model;
  const common = labels({ name: names.deployer, component: 'jenkins', environment: settings.environment });
  const within = (name: string) => ({ namespace: namespacesOf(model.settings).deploy, name, labels: common });
  const after = { dependsOn: ['deploy-namespace'] };
  return [
    object('kubernetes:core/v1:ServiceAccount', 'deploy-account', 'ci', within(names.deployer), {}, after),
    ...productionAccess(model),
    object(
      'kubernetes:core/v1:Secret',
      'deploy-environment',
      'ci',
      within('deploy-environment'),
      {
        stringData: Object.fromEntries(
          deployVariables(settings).map(({ variable }) => [variable, givenRef(variable)]),
        ),
      },
      after,
    ),
    object(
      'kubernetes:core/v1:Secret',
      'agents-push',
      'ci',
      { namespace: namespacesOf(model.settings).agents, name: 'registry-push', labels: common },
      {
        type: 'kubernetes.io/dockerconfigjson',
        stringData: { '.dockerconfigjson': dockerConfig(settings.registry.address, names.pushUser) },
      },
      { dependsOn: ['agents-namespace'] },
    ),
  ];
}

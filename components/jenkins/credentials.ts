import { namespacesOf } from '../../stacks/namespaces';
import { deployVariables } from '../../stacks/secrets';
import type { Model } from '../model';
import type { Declaration } from '../shared/declaration';
import { dockerConfig, object } from '../shared/kubernetes';
import { labels, names } from '../shared/naming';
import { outputRef, type Ref, secretRef } from '../shared/references';
import { productionAccess } from './deploy-access';
import { BASES_SECRET, credentialIds, ofPods } from './names';

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
  const { registry } = model.settings;
  const botToken = outputRef('gitlab-bot', 'token');
  return [
    credential('jenkins-bot-token', credentialIds.botToken, 'secretText', { text: botToken }),
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
      return credential(`jenkins-registry-${name}`, credentialIds.registry(name), 'usernamePassword', {
        username: registry.existing?.push.user ?? user,
        password: secretRef(`registry/${user}`),
      });
    }),
  ];
}

/** Login for the images that every build may start from. It goes from the delivery Pod to builds, and into no other Pod. */
function basesLogin({ settings }: Model, common: Record<string, string>): Declaration[] {
  if (settings.registry.existing) return [];
  return [
    object(
      'kubernetes:core/v1:Secret',
      'agents-bases',
      'ci',
      { namespace: namespacesOf(settings).agents, name: BASES_SECRET, labels: common },
      {
        type: 'kubernetes.io/dockerconfigjson',
        stringData: { '.dockerconfigjson': dockerConfig(settings.registry.address, names.basesUser) },
      },
      { dependsOn: ['agents-namespace'] },
    ),
  ];
}

/** What the Pods of rollouts are given, and what builds may log in with to pull base images. */
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
          deployVariables(settings).map(({ variable }) => [variable, ofPods(variable)]),
        ),
      },
      after,
    ),
    ...basesLogin(model, common),
  ];
}

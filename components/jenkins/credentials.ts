import { namespacesOf } from '../../stacks/namespaces';
import type { Declaration } from '../shared/declaration';
import { jenkinsEndpoint } from '../shared/jenkins-endpoint';
import { namespaceHandle, object } from '../shared/kubernetes';
import { labels, names } from '../shared/naming';
import { inputRef, type Ref, secretRef } from '../shared/references';
import { dockerConfig } from '../shared/registry-login';
import type { FullSpec } from './defaults';
import { productionAccess } from './deploy-access';
import { BASES_SECRET, certificatePurpose, credentialIds, partPurpose, partSecretName } from './names';

/** What builds log in with: Secrets that the credentials provider finds by their label. */
export function credentials(spec: FullSpec): Declaration[] {
  const endpoint = jenkinsEndpoint(spec);
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
            environment: spec.environment,
            module,
          }),
          'jenkins.io/credentials-type': type,
        },
        annotations: { 'jenkins.io/credentials-description': 'Made by Switchyard' },
      },
      { stringData: data },
      // Another's Jenkins has its namespace already.
      { dependsOn: spec.existing ? [] : [namespaceHandle('jenkins')] },
    );
  const { gitlab, modules, parts } = spec;
  const botToken = inputRef('gitlab.botToken', gitlab.botToken);
  return [
    credential('jenkins-bot-token', credentialIds.botToken, 'secretText', { text: botToken }),
    credential('jenkins-reader-token', credentialIds.readerToken, 'secretText', {
      text: inputRef('gitlab.readerToken', gitlab.readerToken),
    }),
    credential('jenkins-bot-login', credentialIds.botLogin, 'usernamePassword', {
      username: 'oauth2',
      password: botToken,
    }),
    credential('jenkins-certificate-key', credentialIds.certificateKey, 'secretText', {
      text: secretRef(certificatePurpose(spec.environment)),
    }),
    ...modules.map(({ name, push }) =>
      credential(
        `jenkins-registry-${name}`,
        credentialIds.registry(name),
        'usernamePassword',
        { username: push.user, password: inputRef('push.password', push.password) },
        name,
      ),
    ),
    ...modules.flatMap(({ name, keys }) => [
      ...(keys === undefined
        ? []
        : [
            credential(
              `jenkins-keys-${name}`,
              credentialIds.keys(name),
              'secretText',
              { text: inputRef('keys', keys) },
              name,
            ),
          ]),
      // At Pulumi Cloud there are no parts.
      ...(parts
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
function basesLogin(spec: FullSpec, common: Record<string, string>): Declaration[] {
  const { address, bases } = spec.registry;
  if (!bases) return [];
  return [
    object(
      'kubernetes:core/v1:Secret',
      'agents-bases',
      'ci',
      { namespace: namespacesOf(spec).agents, name: BASES_SECRET, labels: common },
      {
        type: 'kubernetes.io/dockerconfigjson',
        stringData: {
          '.dockerconfigjson': dockerConfig(address, bases),
        },
      },
      { dependsOn: ['agents-namespace'] },
    ),
  ];
}

/** What the Pods of rollouts are given, and what builds may log in with to pull base images. */
export function deployAccess(spec: FullSpec): Declaration[] {
  const about = { name: names.deployer, component: 'jenkins', environment: spec.environment };
  const common = labels(about);
  const within = (name: string, module?: string) => ({
    namespace: namespacesOf(spec).deploy,
    name,
    labels: labels({ ...about, module }),
  });
  const after = { dependsOn: ['deploy-namespace'] };
  return [
    ...spec.modules.map(({ name }) =>
      object(
        'kubernetes:core/v1:ServiceAccount',
        `deploy-account-${name}`,
        'ci',
        within(names.deployerOf(name), name),
        {},
        after,
      ),
    ),
    ...productionAccess(spec),
    object(
      'kubernetes:core/v1:Secret',
      'deploy-environment',
      'ci',
      within('deploy-environment'),
      {
        stringData: Object.fromEntries(
          Object.entries(spec.deployEnvironment).map(([name, value]) => [name, inputRef(name, value)]),
        ),
      },
      after,
    ),
    ...basesLogin(spec, common),
  ];
}

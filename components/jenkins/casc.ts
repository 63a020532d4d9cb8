import { stringify } from 'yaml';
import { restrictedContainer } from '../../catalog/containers';
import type { Module } from '../../catalog/load';
import type { Model } from '../model';
import { names } from '../shared/naming';
import { outputRef } from '../shared/references';

const AGENT_USER = 1000;

/** File names below JCasC's secrets folder. */
export const cascSecrets = {
  adminPassword: 'ADMIN_PASSWORD',
  hookToken: (module: string) => `HOOK_TOKEN_${module.replaceAll('-', '_').toUpperCase()}`,
} as const;

/** Ids of the credentials that builds use; each is a labelled Secret of the same name. */
export const credentialIds = {
  botToken: 'gitlab-bot-token',
  botLogin: 'gitlab-bot',
  certificateKey: 'certificate-key',
} as const;

const agentContainer = (name: string, image: string, env: readonly object[], mounts: readonly object[]) => ({
  name,
  image,
  command: ['sleep'],
  args: ['infinity'],
  env: [{ name: 'HOME', value: '/home/jenkins/agent' }, ...env],
  resources: { requests: { cpu: '100m', memory: '256Mi' }, limits: { memory: '1Gi' } },
  securityContext: { ...restrictedContainer, runAsUser: AGENT_USER },
  volumeMounts: [{ name: 'tmp', mountPath: '/tmp' }, ...mounts],
});

const jnlpContainer = (image: string) => ({
  name: 'jnlp',
  image,
  resources: { requests: { cpu: '50m', memory: '128Mi' }, limits: { memory: '512Mi' } },
  securityContext: { ...restrictedContainer, runAsUser: AGENT_USER },
  volumeMounts: [{ name: 'tmp', mountPath: '/tmp' }],
});

const agentPod = (spec: object) =>
  stringify(
    {
      apiVersion: 'v1',
      kind: 'Pod',
      spec: {
        automountServiceAccountToken: false,
        enableServiceLinks: false,
        imagePullSecrets: [{ name: names.pullSecret }],
        securityContext: {
          runAsNonRoot: true,
          runAsUser: AGENT_USER,
          runAsGroup: AGENT_USER,
          fsGroup: AGENT_USER,
          seccompProfile: { type: 'RuntimeDefault' },
        },
        ...spec,
      },
    },
    { sortMapEntries: true, aliasDuplicateObjects: false },
  );

/** The Pod in which a merge request is built, judged and merged. */
function deliveryPod(model: Model, image: string): string {
  const { settings } = model;
  return agentPod({
    containers: [
      agentContainer(
        'delivery',
        image,
        [
          { name: 'BUILDKIT_HOST', value: `tcp://buildkitd.${names.buildNamespace}.svc:1234` },
          { name: 'DOCKER_CONFIG', value: '/docker' },
          { name: 'GITLAB_URL', value: settings.gitlab.url },
          { name: 'REGISTRY', value: settings.registry.address },
          { name: 'REGISTRY_PLAIN_HTTP', value: String(settings.registry.scheme === 'http') },
          { name: 'SWITCHYARD_ENVIRONMENT', value: settings.environment },
          { name: 'SWITCHYARD_GITLAB_GROUP', value: settings.gitlab.group },
          ...topologyEnvironment(model),
        ],
        [{ name: 'docker', mountPath: '/docker', readOnly: true }],
      ),
      jnlpContainer(image),
    ],
    volumes: [
      {
        name: 'docker',
        secret: { secretName: 'registry-push', items: [{ key: '.dockerconfigjson', path: 'config.json' }] },
      },
      { name: 'tmp', emptyDir: {} },
    ],
  });
}

/** The Pod that runs `up` of one module. The only one with a service account that may change production. */
function deployPod(model: Model, image: string): string {
  return agentPod({
    automountServiceAccountToken: true,
    serviceAccountName: names.deployer,
    containers: [
      {
        ...agentContainer(
          'deploy',
          image,
          [
            { name: 'KUBECONFIG', value: '/kubeconfig/config' },
            // Pulumi asks the password file for its home, and that one is read-only.
            { name: 'PULUMI_HOME', value: '/home/jenkins/agent/.pulumi' },
            { name: 'SWITCHYARD_ENVIRONMENT', value: model.settings.environment },
          ],
          [{ name: 'kubeconfig', mountPath: '/kubeconfig', readOnly: true }],
        ),
        envFrom: [{ secretRef: { name: 'deploy-environment' } }],
      },
      jnlpContainer(image),
    ],
    volumes: [
      { name: 'kubeconfig', configMap: { name: 'deploy-kubeconfig' } },
      { name: 'tmp', emptyDir: {} },
    ],
  });
}

/** Tells `delivery` which project is this repository, and what of it is previewed and applied. */
function topologyEnvironment({ settings }: Model): { name: string; value: string }[] {
  const { topologyProject } = settings;
  if (!topologyProject) return [];
  return [
    { name: 'SWITCHYARD_TOPOLOGY_PROJECT', value: topologyProject.path },
    {
      name: 'SWITCHYARD_TOPOLOGY_ENVIRONMENTS',
      value: (topologyProject.environments ?? [settings.environment]).join(','),
    },
  ];
}

/** The Pod that runs a merge request's own program. It has no Secret, and an account that can read no Secret. */
function previewPod(image: string): string {
  const kubeconfig = { name: 'kubeconfig', mountPath: '/kubeconfig', readOnly: true };
  return agentPod({
    automountServiceAccountToken: true,
    serviceAccountName: names.previewer,
    containers: [
      {
        ...agentContainer(
          'preview',
          image,
          [{ name: 'KUBECONFIG', value: '/kubeconfig/config' }],
          [kubeconfig],
        ),
        // An author's program decides what it uses: it gets so much, and no more.
        resources: { requests: { cpu: '100m', memory: '256Mi' }, limits: { cpu: '2', memory: '2Gi' } },
      },
      jnlpContainer(image),
    ],
    volumes: [
      { name: 'kubeconfig', configMap: { name: 'kubeconfig' } },
      { name: 'tmp', emptyDir: {} },
    ],
  });
}

/** The Pod that applies what was merged. It may change everything, as whoever runs `switchyard up` may. */
function applyPod(image: string): string {
  return agentPod({
    automountServiceAccountToken: true,
    serviceAccountName: names.applier,
    containers: [
      {
        ...agentContainer(
          'apply',
          image,
          [
            { name: 'KUBECONFIG', value: '/kubeconfig/config' },
            { name: 'PULUMI_HOME', value: '/home/jenkins/agent/.pulumi' },
          ],
          [{ name: 'kubeconfig', mountPath: '/kubeconfig', readOnly: true }],
        ),
        envFrom: [{ secretRef: { name: 'apply-environment' } }],
      },
      jnlpContainer(image),
    ],
    volumes: [
      { name: 'kubeconfig', configMap: { name: 'kubeconfig' } },
      { name: 'tmp', emptyDir: {} },
    ],
  });
}

/**
 * Job of this repository's own project. Its pipeline stands here and not in a Jenkinsfile: nothing of a merge request
 * runs where the credentials are.
 */
export function topologyJobScript(model: Model, path: string): string {
  const { gitlab, topologyProject } = model.settings;
  return `pipelineJob(${quote(`${gitlab.group}/${path}`)}) {
  description('Previews and applies merge requests on the topology itself')
  logRotator { numToKeep(100) }
  properties {
    gitLabConnection { gitLabConnection('gitlab') }
  }
  triggers {
    gitlab {
      triggerOnPush(true)
      triggerOnMergeRequest(true)
      triggerOpenMergeRequestOnPush('never')
      branchFilterType('NameBasedFilter')
      includeBranchesSpec('main')
      ciSkip(false)
      skipWorkInProgressMergeRequest(false)
      setBuildDescription(true)
      secretToken("\${${cascSecrets.hookToken(path)}}")
    }
  }
  definition {
    cps {
      script('''@Library('switchyard') _

topologyPipeline(apply: '${topologyProject?.apply}')
''')
      sandbox(true)
    }
  }
}
`;
}

const quote = (text: string): string => `'${text.replace(/[\\']/g, (character) => `\\${character}`)}'`;

/** Job DSL of one module's pipeline. Triggers stand here, not in the Jenkinsfile: they must hold before its first run. */
export function jobScript(model: Model, module: Module): string {
  const { gitlab } = model.settings;
  return `pipelineJob(${quote(`${gitlab.group}/${module.name}`)}) {
  description(${quote(module.description)})
  logRotator { numToKeep(100) }
  properties {
    gitLabConnection { gitLabConnection('gitlab') }
  }
  triggers {
    gitlab {
      triggerOnPush(true)
      triggerOnMergeRequest(true)
      triggerOpenMergeRequestOnPush('never')
      branchFilterType('NameBasedFilter')
      includeBranchesSpec('main')
      ciSkip(false)
      skipWorkInProgressMergeRequest(true)
      setBuildDescription(true)
      secretToken("\${${cascSecrets.hookToken(module.name)}}")
    }
  }
  definition {
    cpsScm {
      scm {
        git {
          remote {
            url(${quote(`${gitlab.url}/${gitlab.group}/${module.name}.git`)})
            credentials(${quote(credentialIds.botLogin)})
          }
          branch('^\${gitlabSourceBranch}')
        }
      }
      scriptPath('Jenkinsfile')
      lightweight(false)
    }
  }
}
`;
}

/** Jenkins' whole configuration. Secrets are named (`${NAME}`), never contained. */
export function cascYaml(model: Model): string {
  const { settings } = model;
  const { topologyProject } = settings;
  const image = outputRef('delivery-image', 'repoDigest');
  const template = (name: string, namespace: string, yaml: string) => ({
    name,
    label: name,
    namespace,
    nodeUsageMode: 'EXCLUSIVE',
    podRetention: 'never',
    showRawYaml: false,
    slaveConnectTimeout: 300,
    yaml,
    yamlMergeStrategy: 'override',
  });
  const casc = {
    jenkins: {
      systemMessage: 'Configured by Switchyard. Changes made here are undone by the next `up`.',
      numExecutors: 0,
      mode: 'EXCLUSIVE',
      securityRealm: {
        local: {
          allowsSignup: false,
          users: [{ id: 'admin', password: `\${${cascSecrets.adminPassword}}` }],
        },
      },
      authorizationStrategy: { loggedInUsersCanDoAnything: { allowAnonymousRead: true } },
      crumbIssuer: { standard: {} },
      slaveAgentPort: -1,
      clouds: [
        {
          kubernetes: {
            name: 'kubernetes',
            namespace: names.agentsNamespace,
            jenkinsUrl: `http://jenkins.${names.ciNamespace}.svc:8080`,
            webSocket: true,
            containerCapStr: '20',
            restrictedPssSecurityContext: true,
            garbageCollection: {
              namespaces: [
                names.agentsNamespace,
                names.deployNamespace,
                ...(topologyProject ? [names.previewNamespace] : []),
                ...(topologyProject?.apply === 'automatic' ? [names.applyNamespace] : []),
                ...model.modules.map((module) => names.testNamespace(module.name)),
              ].join('\n'),
              timeout: 600,
            },
            templates: [
              template('delivery', names.agentsNamespace, deliveryPod(model, image)),
              template('deploy', names.deployNamespace, deployPod(model, image)),
              ...(topologyProject ? [template('preview', names.previewNamespace, previewPod(image))] : []),
              ...(topologyProject?.apply === 'automatic'
                ? [template('apply', names.applyNamespace, applyPod(image))]
                : []),
            ],
          },
        },
      ],
    },
    unclassified: {
      location: { url: `${settings.jenkins.url}/` },
      gitLabConnectionConfig: {
        useAuthenticatedEndpoint: true,
        connections: [
          {
            name: 'gitlab',
            url: settings.gitlab.url,
            apiTokenId: credentialIds.botToken,
            clientBuilderId: 'autodetect',
          },
        ],
      },
      globalLibraries: {
        libraries: [
          {
            name: 'switchyard',
            defaultVersion: 'main',
            implicit: false,
            allowVersionOverride: false,
            retriever: {
              modernSCM: {
                scm: {
                  git: {
                    remote: `${settings.gitlab.url}/${settings.gitlab.group}/${names.libraryProject}.git`,
                    credentialsId: credentialIds.botLogin,
                  },
                },
              },
            },
          },
        ],
      },
    },
    security: {
      apiToken: { creationOfLegacyTokenEnabled: false, tokenGenerationOnCreationEnabled: false },
      globalJobDslSecurityConfiguration: { useScriptSecurity: false },
    },
    jobs: [
      { script: `folder(${quote(settings.gitlab.group)}) { description('Modules') }\n` },
      ...model.modules.map((module) => ({ script: jobScript(model, module) })),
      ...(topologyProject ? [{ script: topologyJobScript(model, topologyProject.path) }] : []),
    ],
  };
  return stringify(casc, { sortMapEntries: true, aliasDuplicateObjects: false, lineWidth: 0 });
}

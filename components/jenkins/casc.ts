import { escapeJcasc, JcascScalar, jcascSource } from '../../text/jcasc';
import { yamlText } from '../../text/yaml';
import { names } from '../shared/naming';
import { isTemplate, type Ref, show, shownText, Template, written } from '../shared/references';
import { kubernetesCloud } from './agents';
import { type FullSpec, withDefaults } from './defaults';
import type { JenkinsSpec } from './jenkins';
import { driftJobScript, folderScript, jobScript, rollbackJobScript, topologyJobScript } from './jobs';
import { authorizationStrategy, securityRealm } from './login';
import { credentialIds, testedHere } from './names';

/**
 * Jenkins' whole configuration. Secrets are named (`${NAME}`), never contained: the plugin reads them from the folder
 * that `SECRETS` names. All of it is applied by a reload; nothing here needs a restart.
 */
export function casc(spec: FullSpec) {
  const { gitlab, topologyProject } = spec;
  return {
    jenkins: {
      systemMessage: 'Configured by Switchyard. Changes made here are undone by the next `up`.',
      // Builds never run beside Jenkins' own files and secrets.
      numExecutors: 0,
      mode: 'EXCLUSIVE',
      securityRealm: securityRealm(spec),
      authorizationStrategy: authorizationStrategy(spec),
      // Its option about client addresses is gone since Jenkins 2.543, and stops the boot.
      crumbIssuer: { standard: {} },
      // Agents come by WebSocket: the TCP port stays shut.
      slaveAgentPort: -1,
      clouds: [{ kubernetes: kubernetesCloud(spec) }],
    },
    unclassified: {
      location: { url: `${spec.url}/` },
      gitLabConnectionConfig: {
        useAuthenticatedEndpoint: true,
        connections: [
          {
            name: 'gitlab',
            url: gitlab.url,
            apiTokenId: credentialIds.botToken,
            clientBuilderId: 'autodetect',
            // Seconds. Without either of them the plugin fails at each use of the connection, its own default included.
            connectionTimeout: 10,
            readTimeout: 10,
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
            // Else its commits would be listed as changes of every job.
            includeInChangesets: false,
            retriever: {
              modernSCM: {
                scm: {
                  git: {
                    remote: `${gitlab.url}/${gitlab.group}/${names.libraryProject}.git`,
                    credentialsId: credentialIds.botLogin,
                  },
                },
              },
            },
          },
        ],
      },
      timestamper: { allPipelines: true },
      // The plugin answers as soon as it is installed: without `metrics` it asks for a login.
      prometheusConfiguration: {
        path: 'prometheus',
        useAuthenticatedEndpoint: spec.metrics === undefined,
        collectingMetricsPeriodInSeconds: 60,
        // Walks all of Jenkins' home at every collection.
        collectDiskUsage: false,
      },
    },
    security: {
      apiToken: { creationOfLegacyTokenEnabled: false, tokenGenerationOnCreationEnabled: false },
    },
    jobs: [
      { script: folderScript(spec) },
      ...testedHere(spec).map((module) => ({ script: jobScript(spec, module) })),
      ...(spec.modules.length > 0 ? [{ script: rollbackJobScript(spec) }] : []),
      ...(topologyProject
        ? [
            { script: topologyJobScript(spec, topologyProject) },
            { script: driftJobScript(spec, topologyProject) },
          ]
        : []),
    ],
  };
}

/** Every text of the configuration as source, in which only {@link jcasc}'s variables are read as such. */
function sources(value: unknown): unknown {
  if (typeof value === 'string' || value instanceof JcascScalar) return jcascSource(value);
  if (isTemplate(value)) {
    const { pieces } = value;
    const safe = escapeJcasc(pieces.map((piece) => (typeof piece === 'string' ? piece : show(piece))));
    return new Template(
      pieces.map((piece, index) => (typeof piece === 'string' ? (safe[index] ?? '') : piece)),
    );
  }
  if (Array.isArray(value)) return value.map(sources);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, sources(inner)]));
}

/** Configuration as code, as its plugin reads it. */
export const cascText = (configuration: object): string | Ref =>
  written(sources(configuration), (plain) =>
    yamlText(plain, { sortMapEntries: true, aliasDuplicateObjects: false, lineWidth: 0 }),
  );

/** {@link cascText} of the whole configuration as people read it. */
export const cascYaml = (spec: JenkinsSpec): string => shownText(cascText(casc(withDefaults(spec))));

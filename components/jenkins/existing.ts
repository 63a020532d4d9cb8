import type { Declaration } from '../shared/declaration';
import { jenkinsEndpoint } from '../shared/jenkins-endpoint';
import { object } from '../shared/kubernetes';
import { labels } from '../shared/naming';
import { casc, cascText } from './casc';
import type { FullSpec } from './defaults';
import { hookTokens } from './names';
import { agentFiles } from './namespaces';

/**
 * In the place of a controller, where a Jenkins is there already: jobs, hook tokens and agents, for its own configuration as
 * code to take in.
 */
export function existingController(spec: FullSpec): Declaration[] {
  const { namespace } = jenkinsEndpoint(spec);
  const where = (name: string) => ({
    namespace,
    name,
    labels: labels({ name: 'jenkins', component: 'jenkins', environment: spec.environment }),
  });
  // The parts that another Jenkins needs as well; lists, which its plugin appends to its own.
  const { jobs, jenkins, unclassified } = casc(spec);
  const agents = {
    jenkins: { clouds: jenkins.clouds },
    unclassified: {
      gitLabConnectionConfig: { connections: unclassified.gitLabConnectionConfig.connections },
      globalLibraries: unclassified.globalLibraries,
    },
  };
  const map = (name: string, file: string, content: object) =>
    object(
      'kubernetes:core/v1:ConfigMap',
      name,
      'ci',
      where(file),
      { data: { [`${file}.yaml`]: cascText(content) } },
      { dependsOn: agentFiles(spec) },
    );
  return [
    map('jenkins-jobs', 'switchyard-jobs', { jobs }),
    map('jenkins-agents', 'switchyard-agents', agents),
    object('kubernetes:core/v1:Secret', 'jenkins-hook-tokens', 'ci', where('switchyard-hook-tokens'), {
      stringData: hookTokens(spec),
    }),
  ];
}

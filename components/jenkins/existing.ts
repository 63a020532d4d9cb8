import { namespacesOf } from '../../stacks/namespaces';
import type { Model } from '../model';
import type { Declaration } from '../shared/declaration';
import { object } from '../shared/kubernetes';
import { labels } from '../shared/naming';
import { isTemplate } from '../shared/references';
import { casc, cascText } from './casc';
import { hookTokens } from './names';
import { agentFiles } from './namespaces';

interface Metadata {
  readonly namespace?: string;
  readonly name?: string;
  readonly labels?: Readonly<Record<string, string>>;
}
const metadataOf = ({ args }: Declaration): Metadata =>
  ('metadata' in args ? (args.metadata as Metadata | undefined) : undefined) ?? {};

/** Whether it belongs to a Jenkins that Switchyard runs, and to no other: its namespace with all in it, its image. */
function isController(declaration: Declaration, ci: string): boolean {
  const { namespace, name, labels: given } = metadataOf(declaration);
  if (declaration.type === 'docker:index/image:Image') return declaration.name === 'jenkins-image';
  if (declaration.type === 'kubernetes:core/v1:Namespace') return name === ci;
  return namespace === ci && given?.['jenkins.io/credentials-type'] === undefined;
}

/** Jobs, hook tokens and agents, for the existing Jenkins' own configuration as code to take in. */
function configuration(model: Model, namespace: string): Declaration[] {
  const where = (name: string) => ({
    namespace,
    name,
    labels: labels({ name: 'jenkins', component: 'jenkins', environment: model.settings.environment }),
  });
  // The parts that another Jenkins needs as well; lists, which its plugin appends to its own.
  const { jobs, jenkins, unclassified } = casc(model);
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
      { dependsOn: agentFiles(model) },
    );
  return [
    map('jenkins-jobs', 'switchyard-jobs', { jobs }),
    map('jenkins-agents', 'switchyard-agents', agents),
    object('kubernetes:core/v1:Secret', 'jenkins-hook-tokens', 'ci', where('switchyard-hook-tokens'), {
      stringData: hookTokens(model),
    }),
  ];
}

/** Label that Kubernetes gives each namespace, and by which network policies name it. */
const NAMESPACE_LABEL = 'kubernetes.io/metadata.name';

/** One object of a declaration, with what says "our Jenkins" in it saying "that Jenkins". */
function redirected(
  value: Readonly<Record<string, unknown>>,
  ci: string,
  { namespace, serviceAccount }: { readonly namespace: string; readonly serviceAccount: string },
): Readonly<Record<string, unknown>> {
  if (value.namespace === ci) {
    const account = value.kind === 'ServiceAccount' && value.name === 'jenkins';
    return { ...value, namespace, ...(account ? { name: serviceAccount } : {}) };
  }
  if (value[NAMESPACE_LABEL] === ci) return { ...value, [NAMESPACE_LABEL]: namespace };
  if (value.key === NAMESPACE_LABEL && Array.isArray(value.values)) {
    return { ...value, values: value.values.map((name: unknown) => (name === ci ? namespace : name)) };
  }
  return value;
}

/** A copy of plain data with all that is in it {@link redirected}; references stay what they are. */
function redirectedAll(value: unknown, ci: string, existing: Parameters<typeof redirected>[2]): unknown {
  if (value === null || typeof value !== 'object' || isTemplate(value)) return value;
  if (Array.isArray(value)) return value.map((inner) => redirectedAll(inner, ci, existing));
  const here = redirected(value as Readonly<Record<string, unknown>>, ci, existing);
  return Object.fromEntries(
    Object.entries(here).map(([key, inner]) => [key, redirectedAll(inner, ci, existing)]),
  );
}

/**
 * The same topology around a Jenkins that is there already: without a controller, with the credentials in its namespace
 * and its service account where ours would be. Of a topology with its own Jenkins nothing changes.
 */
export function aroundJenkins(
  model: Model,
  box: string,
  declarations: readonly Declaration[],
): Declaration[] {
  const { existing } = model.settings.jenkins;
  if (!existing) return [...declarations];
  const { ci } = namespacesOf(model.settings);
  const isOurs = (declaration: Declaration) => isController(declaration, ci);
  const gone = new Set(declarations.filter(isOurs).map(({ name }) => name));
  const moved = (declaration: Declaration): Declaration => {
    const copy = redirectedAll(declaration, ci, existing) as Declaration;
    return { ...copy, dependsOn: copy.dependsOn?.filter((name) => !gone.has(name)) };
  };
  const kept = declarations.filter(({ name }) => !gone.has(name)).map(moved);
  return box === 'jenkins' ? [...kept, ...configuration(model, existing.namespace)] : kept;
}

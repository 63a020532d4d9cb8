import { parse, stringify } from 'yaml';
import type { Model } from '../model';
import type { Declaration } from '../shared/declaration';
import { object } from '../shared/kubernetes';
import { labels, names } from '../shared/naming';
import { cascYaml } from './casc';
import { hookTokens } from './names';

interface Metadata {
  readonly namespace?: string;
  readonly name?: string;
  readonly labels?: Readonly<Record<string, string>>;
}
const metadataOf = ({ args }: Declaration): Metadata =>
  ('metadata' in args ? (args.metadata as Metadata | undefined) : undefined) ?? {};

/** Whether it belongs to a Jenkins that Switchyard runs, and to no other: its namespace with all in it, its image. */
function isController(declaration: Declaration): boolean {
  const { namespace, name, labels: given } = metadataOf(declaration);
  if (declaration.type === 'docker:index/image:Image') return declaration.name === 'jenkins-image';
  if (declaration.type === 'kubernetes:core/v1:Namespace') return name === names.ciNamespace;
  return namespace === names.ciNamespace && given?.['jenkins.io/credentials-type'] === undefined;
}

/** Jobs and hook tokens, for the existing Jenkins' own configuration as code to take in. */
function jobs(model: Model, namespace: string): Declaration[] {
  const where = (name: string) => ({
    namespace,
    name,
    labels: labels({ name: 'jenkins', component: 'jenkins', environment: model.settings.environment }),
  });
  const { jobs: scripts } = parse(cascYaml(model)) as { jobs: unknown };
  const text = stringify({ jobs: scripts }, { lineWidth: 0 });
  return [
    object('kubernetes:core/v1:ConfigMap', 'jenkins-jobs', 'ci', where('switchyard-jobs'), {
      data: { 'switchyard-jobs.yaml': text },
    }),
    object('kubernetes:core/v1:Secret', 'jenkins-hook-tokens', 'ci', where('switchyard-hook-tokens'), {
      stringData: hookTokens(model),
    }),
  ];
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
  const gone = new Set(declarations.filter(isController).map(({ name }) => name));
  const moved = (declaration: Declaration): Declaration => {
    const text = JSON.stringify(declaration, (_key, value: unknown) => {
      if (value === null || typeof value !== 'object' || Array.isArray(value)) return value;
      const { kind, name, namespace } = value as { kind?: unknown; name?: unknown; namespace?: unknown };
      if (namespace !== names.ciNamespace) return value;
      if (kind === 'ServiceAccount' && name === 'jenkins')
        return { ...value, name: existing.serviceAccount, namespace: existing.namespace };
      return { ...value, namespace: existing.namespace };
    });
    const copy = JSON.parse(text) as Declaration;
    return { ...copy, dependsOn: copy.dependsOn?.filter((name) => !gone.has(name)) };
  };
  const kept = declarations.filter(({ name }) => !gone.has(name)).map(moved);
  return box === 'jenkins' ? [...kept, ...jobs(model, existing.namespace)] : kept;
}

import type { BoxDeclaration } from '../../components/boxes';
import type { Declaration } from '../../components/shared/declaration';
import { referencesIn } from '../../components/shared/references';
import { toYaml } from './yaml';

/** A type token taken apart: `kubernetes:core/v1:Secret` is package `kubernetes`, kind `Secret`. */
export function typeOf(declaration: Declaration): { readonly pack: string; readonly kind: string } {
  const [pack = '', , kind = ''] = declaration.type.split(':');
  return { pack, kind };
}

/** Kubernetes' name of an object and its namespace, as far as it has them. */
export function objectName(declaration: Declaration): {
  readonly name?: string;
  readonly namespace?: string;
} {
  const metadata: unknown = 'metadata' in declaration.args ? declaration.args.metadata : undefined;
  if (metadata === null || typeof metadata !== 'object') return {};
  const text = (key: string): string | undefined => {
    const value: unknown = Reflect.get(metadata, key);
    return typeof value === 'string' ? value : undefined;
  };
  return { name: text('name'), namespace: text('namespace') };
}

/**
 * Arguments as an API server takes them. A Secret's `data` is base64, which no reference is: what is known only at run
 * time stands in `stringData`, under the same key.
 */
function acceptable(declaration: Declaration): object {
  const { args } = declaration;
  if (declaration.type !== 'kubernetes:core/v1:Secret' || !('data' in args) || !args.data) return args;
  const entries = Object.entries(args.data);
  const open = entries.filter(([, value]) => referencesIn(value).length > 0);
  if (open.length === 0) return args;
  const encoded = entries.filter((entry) => !open.includes(entry));
  return {
    ...args,
    data: encoded.length > 0 ? Object.fromEntries(encoded) : undefined,
    stringData: { ...('stringData' in args ? args.stringData : {}), ...Object.fromEntries(open) },
  };
}

/** A Kubernetes object as a manifest: the arguments, with the kind that the type token says. */
export function manifest(declaration: Declaration): Record<string, unknown> {
  const [, groupVersion = '', kind] = declaration.type.split(':');
  const [group = '', version = ''] = groupVersion.split('/');
  return {
    apiVersion: group === 'core' ? version : `${group}/${version}`,
    kind,
    ...acceptable(declaration),
  };
}

/** Where a declaration's manifest or arguments stand, below the output folder. */
export function fileOf(box: BoxDeclaration, declaration: Declaration): string {
  const { pack, kind } = typeOf(declaration);
  if (pack !== 'kubernetes') return `${pack}/${box.name}.yaml`;
  // Sorts first, because kubectl applies the files of a folder by name and an object needs its namespace.
  return `kubernetes/${declaration.provider}/${kind === 'Namespace' ? '00-namespaces' : box.name}.yaml`;
}

/**
 * Manifests as one folder for each cluster (by its role), and the arguments of what is not Kubernetes' by package. Values
 * known only at run time, secrets among them, stand as named references (`«secret:hook/orders»`); they occur only where
 * the API takes any text, so that a dry run on a server accepts every file.
 */
export function manifestFiles(boxes: readonly BoxDeclaration[]): Map<string, string> {
  const documents = new Map<string, string[]>();
  const lists = new Map<string, object[]>();
  const add = <T>(files: Map<string, T[]>, file: string, item: T): void => {
    const items = files.get(file);
    if (items) items.push(item);
    else files.set(file, [item]);
  };
  for (const box of boxes) {
    for (const declaration of box.declarations) {
      const file = fileOf(box, declaration);
      if (typeOf(declaration).pack === 'kubernetes') add(documents, file, toYaml(manifest(declaration)));
      else add(lists, file, { type: declaration.type, name: declaration.name, args: declaration.args });
    }
  }
  return new Map([
    ...[...documents].map(([file, texts]): [string, string] => [file, texts.join('---\n')]),
    ...[...lists].map(([file, items]): [string, string] => [file, toYaml(items)]),
  ]);
}

import { entryOf } from '../catalog/entry';
import type { CatalogTexts } from '../catalog/load';
import type { StackSettings } from './schema';

/** Texts of this repository, by file name, that the topology's own Pods work from. */
export interface RepositoryFiles extends CatalogTexts {
  /** `Pulumi.<environment>.yaml`. */
  readonly stacks: Readonly<Record<string, string>>;
}

/** Which of this repository's files an environment's Pods work from. */
export interface Held {
  /** Environments, for their stack files; its own first. */
  readonly stacks: readonly string[];
  /** Modules, for their catalog files; undefined: all of the catalog. */
  readonly modules: readonly string[] | undefined;
}

/** Where a stack's settings name modules, and which. */
export function namedModules({ modules, gitlab }: StackSettings): [key: string, module: string][] {
  return [
    ...(modules ?? []).map((name, index): [string, string] => [`modules.${index}`, name]),
    ...Object.keys(gitlab.projects).map((name): [string, string] => [`gitlab.projects.${name}`, name]),
    ...gitlab.deployKeys.flatMap((key, index) =>
      (key.modules ?? []).map((name, at): [string, string] => [
        `gitlab.deployKeys.${index}.modules.${at}`,
        name,
      ]),
    ),
  ];
}

/**
 * The files of an environment, and with `topologyProject` those of the other environments that it previews.
 * @param read settings of another environment; undefined where its file cannot be read
 */
export function heldFiles(
  own: StackSettings,
  read: (environment: string) => StackSettings | undefined,
): Held {
  const others = (own.topologyProject?.environments ?? []).filter((name) => name !== own.environment);
  const all = [own, ...others.map(read)];
  return {
    stacks: [own.environment, ...others],
    modules: all.some((settings) => settings?.modules === undefined)
      ? undefined
      : [
          ...new Set(
            all.flatMap((settings) => (settings ? namedModules(settings).map(([, name]) => name) : [])),
          ),
        ].sort(),
  };
}

/**
 * Text of a file by the name that problems use, with the keys that they use: a stack's own stand without their prefix.
 * @param file e.g. `catalog/modules/orders.yaml`, `stacks/Pulumi.lab.yaml`
 */
export function textOf(files: RepositoryFiles, file: string): string | undefined {
  const [folder, kind = '', name = ''] = file.split('/');
  if (folder === 'stacks') {
    const text = entryOf(files.stacks, kind);
    return text === undefined ? undefined : withoutPrefix(text);
  }
  return folder === 'catalog' && (kind === 'modules' || kind === 'services')
    ? entryOf(files[kind], name)
    : undefined;
}

/** The text of a stack file with our keys as the settings have them; all else stays at its line and column. */
export const withoutPrefix = (text: string): string =>
  text.replace(/^([ \t]+)["']?switchyard:([A-Za-z]+)["']?:/gm, (whole, indent: string, key: string) =>
    `${indent}${key}:`.padEnd(whole.length),
  );

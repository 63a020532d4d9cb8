import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { type BoxDeclaration, topologyBoxes } from '../components/boxes';
import { cascYaml } from '../components/jenkins/casc';
import type { Model } from '../components/model';
import type { Declaration } from '../components/shared/declaration';

/** Files by path below the output folder. */
export type Rendered = ReadonlyMap<string, string>;

const toYaml = (value: unknown): string =>
  stringify(value, { sortMapEntries: true, aliasDuplicateObjects: false, lineWidth: 0 });

/** A Kubernetes object as a manifest: the arguments, with the kind that the type token says. */
function manifest(declaration: Declaration): Record<string, unknown> {
  const [, groupVersion = '', kind] = declaration.type.split(':');
  const slash = groupVersion.indexOf('/');
  const group = groupVersion.slice(0, slash);
  const version = groupVersion.slice(slash + 1);
  return { apiVersion: group === 'core' ? version : `${group}/${version}`, kind, ...declaration.args };
}

function table(box: BoxDeclaration): string[] {
  return box.declarations.map((declaration) => {
    const [pack, , kind] = declaration.type.split(':');
    return `| ${box.name} | ${pack} | ${kind} | ${declaration.name} |`;
  });
}

/**
 * The topology as files: manifests by box, what goes to GitLab and Docker, Jenkins' configuration, and a list of all
 * resources. Needs neither engine nor cluster nor network. Values known only at run time, secrets among them, stand as
 * named references (`«secret:hook/orders»`).
 * @param module only what belongs to this module
 */
export function renderTopology(model: Model, module?: string): Rendered {
  const boxes = topologyBoxes(model).filter((box) => module === undefined || box.module === module);
  const files = new Map<string, string>();
  const rows: string[] = [];
  for (const box of boxes) {
    rows.push(...table(box));
    const kubernetes = box.declarations.filter((declaration) => declaration.type.startsWith('kubernetes:'));
    const others = box.declarations.filter((declaration) => !declaration.type.startsWith('kubernetes:'));
    if (kubernetes.length > 0) {
      files.set(
        `kubernetes/${box.name}.yaml`,
        kubernetes.map((declaration) => toYaml(manifest(declaration))).join('---\n'),
      );
    }
    if (others.length > 0) {
      const listed = others.map(({ type, name, args }) => ({ type, name, args }));
      files.set(`${box.box}/${box.name}.yaml`, toYaml(listed));
    }
  }
  if (module === undefined) files.set('jenkins/casc.yaml', cascYaml(model));
  files.set(
    'resources.md',
    `# ${model.settings.environment}: ${rows.length} resources\n\n| box | package | kind | name |\n|---|---|---|---|\n${rows.join('\n')}\n`,
  );
  return files;
}

/** Writes what was rendered. The folder is ours: what an earlier render left in it goes. */
export function writeRendered(files: Rendered, out: string): void {
  for (const folder of ['kubernetes', 'gitlab', 'jenkins'])
    rmSync(join(out, folder), { recursive: true, force: true });
  for (const [path, text] of files) {
    const target = join(out, path);
    mkdirSync(join(target, '..'), { recursive: true });
    writeFileSync(target, text);
  }
}

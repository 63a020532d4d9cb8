import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type BoxDeclaration, topologyBoxes } from '../../components/boxes';
import { cascYaml } from '../../components/jenkins/casc';
import type { Model } from '../../components/model';
import { jenkinsSpec } from '../../components/specs';
import { text } from '../../rules/facts/read';
import { type OtherEnvironment, siteOf } from './facts';
import { manifestFiles } from './manifests';
import { type LiveQueue, topologyPage } from './page';
import { queueSvg } from './queue';
import { topologySvg } from './svg';
import { gitlabTable, resourcesTable } from './tables';

/** Files by path below the output folder. */
export type Rendered = ReadonlyMap<string, string>;

/** Lists the files of a render, so that the next one removes those and nothing else. */
const LIST = '.switchyard-rendered';

/**
 * The topology as files: manifests, what goes to GitLab and Docker, Jenkins' configuration, tables, and a picture. Needs
 * neither engine nor cluster nor network; equal models give equal bytes.
 * @param module only what belongs to this module
 * @param others the other environments, which the page tells of
 */
export function renderTopology(
  model: Model,
  module?: string,
  others: readonly OtherEnvironment[] = [],
): Rendered {
  const boxes = topologyBoxes(model).filter((box) => module === undefined || box.module === module);
  const site = siteOf(model, boxes, module, others);
  const files = manifestFiles(boxes);
  if (module === undefined) files.set('jenkins/casc.yaml', cascOf(model, boxes));
  files.set('gitlab.md', gitlabTable(site.title, boxes));
  files.set('resources.md', resourcesTable(site.title, boxes));
  files.set('topology.svg', topologySvg(site));
  files.set('index.html', topologyPage(site));
  return files;
}

/** Jenkins' configuration as it is declared; a Jenkins that was there before gets parts of it. */
function cascOf(model: Model, boxes: readonly BoxDeclaration[]): string {
  const declared = boxes
    .flatMap(({ declarations }) => declarations)
    .find(({ type, name }) => type === 'kubernetes:core/v1:ConfigMap' && name === 'jenkins-casc');
  return text(declared?.args, 'data', 'jenkins.yaml') ?? cascYaml(jenkinsSpec(model));
}

/**
 * The same with the merge queues of one moment: on the page, and as a picture of their own.
 * @param queues the same facts give equal bytes
 */
export function renderQueues(
  model: Model,
  others: readonly OtherEnvironment[],
): (queues: LiveQueue) => Rendered {
  const site = siteOf(model, topologyBoxes(model), undefined, others);
  return (queues) =>
    new Map([
      ['index.html', topologyPage(site, queues)],
      ['queue.svg', queueSvg(queues, site)],
    ]);
}

/** Writes files anew so that nobody reads half of one. */
export function rewrite(files: Rendered, out: string): void {
  for (const [path, text] of files) {
    writeFileSync(join(out, `${path}.new`), text);
    renameSync(join(out, `${path}.new`), join(out, path));
  }
}

const insideFolder = (path: string): boolean =>
  path !== '' && !path.startsWith('/') && !path.split('/').includes('..');

/** Writes what was rendered. What an earlier render left in the folder goes; what others put there stays. */
export function writeRendered(files: Rendered, out: string): void {
  const list = join(out, LIST);
  if (existsSync(list)) {
    const earlier = readFileSync(list, 'utf8').split('\n').filter(insideFolder);
    for (const path of earlier) if (!files.has(path)) rmSync(join(out, path), { force: true });
  }
  const folders = new Set([...files.keys()].map((path) => dirname(join(out, path))));
  for (const folder of folders) mkdirSync(folder, { recursive: true });
  for (const [path, text] of files) writeFileSync(join(out, path), text);
  writeFileSync(list, `${[...files.keys()].sort().join('\n')}\n`);
}

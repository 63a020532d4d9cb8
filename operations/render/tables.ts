import type { BoxDeclaration } from '../../components/boxes';
import { shown } from '../../components/shared/references';
import { markdownCode, markdownText } from '../../text/markdown';
import { objectName, typeOf } from './manifests';
import { toYaml } from './yaml';

/** Longer values, such as a file's content, are told by their length: the YAML beside the table has them whole. */
const LONGEST = 80;

/** Cells are Markdown already. */
const row = (...cells: readonly string[]): string => `| ${cells.join(' | ')} |`;

const table = (head: readonly string[], rows: readonly string[]): string =>
  [row(...head), `|${'---|'.repeat(head.length)}`, ...rows].join('\n');

/** Every resource: its box, where it goes, and the name by which Pulumi and `--replace` know it. */
export function resourcesTable(environment: string, boxes: readonly BoxDeclaration[]): string {
  const rows = boxes.flatMap((box) =>
    box.declarations.map((declaration) => {
      const { pack, kind } = typeOf(declaration);
      const { namespace, name } = objectName(declaration);
      const object = [namespace, name].filter((part) => part !== undefined).join('/');
      return row(
        ...[box.name, pack, declaration.provider, kind, declaration.name, object].map((one) =>
          markdownText(one),
        ),
      );
    }),
  );
  const head = ['box', 'package', 'provider', 'kind', 'name', 'object'];
  return `# ${markdownText(environment)}: ${rows.length} resources\n\n${table(head, rows)}\n`;
}

function setting(key: string, given: unknown): string {
  const value = shown(given);
  const isList = Array.isArray(value) && value.every((item) => typeof item !== 'object');
  const isObject = value !== null && typeof value === 'object';
  const text = isList ? value.join(', ') : isObject ? toYaml(value).trimEnd() : String(value);
  return markdownCode(`${key}: ${text.length > LONGEST ? `(${text.length} characters)` : text}`);
}

/** What goes to GitLab, a row a resource with all its settings. */
export function gitlabTable(environment: string, boxes: readonly BoxDeclaration[]): string {
  const rows = boxes.flatMap((box) =>
    box.declarations.flatMap((declaration) => {
      const { pack, kind } = typeOf(declaration);
      if (pack !== 'gitlab') return [];
      const settings = Object.entries(declaration.args)
        .filter(([, value]) => value !== undefined)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([key, value]) => setting(key, value));
      return [row(markdownText(kind), markdownText(declaration.name), settings.join('; '))];
    }),
  );
  return `# GitLab of ${markdownText(environment)}: ${rows.length} resources\n\n${table(['kind', 'name', 'settings'], rows)}\n`;
}

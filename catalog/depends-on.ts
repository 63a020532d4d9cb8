import { folded } from './shapes';

/** A merge request by the full path of its project and its number there. */
interface Named {
  readonly project: string;
  readonly iid: number;
}

/** Lines that are read: more is no description but a list. */
const MOST = 20;
/** Characters of a line: a path in GitLab has fewer. */
const LONGEST = 2000;
/** Without the blanks around its text: a pattern that took them would try each of a million of them. */
const LINE = /^[ \t]*depends-on:(.*)$/gim;

/** Lines of a text that begin at a character or after it, and say what it depends on: one more than are read at most. */
export const dependencyLines = (text: string, from = 0): string[] => {
  const lines: string[] = [];
  for (const { 0: line, index } of text.matchAll(LINE)) {
    if (index >= from) lines.push(line.slice(0, LONGEST));
    if (lines.length > MOST) break;
  }
  return lines;
};

/** A group's or project's path segment, as GitLab takes it. */
const SEGMENT = '[A-Za-z0-9_][A-Za-z0-9_.-]*';
const SHORT = new RegExp(`^((?:${SEGMENT}/)+${SEGMENT})?!([1-9]\\d{0,8})$`);
const WHOLE = new RegExp(`^/((?:${SEGMENT}/)+${SEGMENT})/-/merge_requests/([1-9]\\d{0,8})$`);

/**
 * What a description says by lines `Depends-On: <merge request>`: `!12` of the same project, `group/project!12`, or the
 * address of the merge request's page. It is its author's text: what cannot be read is told, and nothing else comes of it.
 * Nor is GitLab asked, by the bot's rights, for what its author may not see: other projects than the topology's are told apart
 * from these here.
 * @param gitlabUrl GitLab's address as people open it
 * @param projects those of the topology; the own one is always of them
 */
export function dependsOn(
  description: string,
  {
    gitlabUrl,
    project,
    projects,
  }: { readonly gitlabUrl: string; readonly project: string; readonly projects: readonly string[] },
): { readonly needs: readonly Named[]; readonly faults: readonly string[] } {
  const needs = new Map<string, Named>();
  const faults: string[] = [];
  const known = new Map([...projects, project].map((path) => [folded(path), path]));
  const root = gitlabUrl.replace(/\/+$/, '');
  const lines = [...description.matchAll(LINE)].map(([, text = '']) => text.trim());
  if (lines.length > MOST) faults.push(`${lines.length} lines Depends-On, and ${MOST} are read`);
  for (const text of lines.slice(0, MOST)) {
    const page = text.startsWith(`${root}/`) ? text.slice(root.length) : undefined;
    const match = page === undefined ? SHORT.exec(text) : WHOLE.exec(page);
    if (!match) {
      faults.push(
        `Depends-On: ${text.slice(0, 100)} is no merge request; write !12, group/project!12 or its address`,
      );
      continue;
    }
    const named = known.get(folded(match[1] ?? project));
    if (named === undefined) {
      faults.push(`Depends-On: ${text.slice(0, 100)} is of no project of this topology`);
      continue;
    }
    const ref = { project: named, iid: Number(match[2]) };
    needs.set(`${ref.project}!${ref.iid}`, ref);
  }
  return { needs: [...needs.values()], faults };
}

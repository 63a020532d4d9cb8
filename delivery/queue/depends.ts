import { folded } from '../../catalog/shapes';
import type { Ref } from './order';

/** Lines that are read: more is no description but a list. */
const MOST = 20;
const LINE = /^[ \t]*depends-on:[ \t]*(.*?)[ \t]*$/gim;
/** A group's or project's path segment, as GitLab takes it. */
const SEGMENT = '[A-Za-z0-9_][A-Za-z0-9_.-]*';
const SHORT = new RegExp(`^((?:${SEGMENT}/)+${SEGMENT})?!([1-9]\\d{0,8})$`);
const WHOLE = new RegExp(`^/((?:${SEGMENT}/)+${SEGMENT})/-/merge_requests/([1-9]\\d{0,8})$`);

/**
 * What a description says by lines `Depends-On: <merge request>`: `!12` of the same project, `group/project!12`, or the
 * address of the merge request's page. It is its author's text: what cannot be read is told, and nothing else comes of it.
 * @param gitlabUrl GitLab's address as people open it
 */
export function dependsOn(
  description: string,
  { gitlabUrl, project }: { readonly gitlabUrl: string; readonly project: string },
): { readonly needs: readonly Ref[]; readonly faults: readonly string[] } {
  const needs = new Map<string, Ref>();
  const faults: string[] = [];
  const root = gitlabUrl.replace(/\/+$/, '');
  const lines = [...description.matchAll(LINE)].map(([, text = '']) => text);
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
    const named = match[1] ?? project;
    const ref = { project: folded(named) === folded(project) ? project : named, iid: Number(match[2]) };
    needs.set(`${ref.project}!${ref.iid}`, ref);
  }
  return { needs: [...needs.values()], faults };
}

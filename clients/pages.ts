/** One answer, and the number of the page after it: GitLab's `x-next-page`. */
export interface Page {
  readonly body: unknown;
  readonly next: string | null | undefined;
}

/**
 * The whole of what GitLab has at a path: of a list every page (20 rows each, where the path has no `per_page`; 100 at
 * most), of anything else its body.
 * @param ask gets a path; undefined for what is not there
 */
export async function wholeOf(
  path: string,
  ask: (path: string) => Promise<Page | undefined>,
): Promise<unknown> {
  const first = await ask(path);
  if (!first || !Array.isArray(first.body)) return first?.body;
  const rows: unknown[] = [...first.body];
  const separator = path.includes('?') ? '&' : '?';
  for (let { next } = first; next; ) {
    const page: Page | undefined = await ask(`${path}${separator}page=${next}`);
    if (!page || !Array.isArray(page.body))
      throw new Error(`GitLab: page ${next} of ${path.split('?')[0]} is not a list`);
    rows.push(...page.body);
    next = page.next;
  }
  return rows;
}

import {
  type Ask,
  askKey,
  type Decision,
  decide,
  type Merged,
  type World,
} from '../../../delivery/queue/decide';

/** What a head changes: each file from one content to another. */
export interface Edit {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

type Files = ReadonlyMap<string, string>;

/** Git as far as a queue asks it, in memory: commits have trees, trees are files, and a merge is theirs or a conflict. */
export class Git {
  private readonly trees = new Map<string, Files>();
  private readonly commits = new Map<string, string>();
  private readonly heads = new Map<string, readonly Edit[]>();
  private counter = 0;

  private write(files: Files): string {
    const id = [...files]
      .filter(([, text]) => text !== '')
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([file, text]) => `${file}:${text}`)
      .join(' ');
    this.trees.set(id, files);
    return id;
  }

  /** A commit with these files, which no merge made. */
  commit(files: Files): string {
    const id = `c${this.counter++}`;
    this.commits.set(id, this.write(files));
    return id;
  }

  head(edits: readonly Edit[]): string {
    const id = `h${this.counter++}`;
    this.heads.set(id, edits);
    return id;
  }

  tree(commit: string): string {
    const found = this.commits.get(commit);
    if (found === undefined) throw new Error(`no commit ${commit}`);
    return found;
  }

  files(commit: string): Files {
    return this.trees.get(this.tree(commit)) ?? new Map();
  }

  contents(tree: string): ReadonlySet<string> {
    return new Set(this.trees.get(tree)?.values());
  }

  /** As `git merge` answers, with a commit that is the same for the same question. */
  merge(below: string, head: string): Merged {
    const files = new Map(this.files(below));
    const conflicts: string[] = [];
    for (const { file, from, to } of this.heads.get(head) ?? []) {
      const found = files.get(file) ?? '';
      if (found === from || found === to) files.set(file, to);
      else conflicts.push(file);
    }
    if (conflicts.length > 0) return { conflicts };
    const commit = `${below}+${head}`;
    const tree = this.write(files);
    this.commits.set(commit, tree);
    return { commit, tree };
  }

  /** The commit that GitLab makes of a merge: another one than ours, with the same tree. */
  merged(below: string, head: string): string | undefined {
    const found = this.merge(below, head);
    if ('conflicts' in found) return undefined;
    const id = `m${this.counter++}`;
    this.commits.set(id, found.tree);
    return id;
  }

  /** Decides, with git's answers to what is asked. */
  decide(world: Omit<World, 'merges'>): Exclude<Decision, { readonly asks: readonly Ask[] }> {
    const merges = new Map<string, Merged>();
    for (;;) {
      const decision = decide({ ...world, merges });
      if (!('asks' in decision)) return decision;
      for (const ask of decision.asks) {
        if (merges.has(askKey(ask))) throw new Error(`asked twice: ${askKey(ask)}`);
        merges.set(askKey(ask), this.merge(ask.below, ask.head));
      }
    }
  }
}

import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ZERO_SHA } from './model';

export interface Person {
  name: string;
  email: string;
}

export interface CommitInfo {
  id: string;
  parent_ids: string[];
  message: string;
  title: string;
  author: Person & { date: string };
  committer: Person & { date: string };
}

export interface TreeEntry {
  mode: string;
  type: 'blob' | 'tree' | 'commit';
  id: string;
  path: string;
}

export interface FileChange {
  old_path: string;
  new_path: string;
  a_mode: string;
  b_mode: string;
  new_file: boolean;
  deleted_file: boolean;
  renamed_file: boolean;
  diff: string;
}

/** One change of a new commit, its content already decoded. */
export type TreeChange =
  | { kind: 'write'; path: string; content: Buffer; mode: string }
  | { kind: 'entry'; path: string; id: string; mode: string }
  | { kind: 'delete'; path: string };

export class GitError extends Error {}

/** The environment of every git we start: nothing of the user's or the machine's own configuration. */
export function gitEnvironment(extra: Record<string, string> = {}): Record<string, string> {
  return {
    PATH: process.env.PATH ?? '/usr/bin:/bin',
    HOME: tmpdir(),
    LC_ALL: 'C',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_CONFIG_COUNT: '1',
    GIT_CONFIG_KEY_0: 'safe.directory',
    GIT_CONFIG_VALUE_0: '*',
    GIT_LITERAL_PATHSPECS: '1',
    GIT_TERMINAL_PROMPT: '0',
    ...extra,
  };
}

const COMMIT_FORMAT = '%H%x00%P%x00%an%x00%ae%x00%aI%x00%cn%x00%ce%x00%cI%x00%B%x00%x01';

interface Answer {
  readonly code: number;
  readonly stdout: Buffer;
  readonly stderr: string;
}

/** How many answers about objects a repository keeps, and how large one of them may be, in bytes. */
const KEPT_ANSWERS = 1000;
const KEPT_SIZE = 64 * 1024;

/** An object named in full, perhaps as something to leave out of a range. */
const NAMED_IN_FULL = /^\^?[0-9a-f]{40}$/;
const namedInFull = (...names: readonly (string | undefined)[]): boolean =>
  names.every((name) => name === undefined || NAMED_IN_FULL.test(name));

/** A range of commits of which neither refs nor the time of day are part. */
const isFixedRange = (args: readonly string[]): boolean =>
  args.every((arg) => NAMED_IN_FULL.test(arg) || /^-(\d+|-(max-count|skip)=\d+)$/.test(arg));

/**
 * A bare repository, changed only by plumbing commands. Starting git is most of what an answer costs, so what git said
 * about objects named in full is kept: they never change, and only come (`gc.auto` is 0).
 */
export class Repository {
  private readonly kept = new Map<string, Answer>();
  /** What `git upload-pack` advertises in the second version of its protocol, once it did: it follows from the settings. */
  abilities: Buffer | undefined;

  constructor(readonly dir: string) {}

  /**
   * Runs git for an answer that may be kept.
   * @param fixed whether the answer follows from objects that are named in full
   * @param final exit codes of an answer that stays true; an object that is missing may still come
   */
  private async ask(
    args: readonly string[],
    fixed: boolean,
    codes: readonly number[] = [0],
    final: readonly number[] = [0],
  ): Promise<Answer> {
    const key = args.join('\u0000');
    const known = fixed ? this.kept.get(key) : undefined;
    if (known) return known;
    const answer = await this.run(args, { codes });
    if (fixed && final.includes(answer.code) && answer.stdout.length <= KEPT_SIZE) {
      this.kept.set(key, answer);
      for (const oldest of this.kept.keys()) {
        if (this.kept.size <= KEPT_ANSWERS) break;
        this.kept.delete(oldest);
      }
    }
    return answer;
  }

  private async run(
    args: readonly string[],
    options: { input?: Buffer | string; env?: Record<string, string>; codes?: readonly number[] } = {},
  ): Promise<Answer> {
    const child = spawn('git', ['--git-dir', this.dir, ...args], { env: gitEnvironment(options.env) });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
    child.stdin.on('error', () => undefined);
    child.stdin.end(options.input ?? '');
    const code = await new Promise<number>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (status) => resolve(status ?? 128));
    });
    const errors = Buffer.concat(stderr).toString();
    if (!(options.codes ?? [0]).includes(code))
      throw new GitError(`git ${args[0]}: ${errors.trim() || `exit ${code}`}`);
    return { code, stdout: Buffer.concat(stdout), stderr: errors };
  }

  private async output(args: readonly string[], input?: string | Buffer): Promise<string> {
    return (await this.run(args, { input })).stdout.toString();
  }

  async create(defaultBranch: string): Promise<void> {
    await mkdir(this.dir, { recursive: true });
    await this.run([
      'init',
      '--quiet',
      '--bare',
      '--template=',
      `--initial-branch=${defaultBranch}`,
      this.dir,
    ]);
    const config: Record<string, string> = {
      'http.receivepack': 'true',
      'uploadpack.allowAnySHA1InWant': 'true',
      'uploadpack.allowFilter': 'true',
      'receive.advertisePushOptions': 'true',
      'receive.hideRefs': 'refs/merge-requests',
      'core.logAllRefUpdates': 'false',
      'gc.auto': '0',
      'receive.autogc': 'false',
    };
    const lines = Object.entries(config).map(([key, value]) => {
      const [section, name] = key.split('.');
      return `[${section}]\n\t${name} = ${value}\n`;
    });
    await writeFile(
      join(this.dir, 'config'),
      `[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n${lines.join('')}`,
    );
  }

  /** The commit that a branch, tag, sha or HEAD names. */
  async resolve(ref: string): Promise<string | undefined> {
    if (ref === '' || ref.startsWith('-')) return undefined;
    const { code, stdout } = await this.ask(
      ['rev-parse', '--verify', '--quiet', `${ref}^{commit}`],
      namedInFull(ref),
      [0, 1, 128],
    );
    return code === 0 ? stdout.toString().trim() : undefined;
  }

  /** The head of a branch: from its file, which git replaces in one step, else (packed, or no such file) from git. */
  async branch(name: string): Promise<string | undefined> {
    if (/^\w[\w./-]*$/.test(name) && !name.includes('..')) {
      try {
        const text = (await readFile(join(this.dir, 'refs', 'heads', name), 'utf8')).trim();
        if (NAMED_IN_FULL.test(text)) return text;
      } catch (error) {
        const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
        if (missing && existsSync(join(this.dir, 'HEAD')) && !existsSync(join(this.dir, 'packed-refs')))
          return undefined;
      }
    }
    return this.resolve(`refs/heads/${name}`);
  }

  async isValidBranchName(name: string): Promise<boolean> {
    if (name.startsWith('-') || name === 'HEAD') return false;
    if (/^\w[\w-]*(\/\w[\w-]*)*$/.test(name)) return true;
    const { code } = await this.run(['check-ref-format', `refs/heads/${name}`], { codes: [0, 1] });
    return code === 0;
  }

  /** All refs below a prefix: name without the prefix, the commit, the tag object and its message. */
  async refs(
    prefix: string,
  ): Promise<{ name: string; commit: string; target: string; message: string | null }[]> {
    const format = '%(refname)%00%(objectname)%00%(*objectname)%00%(objecttype)%00%(contents)%00%01';
    const out = await this.output(['for-each-ref', `--format=${format}`, prefix]);
    return out
      .split('\u0000\u0001\n')
      .filter((line) => line !== '')
      .map((line) => {
        const [name = '', target = '', peeled = '', type = '', contents = ''] = line.split('\u0000');
        return {
          name: name.slice(prefix.length),
          commit: peeled || target,
          target,
          message: type === 'tag' ? contents.trimEnd() : null,
        };
      });
  }

  async log(args: readonly string[]): Promise<CommitInfo[]> {
    const { stdout } = await this.ask(['log', `--format=${COMMIT_FORMAT}`, ...args], isFixedRange(args));
    return stdout
      .toString()
      .split('\u0000\u0001\n')
      .filter((entry) => entry !== '')
      .map((entry) => {
        const [id = '', parents = '', an = '', ae = '', ad = '', cn = '', ce = '', cd = '', body = ''] =
          entry.split('\u0000');
        const message = body.replace(/\n$/, '');
        return {
          id,
          parent_ids: parents === '' ? [] : parents.split(' '),
          message,
          title: message.split('\n')[0] ?? '',
          author: { name: an, email: ae, date: ad },
          committer: { name: cn, email: ce, date: cd },
        };
      });
  }

  async commit(sha: string): Promise<CommitInfo | undefined> {
    return (await this.log(['-1', sha]))[0];
  }

  async lastCommitOf(ref: string, path: string): Promise<string | undefined> {
    const { stdout } = await this.ask(['log', '-1', '--format=%H', ref, '--', path], namedInFull(ref));
    return stdout.toString().trim() || undefined;
  }

  async tree(ref: string, path: string, recursive: boolean): Promise<TreeEntry[] | undefined> {
    const target = path === '' ? ref : `${ref}:${path}`;
    const { code, stdout } = await this.run(['ls-tree', '-z', ...(recursive ? ['-r', '-t'] : []), target], {
      codes: [0, 128],
    });
    if (code !== 0) return undefined;
    const prefix = path === '' ? '' : `${path}/`;
    return parseTree(stdout).map((entry) => ({ ...entry, path: prefix + entry.path }));
  }

  async entry(ref: string, path: string): Promise<TreeEntry | undefined> {
    const { stdout } = await this.ask(
      ['ls-tree', '-z', '--full-tree', ref, path],
      namedInFull(ref),
      [0, 128],
    );
    return parseTree(stdout).find((entry) => entry.path === path);
  }

  async blob(id: string): Promise<Buffer> {
    return (await this.ask(['cat-file', 'blob', id], namedInFull(id))).stdout;
  }

  async mergeBase(a: string, b: string): Promise<string | undefined> {
    const { code, stdout } = await this.ask(['merge-base', a, b], namedInFull(a, b), [0, 1], [0, 1]);
    return code === 0 ? (stdout.toString().trim().split('\n')[0] ?? undefined) : undefined;
  }

  async isAncestor(ancestor: string, descendant: string): Promise<boolean> {
    // Where both are named in full, the answer is often there: what they have in common is asked for as well.
    if (namedInFull(ancestor, descendant)) return (await this.mergeBase(descendant, ancestor)) === ancestor;
    return (
      (await this.run(['merge-base', '--is-ancestor', ancestor, descendant], { codes: [0, 1] })).code === 0
    );
  }

  /** The commits in the history of one that are not in the other's, which may be none (undefined). */
  async between(before: string | undefined, after: string): Promise<Set<string>> {
    const range = [after, ...(before ? [`^${before}`] : [])];
    return new Set(
      (await this.ask(['rev-list', ...range], isFixedRange(range))).stdout.toString().split('\n'),
    );
  }

  /** The changed files between two commits (or of a root commit, when `from` is undefined). */
  async diff(from: string | undefined, to: string): Promise<FileChange[]> {
    const range = from === undefined ? ['--root', to] : [from, to];
    const base = ['diff-tree', '-r', '-M', '--no-commit-id', '--no-color', '--full-index'];
    const fixed = namedInFull(from, to);
    const raw = (await this.ask([...base, '--raw', '-z', ...range], fixed)).stdout.toString().split('\u0000');
    const patches = (await this.ask([...base, '-p', ...range], fixed)).stdout
      .toString()
      .split(/^(?=diff --git )/m)
      .filter((part) => part.startsWith('diff --git '));
    const changes: FileChange[] = [];
    for (let index = 0; index < raw.length; ) {
      const head = raw[index] ?? '';
      if (!head.startsWith(':')) break;
      const [a = '', b = '', , , status = ''] = head.slice(1).split(' ');
      const renamed = status.startsWith('R') || status.startsWith('C');
      const oldPath = raw[index + 1] ?? '';
      const newPath = renamed ? (raw[index + 2] ?? '') : oldPath;
      index += renamed ? 3 : 2;
      const patch = patches[changes.length] ?? '';
      const hunk = patch.search(/^@@/m);
      changes.push({
        old_path: oldPath,
        new_path: newPath,
        a_mode: a.replace(/^0{6}$/, '0'),
        b_mode: b.replace(/^0{6}$/, '0'),
        new_file: status === 'A',
        deleted_file: status === 'D',
        renamed_file: status.startsWith('R'),
        diff: hunk >= 0 ? patch.slice(hunk) : '',
      });
    }
    return changes;
  }

  /** The tree of `base` (undefined: the empty tree) with the changes applied in order. */
  async writeTree(base: string | undefined, changes: readonly TreeChange[]): Promise<string> {
    const scratch = await mkdtemp(join(tmpdir(), 'switchyard-gitlab-'));
    const env = { GIT_INDEX_FILE: join(scratch, 'index') };
    try {
      if (base !== undefined) await this.run(['read-tree', base], { env });
      const contents = changes.flatMap((change) => (change.kind === 'write' ? [change.content] : []));
      const ids = await this.writeBlobs(scratch, contents);
      const lines = changes.map((change) => {
        if (change.kind === 'delete') return `0 ${ZERO_SHA}\t${change.path}\u0000`;
        return `${change.mode} ${change.kind === 'entry' ? change.id : ids.shift()}\t${change.path}\u0000`;
      });
      await this.run(['update-index', '--add', '-z', '--index-info'], { env, input: lines.join('') });
      return (await this.run(['write-tree'], { env })).stdout.toString().trim();
    } finally {
      await rm(scratch, { recursive: true, force: true });
    }
  }

  /** @returns the ids, in order */
  private async writeBlobs(scratch: string, contents: readonly Buffer[]): Promise<string[]> {
    if (contents.length === 0) return [];
    const files = contents.map((_content, index) => join(scratch, `content-${index}`));
    for (const [index, file] of files.entries()) await writeFile(file, contents[index] ?? '');
    const out = await this.output(
      ['hash-object', '-w', '--no-filters', '--stdin-paths'],
      `${files.join('\n')}\n`,
    );
    return out.trim().split('\n');
  }

  async commitTree(
    tree: string,
    parents: readonly string[],
    message: string,
    author: Person,
    committer: Person,
  ): Promise<string> {
    const { stdout } = await this.run(['commit-tree', tree, ...parents.flatMap((parent) => ['-p', parent])], {
      input: message.endsWith('\n') ? message : `${message}\n`,
      env: {
        GIT_AUTHOR_NAME: author.name,
        GIT_AUTHOR_EMAIL: author.email,
        GIT_COMMITTER_NAME: committer.name,
        GIT_COMMITTER_EMAIL: committer.email,
      },
    });
    return stdout.toString().trim();
  }

  async treeOf(commit: string): Promise<string> {
    const { stdout } = await this.ask(['rev-parse', '--verify', `${commit}^{tree}`], namedInFull(commit));
    return stdout.toString().trim();
  }

  /** The tree of the three-way merge, or undefined where it conflicts. */
  async mergeTree(ours: string, theirs: string): Promise<string | undefined> {
    const args = ['merge-tree', '--write-tree', '--no-messages', ours, theirs];
    const { code, stdout } = await this.ask(args, namedInFull(ours, theirs), [0, 1], [0, 1]);
    return code === 0 ? stdout.toString().trim() : undefined;
  }

  /** Compare-and-swap of a ref; `next` undefined deletes it. */
  async updateRef(ref: string, next: string | undefined, previous?: string): Promise<void> {
    if (next === undefined) await this.run(['update-ref', '-d', ref, ...(previous ? [previous] : [])]);
    else await this.run(['update-ref', ref, next, ...(previous ? [previous] : [])]);
  }

  async annotatedTag(name: string, target: string, message: string, tagger: Person): Promise<string> {
    const { stdout } = await this.run(['mktag'], {
      input: `object ${target}\ntype commit\ntag ${name}\ntagger ${tagger.name} <${tagger.email}> ${Math.floor(Date.now() / 1000)} +0000\n\n${message}\n`,
    });
    return stdout.toString().trim();
  }

  async setHead(branch: string): Promise<void> {
    await this.run(['symbolic-ref', 'HEAD', `refs/heads/${branch}`]);
  }

  /** Names of branches or tags that contain the commit. */
  async refsContaining(commit: string, prefix: string): Promise<string[]> {
    const out = await this.output(['for-each-ref', `--contains=${commit}`, '--format=%(refname)', prefix]);
    return out
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => line.slice(prefix.length));
  }

  async count(args: readonly string[]): Promise<number> {
    const { stdout } = await this.ask(['rev-list', '--count', ...args], isFixedRange(args));
    return Number(stdout.toString().trim());
  }
}

function parseTree(out: Buffer): TreeEntry[] {
  return out
    .toString()
    .split('\u0000')
    .filter((line) => line !== '')
    .map((line) => {
      const tab = line.indexOf('\t');
      const [mode = '', type = '', id = ''] = line.slice(0, tab).split(' ');
      return { mode, type: type as TreeEntry['type'], id, path: line.slice(tab + 1) };
    });
}

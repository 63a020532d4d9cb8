import { spawn } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { exitCode, Failure } from './failure';
import { retry } from './retry';

export interface GitRemote {
  /** URL without credentials. */
  readonly url: string;
  readonly token: string;
}

interface Result {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * The environment that gives git its credentials: an HTTP header bound to this one URL, so that the token is
 * in no argument, URL, file or message, and reaches no other host through a redirect or a submodule.
 */
export function gitEnvironment(
  remote: GitRemote,
  base: Record<string, string | undefined> = process.env,
): Record<string, string> {
  const inherited = Object.fromEntries(
    Object.entries(base).filter(
      (entry): entry is [string, string] =>
        entry[1] !== undefined && !/^(GIT_(?!SSL_)|GITLAB_TOKEN|SWITCHYARD_CERTIFICATE)/.test(entry[0]),
    ),
  );
  const basic = Buffer.from(`oauth2:${remote.token}`).toString('base64');
  const config = [
    [`http.${remote.url}.extraHeader`, `Authorization: Basic ${basic}`],
    // Where it is sent on, git would send the header there with its second request.
    ['http.followRedirects', 'false'],
    ['safe.directory', '*'],
    // A commit's .gitmodules would be read at each fetch, and what is wrong there would end it.
    ['fetch.recurseSubmodules', 'false'],
    // GitLab, and what a backup holds.
    ['protocol.allow', 'never'],
    ...['http', 'https', 'file'].map((protocol) => [`protocol.${protocol}.allow`, 'always']),
    // What it works in is thrown away: nothing is to be tidied up after every fetch and merge.
    ['maintenance.auto', 'false'],
    // Where git-lfs is installed, pointers would be fetched and files made pointers: here all is as it was committed.
    ...['process', 'smudge', 'clean'].map((filter) => [`filter.lfs.${filter}`, '']),
    ['filter.lfs.required', 'false'],
  ] as const;
  const identity = { NAME: 'Switchyard', EMAIL: 'switchyard@localhost', DATE: '@0 +0000' };
  return {
    ...inherited,
    // What it says is read again.
    LC_ALL: 'C',
    GIT_TERMINAL_PROMPT: '0',
    GIT_CONFIG_COUNT: String(config.length),
    ...Object.fromEntries(
      config.flatMap(([key, value], index) => [
        [`GIT_CONFIG_KEY_${index}`, key],
        [`GIT_CONFIG_VALUE_${index}`, value],
      ]),
    ),
    ...Object.fromEntries(
      ['AUTHOR', 'COMMITTER'].flatMap((who) =>
        Object.entries(identity).map(([key, value]) => [`GIT_${who}_${key}`, value]),
      ),
    ),
  };
}

/** Milliseconds that one run of git may take: a whole history over a slow line does not need more. */
export const GIT_MS = 900_000;

/**
 * What git says of a server or a line that may be better in a moment: of the answer, of the connection (curl's words, and
 * those of the TLS libraries that Debian and others build it with), and what GitLab writes in git's own protocol
 * (`workhorse/internal/git/error.go`).
 */
const PASSING = new RegExp(
  [
    /returned error: (?:429|50[0234])/,
    /early EOF|RPC failed|hung up|unexpected disconnect|timed out|Operation too slow/,
    /Could not resolve host|Could(?:n't| not) connect|Failed to connect|Connection (?:refused|reset|was reset)/,
    /Empty reply from server|transfer closed|Failure when receiving|Broken pipe/,
    /gnutls_handshake|GnuTLS recv error|SSL_ERROR|unexpected eof|TLS connect error/,
    /HTTP\/2 stream|HTTP2 framing layer/,
    /unable to handle this request due to load|server is busy/,
  ]
    .map(({ source }) => source)
    .join('|'),
  'i',
);
/** What stays so, whatever else is said: the end of the line follows a refusal as it follows a cut. */
const FINAL =
  /(?:returned error:|HTTP) 3\d\d|(?:returned error:|HTTP) 4(?!29)\d\d|not found|find remote ref|rejected\]|Authentication failed|could not read (?:Username|Password)|certificate/i;
/** Those refusals that the project or the token may be the reason of. */
const DENIED =
  /returned error: 40[134]|not found|Authentication failed|could not read (?:Username|Password)|pre-receive hook declined/i;

/** A run of git that failed. */
export class GitFailure extends Failure {
  /** Another run may succeed. */
  readonly passing: boolean;

  /**
   * @param stderr all that it said
   * @param may what GITLAB_TOKEN is needed for
   */
  constructor(command: string | undefined, url: string, stderr: string, may: string) {
    const lines = stderr.split('\n').filter((line) => line.trim());
    const said =
      lines.find((line) => /^(fatal|error|remote): *\S/.test(line)) ?? lines[0] ?? 'it said nothing';
    // What a server has it pass on may be about anything.
    const own = lines.filter((line) => !line.startsWith('remote:')).join('\n');
    const passing = PASSING.test(own) && !FINAL.test(own);
    const denied = `Check that the project exists and that GITLAB_TOKEN may ${may}.`;
    super(
      exitCode.red,
      `git ${command} of ${url} failed: ${said.slice(0, 300).replace(/\.$/, '')}.`,
      passing ? 'Try again when GitLab answers.' : DENIED.test(own) ? denied : '',
    );
    this.name = 'GitFailure';
    this.passing = passing;
  }
}

/**
 * Runs git at a remote until what passes has passed.
 * @param work what a second time changes nothing more of
 * @param timeoutMs what one run may take. @default that of every run
 */
export const persistently = <T>(work: () => Promise<T>, timeoutMs = GIT_MS): Promise<T> =>
  retry(work, {
    again: (error) => error instanceof GitFailure && error.passing,
    policy: { attemptMs: timeoutMs, totalMs: 2 * timeoutMs },
  });

/** What stands for a file of Git LFS (docs/spec.md of git-lfs): short, and the version first. */
export const LFS_POINTER = /^version https:\/\/(git-lfs|hawser)\.github\.com\/spec\/v1\n/;
/** What a pointer is shorter than. */
export const LFS_POINTER_BYTES = 1024;

function isLfsPointer(file: string): boolean {
  const found = lstatSync(file, { throwIfNoEntry: false });
  if (!found?.isFile() || found.size >= LFS_POINTER_BYTES) return false;
  return LFS_POINTER.test(readFileSync(file, 'latin1'));
}

/**
 * Attributes that count above those of a commit: its files are what is committed, which is what people review. Text that a
 * commit has turned into another encoding is not, and the C library would turn it by modules of its own.
 */
const ATTRIBUTES = '* !working-tree-encoding !ident\n';
/** What a commit's `.gitmodules` says of differences is not asked: git ends where it is wrong. */
const ALL_MODULES = '--ignore-submodules=none';

/** A working copy of one project. */
export class WorkingCopy {
  private readonly environment: Record<string, string>;

  constructor(
    readonly folder: string,
    private readonly remote: GitRemote,
    private readonly timeoutMs = GIT_MS,
  ) {
    this.environment = gitEnvironment(remote);
  }

  private run(args: readonly string[]): Promise<Result> {
    return new Promise((resolve, reject) => {
      const child = spawn('git', args, {
        cwd: this.folder,
        env: this.environment,
        stdio: ['ignore', 'pipe', 'pipe'],
        // A process group of its own: the helper that talks to the server outlives a git that is ended, and its output too.
        detached: true,
      });
      let stdout = '';
      let stderr = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        stdout += text;
      });
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        stderr += text;
      });
      const timer = setTimeout(() => {
        stderr += `\nfatal: timed out after ${this.timeoutMs / 1000} s\n`;
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
      }, this.timeoutMs);
      child.on('error', (error: NodeJS.ErrnoException) => {
        clearTimeout(timer);
        reject(
          new Failure(
            exitCode.input,
            `git cannot be started (${error.code ?? error.message}).`,
            'Put git 2.30 or newer on PATH.',
          ),
        );
      });
      child.on('close', (code) => {
        clearTimeout(timer);
        resolve({ code: code ?? 1, stdout, stderr });
      });
    });
  }

  private async git(...args: string[]): Promise<string> {
    const result = await this.run(args);
    if (result.code !== 0) throw new GitFailure(args[0], this.remote.url, result.stderr, 'read it');
    return result.stdout.trim();
  }

  /** An empty repository that knows the remote; what was in the folder's repository stays. */
  async open(): Promise<void> {
    const known = existsSync(join(this.folder, '.git'));
    mkdirSync(this.folder, { recursive: true });
    await this.git('init', '--quiet', '--initial-branch=switchyard');
    mkdirSync(join(this.folder, '.git', 'info'), { recursive: true });
    writeFileSync(join(this.folder, '.git', 'info', 'attributes'), ATTRIBUTES);
    const has = known && (await this.git('remote')).split('\n').includes('origin');
    await this.git('remote', has ? 'set-url' : 'add', 'origin', this.remote.url);
  }

  /**
   * Fetches branches, deeper and deeper until `enough` holds, at last whole: a long history costs nothing
   * while the branches meet early.
   * @param tags fetch those tags too that name a commit of the history that is fetched, as `git describe` needs them
   * @param requests merge requests by number: their heads too, also those whose branch is gone
   */
  async fetchUntil(
    branches: readonly string[],
    enough: () => Promise<boolean>,
    tags = false,
    requests: readonly number[] = [],
  ): Promise<void> {
    const specs = [
      ...branches.map((branch) => `+refs/heads/${branch}:refs/remotes/origin/${branch}`),
      ...requests.map((iid) => `+refs/merge-requests/${iid}/head:refs/switchyard/requests/${iid}`),
    ];
    // Fetching twice gets nothing twice.
    const fetch = (...depth: string[]) =>
      persistently(
        () => this.git('fetch', '--quiet', ...(tags ? [] : ['--no-tags']), ...depth, 'origin', ...specs),
        this.timeoutMs,
      );
    for (const depth of [50, 500, 5000]) {
      await fetch(`--depth=${depth}`);
      if (await enough()) return;
      if ((await this.git('rev-parse', '--is-shallow-repository')) === 'false') return;
    }
    await fetch('--unshallow');
  }

  /** Commit id of a branch as fetched. */
  head(branch: string): Promise<string> {
    return this.git('rev-parse', '--verify', `refs/remotes/origin/${branch}^{commit}`);
  }

  async has(commit: string): Promise<boolean> {
    return (await this.run(['cat-file', '-e', `${commit}^{commit}`])).code === 0;
  }

  tree(commit: string): Promise<string> {
    return this.git('rev-parse', '--verify', `${commit}^{tree}`);
  }

  /** The newest commits of a branch itself, without those that merges brought, newest first, as fetched. */
  async commits(branch: string, count: number): Promise<string[]> {
    const listed = await this.git(
      'rev-list',
      '--first-parent',
      `--max-count=${count}`,
      `refs/remotes/origin/${branch}`,
    );
    return listed.split('\n').filter(Boolean);
  }

  /** Path and id of every plain file of a commit: links and submodules are none. */
  async blobs(commit: string): Promise<[path: string, id: string][]> {
    const listed = await this.git('ls-tree', '-r', '-z', '--full-tree', commit);
    return listed.split('\0').flatMap((line): [string, string][] => {
      const [about = '', path = ''] = line.split('\t');
      const [mode = '', , id = ''] = about.split(' ');
      return mode.startsWith('100') ? [[path, id]] : [];
    });
  }

  /** Paths of all files at a branch's head, as fetched. */
  async files(branch: string): Promise<string[]> {
    const listed = await this.git('ls-tree', '-r', '-z', '--name-only', `refs/remotes/origin/${branch}`);
    return listed.split('\0').filter(Boolean);
  }

  /** A file at a branch's head, as fetched. */
  text(branch: string, path: string): Promise<string> {
    return this.git('show', `refs/remotes/origin/${branch}:${path}`);
  }

  /**
   * The text of a plain file of a commit or tree, whatever links there are beside it.
   * @param most bytes
   * @returns undefined when there is none, or why it cannot be read
   */
  async plainFile(of: string, path: string, most: number): Promise<string | { why: string } | undefined> {
    const [line = ''] = (await this.git('ls-tree', '-z', '--full-tree', of, '--', path)).split('\0');
    if (!line) return undefined;
    const [mode = '', , id = ''] = line.split(/[ \t]/);
    if (!mode.startsWith('100')) return { why: 'is not a plain file' };
    const size = Number(await this.git('cat-file', '-s', id));
    if (size > most) return { why: `has ${size} bytes, and ${most} are read` };
    const { code, stdout } = await this.run(['cat-file', 'blob', id]);
    return code === 0 ? stdout : { why: 'cannot be read' };
  }

  /** What the commits of a branch since a time (Unix seconds) added and took away, as one patch. */
  changes(branch: string, since: number): Promise<string> {
    return this.git(
      'log',
      '--patch',
      ALL_MODULES,
      '--format=',
      '-m',
      `--since=@${since}`,
      `refs/remotes/origin/${branch}`,
    );
  }

  /** Committer's time, Unix seconds. */
  async epoch(commit: string): Promise<number> {
    return Number(await this.git('show', '--no-patch', '--format=%ct', commit));
  }

  /** Paths that differ between two commits; a rename is both its paths. */
  async changedPaths(from: string, to: string): Promise<string[]> {
    const listed = await this.git('diff', '--name-only', '--no-renames', ALL_MODULES, '-z', from, to);
    return listed.split('\0').filter(Boolean);
  }

  /** Fetches until a commit of a branch is there, with all that it takes to merge it into another branch. */
  fetchHead(head: string, branch: string, into: string): Promise<void> {
    return this.fetchUntil(
      [branch, into],
      async () => (await this.has(head)) && this.haveCommonAncestor(head, await this.head(into)),
    );
  }

  async haveCommonAncestor(a: string, b: string): Promise<boolean> {
    return (await this.run(['merge-base', a, b])).code === 0;
  }

  async isAncestor(ancestor: string, commit: string): Promise<boolean> {
    return (await this.run(['merge-base', '--is-ancestor', ancestor, commit])).code === 0;
  }

  /** Checks out a commit, and nothing else stays in the folder. */
  async checkOut(commit: string): Promise<void> {
    await this.git('checkout', '--quiet', '--force', '--detach', commit);
    await this.git('clean', '--quiet', '-ffdx');
  }

  /**
   * Paths of what is checked out whose contents are not in the repository: submodules, and files that Git LFS keeps
   * elsewhere. A checkout holds an empty folder and a pointer in their place.
   */
  async heldElsewhere(): Promise<{ readonly submodules: string[]; readonly lfs: string[] }> {
    const staged = (await this.git('ls-files', '-z', '--stage')).split('\0');
    const tracked = (await this.git('ls-files', '-z', '--', ':(attr:filter=lfs)')).split('\0');
    return {
      submodules: staged.flatMap((line) => /^160000 [^\t]*\t(.*)$/s.exec(line)?.[1] ?? []),
      lfs: tracked.filter((path) => path !== '' && isLfsPointer(join(this.folder, path))),
    };
  }

  /**
   * Checks out what merging `head` into `base` gives, with an identity and time that never change.
   * @returns the merge result with its tree, or the paths in conflict
   */
  async checkOutMerge(
    base: string,
    head: string,
  ): Promise<{ commit: string; tree: string } | { conflicts: string[] }> {
    await this.checkOut(base);
    const merged = await this.run([
      'merge',
      '--quiet',
      '--no-ff',
      '--no-verify',
      '-m',
      `Merge ${head}`,
      head,
    ]);
    if (merged.code === 0) {
      const [commit = '', tree = ''] = (await this.git('rev-parse', 'HEAD', 'HEAD^{tree}')).split('\n');
      return { commit, tree };
    }
    const unmerged = await this.git('diff', '--name-only', '--diff-filter=U', ALL_MODULES);
    const conflicts = unmerged.split('\n').filter(Boolean);
    if (conflicts.length === 0) {
      throw new Failure(
        exitCode.red,
        `git merge of ${head} into ${base} failed: ${(merged.stderr || merged.stdout).split('\n')[0]}.`,
      );
    }
    await this.git('merge', '--abort');
    return { conflicts };
  }
}

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { exitCode, Failure } from '../../clients/failure';
import { type Policy, retry } from '../../clients/retry';
import { redact } from '../../text/hide';
import { parseJson } from '../../text/json';
import { type Call, type Ended, type Environment, feed, output, outputStream } from './program';
import { type Holdings, isKind, type Kind, type Snapshot, type Success } from './snapshots';

export interface ResticOptions {
  /** In restic's own syntax: `s3:https://host/bucket/path`, or a folder. */
  readonly repository: string;
  /** Environment whose items these are: snapshots carry the host `switchyard-<environment>`. */
  readonly environment: string;
  /**
   * Environment of the program: `RESTIC_PASSWORD` or `RESTIC_PASSWORD_FILE`, and what the storage asks for
   * (`AWS_ACCESS_KEY_ID`, …). Nothing secret travels in an argument.
   * @default process.env
   */
  readonly env?: Environment;
  /** @default `restic` on PATH */
  readonly program?: string;
  /** How long to wait for another run's lock, in milliseconds. @default 10 minutes */
  readonly lockWaitMs?: number;
  /** How long a repository that is new is left alone, in milliseconds. @default 45 seconds: longer than making one may take */
  readonly settleMs?: number;
  /** Milliseconds that storing or reading may stand still. @default an hour */
  readonly stallMs?: number;
  /** Milliseconds for a restic that is ended to put its things in order. @default 10 seconds */
  readonly lastMs?: number;
  /** Of opening the repository. @default three tries of a minute */
  readonly policy?: Partial<Policy>;
}

/** How many snapshots of each item stay; the latest one always does. */
export interface Keep {
  readonly daily: number;
  readonly weekly: number;
  readonly monthly: number;
}

export interface Stored {
  readonly snapshot: Snapshot;
  /** Bytes read. */
  readonly bytes: number;
  /** Bytes that were new and went to the repository, after deduplication. */
  readonly added: number;
}

/** Why a repository was refused. */
export type Refused = 'absent' | 'wrong-key' | 'damaged' | 'unreachable' | 'locked' | 'other';

export class ResticFailure extends Failure {
  constructor(
    readonly reason: Refused,
    what: string,
    remedy: string,
  ) {
    super(reason === 'wrong-key' || reason === 'absent' ? exitCode.input : exitCode.red, what, remedy);
    this.name = 'ResticFailure';
  }
}

/** What of the environment restic and its storages read; other programs' secrets stay out of it. */
const PASSED =
  /^(PATH|HOME|TMPDIR|USER|XDG_CACHE_HOME|GOGC|GOMAXPROCS|GOMEMLIMIT|SSL_CERT_\w+|\w+_proxy|(AWS|AZURE|GOOGLE|B2|OS|ST|RCLONE|RESTIC)_\w+)$/i;

/** An unreachable S3 storage is asked again for a quarter of an hour by restic itself: nobody waits that long. */
const OPEN_MS = 60_000;
/** Making a repository takes no longer, or is ended. */
const INIT_MS = 30_000;
/** So whoever found none when another's was just made has ended when that one goes on. */
const SETTLE_MS = INIT_MS + 15_000;
/** How often keys that open nothing are looked for, where others remove them meanwhile. */
const MOST_REMOVALS = 5;
const DIGITS = [...'0123456789abcdef'];
/** A list of what is there. */
const LIST_MS = 900_000;
/** All that is there is read, or freed. */
const WHOLE_MS = 6 * 3_600_000;
/** Storing or reading stands still: no byte in so long, where restic itself gives a storage that is away a quarter of an hour. */
const STALL_MS = 3_600_000;
const LOCK_WAIT_MS = 600_000;
const LOCK_PAUSE_MS = 5_000;

/** Texts as restic 0.14 to 0.18 write them; its own exit codes (10 absent, 11 locked, 12 wrong key) came with 0.17. */
const SIGNS: readonly (readonly [Refused, number, RegExp])[] = [
  ['locked', 11, /already locked|unable to create lock/],
  [
    'absent',
    10,
    /config file: (stat|open|lstat) .*no such file|specified (key|bucket) does not exist|repository does not exist/,
  ],
  ['wrong-key', 12, /wrong password or no key found/],
  [
    'damaged',
    -1,
    /is damaged|invalid data returned|ciphertext verification failed|repository contains errors|does not match|LoadIndex returned errors|Unmarshal|invalid character|not found in (index|repository)|illegal file|pack .* (is )?(missing|truncated)|unexpected EOF/i,
  ],
  [
    'unreachable',
    -1,
    /dial tcp|connection refused|no such host|i\/o timeout|deadline exceeded|retrying after|AccessDenied|Access Denied|InvalidAccessKey|SignatureDoesNotMatch|permission denied|x509|tls:/i,
  ],
];

export function reasonOf({ code, stderr }: Ended): Refused {
  return SIGNS.find(([, own, sign]) => code === own || sign.test(stderr))?.[0] ?? 'other';
}

const snapshotSchema = z.array(
  z.looseObject({
    id: z.string(),
    time: z.string(),
    hostname: z.string(),
    tags: z.array(z.string()).nullish(),
  }),
);
const summarySchema = z.looseObject({
  message_type: z.literal('summary'),
  data_added: z.number(),
  total_bytes_processed: z.number(),
  snapshot_id: z.string(),
});
const nodeSchema = z.looseObject({ type: z.literal('file'), size: z.number().default(0) });

const keySchema = z.array(
  z.looseObject({
    current: z.boolean(),
    id: z.string(),
    userName: z.string().default(''),
    hostName: z.string().default(''),
  }),
);

/** Begins the host of a key that a rotation added; the id of the one before follows. */
const REPLACES = 'replaces-';

/** Snapshots that only note a success; what they hold is of no use. */
const SUCCESS = 'success';

/** Has restic try the key first whose id begins so. */
const hintOf = (id: string): readonly string[] => ['--key-hint', id];

const fileOf = (kind: string, item: string): string => `/${kind}/${item}`;

const lines = (text: string): unknown[] =>
  text
    .split('\n')
    .filter(Boolean)
    .map((line) => parseJson(line));

/** Without what a URL may hold before its host: user and password. */
const withoutUser = (repository: string): string => repository.replace(/\/\/[^/@]*@/, '//');

/** One environment's backup repository, by the program restic (0.14 or newer). Every fault is a {@link ResticFailure}. */
export class Restic {
  /** `switchyard-<environment>`. */
  readonly host: string;
  private readonly env: Environment;
  private readonly place: string;
  private readonly secrets: readonly string[];

  constructor(private readonly options: ResticOptions) {
    this.host = `switchyard-${options.environment}`;
    this.place = withoutUser(options.repository);
    const given = options.env ?? process.env;
    this.env = {
      ...Object.fromEntries(Object.entries(given).filter(([name]) => PASSED.test(name))),
      RESTIC_REPOSITORY: options.repository,
    };
    this.secrets = ['RESTIC_PASSWORD', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN', 'AZURE_ACCOUNT_KEY']
      .flatMap((name) => given[name] ?? [])
      .concat(/\/\/[^/@:]*:([^/@]*)@/.exec(options.repository)?.[1] ?? []);
  }

  private failure(what: string, ended: Ended): ResticFailure {
    const reason = reasonOf(ended);
    const said = ended.stderr.split('\n').filter((line) => line.trim());
    const telling =
      said.findLast((line) => /^Fatal:/.test(line)) ??
      said.findLast((line) => /error/i.test(line)) ??
      said.at(-1) ??
      `exit code ${ended.code}`;
    const because = redact(withoutUser(telling.replace(/^Fatal: /, '')), this.secrets).slice(0, 300);
    const at = `backup: the repository ${this.place}`;
    switch (reason) {
      case 'absent':
        return new ResticFailure(
          reason,
          `${at} does not exist.`,
          'Check RESTIC_REPOSITORY; the first `delivery backup` makes it.',
        );
      case 'wrong-key':
        return new ResticFailure(
          reason,
          `${at} does not open with this key.`,
          'Check RESTIC_PASSWORD: it comes from the seed with which the backup was made, and its version in the stack file.',
        );
      case 'damaged':
        return new ResticFailure(
          reason,
          `${at} is damaged (${because}).`,
          'Restore nothing from it; take the copy that your storage keeps, or an older version of it.',
        );
      case 'unreachable':
        return new ResticFailure(
          reason,
          `${at} cannot be reached (${because}).`,
          'Check its address, its credentials and the network.',
        );
      case 'locked':
        return new ResticFailure(
          reason,
          `${at} is in use by another run.`,
          'Try again when that one has ended; the lock of one that is gone is given up after 30 minutes.',
        );
      default:
        return new ResticFailure(reason, `${at}: ${what} failed (${because}).`, '');
    }
  }

  private call(args: readonly string[], timeoutMs?: number): Call {
    return {
      program: this.options.program ?? 'restic',
      args,
      env: this.env,
      fault: (ended) => this.failure(`restic ${args[0]}`, ended),
      timeoutMs,
    };
  }

  /** Of what is stored or read, however long it takes. */
  private streaming(args: readonly string[]): Call {
    const { stallMs = STALL_MS, lastMs } = this.options;
    return { ...this.call(args), stallMs, lastMs };
  }

  /** Tries again while another run holds its lock, after giving up locks of runs that are gone. */
  private async patiently<T>(work: () => Promise<T>): Promise<T> {
    const wait = this.options.lockWaitMs ?? LOCK_WAIT_MS;
    const end = Date.now() + wait;
    for (;;) {
      try {
        return await work();
      } catch (error) {
        const locked = error instanceof ResticFailure && error.reason === 'locked';
        if (!locked || Date.now() >= end) throw error;
      }
      await output(this.call(['unlock', '--quiet'], LIST_MS));
      await sleep(Math.min(LOCK_PAUSE_MS, wait / 5));
    }
  }

  private run(timeoutMs: number, ...args: string[]): Promise<string> {
    return this.patiently(() => output(this.call(args, timeoutMs)));
  }

  /** Before anything else: what cannot be reached here is not begun, and a storage that is away for a moment comes back. */
  private async open(...hinted: readonly string[]): Promise<void> {
    const args = ['cat', 'config', '--no-lock', '--quiet', ...hinted];
    await retry((timeoutMs) => output(this.call(args, timeoutMs)), {
      again: (error) => error instanceof ResticFailure && error.reason === 'unreachable',
      policy: { attempts: 3, attemptMs: OPEN_MS, totalMs: 3 * OPEN_MS, ...this.options.policy },
    });
  }

  private async keys(...hinted: readonly string[]): Promise<z.infer<typeof keySchema>> {
    const listed = await this.run(LIST_MS, 'key', 'list', '--json', '--no-lock', ...hinted);
    const parsed = keySchema.safeParse(parseJson(listed));
    if (parsed.success) return parsed.data;
    throw new ResticFailure(
      'other',
      `backup: the keys that restic lists of ${this.place} are not understood.`,
      '',
    );
  }

  /** Whether the repository opens with the key at hand. @throws for every other fault */
  async opens(): Promise<boolean> {
    try {
      await this.open();
      return true;
    } catch (error) {
      if (error instanceof ResticFailure && error.reason === 'wrong-key') return false;
      throw error;
    }
  }

  /** Adds a key beside the one at hand, which it is to replace: {@link removeReplaced}. */
  async addKey(password: string): Promise<void> {
    const current = (await this.keys()).find((key) => key.current);
    const folder = mkdtempSync(join(tmpdir(), 'switchyard-key-'));
    const file = join(folder, 'password');
    try {
      writeFileSync(file, password, { mode: 0o600 });
      const replaces = ['--user', this.host, '--host', `${REPLACES}${current?.id}`];
      await this.run(LIST_MS, 'key', 'add', '--quiet', ...replaces, '--new-password-file', file);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }

  /** Removes the key that the one at hand was added to replace, if it is still there. */
  async removeReplaced(): Promise<void> {
    const keys = await this.keys();
    const { userName, hostName = '' } = keys.find((key) => key.current) ?? {};
    if (userName !== this.host || !hostName.startsWith(REPLACES)) return;
    const replaced = keys.find((key) => !key.current && key.id === hostName.slice(REPLACES.length));
    if (replaced) await this.run(LIST_MS, 'key', 'remove', '--quiet', replaced.id);
  }

  /**
   * What is there, in a repository that is made when there is none. Several may make it at once, the first releases for
   * instance: each writes a key of its own, and the last one's configuration stays, which only that one's key opens. So nobody
   * writes before all who may be at it have ended, and the keys that open nothing are removed.
   * @throws when it is there and cannot be opened
   */
  async prepare(say: (line: string) => void = () => {}): Promise<Holdings> {
    const found = await this.openOrMake(say);
    if (found === 'opens') {
      const holdings = await this.holdings();
      if (holdings.snapshots.length > 0 || holdings.successes.length > 0) return holdings;
    }
    await sleep(this.options.settleMs ?? SETTLE_MS);
    await this.removeStrayKeys();
    return this.holdings();
  }

  private async openOrMake(say: (line: string) => void): Promise<'opens' | 'made' | 'damaged'> {
    try {
      await this.open();
      return 'opens';
    } catch (error) {
      if (!(error instanceof ResticFailure)) throw error;
      if (error.reason === 'damaged') return 'damaged';
      if (error.reason !== 'absent') throw error;
    }
    try {
      await output(this.call(['init', '--quiet'], INIT_MS));
      say('made the backup repository');
      return 'made';
    } catch (error) {
      // Made by somebody else in between, perhaps.
      if (await this.opens().catch(() => false)) return 'opens';
      throw error;
    }
  }

  /** Id of the key by which restic tried to open the repository, which opens nothing; undefined where it opens. */
  private async strayKey(...hinted: readonly string[]): Promise<string | undefined> {
    try {
      await this.open(...hinted);
      return undefined;
    } catch (error) {
      const stray = /config or key ([0-9a-f]{64}) is damaged/.exec((error as Error).message)?.[1];
      if (stray === undefined) throw error;
      return stray;
    }
  }

  /** Removes keys whose configuration another one's replaced, where nothing was stored yet. @throws when no key opens */
  private async removeStrayKeys(): Promise<void> {
    for (let tries = 1; ; tries++) {
      const stray = await this.strayKey();
      const hinted = stray === undefined ? [] : hintOf(await this.openingHint(stray));
      try {
        if (await this.removeStraysBeside(hinted)) return;
        break;
      } catch (error) {
        // Others remove them at the same time: which key is tried first may be another one by now.
        if (!(error instanceof ResticFailure && error.reason === 'damaged') || tries === MOST_REMOVALS)
          throw error;
      }
    }
    // Something is stored: whatever does not open is told.
    await this.open();
  }

  /** @returns whether only the key that opens is left; false where something is stored */
  private async removeStraysBeside(hinted: readonly string[]): Promise<boolean> {
    const keys = await this.keys(...hinted);
    if (keys.length === 1) return true;
    // By its own name it is found whatever others remove.
    const own = hintOf(keys.find(({ current }) => current)?.id ?? '');
    const held = await this.run(LIST_MS, 'list', 'snapshots', '--no-lock', '--quiet', ...own);
    if (held.trim() !== '') return false;
    for (const { id, current } of keys) {
      // A list has the beginning of each id.
      if (current || !(await this.strayKey(...hintOf(id)))?.startsWith(id)) continue;
      await this.run(LIST_MS, 'key', 'remove', '--quiet', id, ...own).catch(async (error: unknown) => {
        // Whoever made the repository at the same time removes it, too.
        if ((await this.keys(...own)).some((key) => key.id === id)) throw error;
      });
    }
    return true;
  }

  /**
   * Beginning of the id of a key that opens the repository: which keys there are is told only to who has one. A beginning
   * that several keys have is as good as none, so that two digits are tried where one was not enough.
   * @throws `damaged` when there is none
   */
  private async openingHint(stray: string): Promise<string> {
    for (const before of ['', ...DIGITS]) {
      for (const digit of DIGITS) {
        const hint = before + digit;
        if (!stray.startsWith(hint) && (await this.strayKey(...hintOf(hint))) === undefined) return hint;
      }
    }
    throw this.failure('restic cat', { code: 1, stderr: `Fatal: config or key ${stray} is damaged` });
  }

  /** What is there. @throws wrong key, damage, no repository: told apart by `reason` */
  async holdings(): Promise<Holdings> {
    await this.open();
    const parsed = snapshotSchema.safeParse(
      parseJson(await this.run(LIST_MS, 'snapshots', '--json', '--host', this.host)),
    );
    if (!parsed.success) {
      throw new ResticFailure('other', `backup: what restic lists of ${this.place} is not understood.`, '');
    }
    const snapshots: Snapshot[] = [];
    const successes: Success[] = [];
    for (const { id, time: at, hostname, tags } of parsed.data) {
      const tag = (name: string): string | undefined =>
        (tags ?? []).find((text) => text.startsWith(`${name}=`))?.slice(name.length + 1);
      const time = Date.parse(at) / 1000;
      const [kind, item, content] = [tag('kind'), tag('item'), tag('content')];
      if (hostname !== this.host || kind === undefined || item === undefined) continue;
      if (kind === SUCCESS && isKind(item)) successes.push({ id, kind: item, time });
      else if (isKind(kind)) snapshots.push({ id, time, kind, item, ...(content ? { content } : {}) });
    }
    const byTime = (a: { time: number }, b: { time: number }): number => a.time - b.time;
    return { snapshots: snapshots.sort(byTime), successes: successes.sort(byTime) };
  }

  private async add(
    kind: string,
    item: string,
    content: string | undefined,
    input: Readable,
  ): Promise<z.infer<typeof summarySchema>> {
    const tags = [`kind=${kind}`, `item=${item}`, ...(content ? [`content=${content}`] : [])];
    const args = ['backup', '--json', '--quiet', '--stdin', '--stdin-filename', fileOf(kind, item)];
    const call = this.streaming([...args, '--host', this.host, ...tags.flatMap((tag) => ['--tag', tag])]);
    const printed = await feed(call, input);
    const summary = lines(printed).flatMap((line) => summarySchema.safeParse(line).data ?? []);
    if (summary[0]) return summary[0];
    throw new ResticFailure('other', `backup: restic did not say what it stored of ${kind} ${item}.`, '');
  }

  /** Stores what a stream gives as one snapshot. A stream that breaks leaves none. */
  async store(
    { kind, item, content }: { readonly kind: Kind; readonly item: string; readonly content?: string },
    input: Readable,
  ): Promise<Stored> {
    const summary = await this.add(kind, item, content, input);
    return {
      snapshot: {
        id: summary.snapshot_id,
        time: Date.now() / 1000,
        kind,
        item,
        ...(content ? { content } : {}),
      },
      bytes: summary.total_bytes_processed,
      added: summary.data_added,
    };
  }

  /** Notes that all of a kind was backed up without a fault. */
  async succeed(kind: Kind): Promise<void> {
    await this.patiently(() => this.add(SUCCESS, kind, undefined, Readable.from([Buffer.from('done\n')])));
  }

  /** What a snapshot holds. The stream ends only when everything was read and proved to be what was stored. */
  read(snapshot: Snapshot): Readable {
    return outputStream(
      this.streaming(['dump', '--quiet', snapshot.id, fileOf(snapshot.kind, snapshot.item)]),
    );
  }

  /** Bytes that {@link read} gives. */
  async size(snapshot: Snapshot): Promise<number> {
    const listed = lines(await this.run(LIST_MS, 'ls', '--json', '--quiet', snapshot.id));
    return listed.flatMap((line) => nodeSchema.safeParse(line).data?.size ?? []).reduce((a, b) => a + b, 0);
  }

  /** Reads back every byte of the repository. @throws `damaged` */
  async check(): Promise<void> {
    await this.open();
    await this.run(WHOLE_MS, 'check', '--read-data', '--quiet');
  }

  /** Drops what `keep` does not keep of this environment's items, and frees the space. */
  async forget(keep: Keep): Promise<{ removed: number }> {
    const before = await this.holdings();
    // By path, of which each item has its own: tags tell contents as well, and would make each its own group.
    await this.run(
      WHOLE_MS,
      'forget',
      '--quiet',
      '--host',
      this.host,
      '--group-by',
      'host,paths',
      ...Object.entries({ daily: keep.daily, weekly: keep.weekly, monthly: keep.monthly }).flatMap(
        ([unit, count]) => [`--keep-${unit}`, String(count)],
      ),
      '--keep-last',
      '1',
      '--prune',
    );
    const after = await this.holdings();
    return { removed: Math.max(0, before.snapshots.length - after.snapshots.length) };
  }
}

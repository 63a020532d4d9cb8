import { z } from 'zod';
import { yamlText } from '../text/yaml';
import { entryOf } from './entry';
import { deepFreeze, type Parsed, ProblemsError, parseYaml } from './problems';
import { dnsLabel } from './schema';

/** Path of the ledger's project in the group. */
export const LEDGER_PROJECT = 'release-ledger';

const releaseSchema = z.strictObject({
  /** `host[:port]/path@sha256:…`. Never a tag: a tag may mean another image tomorrow. */
  image: z
    .string()
    .regex(
      /^[^\s@]+@sha256:[0-9a-f]{64}$/,
      'is not an image pinned by digest | Write repository@sha256:<64 hex digits>.',
    ),
  /** Commit of the module's main branch that the image was built from. */
  commit: z.string().regex(/^[0-9a-f]{40}$/, 'is not a full commit id | Write all 40 hex digits.'),
  /** Number (iid) of the merge request that brought the commit. */
  mergeRequest: z.number().int().min(1),
  /** Address of the build that deployed it. */
  build: z.string().min(1),
  /** A person rolled back to it and wants it kept: nothing that is merged takes its place. @default absent */
  hold: z.literal(true).optional(),
  /**
   * The module's data is migrated for it before it is rolled out. It stands at what goes forward, and goes when it was: what is
   * put back is not migrated. @default absent
   */
  migrate: z.literal(true).optional(),
});

/** What is known of the migration of a release that was taken back. What it changed is not changed back. */
export const migrationSchema = z.enum(['ran', 'failed', 'unknown']);
export type Migration = z.infer<typeof migrationSchema>;

const takenBackSchema = z.strictObject({
  /** `undone` by the deploy itself, since it did not get ready or crashed; `rolled back` by a person. */
  how: z.enum(['undone', 'rolled back']),
  /** The newest release that was taken back: neither it nor what is older goes out again by itself. */
  commit: releaseSchema.shape.commit,
  /** Number (iid) of the merge request that brought it. */
  mergeRequest: releaseSchema.shape.mergeRequest,
  /** Address of the build that took it back; absent where a person's command did. */
  build: releaseSchema.shape.build.optional(),
  /** In one line. */
  why: z.string().min(1),
  /** What became of its migration. @default it had none, or nobody looked */
  migration: migrationSchema.optional(),
});

const ledgerSchema = z.strictObject({
  modules: z.record(dnsLabel, releaseSchema).default({}),
  undone: z.record(dnsLabel, takenBackSchema).optional(),
});

/** What runs of one module in one environment. */
export type Release = Readonly<z.infer<typeof releaseSchema>>;

/** A release that was taken back, by module: it stands here until a newer one goes out. */
export type TakenBack = Readonly<z.infer<typeof takenBackSchema>>;

/** What runs in one environment: `<environment>.yaml` of the release-ledger project. */
export interface Ledger {
  readonly modules: Readonly<Record<string, Release>>;
  /** @default nothing was taken back */
  readonly undone?: Readonly<Record<string, TakenBack>>;
}

/** All that a ledger says of one module. */
export interface ModuleState {
  readonly release?: Release;
  readonly undone?: TakenBack;
}

export const emptyLedger: Ledger = deepFreeze({ modules: {} });

/**
 * Like {@link parseLedger}, with the faults as data.
 * @param file name used in the problems, e.g. `release-ledger/production.yaml`
 */
export function readLedger(text: string, file: string): Parsed<Ledger> {
  const parsed = parseYaml(text, file, ledgerSchema);
  return 'value' in parsed ? { value: deepFreeze(parsed.value) } : parsed;
}

/**
 * Parses a ledger file; empty text is an environment in which nothing was deployed yet.
 * @throws ProblemsError with every fault of the file
 */
export function parseLedger(text: string, file: string): Ledger {
  const parsed = readLedger(text, file);
  if ('problems' in parsed) throw new ProblemsError(parsed.problems);
  return parsed.value;
}

/** The file's text: keys sorted and nothing folded, so that equal ledgers are equal bytes. */
export function serialiseLedger({ modules, undone }: Ledger): string {
  const taken = undone && Object.keys(undone).length > 0 ? { undone } : {};
  return yamlText({ modules, ...taken }, { sortMapEntries: true, lineWidth: 0 });
}

export function stateOf({ modules, undone }: Ledger, module: string): ModuleState {
  const release = entryOf(modules, module);
  const taken = entryOf(undone, module);
  return { ...(release ? { release } : {}), ...(taken ? { undone: taken } : {}) };
}

const withEntry = <T>(
  entries: Readonly<Record<string, T>> | undefined,
  name: string,
  entry: T | undefined,
): Record<string, T> => {
  const others = Object.entries(entries ?? {}).filter(([key]) => key !== name);
  return Object.fromEntries(entry === undefined ? others : [...others, [name, entry]]);
};

/** The ledger with what it says of one module replaced; all others untouched. */
export function withState(ledger: Ledger, module: string, { release, undone }: ModuleState): Ledger {
  const taken = withEntry(ledger.undone, module, undone);
  return deepFreeze({
    modules: withEntry(ledger.modules, module, release && { ...release }),
    ...(Object.keys(taken).length > 0 ? { undone: taken } : {}),
  });
}

/** The ledger with one module's release replaced, before which nothing was taken back; all others untouched. */
export const withRelease = (ledger: Ledger, module: string, release: Release): Ledger =>
  withState(ledger, module, { release });

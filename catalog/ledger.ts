import { stringify } from 'yaml';
import { z } from 'zod';
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
});

const ledgerSchema = z.strictObject({ modules: z.record(dnsLabel, releaseSchema).default({}) });

/** What runs of one module in one environment. */
export type Release = Readonly<z.infer<typeof releaseSchema>>;

/** What runs in one environment: `<environment>.yaml` of the release-ledger project. */
export interface Ledger {
  readonly modules: Readonly<Record<string, Release>>;
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
export function serialiseLedger(ledger: Ledger): string {
  return stringify({ modules: ledger.modules }, { sortMapEntries: true, lineWidth: 0 });
}

/** The ledger with one module's release replaced; all others untouched. */
export function withRelease(ledger: Ledger, module: string, release: Release): Ledger {
  return deepFreeze({ modules: { ...ledger.modules, [module]: { ...release } } });
}

import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { podWordsSchema } from './pod-words';

const commitId = z.string().regex(/^[0-9a-f]{40}$/);
const imageDigest = z.string().regex(/^sha256:[0-9a-f]{64}$/);

const testsSchema = z.strictObject({
  total: z.number().int().min(0),
  passed: z.number().int().min(0),
  /** Without those that failed in quarantine. */
  failed: z.number().int().min(0),
  skipped: z.number().int().min(0),
  failing: z.array(z.strictObject({ name: z.string(), message: z.string() })),
  /** How they are run: the module's command, and where it answered. Absent where nothing failed. */
  run: z.strictObject({ command: z.string(), baseUrl: z.string() }).optional(),
  /** Absent where nothing failed in quarantine and nothing is to be said of it. */
  quarantine: z
    .strictObject({
      /** What failed and blocks nobody. `until` is the last such day; `times` counts tests of one name. */
      failed: z.array(
        z.strictObject({
          name: z.string(),
          message: z.string(),
          until: z.string(),
          times: z.number().int().min(1),
        }),
      ),
      /** Sentences on the file of the quarantined tests, without their full stop. */
      said: z.array(z.string()),
    })
    .optional(),
});

/** By what people let a merge request be merged: an approval, or a label. */
const givenSchema = z.strictObject({
  /** GitLab's number of the user. */
  user: z.number().int().min(1),
  /** When, in milliseconds since 1970, as GitLab has it. */
  at: z.number().int().min(0),
  /** The newest commit then. */
  of: commitId,
});
export type Given = Readonly<z.infer<typeof givenSchema>>;

/**
 * What one run of the pipeline knows of a merge request: the merge certificate. `source` starts it, `build`
 * and `verdict` add to it, `report` signs it, `merge` and `deploy` act on nothing else.
 */
export const certificateSchema = z.strictObject({
  version: z.literal(2),
  module: z.string().min(1),
  /** Full path of the GitLab project, e.g. `switchyard/orders`. */
  project: z.string().min(1),
  /** GitLab's number of the project, which no other project ever gets. */
  projectId: z.number().int().min(1),
  /** The merge request's iid. */
  mergeRequest: z.number().int().min(1),
  sourceBranch: z.string().min(1),
  targetBranch: z.string().min(1),
  /** Commit that the merge result was made on: the target branch's head, or with `ahead` one that working copies only have. */
  baseSha: commitId,
  /** Where it was tested on others that were not merged then: what of, and on which commit of the target branch. */
  ahead: z
    .strictObject({
      onto: commitId,
      /** In the order in which they come into it. */
      requests: z.array(z.strictObject({ mergeRequest: z.number().int().min(1), headSha: commitId })).min(1),
    })
    .optional(),
  /** Its head has been in the merge queue; absent for what was never green. */
  gate: z
    .strictObject({
      /** Since when it may be merged, by GitLab's clock, in milliseconds since 1970. */
      since: z.number().int().min(0),
      /** When it was taken out, likewise: it does not queue any more. */
      out: z.number().int().min(0).optional(),
      /** Who put it first. */
      first: z.string().min(1).optional(),
      /** By whose word the bot rebased it. It holds for the head that came of that as well: for no other's. */
      given: givenSchema.optional(),
    })
    .optional(),
  /** Head of the source branch. */
  headSha: commitId,
  /** The head that was tested, where the bot has rebased it since: `headSha` has the tested tree itself. */
  rebasedFrom: commitId.optional(),
  /** Tree of the merge result: what was built and tested. Absent while head and base do not merge. */
  treeSha: commitId.optional(),
  /** Unix seconds of the head's commit: SOURCE_DATE_EPOCH of the image. */
  commitEpoch: z.number().int().min(0),
  /** Address of the Jenkins build. */
  build: z.string().min(1),
  /** What the catalog said of merging when the build began. */
  policy: z.string().min(1),
  /** {@link declaredAs} of the module and its services then; certificates of before November 2026 have none. */
  declared: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .optional(),
  conflicts: z.array(z.string()).optional(),
  image: z
    .strictObject({
      /** `host[:port]/path`, without tag or digest. */
      repository: z.string().min(1),
      tag: z.string().min(1),
      digest: imageDigest,
      /** What its build left for the next ones, where it left something: a manifest of the same repository. */
      cache: imageDigest.optional(),
    })
    .optional(),
  tests: testsSchema.optional(),
  /** What earlier builds found on the same tree, oldest first: the tests that failed, in quarantine or not. */
  earlier: z.array(z.strictObject({ build: z.string().min(1), failed: z.array(z.string()) })).optional(),
  /** Tests that failed and passed on one tree. */
  flaky: z
    .array(
      z.strictObject({
        name: z.string(),
        /** Tree of the last run that it was seen in. */
        tree: commitId,
        /** Of the runs that were known then: on that tree, and of what was merged of late. */
        failed: z.number().int().min(1),
        runs: z.number().int().min(1),
        /** Last day of the quarantine that is suggested; absent where it has one. */
        until: z.string().optional(),
      }),
    )
    .optional(),
  /** What its test Pod said, where that one did not start, so that nothing was tested. */
  start: podWordsSchema.optional(),
});

export type Certificate = Readonly<z.infer<typeof certificateSchema>>;
export type Tests = z.infer<typeof testsSchema>;

/** Tested and nothing failed that blocks. Zero tests prove nothing, so they are not green. */
export const isGreen = (certificate: Certificate): boolean =>
  certificate.treeSha !== undefined &&
  certificate.image !== undefined &&
  certificate.tests !== undefined &&
  certificate.tests.failed === 0 &&
  certificate.tests.passed > 0;

/** Nothing was found out of it, and it had no part in that. */
export const isInfrastructure = ({ tests, conflicts, start }: Certificate): boolean =>
  !tests && !conflicts && start?.infrastructure === true;

/** Its test Pod was removed, nobody says by whom: nothing was found out of it, and nobody is to blame. */
export const isRemoved = ({ tests, conflicts, start }: Certificate): boolean =>
  !tests && !conflicts && start?.lost === true && !start.infrastructure;

/** Whether its merge request is in the merge queue by it, green or red. */
export const isQueued = ({ gate }: Certificate): boolean => gate !== undefined && gate.out === undefined;

/** JSON with keys sorted all the way down: the bytes that are signed. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (value !== null && typeof value === 'object') {
    const entries = Object.entries(value).filter(([, inner]) => inner !== undefined);
    entries.sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${entries.map(([key, inner]) => `${JSON.stringify(key)}:${canonical(inner)}`).join(',')}}`;
  }
  return JSON.stringify(value);
}

/** Tells one declaration in the catalog from another: SHA-256 of its canonical JSON. */
export const declaredAs = (declared: unknown): string =>
  createHash('sha256').update(canonical(declared)).digest('hex');

/** HMAC-SHA256 over the canonical JSON, in hex. */
export const sign = (certificate: Certificate, key: string): string =>
  createHmac('sha256', key).update(canonical(certificate)).digest('hex');

/** Compares in constant time. */
export function isSignedBy(certificate: Certificate, signature: string, key: string): boolean {
  const expected = Buffer.from(sign(certificate, key), 'hex');
  const given = Buffer.from(signature, 'hex');
  return given.length === expected.length && timingSafeEqual(given, expected);
}

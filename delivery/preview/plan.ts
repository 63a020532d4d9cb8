import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { parseJson } from '../../text/json';
import { canonical } from '../certificate';
import type { Change } from './events';

const commitId = z.string().regex(/^[0-9a-f]{40}$/);
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);

/** Steps that a plan names; of a longer one only the fingerprint tells. */
const STEPS_NAMED = 300;

/** What a reviewer saw: the note carries it, signed, and applying compares what it is about to do with it. */
export const planSchema = z.strictObject({
  version: z.literal(1),
  environment: z.string().min(1),
  project: z.string().min(1),
  mergeRequest: z.number().int().min(1),
  headSha: commitId,
  baseSha: commitId,
  treeSha: commitId,
  /** Fingerprint of the recorded state that the preview ran on. */
  state: sha256,
  /** Fingerprint of all steps. */
  steps: sha256,
  /** `action type::name: properties`, sorted; the first {@link STEPS_NAMED}. */
  named: z.array(z.string()),
  /** The preview ended well and no rule was broken. */
  green: z.boolean(),
});
export type SeenPlan = Readonly<z.infer<typeof planSchema>>;

const stepLine = ({ action, type, name, properties }: Change): string =>
  `${action} ${type}::${name}${properties.length > 0 ? `: ${properties.join(', ')}` : ''}`;

/** The steps as lines, sorted, and one fingerprint over all of them. */
export function stepsOf(changes: readonly Change[]): Pick<SeenPlan, 'steps' | 'named'> {
  const lines = changes.map((change) => `${stepLine(change)} ${change.forcing.join(', ')}`.trimEnd()).sort();
  return {
    steps: createHash('sha256').update(lines.join('\n')).digest('hex'),
    named: lines.slice(0, STEPS_NAMED).map((line) => line.slice(0, 200)),
  };
}

/** HMAC-SHA256 over the canonical JSON, with a prefix that no other signature of ours has. */
export const signPlan = (plan: SeenPlan, key: string): string =>
  createHmac('sha256', key)
    .update(`preview\n${canonical(plan)}`)
    .digest('hex');

const MARKED = /\n<!-- switchyard:plan ([A-Za-z0-9_-]+) ([0-9a-f]{64}) -->\n/;

/** The plan as an invisible line of a note. Base64, so that no text of a resource can end the comment. */
export const embedPlan = (plan: SeenPlan, key: string): string =>
  `\n<!-- switchyard:plan ${Buffer.from(JSON.stringify(plan)).toString('base64url')} ${signPlan(plan, key)} -->\n`;

/** The plan of a note; undefined when there is none, or its signature does not hold. */
export function readPlan(body: string, key: string): SeenPlan | undefined {
  const match = MARKED.exec(`\n${body.replace(/\r\n/g, '\n')}\n`);
  if (!match) return undefined;
  const parsed = planSchema.safeParse(parseJson(Buffer.from(match[1] ?? '', 'base64url').toString('utf8')));
  if (!parsed.success) return undefined;
  const expected = Buffer.from(signPlan(parsed.data, key), 'hex');
  const given = Buffer.from(match[2] ?? '', 'hex');
  return given.length === expected.length && timingSafeEqual(given, expected) ? parsed.data : undefined;
}

export type Comparison = { readonly same: true } | { readonly same: false; readonly why: string };

const few = (lines: readonly string[]): string =>
  lines.slice(0, 5).join('; ') + (lines.length > 5 ? ` and ${lines.length - 5} more` : '');

/**
 * Whether applying would do what the reviewer saw.
 * @param state fingerprint of the recorded state now
 */
export function comparePlans(seen: SeenPlan, changes: readonly Change[], state: string): Comparison {
  const now = stepsOf(changes);
  if (now.steps === seen.steps) return { same: true };
  const more = now.named.filter((line) => !seen.named.includes(line));
  const less = seen.named.filter((line) => !now.named.includes(line));
  const cause =
    state === seen.state
      ? 'the live objects changed under an unchanged record, or the program does not do the same twice'
      : 'live state moved since the preview';
  return {
    same: false,
    why: [
      cause,
      more.length > 0 ? `it would now also ${few(more)}` : '',
      less.length > 0 ? `it would no longer ${few(less)}` : '',
    ]
      .filter(Boolean)
      .join('; '),
  };
}

import { type Ledger, type ModuleState, type Release, stateOf, type TakenBack } from '../catalog/ledger';
import { exitCode, Failure } from '../clients/failure';
import type { GitLab } from '../clients/gitlab';
import type { Registry } from '../clients/registry';
import {
  changeLedger,
  currentLedger,
  type LedgerEvent,
  type LedgerPlace,
  ledgerEvents,
  ledgerMessage,
  short,
  stateAt,
} from './ledger';
import { whyOtherImage } from './state';

// What was released, and going back to it. A rollback is one commit of the ledger, so that `up`, drift and everybody's next
// deploy find it there; docs/decisions/0016 says why nothing that was taken back goes out again by itself.

/** What became of a release. */
export type Standing = 'current' | 'undone' | 'rolled back' | 'earlier';

/** One release as people read it. */
export interface ReleaseRow {
  readonly module: string;
  readonly commit: string;
  /** By digest; absent where the ledger of that time cannot be read. */
  readonly image?: string;
  readonly mergeRequest?: number;
  readonly build?: string;
  /** RFC 3339; absent for what no commit of ours brought. */
  readonly at?: string;
  readonly by?: string;
  /** Environment that it was promoted from, where it was. */
  readonly promotedFrom?: string;
  readonly state: Standing;
  /** Nothing that is merged takes its place. */
  readonly held: boolean;
  /** Why it was taken back. */
  readonly why?: string;
}

/** A release for the first time, as no rollback is. */
type Forward = LedgerEvent & { readonly to: string };
const isForward = (event: LedgerEvent): event is Forward =>
  event.to !== undefined && event.back === undefined;

/** A module's releases, newest first, each once. */
const forwardOf = (events: readonly LedgerEvent[]): Forward[] =>
  events
    .filter(isForward)
    .filter((event, index, all) => all.findIndex(({ to }) => to === event.to) === index);

/**
 * What became of each of a module's releases: those after the current one were taken back, by a commit of ours or by a
 * person who reverted one.
 * @param events of this module, newest first
 */
export function standings(
  events: readonly LedgerEvent[],
  current: Release | undefined,
): readonly { readonly event: Forward; readonly state: Standing; readonly why?: string }[] {
  const forward = forwardOf(events);
  const at = current ? forward.findIndex(({ to }) => current.commit.startsWith(to)) : forward.length;
  return forward.map((event, index) => {
    if (index === at) return { event, state: 'current' };
    const taken = events.find(({ back }) => back?.from === event.to);
    const again = taken && events.findIndex(({ to }) => to === event.to) < events.indexOf(taken);
    if (taken?.back && !again)
      return { event, state: taken.back.how, ...(taken.why ? { why: taken.why } : {}) };
    return index < at
      ? { event, state: 'rolled back', why: 'reverted in the ledger' }
      : { event, state: 'earlier' };
  });
}

/** Releases that a list shows. */
const SHOWN = 20;

/**
 * The newest releases of an environment, newest first.
 * @param module of this module only; what runs of it is among them however old it is
 */
export async function listReleases(
  gitlab: Pick<GitLab, 'file' | 'commitsOf'>,
  place: LedgerPlace,
  module?: string,
): Promise<ReleaseRow[]> {
  const { ledger, lastCommit } = await currentLedger(gitlab, place);
  // Before the first release GitLab has no such file, and perhaps no branch.
  const events = lastCommit ? await ledgerEvents(gitlab, place, module) : [];
  const modules = [...new Set([...events.map((event) => event.module), ...(module ? [module] : [])])];
  const all = modules.flatMap((name) =>
    standings(
      events.filter((event) => event.module === name),
      stateOf(ledger, name).release,
    ),
  );
  const order = new Map(events.map(({ id }, index) => [id, index]));
  const shown = all
    .sort((a, b) => (order.get(a.event.id) ?? 0) - (order.get(b.event.id) ?? 0))
    .filter(({ state }, index) => index < SHOWN || (module !== undefined && state === 'current'));
  const rows = await Promise.all(
    shown.map(async ({ event, state, why }): Promise<ReleaseRow> => {
      const now = state === 'current' ? stateOf(ledger, event.module) : undefined;
      const { release } = now ?? (await stateAt(gitlab, place, event.module, event.id));
      return {
        module: event.module,
        ...(release ? factsOf(release) : { commit: event.to }),
        at: event.at,
        by: event.by ?? event.author,
        ...(event.promotedFrom ? { promotedFrom: event.promotedFrom } : {}),
        state,
        held: now?.release?.hold === true,
        ...(why ? { why } : {}),
      };
    }),
  );
  return [...unheardOf(ledger, module, rows), ...rows];
}

const factsOf = ({ commit, image, mergeRequest, build }: Release) => ({ commit, image, mergeRequest, build });

/** What runs of a module and came into the ledger by another hand. */
function unheardOf(ledger: Ledger, module: string | undefined, rows: readonly ReleaseRow[]): ReleaseRow[] {
  const release = module === undefined ? undefined : stateOf(ledger, module).release;
  if (module === undefined || !release || rows.some(({ state }) => state === 'current')) return [];
  return [{ module, ...factsOf(release), state: 'current', held: release.hold === true }];
}

/** What a person gives for a commit: at least as much as tells it from others. */
export const COMMIT = /^[0-9a-f]{7,40}$/;

export interface RollbackRequest extends LedgerPlace {
  readonly module: string;
  /** Commit of an earlier release, or its beginning. @default the release before the one that runs */
  readonly to?: string;
  /** Keep it until a person says otherwise. */
  readonly hold: boolean;
  /** Address of the build that was told to. @default none: a person's own command */
  readonly build?: string;
  /** Commit that this build put back already, and has to roll out once more. @default none */
  readonly wrote?: string;
}

export interface RolledBack {
  /** What runs from now on. */
  readonly release: Release;
  /** What ran before. */
  readonly from: Release;
  /** Whether the ledger was changed; it may have been so already. */
  readonly written: boolean;
}

const input = (what: string, remedy: string): Failure => new Failure(exitCode.input, what, remedy);

const namesOf = (events: readonly Forward[]): string =>
  events
    .slice(0, 10)
    .map(({ to }) => to)
    .join(', ');

/**
 * The release that a rollback puts back.
 * @param events of this module, newest first
 * @throws Failure 2 for a commit that is none of the module's, and where there is no earlier release
 */
export function targetOf(
  { module, environment, to }: Pick<RollbackRequest, 'module' | 'environment' | 'to'>,
  events: readonly LedgerEvent[],
  current: Release,
): Forward {
  const forward = forwardOf(events);
  const list = `switchyard releases ${environment} ${module}`;
  if (to !== undefined) {
    if (!COMMIT.test(to))
      throw input(`--to: "${to}" is no commit.`, `Give 7 to 40 hex digits of one that \`${list}\` shows.`);
    const found = forward.filter((event) => event.to.startsWith(to) || to.startsWith(event.to));
    const [one, other] = found;
    if (one && !other) return one;
    throw input(
      one
        ? `--to: ${to} is the beginning of ${found.length} releases of ${module}: ${namesOf(found)}.`
        : `--to: ${to} is no release of ${module} in ${environment}. There are: ${namesOf(forward) || 'none'}.`,
      one ? 'Give more digits.' : `See \`${list}\`.`,
    );
  }
  const at = forward.findIndex((event) => current.commit.startsWith(event.to));
  const before = standings(events, current)
    .slice(at + 1)
    // What did not get ready once is nothing to go back to.
    .find(({ state, event }) => state === 'earlier' && !current.commit.startsWith(event.to));
  if (before) return before.event;
  throw input(
    `${module} has no earlier release in ${environment}.`,
    `See \`${list}\`; what never ran there cannot be rolled back to.`,
  );
}

/**
 * Puts an earlier release of a module into the ledger, or with `to` any that there was. Said again without `to` it finds
 * that done, so that one that was killed is said again.
 * @param before asked before anything is written, with what would be put back
 * @throws Failure 2 for a module without a release, and what {@link targetOf} refuses; 4 where something else was released
 *   since this build put its one back: nobody asked to take that back
 */
export async function rollBack(
  gitlab: Pick<GitLab, 'file' | 'commitFile' | 'commitsOf'>,
  request: RollbackRequest,
  before: (release: Release, from: Release) => Promise<void> = async () => undefined,
  pause?: (attempt: number) => number,
): Promise<RolledBack> {
  const { module, environment, hold, build, wrote } = request;
  const { ledger } = await currentLedger(gitlab, request);
  const state = stateOf(ledger, module);
  const current = state.release;
  if (!current)
    throw input(
      `${module} has no release in ${environment}.`,
      `See \`switchyard releases ${environment} ${module}\`.`,
    );
  if (wrote !== undefined && wrote !== current.commit)
    throw new Failure(
      exitCode.nothing,
      `${module} was released since: ${short(current.commit)} is in the ledger, no longer ${short(wrote)}.`,
    );
  // What was put back already stays where it is.
  const stays = wrote !== undefined || (request.to === undefined && state.undone !== undefined);
  const events = stays ? [] : await ledgerEvents(gitlab, request, module);
  const found = stays ? undefined : targetOf(request, events, current);
  const wanted =
    !found || current.commit.startsWith(found.to)
      ? current
      : (await stateAt(gitlab, request, module, found.id)).release;
  if (!wanted)
    throw new Failure(
      exitCode.red,
      `the ledger of ${environment} cannot be read as it was at ${found?.id.slice(0, 12)}.`,
      `Look at ${request.ledgerProject}, and say another commit by --to.`,
    );
  const newest = await newestOf(gitlab, request, events, { ...state, release: current });
  const { hold: _was, migrate, ...bare } = wanted;
  const release: Release = {
    ...bare,
    ...(hold ? { hold: true } : {}),
    ...(migrate && needsMigration(wanted, current, newest, state) ? { migrate: true } : {}),
  };
  await before(release, current);
  const undone = newest.commit === release.commit ? undefined : markOf(newest, state, build);
  const forward = forwardOf(events);
  const placeOf = (commit: string): number => forward.findIndex(({ to }) => commit.startsWith(to));
  // Going to a newer one takes nothing back, and neither does holding what runs.
  const goesBack = release.commit !== current.commit && placeOf(release.commit) > placeOf(current.commit);
  const written = await changeLedger(
    gitlab,
    request,
    module,
    async ({ release: now }) => {
      if (now?.image === release.image && now.commit === release.commit && now.hold === release.hold)
        return undefined;
      if (now?.commit !== current.commit)
        throw new Failure(
          exitCode.red,
          `${module} was released meanwhile: ${now ? short(now.commit) : 'nothing'} is in the ledger now.`,
          'Nothing was changed; say it again.',
        );
      return {
        state: { release, ...(undone ? { undone } : {}) },
        message: ledgerMessage(
          environment,
          {
            module,
            to: short(release.commit),
            ...(goesBack ? { back: { how: 'rolled back', from: short(current.commit) } } : {}),
            why: hold ? 'rolled back, and held' : 'rolled back',
          },
          [`Merge request !${release.mergeRequest}`, ...(build ? [build] : [])],
        ),
      };
    },
    pause,
  );
  return { release, from: current, written };
}

/**
 * @param address `host[:port][/prefix]` of the registry
 * @throws Failure 2 for a release whose image is another module's, or is gone
 */
export async function assertImage(
  registry: Pick<Registry, 'resolve'>,
  address: string,
  module: string,
  { image, commit }: Release,
): Promise<void> {
  const [repository = '', digest = ''] = image.split('@');
  const other = whyOtherImage(repository, address, module);
  if (other) throw input(`the release ${short(commit)} cannot be put back: ${other}.`, 'Choose another one.');
  if (!(await registry.resolve(repository.slice(address.length + 1), digest)))
    throw input(
      `the image of ${module} ${short(commit)} is gone from the registry.`,
      'Choose a newer release; registry.retention says how long images stay.',
    );
}

/** A release as far as it is told from others. */
type Known = Pick<Release, 'commit' | 'mergeRequest'>;

/** What was taken back stays what the ledger says it was. */
function markOf(
  { commit, mergeRequest }: Known,
  { undone }: ModuleState,
  build: string | undefined,
): TakenBack {
  if (undone?.commit === commit) return undone;
  return { how: 'rolled back', commit, mergeRequest, why: 'rolled back', ...(build ? { build } : {}) };
}

/**
 * Whether a release is migrated for when it is put into the ledger by a person: what runs is left as it is, and what goes
 * forward to the newest is, but where its migration is known to have run. For anything older the data is too new already.
 */
function needsMigration(wanted: Release, current: Release, newest: Known, { undone }: ModuleState): boolean {
  if (wanted.commit === current.commit) return true;
  const ran = undone?.commit === wanted.commit && undone.migration === 'ran';
  return wanted.commit === newest.commit && !ran;
}

/** What whoever goes from one release to another has to know of the data; undefined where there is nothing to know. */
export function dataStays(to: Release, from: Release): string | undefined {
  if (to.commit === from.commit) return undefined;
  if (to.migrate) return `the migration of ${short(to.commit)} runs before its rollout`;
  return from.migrate
    ? `the data stays as the migration of ${short(from.commit)} left it: nothing of that is taken back`
    : undefined;
}

/** The newest release of a module, running or taken back: nothing up to it goes out again by itself. */
async function newestOf(
  gitlab: Pick<GitLab, 'file'>,
  place: RollbackRequest,
  events: readonly LedgerEvent[],
  { release, undone }: ModuleState & { readonly release: Release },
): Promise<Known> {
  if (undone) return undone;
  const [newest] = forwardOf(events);
  if (!newest || release.commit.startsWith(newest.to)) return release;
  return (await stateAt(gitlab, place, place.module, newest.id)).release ?? release;
}

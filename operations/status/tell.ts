import { plainText } from '../../text/terminal';
import { ago } from '../cli/ago';
import type { Outcome } from '../cli/outcome';
import { EXIT } from '../cli/refusal';
import { columns, columnsWithin } from '../cli/table';
import { alertsOf } from './alerts';
import type { BackupFacts } from './backups';
import { type LastJob, type ModuleFacts, type StatusFacts, verdict } from './facts';

/** Characters that the table of modules is wide at most. */
const WIDTH = 100;

const number = (value: number | undefined): string =>
  value === undefined ? '?' : String(Number(value.toPrecision(3)));

const scalerOf = ({ autoscaler }: ModuleFacts) => (autoscaler === 'none' ? undefined : autoscaler);

/** Ready of wanted, and between what an autoscaler has them. */
function podsText(module: ModuleFacts): string {
  const { running } = module;
  const pods = running ? `${running.ready}/${running.desired}` : '-';
  const scaler = scalerOf(module);
  return scaler ? `${pods} (${scaler.min}–${scaler.max})` : pods;
}

/** Requests per second that a Pod has, of those that it is to have. */
function requestsText(module: ModuleFacts): string {
  const scaler = scalerOf(module);
  return scaler ? `${number(scaler.each)}/${number(scaler.target)}` : '-';
}

const releaseText = ({ released }: ModuleFacts): string =>
  released ? `${released.commit.slice(0, 10)} !${released.mergeRequest}` : '-';

function whoText({ last }: ModuleFacts): string {
  if (!last) return '-';
  const by = plainText(last.by ?? '');
  if (last.how === 'merge') return by;
  return last.how === 'rollback' ? `${by}, back` : last.how;
}

const jobText = (job: LastJob | undefined): string => (job ? `#${job.number} ${job.result}` : '-');

const HEAD = ['module', 'state', 'pods', 'req/s each', 'release', 'since', 'who', 'last job'];
/** Of {@link HEAD}, what is cut first where the table is too wide. */
const CUT_FIRST = ['module', 'who', 'last job'];

/** A row a module; the requests only where any module scales. */
function moduleRows({ modules, complete, at }: StatusFacts): string[][] {
  const rows = modules.map((module) => [
    module.name,
    verdict(module, complete),
    podsText(module),
    requestsText(module),
    releaseText(module),
    module.last?.at ? ago(module.last.at, at) : '-',
    whoText(module),
    jobText(module.lastJob),
  ]);
  const shows = HEAD.map((title) => title !== 'req/s each' || modules.some(({ autoscaler }) => autoscaler));
  return [HEAD, ...rows].map((row) => row.filter((_, index) => shows[index]));
}

function tableOf(rows: readonly (readonly string[])[]): string[] {
  const first = (rows[0] ?? []).flatMap((title, index) => (CUT_FIRST.includes(title) ? [index] : []));
  return columnsWithin(WIDTH, rows, first);
}

const backupRow = ({ kind, state, last, ageHours }: BackupFacts): string[] => [
  kind,
  state,
  last ?? '-',
  ageHours === undefined ? '-' : `${ageHours} h`,
];

/** One line a kind; one line in all where there is nothing to tell. */
function backupLines(backups: StatusFacts['backups']): string[] {
  if (backups === undefined) return [];
  if (backups === 'none') return ['no backups are made: the stack has no switchyard:backup'];
  return columns([['backup', 'state', 'last success', 'age'], ...backups.map(backupRow)]);
}

/** Secrets that have another version than the first. */
function secretLines({ versions, rotating }: StatusFacts): string[] {
  const all = [...new Set([...Object.keys(versions), ...rotating])].sort();
  if (all.length === 0) return [];
  return columns([
    ['secret', 'version', 'state'],
    ...all.map((purpose) => [
      purpose,
      String(versions[purpose] ?? 1),
      rotating.includes(purpose) ? 'rotating' : 'in use',
    ]),
  ]);
}

/** What is as a person wants it, and has to be known all the same. */
const noteLines = (modules: readonly ModuleFacts[]): string[] =>
  modules.flatMap(({ name, released, running, autoscaler }) => [
    ...(released?.hold
      ? [`${name}: ${released.commit.slice(0, 10)} is held: what is merged does not take its place`]
      : []),
    // Where it scales, that is its autoscaler's work.
    ...(running?.scaledBy && running.desired > 0 && !autoscaler
      ? [plainText(`${name}: scaled to ${running.desired} by ${running.scaledBy}`)]
      : []),
  ]);

function headLines(facts: StatusFacts): string[] {
  const { environment, modules, complete } = facts;
  const well = modules.filter((module) => verdict(module, complete) === 'as released').length;
  const alerts = alertsOf(facts);
  const many = alerts.length === 1 ? '1 alert' : `${alerts.length} alerts`;
  return [
    `status of ${environment}: ${well} of ${modules.length} modules run as released${alerts.length > 0 ? `, ${many}` : ''}`,
    ...alerts.map(({ says }) => `! ${says}`),
  ];
}

const tailLines = (facts: StatusFacts): string[] => [
  ...noteLines(facts.modules),
  ...backupLines(facts.backups),
  ...secretLines(facts),
];

/** The status: what is wrong, a table of modules in 100 characters, and what else there is to know. */
export const statusLines = (facts: StatusFacts): string[] => [
  ...headLines(facts),
  ...tableOf(moduleRows(facts)),
  ...tailLines(facts),
];

/** So many of these lines as there is room for; the last of them says how many more there are. */
function first(lines: readonly string[], room: number, more: (left: number) => string): string[] {
  if (lines.length <= room) return [...lines];
  const shown = Math.max(0, room - 1);
  return [...lines.slice(0, shown), more(lines.length - shown)];
}

/**
 * The status on a screen of so many rows: what is wrong takes half of it at most, modules that run as released go first where the
 * table is too long, and what comes after the table goes before any module does.
 */
export function statusScreen(facts: StatusFacts, rows: number): string[] {
  const { modules, complete, environment } = facts;
  const [head = '', ...alerts] = headLines(facts);
  const top = [
    head,
    ...first(
      alerts,
      Math.max(1, Math.floor(rows / 2) - 1),
      (left) => `! ${left} more: switchyard status ${environment}`,
    ),
  ];
  const [titles = [], ...cells] = moduleRows(facts);
  // Its titles, and a line that says how many are not shown.
  const room = rows - top.length - 1;
  const table = (cellsShown: readonly (readonly string[])[]) => tableOf([titles, ...cellsShown]);
  if (cells.length <= room) {
    const left = room - cells.length;
    return [
      ...top,
      ...table(cells),
      ...(left > 0 ? first(tailLines(facts), left, (more) => `${more} more lines`) : []),
    ];
  }
  const isWell = (index: number): boolean => {
    const module = modules[index];
    return module !== undefined && verdict(module, complete) === 'as released';
  };
  const all = [...cells.keys()];
  const chosen = [...all.filter((index) => !isWell(index)), ...all.filter(isWell)].slice(
    0,
    Math.max(0, room - 1),
  );
  const left = all.filter((index) => !chosen.includes(index));
  const shown = all.filter((index) => chosen.includes(index)).map((index) => cells[index] ?? []);
  return [
    ...top,
    ...table(shown),
    left.every(isWell)
      ? `${left.length} more modules run as released`
      : `${left.length} more modules: switchyard status ${environment}`,
  ];
}

/** What is told of a module when it changes: how many requests it has changes all the time. */
const standing = (module: ModuleFacts, complete: boolean): string => {
  const who = module.last ? `, ${whoText(module)}` : '';
  return `${verdict(module, complete)}, ${podsText(module)} Pods, ${releaseText(module)}${who}`;
};

/**
 * Tells one look after the other: all of the first, then what differs, a line each. A look that could not read all of the ledger
 * and the cluster says so, and nothing of the modules: they are held against the last one that could.
 */
export function changeTeller(): (facts: StatusFacts) => string[] {
  let alerts: readonly string[] | undefined;
  let standings: ReadonlyMap<string, string> | undefined;
  return (facts) => {
    const before = { alerts, standings };
    const now = alertsOf(facts).map(({ says }) => says);
    alerts = now;
    if (facts.complete)
      standings = new Map(facts.modules.map((module) => [module.name, standing(module, facts.complete)]));
    if (before.alerts === undefined) return statusLines(facts);
    const changed = before.standings && facts.complete ? [...(standings ?? [])] : [];
    return [
      ...now.filter((says) => !before.alerts?.includes(says)).map((says) => `! ${says}`),
      ...before.alerts.filter((says) => !now.includes(says)).map((says) => `over: ${says}`),
      ...changed
        .filter(([name, is]) => before.standings?.get(name) !== is)
        .map(([name, is]) => `${name}: ${is}`),
    ];
  };
}

/** The status as a JSON document's fields. */
export const statusDocument = (facts: StatusFacts): Record<string, unknown> => ({
  at: facts.at,
  alerts: alertsOf(facts),
  modules: facts.modules.map((module) => ({ ...module, state: verdict(module, facts.complete) })),
  secrets: { versions: facts.versions, rotating: facts.rotating },
  backups: facts.backups === 'none' ? [] : (facts.backups ?? null),
  reload: facts.reload ?? null,
  blind: facts.blind ?? null,
  problems: facts.problems,
});

/** How `status` ends: what it could not read is no reason to say nothing, and no reason to say that all is well. */
export const statusOutcome = (facts: StatusFacts): Outcome => ({
  document: statusDocument(facts),
  lines: statusLines(facts),
  exitCode: facts.problems.length > 0 ? EXIT.unread : 0,
});

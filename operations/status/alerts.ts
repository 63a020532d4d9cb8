import { plainText } from '../../text/terminal';
import { type ModuleFacts, type Running, type StatusFacts, verdict } from './facts';

// What is wrong, in a sentence each that says what to do where there is something to say: pure, of what was read.

export interface Alert {
  /** The module that it is about; absent where it is about the environment. */
  readonly module?: string;
  readonly about:
    | 'release'
    | 'undone'
    | 'rollout'
    | 'service'
    | 'autoscaler'
    | 'quota'
    | 'backup'
    | 'secret'
    | 'jenkins'
    | 'reconciler'
    | 'unread';
  /** In one line. */
  readonly says: string;
}

const line = (text: string): string => plainText(text.split('\n')[0] ?? '');

function releaseSays(module: ModuleFacts, complete: boolean): string | undefined {
  switch (verdict(module, complete)) {
    case 'another image':
      return `${module.name} runs another image than is released: a deploy is under way, or say switchyard up`;
    case 'not running':
      return `${module.name} is released and does not run: say switchyard up`;
    case 'not in the ledger':
      return `${module.name} runs, and the ledger does not name it`;
    default:
      return undefined;
  }
}

const undoneSays = ({ name, undone }: ModuleFacts): string | undefined =>
  undone &&
  plainText(
    `${name}: ${undone.commit.slice(0, 10)} (!${undone.mergeRequest}) is ${undone.how}${undone.why === undone.how ? '' : `: ${undone.why}`}${undone.build ? ` (${undone.build})` : ''}`,
  );

function rolloutSays(name: string, { late, desired, scaledBy, ready, serving }: Running): string[] {
  return [
    ...(late ? [`${name}: its rollout makes no progress, ${ready} of ${desired} Pods are ready`] : []),
    ...(desired === 0 ? [`${name} has no Pods${scaledBy ? `: scaled to 0 by ${scaledBy}` : ''}`] : []),
    ...(desired > 0 && serving === 0 ? [`${name}: none of its Pods is ready`] : []),
  ].map(line);
}

function autoscalerSays({ name, autoscaler }: ModuleFacts): string[] {
  if (!autoscaler) return [];
  if (autoscaler === 'none') return [`${name} has no autoscaler: say switchyard up`];
  return [
    ...(autoscaler.off
      ? [`${name}: its autoscaler is off, until somebody scales it to another number than 0`]
      : []),
    ...autoscaler.blind.map(
      (what) => `${name}: its autoscaler does not see ${line(what)}, so that no Pod leaves`,
    ),
    ...(autoscaler.limited ? [`${name} would have more than ${autoscaler.max} Pods: raise scaling.max`] : []),
  ];
}

function moduleAlerts(module: ModuleFacts, complete: boolean): Alert[] {
  const { name, running, services } = module;
  const each = (about: Alert['about'], texts: readonly (string | undefined)[]): Alert[] =>
    texts.flatMap((says) => (says === undefined ? [] : [{ module: name, about, says }]));
  return [
    ...each('release', [releaseSays(module, complete)]),
    ...each('undone', [undoneSays(module)]),
    ...each('rollout', running ? rolloutSays(name, running) : []),
    ...each(
      'service',
      Object.entries(services)
        .sort(([a], [b]) => a.localeCompare(b))
        .filter(([, { ready, desired }]) => ready < desired || desired === 0)
        .map(
          ([service, { ready, desired, scaledBy }]) =>
            `${name}: its service ${service} has ${ready} of ${desired} Pods ready${desired === 0 && scaledBy ? `, scaled by ${line(scaledBy)}` : ''}`,
        ),
    ),
    ...each('autoscaler', autoscalerSays(module)),
    ...each('quota', [running?.failure && `${name} gets no more Pods: ${line(running.failure)}`]),
  ];
}

/** What is wrong, of the whole environment first, then by module. */
export function alertsOf(facts: StatusFacts): Alert[] {
  const { environment, modules, backups, rotating, reload, blind, problems, complete } = facts;
  const kinds = Array.isArray(backups) ? backups : [];
  return [
    ...problems.map((problem): Alert => ({ about: 'unread', says: `could not be read: ${line(problem)}` })),
    ...(blind === undefined
      ? []
      : [{ about: 'reconciler' as const, says: `the reconciler cannot look: ${line(blind)}` }]),
    ...(reload && !reload.loaded
      ? [
          {
            about: 'jenkins' as const,
            says: line(`Jenkins' configuration since ${reload.at}: ${reload.word}`),
          },
        ]
      : []),
    ...kinds
      .filter(({ state }) => state !== 'fresh')
      .map(
        ({ kind, state, last }): Alert => ({
          about: 'backup',
          says:
            state === 'never'
              ? `${kind} were never backed up`
              : `the backup of ${kind} ${state === 'failed' ? 'failed' : 'is late'}${last ? `: the last success is of ${last}` : ''}`,
        }),
      ),
    ...(rotating.length > 0
      ? [
          {
            about: 'secret' as const,
            says: `a rotation has not ended: say switchyard rotate ${environment} --purpose ${rotating[0]}`,
          },
        ]
      : []),
    ...modules.flatMap((module) => moduleAlerts(module, complete)),
  ];
}

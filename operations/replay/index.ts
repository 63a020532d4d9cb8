import { writeFileSync } from 'node:fs';
import { findModule, type Module } from '../../catalog/load';
import { type Problem, ProblemsError } from '../../catalog/problems';
import { behaviorOf, MOST_PODS, scalingTimes } from '../../catalog/scaling';
import type { Scaling } from '../../catalog/schema';
import { loadModel } from '../../components/load';
import type { CommonOptions, Outcome } from '../cli/outcome';
import { EXIT } from '../cli/refusal';
import { foldersHere } from '../place';
import { plotSvg } from './plot';
import { propose } from './propose';
import { type Plan, type Run, simulate, type World } from './simulate';
import { planText, tell } from './tell';
import { readTrace, type Trace } from './trace';

export interface ReplayOptions extends CommonOptions {
  readonly trace: string;
  readonly qps?: string;
  readonly min?: string;
  readonly max?: string;
  readonly capacity?: string;
  readonly start: string;
  readonly level: string;
  readonly propose?: boolean;
  readonly svg?: string;
}

/** What the command line asks for, with a fault for each number that is none or does not fit. */
export function planOf(
  options: Omit<ReplayOptions, 'trace' | 'svg' | 'json'>,
  scaling?: Pick<Scaling, 'qps'>,
): {
  readonly asked?: Plan;
  readonly world: World;
  readonly level: number;
} {
  const problems: Problem[] = [];
  const fault = (option: string, what: string, remedy: string): void => {
    problems.push({ file: `--${option}`, what, remedy });
  };
  const number = (
    option: 'qps' | 'min' | 'max' | 'capacity' | 'start' | 'level',
    fits: (value: number) => boolean,
    remedy: string,
  ): number | undefined => {
    const text = options[option];
    if (text === undefined) return undefined;
    const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
    if (fits(value)) return value;
    fault(option, `"${text}" does not fit.`, remedy);
    return undefined;
  };
  const pods = (value: number): boolean => Number.isInteger(value) && value >= 1 && value <= MOST_PODS;
  const rate = (value: number): boolean => value >= 0.001 && value <= 1e6;
  const rates = 'Write requests per second and Pod, more than 0: "50".';
  const podsText = `Write a number of Pods from 1 to ${MOST_PODS}.`;
  const qps = number('qps', rate, rates);
  const min = number('min', pods, podsText);
  const max = number('max', pods, podsText);
  const capacity = number('capacity', rate, rates);
  const startSeconds = number('start', (value) => value <= 3600, 'Write seconds, at most 3600: "10".');
  const level = number(
    'level',
    (value) => value > 0 && value <= 100,
    'Write per cent of the requests, at most 100: "99.9".',
  );
  const target = { qps: options.qps, min: options.min, max: options.max };
  const given = Object.entries(target).filter(([, text]) => text !== undefined);
  if (given.length > 0) {
    for (const [option, text] of Object.entries(target))
      if (text === undefined) fault(option, 'is missing.', 'Give --qps, --min and --max together.');
  }
  if (min !== undefined && max !== undefined && min > max)
    fault('min', `${min} is more than --max, ${max}.`, 'Lower it, or raise --max.');
  if (options.capacity === undefined && options.qps === undefined && !scaling)
    fault('capacity', 'is missing.', 'Say how many requests per second one Pod serves, or give --qps.');
  if (problems.length > 0) throw new ProblemsError(problems);
  return {
    asked: qps !== undefined && min !== undefined && max !== undefined ? { qps, min, max } : undefined,
    world: { capacity: capacity ?? qps ?? scaling?.qps ?? 0, startSeconds: startSeconds ?? 0 },
    level: (level ?? 0) / 100,
  };
}

/** How the module is run today. */
const today = ({ production: { scaling, replicas } }: Module): Plan =>
  scaling
    ? { qps: scaling.qps, min: scaling.min, max: scaling.max, behavior: behaviorOf(scaling.down) }
    : { replicas };

/** Replays a trace with what runs, what is asked for and, if wanted, what is proposed. */
export function runs(
  module: Module,
  trace: Trace,
  { asked, world, level }: ReturnType<typeof planOf>,
  proposes: boolean,
): Run[] {
  const run = (name: Run['name'], plan: Plan): Run => ({
    name,
    plan,
    replayed: simulate(trace, plan, world),
  });
  const proposal = proposes ? propose(trace, world, level) : undefined;
  return [
    run('today', today(module)),
    ...(asked ? [run('asked', asked)] : []),
    ...(proposal ? [{ name: 'proposed' as const, plan: proposal.target, replayed: proposal.replayed }] : []),
  ];
}

/** `switchyard replay`: a recorded load through the autoscaler's rules; touches no cluster. */
export function replay(environment: string, name: string, options: ReplayOptions): Outcome {
  const model = loadModel(foldersHere(), environment);
  findModule(model.catalog, name);
  const module = findModule({ ...model.catalog, modules: model.modules }, name);
  const settings = planOf(options, module.production.scaling);
  const trace = readTrace(options.trace);
  const { world, level } = settings;
  const done = runs(module, trace, settings, options.propose === true);
  const missing = options.propose === true && !done.some((run) => run.name === 'proposed');
  if (options.svg) writeFileSync(options.svg, plotSvg(module.name, trace, world, done));
  return {
    document: {
      module: name,
      trace: {
        seconds: trace.qps.length * scalingTimes.scrape,
        step: trace.step,
        highest: trace.qps.reduce((a, b) => Math.max(a, b), 0),
      },
      ...world,
      level,
      plans: done.map((run) => ({ name: run.name, ...run.plan, ...run.replayed, text: planText(run.plan) })),
      ...(options.svg ? { svg: options.svg } : {}),
    },
    lines: tell(module.name, trace, world, done, missing ? level : undefined),
    exitCode: missing ? EXIT.failed : 0,
  };
}

import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import pc from 'picocolors';
import { z } from 'zod';
import { Board } from './board';
import { describeWork, type Took, timeLeft, type Work } from './estimate';
import { checkGraph } from './graph';
import {
  cacheHome,
  elapsed,
  handleInterrupts,
  LabError,
  labHome,
  openLog,
  type Place,
  type Step,
  type StepLog,
} from './steps';

/**
 * How many steps of a kind run at once. A single `go build` leaves a third of two cores idle (it links, or waits for one
 * large package), two fill them; each may take 2 GiB beside the 2 GiB of a cluster. Images and pipelines wait for disks
 * and timers for most of their time, and more than two of them only get in each other's way.
 */
export function places(cores = cpus().length, memoryBytes = totalmem()): Record<Place, number> {
  const gibi = Math.round(memoryBytes / 1024 ** 3);
  return {
    compile: Math.max(1, Math.min(Math.max(2, Math.floor(cores / 2)), Math.floor(gibi / 4), 4)),
    image: 2,
    pipeline: 2,
  };
}

const doneFile = (name: string): string => join(labHome(), 'done', name);

function recorded(name: string): string | undefined {
  return existsSync(doneFile(name)) ? readFileSync(doneFile(name), 'utf8').trim() : undefined;
}

const timesSchema = z.record(
  z.string(),
  z.object({ milliseconds: z.number(), units: z.number().optional() }),
);
const timesFile = (): string => join(cacheHome(), 'times.json');

/** What each step took here the last time, by its name; what cannot be read was never there. */
export function lastTimes(): Record<string, Took> {
  try {
    return timesSchema.parse(JSON.parse(readFileSync(timesFile(), 'utf8')));
  } catch {
    return {};
  }
}

function rememberTime(name: string, took: Took): void {
  const all = { ...lastTimes(), [name]: took };
  const sorted = Object.fromEntries(Object.entries(all).sort(([a], [b]) => (a < b ? -1 : 1)));
  mkdirSync(cacheHome(), { recursive: true });
  const fresh = `${timesFile()}.${process.pid}`;
  writeFileSync(fresh, `${JSON.stringify(sorted, null, 1)}\n`);
  renameSync(fresh, timesFile());
}

export interface StepResult {
  name: string;
  title: string;
  milliseconds: number;
  skipped: boolean;
}

/**
 * `waiting` for its needs, `checking` whether there is anything to do, `fetching`, `queued` for a place, `running`; then
 * `done`, or `ended` without success.
 */
type State = 'waiting' | 'checking' | 'fetching' | 'queued' | 'running' | 'done' | 'ended';

interface Job {
  step: Step;
  index: number;
  position: string;
  state: State;
  inputs: string;
  begun: number;
  abort: AbortController;
  log?: StepLog;
  /** Counted work, and when counting began. */
  work?: Work;
  counting: number;
  result?: StepResult;
}

class Run {
  private readonly jobs: Job[];
  private readonly byName: Map<string, Job>;
  private readonly board = new Board();
  private readonly last = lastTimes();
  private readonly failures: LabError[] = [];
  private readonly limits = places();
  private finish: () => void = () => undefined;

  constructor(steps: readonly Step[]) {
    this.jobs = steps.map((step, index) => ({
      step,
      index,
      position: pc.dim(`[${index + 1}/${steps.length}]`),
      state: 'waiting',
      inputs: '',
      begun: Date.now(),
      abort: new AbortController(),
      counting: 0,
    }));
    this.byName = new Map(this.jobs.map((job) => [job.step.name, job]));
  }

  async all(): Promise<StepResult[]> {
    await new Promise<void>((resolve) => {
      this.finish = resolve;
      this.advance();
    });
    this.board.stop();
    const [first, ...others] = this.failures;
    if (first && others.length > 0) {
      const more = others.map((other) => `\n${other.message}`).join('');
      throw new LabError(first.what, `${first.remedy} (log: ${first.log})${more}`);
    }
    if (first) throw first;
    return this.jobs.flatMap(({ result }) => result ?? []);
  }

  /** Starts whatever may start, in the order of the list, and ends the run when nothing is under way any more. */
  private advance(): void {
    if (this.failures.length === 0) {
      for (const job of this.jobs) if (job.state === 'waiting' && this.met(job)) void this.check(job);
      for (const job of this.jobs) if (job.state === 'queued' && this.hasPlace(job)) void this.work(job);
    }
    const active = this.jobs.some(({ state }) => ['checking', 'fetching', 'running'].includes(state));
    if (!active) this.finish();
  }

  private met(job: Job): boolean {
    return (job.step.needs ?? []).every((need) => this.byName.get(need)?.state === 'done');
  }

  /**
   * A place goes to the earliest step of the list: one that is still finding out whether it wants it is waited for, one
   * that downloads is not.
   */
  private hasPlace(job: Job): boolean {
    const { place } = job.step;
    if (!place) return true;
    const rivals = this.jobs.filter((other) => other.step.place === place);
    const undecided = rivals.some(
      ({ index, state, work }) =>
        index < job.index && (state === 'checking' || (state === 'fetching' && !work)),
    );
    return !undecided && rivals.filter(({ state }) => state === 'running').length < this.limits[place];
  }

  private async check(job: Job): Promise<void> {
    const { step } = job;
    job.state = 'checking';
    job.begun = Date.now();
    await this.guarded(job, async () => {
      job.log = this.logOf(job);
      job.inputs = await step.inputs();
      if (recorded(step.name) === job.inputs && (!step.done || (await step.done()))) {
        this.succeed(job, true);
        return;
      }
      rmSync(doneFile(step.name), { force: true });
      if (step.fetch && this.failures.length === 0) {
        job.state = 'fetching';
        this.show(job);
        if (await step.fetch(job.log)) return this.succeed(job, false);
        job.work = undefined;
        // It may wait for its place for minutes.
        this.board.drop(step.name);
      }
      job.state = 'queued';
    });
    this.advance();
  }

  private async work(job: Job): Promise<void> {
    job.state = 'running';
    job.begun = Date.now();
    this.show(job);
    await this.guarded(job, async () => {
      job.log ??= this.logOf(job);
      await job.step.run(job.log);
      this.succeed(job, false);
    });
    this.advance();
  }

  private logOf(job: Job): StepLog {
    const log = openLog(job.step.name, job.abort.signal);
    return {
      ...log,
      note: (text) => {
        log.line(text);
        this.board.say(`${pc.yellow('!')} ${job.position} ${job.step.title}: ${text}`);
      },
      progress: (work) => {
        const undecided = job.work === undefined;
        if (undecided) job.counting = Date.now();
        job.work = work;
        if (undecided) this.advance();
      },
    };
  }

  private show(job: Job): void {
    this.board.start(job.step.name, () => {
      const text = describeWork(job.work, this.left(job));
      const time = elapsed(Date.now() - job.begun);
      return `${pc.cyan('…')} ${job.position} ${job.step.title} ${pc.dim(text ? `${time}, ${text}` : time)}`;
    });
  }

  private left(job: Job): number | undefined {
    const last = this.last[job.step.name];
    if (!job.work) {
      // What compiles says how much there is: the last time may have been a whole build, or a single package.
      const known = job.state === 'running' && job.step.place !== 'compile';
      return known ? timeLeft(Date.now() - job.begun, undefined, last) : undefined;
    }
    if (job.work.unit !== 'packages') return timeLeft(Date.now() - job.counting, job.work);
    return timeLeft(Date.now() - job.counting, job.work, last, this.pace());
  }

  /** Milliseconds that a package took in this run, over all steps that compile. */
  private pace(): number | undefined {
    let time = 0;
    let packages = 0;
    for (const { work, counting, result } of this.jobs) {
      if (work?.unit !== 'packages') continue;
      time += result?.milliseconds ?? Date.now() - counting;
      packages += work.done;
    }
    return packages > 0 ? time / packages : undefined;
  }

  private succeed(job: Job, skipped: boolean): void {
    const { step, position, work } = job;
    const milliseconds = Date.now() - job.begun;
    if (skipped) {
      this.board.say(`${pc.dim('=')} ${position} ${step.title} ${pc.dim('already done')}`);
    } else {
      writeFileSync(doneFile(step.name), `${job.inputs}\n`);
      rememberTime(step.name, { milliseconds, ...(work?.unit === 'packages' && { units: work.done }) });
      this.board.end(
        step.name,
        `${pc.green('✓')} ${position} ${step.title} ${pc.dim(elapsed(milliseconds))}`,
      );
    }
    job.state = 'done';
    job.result = { name: step.name, title: step.title, milliseconds, skipped };
  }

  /** Runs a part of a job; what it throws is the job's failure, unless the job was told to end. */
  private async guarded(job: Job, part: () => Promise<void>): Promise<void> {
    try {
      await part();
    } catch (error) {
      job.state = 'ended';
      if (job.abort.signal.aborted) {
        this.board.end(
          job.step.name,
          `${pc.dim('-')} ${job.position} ${job.step.title} ${pc.dim('ended, as another step failed')}`,
        );
        return;
      }
      this.board.end(
        job.step.name,
        `${pc.red('✗')} ${job.position} ${job.step.title} ${pc.dim(elapsed(Date.now() - job.begun))}`,
      );
      this.failures.push(this.failureOf(job, error));
      this.endOthers();
    }
  }

  private failureOf({ step, log }: Job, error: unknown): LabError {
    if (error instanceof LabError) {
      return new LabError(`${step.name}: ${error.what}`, error.remedy, error.log ?? log?.path);
    }
    log?.line(error instanceof Error ? (error.stack ?? error.message) : String(error));
    const text = error instanceof Error ? error.message : String(error);
    return new LabError(`${step.name}: ${text.split('\n')[0]}`, 'See the log', log?.path);
  }

  /**
   * After a failure: what compiles or downloads ends at once and goes on from there the next time; anything else is short
   * and would leave more to mend in its middle than at its end.
   */
  private endOthers(): void {
    for (const job of this.jobs) {
      const endless = job.state === 'fetching' || (job.state === 'running' && job.step.place === 'compile');
      if (endless) job.abort.abort();
    }
  }
}

/**
 * Runs steps: each as soon as the ones that it needs are done and there is a place for it, earlier ones of the list first.
 * A step whose recorded hash equals its inputs and whose `done` holds is skipped. When one fails nothing new starts, what
 * compiles or downloads is ended, and the rest of what is under way comes to its end.
 * @throws LabError of the step that failed, prefixed with its name; of several, the others follow, each in a line
 * @throws Error when needs cannot be met
 */
export async function runSteps(steps: readonly Step[]): Promise<StepResult[]> {
  checkGraph(steps);
  handleInterrupts();
  mkdirSync(join(labHome(), 'done'), { recursive: true });
  return new Run(steps).all();
}

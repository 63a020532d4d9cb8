import { relative } from 'node:path';
import type { Config } from '@jest/types';
import TestRunner, {
  type Test,
  type TestRunnerContext,
  type TestRunnerOptions,
  type TestWatcher,
} from 'jest-runner';
import { BESIDE, STAGES, type Stage } from './lanes';

const nameOf = ({ path }: Pick<Test, 'path'>): string => relative(__dirname, path).replace(/\.test\.ts$/, '');

/**
 * The suites that are asked for, as stages and lanes have them, and those that run beside all stages.
 * @throws when there is no place for one
 */
export function arranged<T extends Pick<Test, 'path'>>(
  tests: readonly T[],
  stages: readonly Stage[] = STAGES,
  beside: readonly string[] = BESIDE,
): { readonly stages: T[][][]; readonly beside: T[] } {
  const asked = new Map(tests.map((test): [string, T] => [nameOf(test), test]));
  const placed = new Set([...stages.flatMap(({ lanes }) => lanes.flat()), ...beside]);
  const lost = [...asked.keys()].filter((name) => !placed.has(name));
  if (lost.length > 0) throw new Error(`test/lab/lanes.ts has no place for ${lost.join(', ')}`);
  const lane = (names: readonly string[]): T[] => names.flatMap((name) => asked.get(name) ?? []);
  return {
    stages: stages
      .map(({ lanes }) => lanes.map(lane).filter((tests) => tests.length > 0))
      .filter((lanes) => lanes.length > 0),
    beside: lane(beside),
  };
}

/** Jest's own runner, stage by stage and lane beside lane: `lanes.ts` says which suites would disturb each other. */
export default class LaneRunner extends TestRunner {
  constructor(globalConfig: Config.GlobalConfig, context: TestRunnerContext) {
    // A lane is one process, whose suites come one after the other.
    super({ ...globalConfig, maxWorkers: 1 }, context);
  }

  override async runTests(tests: Test[], watcher: TestWatcher, options: TestRunnerOptions): Promise<void> {
    const { stages, beside } = arranged(tests);
    const run = (lane: Test[]) => super.runTests(lane, watcher, { ...options, serial: false });
    const inTurn = async (): Promise<void> => {
      for (const lanes of stages) {
        if (watcher.isInterrupted()) return;
        await Promise.all(lanes.map(run));
      }
    };
    await Promise.all([inTurn(), ...(beside.length > 0 ? [run(beside)] : [])]);
  }
}

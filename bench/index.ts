import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseCatalog } from '../catalog/load';
import type { Model } from '../components/model';
import { renderTopology, writeRendered } from '../operations/render';
import { check } from '../rules';
import { modelFacts } from '../rules/assert';
import { describeViolation } from '../rules/facts/violation';
import { generatedCatalog, generatedModel } from '../test/support/catalog';

const MODULES = 200;
const ROUNDS = 7;

/** Budgets of one whole `render` of 200 modules: seconds of wall time, MiB of memory at the peak. */
const BUDGET = { seconds: 3, mebibytes: 512 };

const ONCE = 'render-once';

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

function milliseconds(run: () => unknown): number {
  const start = performance.now();
  run();
  return performance.now() - start;
}

/**
 * Both sides of a ratio in turn, so that a machine whose speed drifts slows both alike.
 * @returns medians in milliseconds
 */
function compare(
  large: () => unknown,
  small: () => unknown,
): { readonly large: number; readonly small: number } {
  const times = { large: [] as number[], small: [] as number[] };
  for (let round = 0; round <= ROUNDS; round++) {
    const one = { large: milliseconds(large), small: milliseconds(small) };
    // The first round warms up the compiler.
    if (round === 0) continue;
    times.large.push(one.large);
    times.small.push(one.small);
  }
  return { large: median(times.large), small: median(times.small) };
}

/** What `check` does after the catalog was read. */
function holds(model: Model): void {
  const [broken] = check(modelFacts(model));
  if (broken) throw new Error(`${broken.rule}: ${describeViolation(broken)}`);
}

/** The whole of a render, as one process does it: read the catalog, make the topology, write all files. */
function renderOnce(): void {
  const out = mkdtempSync(join(tmpdir(), 'switchyard-bench-'));
  try {
    writeRendered(renderTopology(generatedModel(generatedCatalog(MODULES))), out);
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
  const { maxRSS, userCPUTime, systemCPUTime } = process.resourceUsage();
  process.stdout.write(
    JSON.stringify({ kibibytes: maxRSS, cpuSeconds: (userCPUTime + systemCPUTime) / 1e6 }),
  );
}

interface Whole {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly mebibytes: number;
}

function wholeProcess(): Whole {
  const runs = Array.from({ length: 3 }, () => {
    const start = performance.now();
    const { status, stdout, stderr } = spawnSync(process.execPath, ['--import', 'tsx', __filename, ONCE], {
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(stderr);
    const { kibibytes, cpuSeconds } = JSON.parse(stdout) as { kibibytes: number; cpuSeconds: number };
    return { seconds: (performance.now() - start) / 1000, cpuSeconds, mebibytes: kibibytes / 1024 };
  });
  return {
    seconds: median(runs.map(({ seconds }) => seconds)),
    cpuSeconds: median(runs.map(({ cpuSeconds }) => cpuSeconds)),
    mebibytes: median(runs.map(({ mebibytes }) => mebibytes)),
  };
}

function main(): void {
  const print = (line: string) => process.stdout.write(`${line}\n`);
  const large = generatedCatalog(MODULES);
  const small = generatedCatalog(1);
  const models = { large: generatedModel(large), small: generatedModel(small) };
  print(
    `Machine: ${cpus().length} x ${cpus()[0]?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}`,
  );
  print(
    `Method: ${ROUNDS} rounds after a warm-up, both sizes in turn within one process; medians. A ratio of ${MODULES} is linear growth.\n`,
  );
  const benches = {
    'check (parse and validate the catalog)': compare(
      () => parseCatalog(large),
      () => parseCatalog(small),
    ),
    'rules (the whole topology against every rule)': compare(
      () => holds(models.large),
      () => holds(models.small),
    ),
    'render (all files, in memory)': compare(
      () => renderTopology(models.large),
      () => renderTopology(models.small),
    ),
  };
  for (const [name, times] of Object.entries(benches)) {
    print(
      `${name}: ${MODULES} modules ${times.large.toFixed(0)} ms, 1 module ${times.small.toFixed(1)} ms, ratio ${(times.large / times.small).toFixed(0)}`,
    );
  }
  const whole = wholeProcess();
  print(
    `render as a process (start, ${MODULES} modules, files on disk): ${whole.seconds.toFixed(2)} s of ${BUDGET.seconds} (${whole.cpuSeconds.toFixed(2)} s of processor), ${whole.mebibytes.toFixed(0)} MiB of ${BUDGET.mebibytes} at the peak; median of 3`,
  );
  if (whole.seconds > BUDGET.seconds || whole.mebibytes > BUDGET.mebibytes) {
    print('Over budget.');
    process.exitCode = 1;
  }
}

if (process.argv[2] === ONCE) renderOnce();
else main();

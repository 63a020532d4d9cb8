import { parseCatalog } from '../catalog/load';
import type { Model } from '../components/model';
import { renderTopology } from '../operations/render';
import { check } from '../rules';
import { modelFacts } from '../rules/assert';
import { describeViolation } from '../rules/facts/violation';
import { generatedCatalog, generatedModel } from '../test/support/catalog';
import { machine, median, print } from './estate';

const MODULES = 200;
const ROUNDS = 7;

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

function main(): void {
  const large = generatedCatalog(MODULES);
  const small = generatedCatalog(1);
  const models = { large: generatedModel(large), small: generatedModel(small) };
  print(machine());
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
}

main();

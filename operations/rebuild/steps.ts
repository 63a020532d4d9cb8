import { providerName } from '../../clients/engine-steps';
import { EXIT, Refusal } from '../cli/refusal';
import type { Terminal } from '../cli/terminal';
import { type Session, watch } from '../engine/operate';
import { type Existing, settle, type World, worldOf } from '../engine/repair';
import { losing } from '../engine/steps';
import { allUrns } from '../engine/urns';
import {
  adoptedDeployment,
  asPending,
  type PlannedCreate,
  PlannedCreates,
  withoutProviders,
  withPlannedInputs,
} from './adopt';
import { afterDataUrns } from './stages';
import type { TargetName } from './targets';

/** Names of the provider resources whose resources stand in a target. */
const providersOf: Readonly<Record<TargetName, readonly string[]>> = {
  gitlab: ['gitlab'],
  // Images that the topology builds lie in its registry.
  ci: ['ci-cluster', 'docker'],
  production: ['production-cluster'],
};

const inTarget = (alive: ReadonlySet<TargetName>, planned: PlannedCreate): boolean =>
  [...alive].some((target) => providersOf[target].includes(providerName(planned.provider)));

/** As deep as ids depend on each other: a group, its projects, what belongs to a project, and one round to see the end. */
const ROUNDS = 5;

/**
 * Takes into the state what the program would make although it is there: looked for as after a killed run. Each round
 * finds what needed the ids of the one before.
 * @param there @default the environment's clusters and its GitLab
 * @returns how many were taken over
 */
export async function adopt(
  session: Session,
  terminal: Terminal,
  wanted: (planned: PlannedCreate) => boolean,
  there?: World,
): Promise<number> {
  const { engine, model } = session;
  const { environment } = model.settings;
  const world = there ?? worldOf(model.settings, await session.gitlabToken());
  let taken = 0;
  for (let round = 1; round <= ROUNDS; round++) {
    const creates = new PlannedCreates();
    await watch(session, 'preview', terminal, {
      title: `what of ${environment} is there already`,
      // What lives has fields of the lost state's managers: to ask what would be made is no conflict.
      force: true,
      onEvent: (event) => creates.take(event),
    });
    const state = await engine.state();
    const found: (PlannedCreate & Existing)[] = [];
    for (const planned of creates.all().filter(wanted)) {
      const existing = await settle(asPending(planned, state.deployment), world);
      if (existing) found.push({ ...planned, ...existing });
    }
    if (found.length === 0) break;
    const deployment = adoptedDeployment(state.deployment, found);
    await engine.writeState(
      { version: state.version, deployment },
      found.map(({ urn }) => urn),
    );
    const read = await engine.state();
    await engine.writeState({
      version: read.version,
      deployment: withPlannedInputs(read.deployment, found),
    });
    taken += found.length;
    terminal.note(`  ${found.length} resource(s) that exist were taken into the state`);
  }
  return taken;
}

/**
 * Makes the state agree with what is left: what stood in an empty target is dropped, what lives and is not in it is
 * taken over.
 */
export async function mendState(
  session: Session,
  terminal: Terminal,
  alive: ReadonlySet<TargetName>,
  there?: World,
): Promise<void> {
  const { engine, model } = session;
  const { environment } = model.settings;
  await engine.prepare();
  const state = await engine.state();
  const gone = (Object.keys(providersOf) as TargetName[]).filter((target) => !alive.has(target));
  const { deployment, dropped } = withoutProviders(
    state.deployment,
    new Set(gone.flatMap((target) => providersOf[target])),
  );
  if (dropped.length > 0) {
    await engine.writeState({ version: state.version, deployment });
    terminal.note(`  ${dropped.length} resource(s) of the state are gone and were dropped from it`);
  }
  if (alive.size === 0) return;
  await watch(session, 'refresh', terminal, { title: `what is left of ${environment}` });
  // Providers and boxes first: what is taken over belongs to one of each.
  await watch(session, 'up', terminal, {
    exclude: allUrns(environment, model),
    title: `providers of ${environment}`,
  });
  await adopt(session, terminal, (planned) => inTarget(alive, planned), there);
}

/**
 * Where something lives, nothing that holds data is made anew or removed by an `up` of a rebuild.
 * @throws Refusal that names what would go; nothing was changed then
 */
async function refuseLoss(
  session: Session,
  terminal: Terminal,
  inputs: { readonly exclude?: readonly string[]; readonly refresh?: boolean },
): Promise<void> {
  const { environment } = session.model.settings;
  const { steps } = await watch(session, 'preview', terminal, {
    ...inputs,
    // As the `up` that follows.
    force: true,
    title: `what the rebuild of ${environment} would change`,
  });
  const gone = losing(steps).filter(({ data }) => data !== undefined);
  if (gone.length === 0) return;
  const names = gone.map(({ operation, name, data }) => `${operation} ${name} (${data})`);
  throw new Refusal(
    `Data that lives would go: ${names.join(', ')}. Look at it with: switchyard preview ${environment}`,
    EXIT.failed,
  );
}

/** The first `up`: everything that data is restored into, and nothing that must come after it. */
export async function foundation(session: Session, terminal: Terminal, lived: boolean): Promise<void> {
  const { environment } = session.model.settings;
  const exclude = afterDataUrns(environment, session.model);
  if (lived) await refuseLoss(session, terminal, { exclude });
  await watch(session, 'up', terminal, {
    exclude,
    force: lived,
    title: `foundation of ${environment}`,
  });
}

/** The whole `up`, after files that came back with the repositories were taken into the state. */
export async function whole(
  session: Session,
  terminal: Terminal,
  lived: boolean,
  there?: World,
): Promise<void> {
  const { environment } = session.model.settings;
  await adopt(session, terminal, ({ type }) => type === 'gitlab:index/repositoryFile:RepositoryFile', there);
  if (lived) await refuseLoss(session, terminal, { refresh: true });
  const result = await watch(session, 'up', terminal, {
    force: lived,
    // Workloads that lived were stopped for their data.
    refresh: lived,
    title: `the rest of ${environment}`,
  });
  const failed = result.steps.filter(({ state }) => state === 'failed');
  if (failed.length > 0) {
    throw new Refusal(
      `${failed.length} resource(s) could not be made. Run the same command again.`,
      EXIT.failed,
    );
  }
}

import { writeFileSync } from 'node:fs';
import type { EngineEvent } from '@pulumi/pulumi/automation';
import { contextsHere } from '../../clients/kubeconfig';
import { metricsText, pushDrift } from '../../clients/pushgateway';
import { fetchReleases } from '../../components/ask-gitlab';
import { assertRules } from '../../rules/assert';
import { layOutImages } from '../build/lay-out';
import type { Outcome } from '../cli/outcome';
import { EXIT, Refusal } from '../cli/refusal';
import type { Terminal } from '../cli/terminal';
import { confirmed, nothingDone, requireSecrets, type Session, watch, withSession } from '../engine/operate';
import { StepGatherer } from '../engine/steps';
import { clusterOf, gitlabApiOf } from '../outside/clients';
import { type Witnesses, withAuthors } from './authors';
import { outOfSight } from './fenced';
import { autoscaledWorkloads, findDrift, SeenGatherer } from './find';
import { type DriftReport, driftLines, driftNote, driftSamples } from './tell';
import { withUnfixed } from './unfixed';

export interface DriftOptions {
  readonly fix?: boolean;
  readonly yes?: boolean;
  /** File for the Markdown note. */
  readonly note?: string;
  /** Leave out what a Pod without secrets cannot look at, and say so. */
  readonly fenced?: boolean;
  /** File for Prometheus' text format. */
  readonly metrics?: string;
  /** See `OperateOptions.lockTimeout`. */
  readonly lockTimeout?: number;
}

function witnessesOf({ model }: Session, token: string): Witnesses {
  const { settings } = model;
  const gitlab = gitlabApiOf(settings, token);
  return {
    object: (cluster, object) => clusterOf(settings, cluster).read(object),
    // An edition without audit events, or a token that may not read them, answers 403.
    gitlab: (path) => gitlab.page(path).catch(() => undefined),
  };
}

/** Looks at what is there and changes nothing, neither outside nor in the state. */
async function look(session: Session, fenced: boolean, terminal: Terminal): Promise<DriftReport> {
  const { environment, gitlab } = session.model.settings;
  const gathered = new SeenGatherer();
  const hidden = fenced
    ? outOfSight((await session.engine.state()).deployment, await contextsHere())
    : undefined;
  await watch(session, 'previewRefresh', terminal, {
    title: `drift of ${environment}`,
    exclude: hidden?.exclude,
    onEvent: (event) => gathered.take(event),
  });
  const token = await session.gitlabToken();
  const needed = gathered.seen.length > 0;
  const found = findDrift(gathered.seen, {
    autoscaled: needed ? autoscaledWorkloads((await session.engine.state()).deployment) : new Set(),
    releases: needed ? await fetchReleases(gitlab.url, gitlab.group, token, environment) : {},
    withheld: fenced,
  });
  return {
    environment,
    checkedAt: new Date().toISOString(),
    boxes: [...gathered.boxes].sort(),
    resources: await withAuthors(found, witnessesOf(session, token)),
    ...(hidden ? { unseen: hidden.unseen } : {}),
  };
}

/** Puts back what drifted, and nothing else. */
async function fix(
  session: Session,
  report: DriftReport,
  options: DriftOptions,
  terminal: Terminal,
): Promise<Outcome> {
  const { environment } = report;
  const limits = { targets: report.resources.map(({ urn }) => urn), refresh: true, force: true };
  if (!options.yes) {
    const planned = await watch(session, 'preview', terminal, {
      ...limits,
      title: `preview of the fix of ${environment}`,
    });
    await confirmed(terminal, 'fix', session, planned);
  }
  const before = await session.engine.state();
  const steps = new StepGatherer();
  const title = `fix of ${environment}`;
  const onEvent = (event: EngineEvent) => steps.take(event);
  const { document } = await watch(session, 'up', terminal, { ...limits, title, onEvent }).catch(
    async (error) => {
      const done = new Set(steps.all().flatMap(({ urn, state }) => (state === 'done' ? [urn] : [])));
      const unfixed = new Set(limits.targets.filter((urn) => !done.has(urn)));
      const { version, deployment } = await session.engine.state();
      await session.engine.writeState({
        version,
        deployment: withUnfixed(before.deployment, deployment, unfixed),
      });
      throw error;
    },
  );
  return {
    document: { ...report, fix: document },
    lines: [...driftLines(report), `fix of ${environment}: ${report.resources.length} put back`],
  };
}

/** `drift`: what is there against what was applied last; with `--fix`, put back. */
export async function drift(
  environment: string,
  options: DriftOptions,
  terminal: Terminal,
): Promise<Outcome> {
  if (options.fix && options.fenced) {
    throw new Refusal('--fenced looks through a fence, and --fix changes things: take one.', EXIT.badInput);
  }
  return withSession(
    environment,
    'drift',
    terminal,
    async (session) => {
      const report = await look(session, options.fenced === true, terminal);
      if (options.note) writeFileSync(options.note, driftNote(report));
      const samples = driftSamples(report);
      if (options.metrics) writeFileSync(options.metrics, metricsText(samples));
      const url = session.model.settings.metrics?.pushgateway;
      await pushDrift({ url, environment, samples }, (text) => terminal.note(text));
      if (report.resources.length > 0 && options.fix) return fix(session, report, options, terminal);
      return {
        document: { ...report },
        lines: driftLines(report),
        exitCode: report.resources.length > 0 ? EXIT.drift : 0,
      };
    },
    {
      existing: true,
      lockTimeout: options.lockTimeout,
      before: async (folders, model) => {
        if (!options.fix) return;
        assertRules(model);
        requireSecrets(folders, model);
        if (!options.yes && !process.stdin.isTTY) throw nothingDone('fix');
        await layOutImages(model);
      },
    },
  );
}

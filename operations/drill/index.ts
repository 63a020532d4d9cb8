import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { loadModel } from '../../components/load';
import { type Kind, kinds, lastSuccess } from '../../delivery/backup/snapshots';
import { secretSources } from '../../stacks/secrets';
import { FailedRun, type Outcome } from '../cli/outcome';
import { elapsed } from '../cli/progress';
import { EXIT, Refusal } from '../cli/refusal';
import type { Terminal } from '../cli/terminal';
import { nothingDone } from '../engine/operate';
import { gitlabApiOf } from '../outside/clients';
import { foldersHere } from '../place';
import { canaryOf, runRebuild } from '../rebuild';
import { openBackup } from '../rebuild/backup';
import { sendCanary, stamped } from '../rebuild/canary';
import { Journal, recordFile, stepNames } from '../rebuild/record';
import { backUpNow } from './backup-now';
import { fingerprintKinds, lostBetween, takeFingerprint } from './fingerprint';
import { type DrillReport, faultsOf, reportMarkdown, reportSvg } from './report';

export interface DrillOptions {
  /** A command that destroys the environment and starts it empty. */
  readonly disaster: string;
  readonly canary?: string;
  /** Folder for the report. */
  readonly out: string;
  readonly yes?: boolean;
}

/** Runs the disaster with its output on stderr. */
function strike(command: string): Promise<void> {
  return new Promise((done, reject) => {
    const child = spawn('sh', ['-c', command], { stdio: ['ignore', 2, 2] });
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) done();
      else reject(new Error(`the disaster "${command}" ended with ${code}; nothing was rebuilt`));
    });
  });
}

const secretOf = (variable: string): string => {
  const value = process.env[variable];
  if (!value) throw new Refusal(`A drill needs ${variable} in its environment.`, EXIT.badInput);
  return value;
};

/** `switchyard drill`: a disaster for real, the rebuild, and what it took. */
export async function drill(
  environment: string,
  options: DrillOptions,
  terminal: Terminal,
): Promise<Outcome> {
  const model = loadModel(foldersHere(), environment);
  const { settings } = model;
  const { backup } = settings;
  if (!backup) {
    throw new Refusal(
      `${environment} has no switchyard:backup, so a drill would lose everything.`,
      EXIT.badInput,
    );
  }
  if (Journal.unfinished(recordFile(environment))) {
    throw new Refusal(
      `A rebuild of ${environment} has not ended: end it with "switchyard rebuild ${environment} --from …", or remove ${recordFile(environment)}.`,
      EXIT.badInput,
    );
  }
  const gitlab = gitlabApiOf(settings, secretOf(secretSources.gitlabToken));
  const restic = openBackup(settings, secretOf(secretSources.seed));
  const module = canaryOf(model, options.canary === undefined ? {} : { canary: options.canary });
  if (!options.yes) {
    terminal.note(terminal.colours.bold(`This DESTROYS ${environment}: ${options.disaster}`));
    const answer = await terminal.ask(`Type the name of the environment to destroy it: `);
    if (answer?.trim() !== environment) throw nothingDone('drill');
  }
  const name = stamped('drill');
  terminal.note('Writing down what lives');
  const before = await takeFingerprint(model, gitlab);
  terminal.note('Backing up');
  await backUpNow(settings, name);
  const holdings = await restic.holdings();
  const struck = Date.now();
  terminal.note(`Disaster: ${options.disaster}`);
  await strike(options.disaster);
  const begun = Date.now();
  const rebuilt = await runRebuild(environment, { from: 'latest', canary: false, yes: true }, terminal);
  if (!('record' in rebuilt)) throw new Error('a drill plans nothing');
  const rebuiltSeconds = (Date.now() - begun) / 1000;
  terminal.note('Comparing');
  const after = await takeFingerprint(model, gitlab);
  const steps = stepNames.flatMap((name) => {
    const step = rebuilt.record.steps[name];
    return step ? [{ name: name as string, seconds: step.seconds }] : [];
  });
  let canarySeconds = 0;
  if (module !== undefined) {
    const sent = Date.now();
    await sendCanary({
      settings,
      gitlab,
      module,
      name,
      note: (text) => terminal.note(text),
    });
    canarySeconds = (Date.now() - sent) / 1000;
    steps.push({ name: 'canary', seconds: Math.round(canarySeconds * 10) / 10 });
  }
  const measured = {
    environment,
    struckAt: new Date(struck).toISOString(),
    steps,
    rtoSeconds: Math.round((rebuiltSeconds + canarySeconds) * 10) / 10,
    rpoSeconds: Object.fromEntries(
      kinds.flatMap((kind): [Kind, number][] => {
        const last = lastSuccess(holdings, kind, struck / 1000);
        return last === undefined ? [] : [[kind, Math.round(struck / 1000 - last)]];
      }),
    ),
    lost: lostBetween(before, after),
    compared: Object.fromEntries(fingerprintKinds.map((kind) => [kind, Object.keys(before[kind]).length])),
    targets: backup.targets,
  };
  const report: DrillReport = { ...measured, faults: faultsOf(measured) };
  const folder = resolve(options.out);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'report.json'), `${JSON.stringify(report, null, 2)}\n`);
  writeFileSync(join(folder, 'report.md'), reportMarkdown(report));
  writeFileSync(join(folder, 'report.svg'), reportSvg(report));
  const summary = `drill of ${environment}: RTO ${elapsed(report.rtoSeconds * 1000)}, report in ${options.out}`;
  if (report.faults.length > 0) {
    throw new FailedRun([summary, ...report.faults].join('\n'), EXIT.failed, { ...report });
  }
  return { document: { ...report }, lines: [summary] };
}

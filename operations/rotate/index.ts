import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { PASSWORD_FILE } from '../../catalog/containers';
import { PodExec } from '../../clients/pod-exec';
import { KEY_PURPOSE } from '../../components/backup/environment';
import { ROTATING_VARIABLE } from '../../components/inputs';
import { type Folders, loadModel } from '../../components/load';
import type { Model } from '../../components/model';
import { names } from '../../components/shared/naming';
import { Secrets, versionOf } from '../../components/shared/secrets';
import { assertRules } from '../../rules/assert';
import { isOneCluster } from '../../stacks/clusters';
import { stackFile } from '../../stacks/load';
import { namespacesOf } from '../../stacks/namespaces';
import { type SecretSettings, withSecrets } from '../../stacks/rotation';
import { secretSources } from '../../stacks/secrets';
import { redact } from '../../text/hide';
import { questionFor } from '../cli/confirm';
import type { Outcome } from '../cli/outcome';
import { EXIT, Refusal } from '../cli/refusal';
import type { Terminal } from '../cli/terminal';
import { nothingDone, operate, requireSecrets, withSession } from '../engine/operate';
import { clusterOf } from '../outside/clients';
import { foldersHere } from '../place';
import { openBackupWith } from '../rebuild/backup';
import {
  begun,
  databasesOf,
  ended,
  type Refused,
  type RotatedDatabase,
  refusedKey,
  type Selection,
  selected,
} from './plan';

export interface RotateOptions extends Selection {
  readonly yes?: boolean;
}

/** How long a kubelet may take to show a changed Secret in a running Pod, with room. */
const FILE_MS = 300_000;
/** How long a backup that runs may go on before the key that it began with is removed. */
const BACKUP_MS = 1_800_000;
const PAUSE_MS = 2_000;

/** What has data and took a password at its first start: it takes another by two steps around the `up`. */
export interface Holder {
  readonly purpose: string;
  /** Why it is left as it is, a sentence; undefined where it can be rotated. Changes nothing. */
  readonly unable?: () => Promise<string | undefined>;
  /** Sees that it can be reached and rotated at all; changes nothing. */
  readonly look: () => Promise<void>;
  /** Lets the new secret, the purpose's version, in beside the old one. Also the second time. */
  readonly admit: (secret: string, version: number) => Promise<void>;
  /** Has whoever uses it know the new secret by now? Then the old one goes. Also the second time. */
  readonly retire: (secret: string, version: number) => Promise<void>;
}

/** @throws Error when it does not become so in time */
async function until(what: string, ms: number, ready: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + ms;
  while (!(await ready())) {
    if (Date.now() > end)
      throw new Refusal(
        `${what} after ${ms / 60_000} minutes. Say the same command again: it goes on from there.`,
        EXIT.failed,
      );
    await sleep(PAUSE_MS);
  }
}

/** A database in its Pod. The secret goes in by the command's input, and is on no command line. */
export function databaseHolder(
  { purpose, place, usersOf, check, admit, retire }: RotatedDatabase,
  exec: Pick<PodExec, 'run' | 'write'>,
  patience = FILE_MS,
): Holder {
  const at = `${place.namespace}/${place.pod}`;
  const file = () => exec.run(place, ['cat', PASSWORD_FILE]);
  const known: string[] = [];
  const turn = (version: number): readonly string[] => usersOf?.(version) ?? [];
  /** What a server says of a command that it refuses may quote it. */
  const feed = async (argv: readonly string[], secret: string): Promise<void> => {
    try {
      await exec.write(place, argv, Readable.from([Buffer.from(secret)]), [...known, secret]);
    } catch (error) {
      const said = error instanceof Error ? error.message : String(error);
      throw new Refusal(`${purpose}: ${redact(said, [...known, secret])}`, EXIT.failed);
    }
  };
  return {
    purpose,
    unable: async () => {
      const said = check ? (await exec.run(place, check)).trim() : '';
      return said === '' ? undefined : `${at} cannot take another password: ${said}.`;
    },
    look: async () => {
      const password = await file().catch((error: unknown) => {
        const [said = ''] = (error instanceof Error ? error.message : String(error)).split('\n');
        throw new Refusal(
          `${purpose}: ${at} does not show its password as ${PASSWORD_FILE} (${said}). Bring the environment up first: switchyard up. Nothing was rotated.`,
          EXIT.failed,
        );
      });
      known.push(password);
    },
    admit: (secret, version) => feed([...admit, ...turn(version)], secret),
    retire: async (secret, version) => {
      await until(`${at} still shows the old password`, patience, async () => (await file()) === secret);
      await feed([...retire, ...turn(version)], secret);
    },
  };
}

const opaque = z.looseObject({ data: z.record(z.string(), z.string()).default({}) });
const activeJob = z.looseObject({ status: z.looseObject({ active: z.number().default(0) }).prefault({}) });

/** The password that the backups' own jobs have now. */
async function keyInUse({ settings }: Model): Promise<string | undefined> {
  const found = await clusterOf(settings, 'ci').read({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: names.backup, namespace: namespacesOf(settings).backup },
  });
  const text = found === undefined ? undefined : opaque.parse(found).data.RESTIC_PASSWORD;
  return text === undefined ? undefined : Buffer.from(text, 'base64').toString('utf8');
}

/** The repository of backups: a key is added beside the one in use, which goes when no backup runs with it any more. */
function backupHolder(model: Model): Holder {
  const { settings } = model;
  const open = (password: string) => openBackupWith(settings, password);
  const inUse = async () => {
    const password = await keyInUse(model);
    if (password === undefined)
      throw new Refusal(
        `${KEY_PURPOSE}: ${settings.environment} has no Secret with the key in use.`,
        EXIT.failed,
      );
    return open(password);
  };
  return {
    purpose: KEY_PURPOSE,
    look: async () => {
      await (await inUse()).holdings();
    },
    admit: async (secret) => {
      if (!(await open(secret).opens())) await (await inUse()).addKey(secret);
    },
    retire: async (secret) => {
      const selector = `app.kubernetes.io/component=backup,switchyard.dev/environment=${settings.environment}`;
      await until('a backup still runs with the old key', BACKUP_MS, async () => {
        const roles = isOneCluster(settings.clusters) ? (['ci'] as const) : (['ci', 'production'] as const);
        const jobs = await Promise.all(
          roles.map((role) => clusterOf(settings, role).list('batch/v1', 'Job', selector)),
        );
        return !jobs.flat().some((job) => activeJob.parse(job).status.active > 0);
      });
      await open(secret).removeReplaced();
    },
  };
}

async function holdersOf(model: Model, purposes: readonly string[]): Promise<Holder[]> {
  const { databases } = databasesOf(model, purposes);
  const exec =
    databases.length > 0 ? new PodExec(await clusterOf(model.settings, 'production').config()) : undefined;
  return [
    ...databases.flatMap((database) => (exec ? [databaseHolder(database, exec)] : [])),
    ...(purposes.includes(KEY_PURPOSE) ? [backupHolder(model)] : []),
  ];
}

/**
 * The steps of a rotation, each of which may be done again: whoever is killed says the same command once more.
 * @param steps.record writes the versions where every run reads them
 * @param steps.apply brings the new secrets to whoever uses them
 */
export async function rotateBy(
  holders: readonly Holder[],
  before: SecretSettings,
  purposes: readonly string[],
  steps: {
    readonly record: (secrets: SecretSettings) => void;
    readonly secretOf: (purpose: string, secrets: SecretSettings) => string;
    readonly apply: (rotating: readonly string[]) => Promise<void>;
    readonly note: (text: string) => void;
  },
): Promise<SecretSettings> {
  for (const holder of holders) await holder.look();
  const during = begun(before, purposes);
  steps.record(during);
  for (const { purpose, admit } of holders) {
    await admit(steps.secretOf(purpose, during), versionOf(during.versions, purpose));
    steps.note(`  ${purpose}: takes the new secret beside the old one`);
  }
  await steps.apply(during.rotating);
  for (const { purpose, retire } of holders) {
    await retire(steps.secretOf(purpose, during), versionOf(during.versions, purpose));
    steps.note(`  ${purpose}: takes the new secret only`);
  }
  const after = ended(during);
  steps.record(after);
  return after;
}

/** The seed, from the environment of this command or from the stack. */
async function seedOf(environment: string, terminal: Terminal): Promise<string> {
  const given = process.env[secretSources.seed];
  if (given) return given;
  return withSession(
    environment,
    'rotate',
    terminal,
    async ({ engine }) => (await engine.config('switchyard:seed')) ?? '',
    { existing: true },
  );
}

/** What can be rotated of what was asked for, with what holds it, and what is left. @throws Refusal when nothing can */
async function wantedOf(
  model: Model,
  options: RotateOptions,
): Promise<{
  readonly purposes: readonly string[];
  readonly holders: readonly Holder[];
  readonly refused: readonly Refused[];
}> {
  const { rotating } = model.settings.secrets;
  // What has begun is ended first: its new secrets may be in use already.
  const asked = [...new Set([...selected(model, options), ...rotating])].sort();
  const refused = [...databasesOf(model, asked).refused, ...refusedKey(model, asked)];
  const left = () => asked.filter((purpose) => !refused.some((one) => one.purpose === purpose));
  const holders = await holdersOf(model, left());
  for (const { purpose, unable } of holders) {
    const why = await unable?.();
    if (why === undefined) continue;
    // Half of its users may have the new secret: it is not left like that.
    if (rotating.includes(purpose)) throw new Refusal(`${purpose}: ${why}`, EXIT.failed);
    refused.push({ purpose, why });
  }
  const purposes = left();
  if (purposes.length === 0)
    throw new Refusal(refused.map(({ purpose, why }) => `${purpose}: ${why}`).join('\n'), EXIT.badInput);
  return { purposes, holders: holders.filter(({ purpose }) => purposes.includes(purpose)), refused };
}

function writeSecrets(folders: Folders, environment: string, secrets: SecretSettings): void {
  const path = join(folders.stacks, stackFile(environment));
  const text = withSecrets(readFileSync(path, 'utf8'), secrets);
  // Whole or not at all: whoever is killed meanwhile goes on with it.
  const beside = `${path}.rotating`;
  writeFileSync(beside, text);
  renameSync(beside, path);
}

/** `switchyard rotate`: gives one secret, or all, another version. */
export async function rotate(
  environment: string,
  options: RotateOptions,
  terminal: Terminal,
): Promise<Outcome> {
  const folders = foldersHere();
  const model = loadModel(folders, environment);
  assertRules(model);
  requireSecrets(folders, model);
  const { settings } = model;
  const { purposes, holders, refused } = await wantedOf(model, options);
  for (const { purpose, why } of refused) terminal.note(`${purpose} is left: ${why}`);
  if (!options.yes) {
    terminal.note(`rotate of ${environment} would change ${purposes.length} secret(s):`);
    for (const purpose of purposes) terminal.note(`  ${purpose}`);
    const question = questionFor('rotate', environment, settings.confirm);
    const answer = await terminal.ask(question.text);
    if (answer === undefined || !question.accepts(answer.trim())) throw nothingDone('rotate');
  }
  const seed = await seedOf(environment, terminal);
  const after = await rotateBy(holders, settings.secrets, purposes, {
    record: (secrets) => writeSecrets(folders, environment, secrets),
    secretOf: (purpose, { versions }) => new Secrets(seed, environment, versions).secret(purpose),
    apply: async (rotating) => {
      process.env[ROTATING_VARIABLE] = rotating.join(',');
      try {
        await operate('up', environment, { yes: true, withoutImages: true }, terminal);
      } finally {
        delete process.env[ROTATING_VARIABLE];
      }
    },
    note: (text) => terminal.note(text),
  });
  const versions = Object.fromEntries(purposes.map((purpose) => [purpose, after.versions[purpose] ?? 1]));
  return {
    document: { rotated: versions, left: refused },
    lines: [
      ...Object.entries(versions).map(([purpose, version]) => `${purpose} has version ${version}`),
      ...refused.map(({ purpose }) => `${purpose} was left`),
      `rotate of ${environment}: ${purposes.length} secret(s); commit stacks/${stackFile(environment)}`,
    ],
    ...(refused.length > 0 ? { exitCode: EXIT.failed } : {}),
  };
}

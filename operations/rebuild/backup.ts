import { BUCKET_KEYS, KEY_PURPOSE } from '../../components/backup/environment';
import { Secrets } from '../../components/shared/secrets';
import { type Restic, ResticFailure } from '../../delivery/backup/restic';
import { type Kind, kinds, type Snapshot, snapshotsAt } from '../../delivery/backup/snapshots';
import { openVault } from '../../delivery/backup/vault';
import { backupRepository } from '../../stacks/backup';
import type { StackSettings } from '../../stacks/schema';
import { EXIT, Refusal } from '../cli/refusal';

/** What a rebuild starts from. */
export interface Chosen {
  /** Unix seconds: no snapshot after it is taken. */
  readonly at: number;
  /** Of each item one, in the order in which kinds are backed up. */
  readonly snapshots: readonly Snapshot[];
}

/**
 * Opens an environment's backups: with RESTIC_PASSWORD, where the environment of this command has it, else with what
 * the seed gives.
 * @param repository in place of what the stack says, e.g. a copied folder
 */
export const openBackup = (settings: StackSettings, seed: string, repository?: string): Restic =>
  openBackupWith(
    settings,
    process.env.RESTIC_PASSWORD ||
      new Secrets(seed, settings.environment, settings.secrets.versions).secret(KEY_PURPOSE),
    repository,
  );

/** The same by the repository's own password. */
export function openBackupWith(settings: StackSettings, password: string, repository?: string): Restic {
  const { backup, environment } = settings;
  const place = repository ?? (backup && backupRepository(backup.repository, environment));
  if (!place) {
    throw new Refusal(
      `${environment} has no backup: stacks/Pulumi.${environment}.yaml has no switchyard:backup. Name the repository with --repository.`,
      EXIT.badInput,
    );
  }
  const keys = backup?.credentialsFrom;
  return openVault(environment, {
    ...process.env,
    RESTIC_REPOSITORY: place,
    RESTIC_PASSWORD: password,
    [BUCKET_KEYS.accessKey]: keys && process.env[keys.accessKey],
    [BUCKET_KEYS.secretKey]: keys && process.env[keys.secretKey],
  });
}

/** @returns Unix seconds. @throws Refusal for what is neither `latest` nor a time */
export function momentOf(from: string, now: number = Date.now()): number {
  if (from === 'latest') return Math.floor(now / 1000);
  const time = Date.parse(from);
  if (Number.isNaN(time) || !/^\d{4}-\d\d-\d\d/.test(from)) {
    throw new Refusal(
      `--from "${from}" is neither "latest" nor a time. Write it as 2026-11-24T03:00:00Z.`,
      EXIT.badInput,
    );
  }
  return Math.floor(time / 1000);
}

/**
 * Reads back the whole repository, so that a wrong key or one flipped byte is found before anything is restored, and
 * picks the snapshots.
 * @throws Refusal
 */
export async function chooseBackup(
  restic: Pick<Restic, 'check' | 'holdings'>,
  at: number,
  options: { readonly readBack: boolean },
): Promise<Chosen> {
  try {
    if (options.readBack) await restic.check();
    const { snapshots } = await restic.holdings();
    const chosen = snapshotsAt(snapshots, at);
    if (chosen.length === 0) {
      throw new Refusal(
        `There is no snapshot at or before ${new Date(at * 1000).toISOString()}. Nothing was restored.`,
        EXIT.badInput,
      );
    }
    return { at, snapshots: chosen };
  } catch (error) {
    if (!(error instanceof ResticFailure)) throw error;
    const refused = error.reason === 'wrong-key' || error.reason === 'absent';
    throw new Refusal(`${error.message} Nothing was restored.`, refused ? EXIT.badInput : EXIT.failed);
  }
}

export const ofKind = ({ snapshots }: Chosen, kind: Kind): Snapshot[] =>
  snapshots.filter((snapshot) => snapshot.kind === kind);

/** The newest snapshot of each kind that has one, as Unix seconds. */
export function newestByKind({
  snapshots,
}: Chosen): { readonly kind: Kind; readonly time: number; readonly items: number }[] {
  return kinds.flatMap((kind) => {
    const times = snapshots.filter((snapshot) => snapshot.kind === kind).map(({ time }) => time);
    return times.length === 0 ? [] : [{ kind, time: Math.max(...times), items: times.length }];
  });
}

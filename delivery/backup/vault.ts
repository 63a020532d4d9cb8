import { exitCode, Failure } from '../../clients/failure';
import { readSettings } from '../settings';
import { Restic } from './restic';

/** The environment's repository, as RESTIC_REPOSITORY and RESTIC_PASSWORD (or RESTIC_PASSWORD_FILE) name it. */
export function openVault(environment: string, env = process.env): Restic {
  const { RESTIC_REPOSITORY } = readSettings(['RESTIC_REPOSITORY'], env);
  if (!env.RESTIC_PASSWORD && !env.RESTIC_PASSWORD_FILE) {
    throw new Failure(
      exitCode.input,
      'environment: neither RESTIC_PASSWORD nor RESTIC_PASSWORD_FILE is set.',
      'Give the key of the backup: without it nothing can be read.',
    );
  }
  return new Restic({ repository: RESTIC_REPOSITORY, environment, env: withBucketKeys(env) });
}

/** The bucket's own keys take the place of those of the state backend, which stand beside them in the same Pod. */
function withBucketKeys(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { BACKUP_ACCESS_KEY, BACKUP_SECRET_KEY, ...others } = env;
  if (!BACKUP_ACCESS_KEY || !BACKUP_SECRET_KEY) return others;
  const { AWS_SESSION_TOKEN: _session, AWS_PROFILE: _profile, ...rest } = others;
  return { ...rest, AWS_ACCESS_KEY_ID: BACKUP_ACCESS_KEY, AWS_SECRET_ACCESS_KEY: BACKUP_SECRET_KEY };
}

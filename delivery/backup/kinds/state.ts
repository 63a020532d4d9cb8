import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { exitCode, Failure } from '../../../clients/failure';
import { parseJson } from '../../../text/json';
import { type Environment, output } from '../program';
import type { Restic } from '../restic';
import type { BackupItem } from '../run';
import type { Snapshot } from '../snapshots';

/** Variables for pulumi alone, where the state lies elsewhere than the backup: `STATE_AWS_ACCESS_KEY_ID`, … */
const OWN = /^STATE_/;
/** What other programs get is none of its business. */
const OTHERS = /^(RESTIC_|GITLAB_TOKEN$|SWITCHYARD_|STATE_)/;

export function stateEnvironment(env: Environment): Environment {
  const entries = Object.entries(env);
  return {
    ...Object.fromEntries(entries.filter(([name]) => !OTHERS.test(name))),
    ...Object.fromEntries(
      entries.flatMap(([name, value]) => (OWN.test(name) ? [[name.replace(OWN, ''), value]] : [])),
    ),
    PULUMI_SKIP_UPDATE_CHECK: 'true',
  };
}

/**
 * The environment's Pulumi state, as `pulumi stack export` gives it: its secrets stay encrypted, and no passphrase is
 * needed.
 * @param env PULUMI_BACKEND_URL or a login, and what that backend asks for
 */
export function stateItems(environment: string, env: Environment): BackupItem[] {
  const open = async () => {
    const folder = mkdtempSync(join(tmpdir(), 'switchyard-state-'));
    try {
      // The same project as `switchyard up` works in.
      writeFileSync(join(folder, 'Pulumi.yaml'), 'name: switchyard\nruntime: nodejs\n');
      // Read whole before anything is stored: a state is small, and half of one is worth nothing.
      const exported = await output({
        program: 'pulumi',
        args: ['stack', 'export', '--stack', environment, '--non-interactive'],
        cwd: folder,
        env: stateEnvironment(env),
        fault: ({ stderr, code }) => {
          const said = stderr.split('\n').find((line) => /error/i.test(line)) ?? `exit code ${code}`;
          return new Failure(
            exitCode.red,
            `state: pulumi stack export of ${environment} failed (${said.trim().slice(0, 300)}).`,
            'Check PULUMI_BACKEND_URL and its credentials.',
          );
        },
      });
      checkState(exported, environment);
      return { stream: Readable.from([Buffer.from(exported)]) };
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  };
  return [{ kind: 'state', item: 'stack', open }];
}

function checkState(exported: string, what: string): void {
  const parsed = parseJson(exported);
  if (parsed === null || typeof parsed !== 'object' || !('deployment' in parsed)) {
    throw new Failure(exitCode.red, `state: ${what} is not what pulumi stack export gives.`);
  }
}

/** The state of a snapshot, for `pulumi stack import`: its text, proved to be a state. */
export async function readState(restic: Pick<Restic, 'read'>, snapshot: Snapshot): Promise<string> {
  const exported = await text(restic.read(snapshot));
  checkState(exported, `snapshot ${snapshot.id.slice(0, 8)}`);
  return exported;
}

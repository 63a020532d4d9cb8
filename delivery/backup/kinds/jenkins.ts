import type { Place, PodExec } from '../../../clients/pod-exec';
import { type NamespaceSettings, namespacesOf } from '../../../stacks/namespaces';
import type { Restic } from '../restic';
import type { BackupItem } from '../run';
import type { Snapshot } from '../snapshots';

/** Folder of Jenkins' home in its container. */
export const JENKINS_HOME = '/var/jenkins_home';

/** The controller: the only Pod of its StatefulSet. */
export const jenkinsPlace = (settings: NamespaceSettings): Place => ({
  namespace: namespacesOf(settings).ci,
  pod: 'jenkins-0',
  container: 'jenkins',
});

/** What Jenkins makes anew, or what means nothing elsewhere. */
const MADE_ANEW = [
  'war',
  'plugins',
  'caches',
  'workspace',
  'tools',
  'logs',
  'updates',
  '.cache',
  '.groovy',
  'lost+found',
];

/**
 * Files change while Jenkins works: tar says so with exit code 1, and stores them as it found them. Each build's own
 * files are written once, and the one build that runs meanwhile is started again by the reconciler.
 */
const DUMP = `tar --create --file=- --directory="$0" --warning=no-file-changed "$@" . || [ $? -eq 1 ]`;

/** Jenkins' home as a tar: jobs, builds, secrets; not what it makes anew (caches, unpacked war and plug-ins, workspaces). */
export function jenkinsItems(
  exec: Pick<PodExec, 'read'>,
  place: Place,
  folder: string = JENKINS_HOME,
): BackupItem[] {
  const excluded = MADE_ANEW.map((name) => `--exclude=./${name}`);
  return [
    {
      kind: 'jenkins',
      item: 'home',
      open: async () => ({ stream: exec.read(place, ['sh', '-c', DUMP, folder, ...excluded]) }),
    },
  ];
}

/**
 * Owners are the Pod's own: a restricted container cannot give files away. Without its first part (`./`) the home itself,
 * which belongs to whoever made the volume, is no entry: its mode cannot be set.
 */
const RESTORE =
  'tar --extract --file=- --directory="$0" --strip-components=1 --no-same-owner --no-overwrite-dir';

/**
 * Unpacks Jenkins' home in a container that has the claim mounted while Jenkins does not run; it needs `tar` and `sh`.
 * @param folder where the claim is mounted there
 */
export async function restoreJenkinsHome(
  restic: Pick<Restic, 'read'>,
  snapshot: Snapshot,
  exec: Pick<PodExec, 'ready' | 'write'>,
  place: Place,
  folder: string = JENKINS_HOME,
): Promise<void> {
  await exec.ready(place);
  await exec.write(place, ['sh', '-c', RESTORE, folder], restic.read(snapshot));
}

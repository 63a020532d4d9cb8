// Environment variables that files of this repository may not choose as a password or a key: whoever runs `up` has them
// for the topology's own sake, and what names one would carry its value into a Secret that Pods read. That a module's
// password must stand in the stack's `deployEnvironment` too is not enough: what opens the state stands there beside it.

/** restic's own variables of what opens a repository (https://restic.readthedocs.io/en/stable/075_scripting.html). */
export const opensBackups = (name: string): boolean =>
  /^RESTIC_(?:FROM_|REST_)?PASSWORD(?:_FILE|_COMMAND)?$/.test(name);

/** The seed, the passphrase, the GitLab token, the backups' key, and whatever else the program and Pulumi are told. */
export const isOwnVariable = (name: string): boolean =>
  name === 'GITLAB_TOKEN' || /^(SWITCHYARD|PULUMI)_/.test(name) || opensBackups(name);

/** What stands before the first "_" of names that something else reads than a service's password. */
const FAMILIES: readonly string[] = [
  // This program, its Pods and what its documents have people set.
  ...['BACKUP', 'CASC', 'GITLAB', 'JENKINS', 'REGISTRY', 'STATE'],
  // State backends and secrets providers: https://www.pulumi.com/docs/iac/concepts/state-and-backends/.
  ...['AAD', 'ACTIONS', 'ARM', 'AWS', 'AZURE', 'CLOUDSDK', 'GCE', 'GCLOUD', 'GCP', 'GCS', 'GITHUB', 'GOOGLE'],
  ...['IDENTITY', 'IMDS', 'MSI', 'VAULT'],
  // Clusters: kubectl, the provider, and the programs that a kubeconfig may name.
  ...['DIGITALOCEAN', 'HELM', 'KUBE', 'KUBERNETES', 'OCI'],
  // restic: https://restic.readthedocs.io/en/stable/040_backup.html#environment-variables.
  ...['B2', 'OS', 'RCLONE', 'RESTIC', 'ST'],
  // Images, git, Node and the plug-ins.
  ...['BUILDKIT', 'BUILDX', 'DOCKER', 'ESBUILD', 'GIT', 'GRPC', 'NODE', 'NPM', 'OTEL', 'SSH', 'SSL'],
  // What every program is told.
  ...['DYLD', 'LC', 'LD', 'XDG'],
];

/** The same of names that begin like others. */
const NAMES: readonly string[] = [
  ...['BUILD_URL', 'JAVA_OPTS', 'KUBECONFIG', 'METRICS_PUSHGATEWAY', 'REGISTRY', 'ROBOT_OPTIONS'],
  ...['SOURCE_DATE_EPOCH', 'WSL_DISTRO_NAME'],
  ...['CI', 'CLICOLOR_FORCE', 'DEBUG', 'DISPLAY', 'FORCE_COLOR', 'HOME', 'HOMEDRIVE', 'HOMEPATH', 'LANG'],
  ...['LOGNAME', 'NO_COLOR', 'PATH', 'PWD', 'SHELL', 'TERM', 'TMPDIR', 'TRACEPARENT', 'USER', 'USERPROFILE'],
  'WAYLAND_DISPLAY',
];

const FAMILY = new RegExp(`^(?:${FAMILIES.join('|')})_`);

/**
 * What no module may name, whatever the stack calls its own: also what only a program that is started here reads, or a
 * proxy's address, which may hold a login.
 */
export const isClosedToModules = (name: string): boolean =>
  isOwnVariable(name) || FAMILY.test(name) || NAMES.includes(name) || name.endsWith('_PROXY');

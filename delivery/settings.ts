import { z } from 'zod';
import { bytesOf, storage } from '../catalog/shapes';
import { exitCode, Failure } from '../clients/failure';
import { parseJson } from '../text/json';

const required = (text: string) => z.string(`is not set | ${text}`).min(1, `is empty | ${text}`);
const flag = z
  .enum(['true', 'false'], 'is neither true nor false | Write true or false.')
  .default('false')
  .transform((value) => value === 'true');

/** Bytes, written as the stack writes them. */
const amount = (otherwise: string) => storage.default(otherwise).transform(bytesOf);

/** A project that the reconciler watches: see `reconcile/reconciler.ts`. */
const watched = z.strictObject({
  job: z.string().min(1),
  project: z.string().min(1),
  branch: z.string().min(1),
  requests: z.strictObject({
    status: z.string().min(1),
    merges: z.boolean(),
    drafts: z.boolean(),
    reviewed: z.boolean().optional(),
    queue: z.strictObject({ most: z.number().int().min(1), start: z.number().int().min(1) }).optional(),
  }),
  heads: z.strictObject({ status: z.string().min(1), module: z.string().min(1).optional() }).optional(),
  drift: z.strictObject({ job: z.string().min(1), environment: z.string().min(1) }).optional(),
});

/**
 * Every environment variable that `delivery` reads. The Pod template sets the first block, Jenkins's
 * credentials the second, Jenkins and its GitLab plug-in the third. An absent one is named when a command
 * needs it.
 */
const variables = {
  GITLAB_URL: z.url('is not a URL | Write it with its scheme, e.g. https://gitlab.example.com.'),
  SWITCHYARD_GITLAB_GROUP: required('Name the GitLab group that holds the module projects.'),
  /** Modules whose project lies elsewhere: `orders=legacy/orders`, separated by commas. */
  SWITCHYARD_GITLAB_PROJECTS: z
    .string()
    .default('')
    .transform(
      (value) =>
        new Map(
          value
            .split(',')
            .filter(Boolean)
            .map((pair): [string, string] => {
              const [module = '', path = ''] = pair.split('=');
              return [module, path];
            }),
        ),
    ),
  /** The bot rebases a merge request that stands on an older main, where the project's merge method asks for it. */
  SWITCHYARD_GITLAB_REBASE: flag,
  /** A reconciler starts what waits in the merge queue, so that one is kept. */
  SWITCHYARD_QUEUE: flag,
  REGISTRY: required('Give host:port of the image registry.').regex(
    /^[^/\s:]+(:\d+)?(\/[^\s]+)?$/,
    'is not host[:port][/prefix] | Leave the scheme out.',
  ),
  REGISTRY_PLAIN_HTTP: flag,
  SWITCHYARD_POD_IP: required('Give the address of this Pod (status.podIP).'),
  /** Docker's config.json with the logins of registries that builds may pull base images from. */
  SWITCHYARD_BASES_LOGIN: z.string().default(''),
  /** Folder in which what a build hands over waits, out of reach of the agent; empty for one in the workspace. */
  SWITCHYARD_HANDED: z.string().default(''),
  /** What one build may hand over, as `registry.builds.each`. */
  SWITCHYARD_BUILD_MOST: amount('4Gi'),
  /** What a module's merge requests may keep in the registry, as `registry.builds.unreleased`. */
  SWITCHYARD_UNRELEASED_MOST: amount('16Gi'),
  /** What the image of a build may fill where it is unpacked; `jenkins.buildCache` of the stack. */
  SWITCHYARD_IMAGE_DISK: amount('20Gi'),
  SWITCHYARD_CATALOG: required('Give the folder that holds modules/ and services/.'),
  SWITCHYARD_STACKS: required('Give the folder that holds Pulumi.<environment>.yaml.'),
  SWITCHYARD_LIBRARY: required('Give the folder of the pipeline library.'),
  SWITCHYARD_ENVIRONMENT: required('Name the environment that the main branch deploys to.').regex(
    /^[a-z][a-z0-9-]*$/,
    'is not the name of an environment | Use lower-case letters, digits and "-".',
  ),
  SWITCHYARD_PULL_SECRETS: z
    .string()
    .default('registry-pull')
    .transform((value) => value.split(',').filter(Boolean)),
  SWITCHYARD_BUILD_ATTESTATIONS: flag,
  /** Folder of the commands' own state, out of reach of checkouts and stashes; empty for one in the workspace. */
  SWITCHYARD_STATE: z.string().default(''),
  SWITCHYARD_HANDOVER: required('Give the folder that the containers of a preview share.'),
  SWITCHYARD_MODULE: required('The pipeline names the module; by hand, give its name.').regex(
    /^[a-z][a-z0-9-]*$/,
    'is not the name of a module | Use a name of catalog/modules.',
  ),

  SWITCHYARD_TOPOLOGY_PROJECT: required('Name the GitLab project that holds this repository, e.g. topology.'),
  RESTIC_REPOSITORY: required(
    'Give the backup repository of this environment, e.g. s3:https://host/bucket/path.',
  ),

  SWITCHYARD_TOPOLOGY_ENVIRONMENTS: required(
    'Name the environments to preview, in the order of applying.',
  ).transform((value) => value.split(',').filter(Boolean)),

  JENKINS_ADDRESS: z.url('is not a URL | Give the address of Jenkins inside the cluster.'),
  /** User of Jenkins that may look at builds; empty where whoever is not logged in may. */
  JENKINS_USER: z.string().default(''),
  JENKINS_PASSWORD: required('Give the password of that user, or an API token.'),
  /** Others have jobs and agents there as well. */
  SWITCHYARD_JENKINS_SHARED: flag,
  SWITCHYARD_JENKINS_URL: z.url('is not a URL | Give the address of Jenkins as its builds post it.'),
  SWITCHYARD_JOB_FOLDER: required('Name the folder of the jobs in Jenkins.'),
  SWITCHYARD_HOOK_TOKENS: required('Give the folder that holds the token of each job’s hook.'),
  SWITCHYARD_AGENT_NAMESPACE: required('Name the namespace of the `delivery` agents.'),
  SWITCHYARD_AGENTS: z.coerce
    .number('is not a number | Say how many `delivery` agents there may be at a time.')
    .int()
    .min(1, 'is less than 1 | Say how many `delivery` agents there may be at a time.'),
  /** How long one of them may take to start. */
  SWITCHYARD_AGENT_MINUTES: z.coerce
    .number('is not a number | Say how many minutes an agent may take to start.')
    .int()
    .min(1, 'is less than 1 | Say how many minutes an agent may take to start.')
    .default(15),
  /** Projects that the reconciler watches, as a JSON list. */
  SWITCHYARD_WATCHED: required('Give the watched projects as a JSON list.').transform((text, context) => {
    const parsed = z.array(watched).safeParse(parseJson(text));
    if (parsed.success) return parsed.data;
    const [issue] = parsed.error.issues;
    const where = issue?.path.join('.') || 'the text';
    context.addIssue({
      code: 'custom',
      message: `is not a list of watched projects (${where}: ${issue?.message}) | Run \`switchyard up\`: it writes it.`,
    });
    return z.NEVER;
  }),

  GITLAB_TOKEN: required('Bind the credential gitlab-bot-token, or gitlab-reader-token for what only reads.'),
  SWITCHYARD_CERTIFICATE_KEY: required('Bind the credential certificate-key.').min(
    32,
    'is shorter than 32 characters | Use a long random key.',
  ),

  BUILD_URL: z.url('is not a URL | Set the address of Jenkins in its location configuration.'),
  gitlabMergeRequestIid: z.coerce
    .number('is not a number | Start this from a merge request hook, or give --merge-request.')
    .int()
    .min(1, 'is not a merge request number | Count from 1.'),
  gitlabAfter: required('Start this from a push hook, or give --commit.').regex(
    /^[0-9a-f]{40}$/,
    'is not a full commit id | Give all 40 hex digits.',
  ),
  /** Commit that the branch had before; zeros where it had none. */
  gitlabBefore: required('Start this from a push hook.'),
  gitlabBranch: required('Start this from a push hook, or give --branch.'),
} as const;

type Variables = typeof variables;
export type Settings<K extends keyof Variables> = { [P in K]: z.infer<Variables[P]> };

/**
 * Reads the named variables, all faults collected.
 * @param overrides values of command-line flags, which win over the environment
 * @throws Failure (exit 2), one line a fault
 */
export function readSettings<K extends keyof Variables>(
  names: readonly K[],
  environment: Record<string, string | undefined> = process.env,
  overrides: Partial<Record<K, string | undefined>> = {},
): Settings<K> {
  const faults: string[] = [];
  const values: Partial<Record<K, unknown>> = {};
  for (const name of names) {
    const given = overrides[name] ?? environment[name];
    const parsed = variables[name].safeParse(given === '' ? undefined : given);
    if (parsed.success) values[name] = parsed.data;
    else {
      const [what = '', remedy = ''] = (parsed.error.issues[0]?.message ?? '').split(' | ');
      faults.push(`environment: ${name} ${given ? what : 'is not set'}. ${remedy}`);
    }
  }
  if (faults.length > 0) throw new Failure(exitCode.input, faults.join('\n'));
  return values as Settings<K>;
}

import { z } from 'zod';
import { entryOf } from '../catalog/entry';
import { dnsLabel } from '../catalog/schema';
import {
  entries,
  FEW,
  fewEntries,
  isGroupPath,
  isProjectPath,
  MOST_EACH,
  newPath,
  reservedGroups,
  title,
  twice,
  userName,
} from '../catalog/shapes';
import { FIRST_LABEL, MERGE_LABEL } from '../catalog/status';
import { httpUrl, oneOf, say } from './shapes';
import { isPublicKey } from './ssh-key';

const tiers = ['free', 'premium', 'ultimate'] as const;
export type GitLabTier = (typeof tiers)[number];

const NO_PATH = {
  error: say(
    'is not a path in GitLab',
    'Write it as in the address bar, without the host: "platform/orders".',
  ),
  abort: true,
};
const fullPath = z.string().regex(/^[A-Za-z0-9_.][A-Za-z0-9_.-]*(\/[A-Za-z0-9_.][A-Za-z0-9_.-]*)*$/, NO_PATH);

export const roles = ['guest', 'reporter', 'developer', 'maintainer'] as const;
/** Roles that a person may get; a group's owner is made by hand, since it may delete what Switchyard made. */
const role = z.enum(roles, say('is not a role', 'Use guest, reporter, developer or maintainer.'));
export type MemberRole = z.infer<typeof role>;

const days = (most: number) => z.number().int().min(1).max(most);

/** What GitLab changes in a label's texts before it keeps them (`sanitize_value` of its app/models/label.rb). */
const MARKUP = /<[a-z/!?]|&(?:#|[a-z])[a-z0-9]*;/i;
const labelText = title.refine(
  (text) => !MARKUP.test(text),
  say('has markup, which GitLab takes out', 'Write it without "<…>" and "&…;".'),
);

const label = z.strictObject({
  /** As people see it; `scope::name` makes labels of one scope exclude each other. */
  name: labelText
    .max(255, say('is longer than 255 characters', 'Shorten it.'))
    .regex(/^[^,]+$/, say('has a comma', 'Leave it out: GitLab separates labels by it.')),
  /** Six hex digits. */
  color: z.string().regex(/^#[0-9a-f]{6}$/, say('is not a colour', 'Write six small hex digits: "#1f75cb".')),
  /** What it is for. */
  description: labelText.optional(),
});

const NO_KEY = say('is not a public SSH key', 'Give the content of the .pub file, in one line.');

const deployKey = z.strictObject({
  /** What the key is for. */
  title: title.max(255, say('is longer than 255 characters', 'Shorten it.')),
  /** The public half, as `ssh-keygen` writes it: type and key, a comment if you like. */
  key: z
    .string()
    .regex(/^(ssh-(rsa|ed25519)|ecdsa-sha2-nistp(256|384|521)) [A-Za-z0-9+/]+={0,3}( [^\n]*)?$/, {
      error: NO_KEY,
      abort: true,
    })
    .refine(isPublicKey, NO_KEY),
  /** May push to branches that nothing protects. */
  canPush: z.boolean().default(false),
  /** Modules whose projects take the key. @default all */
  modules: z
    .array(dnsLabel)
    .min(1)
    .max(...entries())
    .optional(),
});

const approvals = z.strictObject({
  /** Approvals that each merge request needs, from anyone who may approve. */
  required: z.number().int().min(1).max(100),
  /** A new commit takes the approvals away. */
  resetOnPush: z.boolean().default(true),
  /** Authors may approve their own merge requests. */
  authorMayApprove: z.boolean().default(false),
  /** Whoever added a commit may approve. */
  committersMayApprove: z.boolean().default(false),
  /** The owners of changed files, by `CODEOWNERS`, must approve. */
  codeOwners: z.boolean().default(false),
});

const queue = z.strictObject({
  /**
   * Merge requests of one module that are tested side by side at first. It grows with each that is merged, to what the quota
   * holds (`testing.parallel`), and halves with each that is taken out.
   */
  window: z.number().int().min(1).max(100).default(4),
});

/** The group, either to be made or there already. */
const groupChoice = z
  .strictObject({
    /** Path of a group of its own at the top level. */
    create: dnsLabel.superRefine(newPath).optional(),
    /** Full path of a group that is there and stays when Switchyard goes. */
    existing: fullPath.refine(isGroupPath, NO_PATH).optional(),
  })
  .superRefine(oneOf('create', 'existing'));

/** A project of GitLab's that is there already. */
const existingProject = z.strictObject({
  /** Its full path. */
  existing: fullPath.refine(isProjectPath, NO_PATH),
});

const rotation = z.strictObject({
  /** Days that a token lives. */
  days: days(365),
  /** Days before its end from which on an `up` makes a new one. */
  before: days(364),
});

const settings = z.strictObject({
  /** Address of GitLab. */
  url: httpUrl,
  /** What the instance is licensed for. Nothing of a higher tier is made; asking for it is an error. */
  tier: z.enum(tiers).default('free'),
  /**
   * The group that holds all projects: its path, or `{ create: <path> }`, or `{ existing: <full path> }` for one that
   * is there already and stays when Switchyard goes.
   */
  group: z
    .union([dnsLabel.superRefine(newPath), groupChoice], {
      error: say(
        'is neither a path nor one of create and existing',
        'Write a path, or "{ existing: team/ci }".',
      ),
    })
    .default('switchyard'),
  /** Projects that are there already, by module; all other modules get a new one in the group. */
  projects: z.record(dnsLabel, existingProject).superRefine(fewEntries).meta(FEW).default({}),
  /**
   * What becomes of projects that `destroy` takes away: `immediate` removes them for good; `scheduled` leaves them to
   * GitLab, which renames them and keeps them for some days, for an instance that allows nothing else. A group of its own
   * is always scheduled: GitLab refuses the rest at the top level.
   */
  deletion: z.enum(['immediate', 'scheduled']).default('immediate'),
  /** How merge requests are merged: GitLab's `merge_method`; `ff` keeps history a line. */
  mergeMethod: z.enum(['merge', 'rebase_merge', 'ff']).default('merge'),
  /**
   * Who rebases a merge request that stands on an older main, where `mergeMethod` asks for it (`rebase_merge`, `ff`):
   * `people` are told before a build is spent; `bot` does as GitLab's button does: when its turn comes in the merge queue, or where
   * none is kept before the tests, and the new commit has its own build.
   */
  rebase: z.enum(['people', 'bot']).default('people'),
  /** Whether a merge request's commits become one: GitLab's `squash_option`. */
  squash: z.enum(['never', 'always', 'default_on', 'default_off']).default('default_off'),
  /** The merge queue of each module, where the bot merges. */
  queue: queue.prefault({}),
  /** Who may merge to main, beside the bot. Nobody pushes to it. */
  mergeRole: z.enum(['developer', 'maintainer']).default('maintainer'),
  /** Every discussion of a merge request must be resolved before it is merged. */
  resolveDiscussions: z.boolean().default(false),
  /** Needs Premium. @default none */
  approvals: approvals.optional(),
  /** Role in its project of each owner that a module names. @default owners get none: they have one by the group */
  ownersRole: role.optional(),
  /** Members of the group: user name → role. */
  members: z.record(userName, role).superRefine(fewEntries).meta(FEW).default({}),
  /** Labels of every module's project. */
  labels: z
    .array(label)
    .max(...entries(MOST_EACH))
    .default([]),
  /** SSH keys of machines that read modules' repositories. */
  deployKeys: z
    .array(deployKey)
    .max(...entries(MOST_EACH))
    .default([]),
  /** Day on which the bot's token ends, `YYYY-MM-DD`; GitLab allows at most a year ahead. Not with rotation. */
  botTokenExpires: z.iso.date({ error: say('is not a date', 'Write YYYY-MM-DD.') }).optional(),
  /**
   * The bot's token lives `days`; an `up` in its last `before` days makes a new one and revokes the old. Run `up` more
   * often than that. @default { days: 180, before: 30 }, unless botTokenExpires is given
   */
  botTokenRotation: rotation.optional(),
});

/** A text as part of a resource's name: its letters and digits. */
export const slug = (text: string): string =>
  text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '');

type Written = z.infer<typeof settings>;

function faults(given: Written, context: z.RefinementCtx): void {
  const fault = (path: PropertyKey[], what: string, remedy: string) =>
    context.addIssue({ code: 'custom', path, message: say(what, remedy) });
  if (given.tier === 'free' && given.approvals) {
    fault(
      ['approvals'],
      'needs GitLab Premium, and tier is "free"',
      'Leave it out, or set tier to what your licence says.',
    );
  }
  const path = typeof given.group === 'string' ? given.group : given.group.create;
  if (path !== undefined && reservedGroups.includes(path)) {
    fault(['group'], `"${path}" is what GitLab keeps for addresses of its own`, 'Choose another path.');
  }
  const rule = given.botTokenRotation;
  if (given.botTokenExpires !== undefined && rule) {
    fault(['botTokenRotation'], 'cannot stand beside botTokenExpires', 'Keep one of the two.');
  }
  if (rule && rule.before >= rule.days) {
    fault(
      ['botTokenRotation', 'before'],
      'is not shorter than days, so each up would rotate',
      'Write e.g. { days: 180, before: 30 }.',
    );
  }
  const users = Object.keys(given.members);
  for (const { index, first } of twice(users))
    fault(
      ['members', users[index] ?? ''],
      `is "${first}" again, to whom case means nothing`,
      'Keep one of the two.',
    );
  const alike = (kind: 'labels' | 'deployKeys', key: string, values: readonly string[]) => {
    const known = new Map<string, string>();
    values.forEach((value, index) => {
      const first = known.get(slug(value));
      if (first === undefined) known.set(slug(value), value);
      else fault([kind, index, key], `"${value}" is too like "${first}"`, 'Change a letter or a digit.');
    });
  };
  // What is behind the key itself is a comment.
  const keys = new Map<string, string>();
  given.deployKeys.forEach(({ key, title }, index) => {
    const bare = key.split(' ', 2).join(' ');
    const first = keys.get(bare);
    if (first === undefined) keys.set(bare, title);
    // lib/api/deploy_keys.rb: a key that the project has is answered as it is, one that another has is joined.
    else
      fault(
        ['deployKeys', index, 'key'],
        `is that of "${first}" again, and GitLab knows a key once, by its first title`,
        'Give each a key of its own, or name all modules in one of the two.',
      );
  });
  given.labels.forEach(({ name }, index) => {
    const own = [FIRST_LABEL, MERGE_LABEL].find((label) => slug(label) === slug(name));
    if (own !== undefined)
      fault(['labels', index, 'name'], `"${name}" is too like our own "${own}"`, 'Choose another name.');
  });
  alike(
    'labels',
    'name',
    given.labels.map(({ name }) => name),
  );
  alike(
    'deployKeys',
    'title',
    given.deployKeys.map(({ title }) => title),
  );
}

/** The group's full path, and whether it is Switchyard's own. */
function settled({ group, botTokenExpires, botTokenRotation, ...rest }: Written) {
  const { create = '', existing } = typeof group === 'string' ? { create: group } : group;
  return {
    ...rest,
    /** Full path of the group. */
    group: existing ?? create,
    /** The group was there before, and stays. */
    groupExists: existing !== undefined,
    botToken:
      botTokenExpires === undefined
        ? { rotation: botTokenRotation ?? { days: 180, before: 30 } }
        : { expires: botTokenExpires },
  };
}

export const gitlabSchema = settings.superRefine(faults).transform(settled);
export type GitLabSettings = z.infer<typeof gitlabSchema>;

/** Full path of a module's project. */
export const projectPath = ({ group, projects }: GitLabSettings, module: string): string =>
  entryOf(projects, module)?.existing ?? `${group}/${module}`;

/** Full paths of the topology's projects: those of the modules, and its own where it has one. */
export const projectsOf = (
  {
    gitlab,
    topologyProject,
  }: { readonly gitlab: GitLabSettings; readonly topologyProject?: { readonly path: string } },
  modules: readonly string[],
): string[] => [
  ...modules.map((module) => projectPath(gitlab, module)),
  ...(topologyProject ? [`${gitlab.group}/${topologyProject.path}`] : []),
];

/** The folder in Jenkins that holds the modules' jobs: a name without "/", whatever the group's path. */
export const jobFolder = ({ group }: Pick<GitLabSettings, 'group'>): string => group.replaceAll('/', '-');

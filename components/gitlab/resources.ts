import type { Declaration } from '../shared/declaration';
import { outputOf } from '../shared/handle';
import { names } from '../shared/naming';
import { inputRef } from '../shared/references';
import { bot, DEFAULT_LIFETIME, deployKeys, groupMembers, labels, ownerMembers, reader } from './access';
import { approvalResources } from './approvals';
import type { GitLabSpec } from './gitlab';
import type { GitLabModuleSpec } from './gitlab-module';
import { hookTokenPurpose } from './hooks';
import {
  BRANCH,
  existingProject,
  groupHandle,
  hook,
  mergeSettings,
  project,
  projectHandle,
  protectedMain,
} from './projects';
import { queueLabels } from './queue';
import { topologyProjectDeclarations } from './topology';

function groupItself(component: string, { group, existing }: GitLabSpec): Declaration {
  const common = { ...groupHandle(component), provider: 'gitlab' } as const;
  if (existing !== undefined)
    return { ...common, args: { path: group }, existing: inputRef('existing', existing) };
  return {
    ...common,
    args: {
      name: group,
      path: group,
      description: 'Made by Switchyard',
      visibilityLevel: 'private',
      // Removed at once is what GitLab refuses to a group at the top level (lib/api/groups.rb): it is scheduled, under a name
      // that leaves its own free for the next `up`, and is empty by then.
    },
  };
}

/** The group, the bot and its reader, the release ledger and the pipeline library, and the topology's own project. */
export function gitlabDeclarations(component: string, spec: GitLabSpec): Declaration[] {
  const group = outputOf(groupHandle(component), 'id');
  const place = { group, deletion: spec.deletion };
  const tokens = { name: component, group, botToken: spec.botToken ?? DEFAULT_LIFETIME };
  const own = (name: string, description: string, path: string): Declaration[] => [
    project(place, name, description, path),
    protectedMain(`${name}-main`, name, { push: 'maintainer' }),
  ];
  return [
    groupItself(component, spec),
    bot(tokens),
    reader(tokens),
    ...groupMembers(component, group, spec.members ?? []),
    ...own(`${component}-ledger`, 'What runs where: one file an environment', names.ledgerProject),
    ...own(`${component}-library`, 'Jenkins shared library, written by Switchyard', names.libraryProject),
    ...libraryFiles(component, spec.library),
    ...topologyProjectDeclarations(component, place, spec),
  ];
}

const libraryFiles = (component: string, library: GitLabSpec['library']): Declaration[] =>
  Object.keys(library)
    .sort()
    .map((path) => ({
      type: 'gitlab:index/repositoryFile:RepositoryFile',
      name: `${component}-library-${path.replace(/[^A-Za-z0-9]+/g, '-')}`,
      provider: 'gitlab',
      args: {
        project: outputOf(projectHandle(`${component}-library`), 'id'),
        branch: BRANCH,
        filePath: path,
        content: Buffer.from(library[path] ?? '').toString('base64'),
        encoding: 'base64',
        commitMessage: `Update ${path}`,
        authorName: 'Switchyard',
        authorEmail: 'switchyard@localhost',
      },
      dependsOn: [`${component}-library-main`],
    }));

/** One module's project with its main branch, its hook, and who may do what. */
export function gitlabModuleDeclarations(spec: GitLabModuleSpec): Declaration[] {
  const { module, merging = {} } = spec;
  const name = `gitlab-${module}`;
  return [
    spec.existing === undefined
      ? project(spec, name, spec.description, module, mergeSettings(merging))
      : existingProject(name, spec.existing),
    protectedMain(`${name}-main`, name, {
      push: 'no one',
      merge: merging.mergeRole,
      codeOwners: (merging.tier ?? 'free') !== 'free' && merging.approvals?.codeOwners === true,
    }),
    hook(name, spec.hookUrl, hookTokenPurpose(module)),
    ...approvalResources(merging, name),
    ...ownerMembers(name, spec.owners ?? []),
    ...deployKeys(name, spec.deployKeys ?? []),
    ...labels(name, spec.labels ?? []),
    ...(spec.queue ? queueLabels(name, spec.merge ?? 'reviewed') : []),
  ];
}

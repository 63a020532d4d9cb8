import type { Module } from '../catalog/load';
import { didYouMean, type Problem } from '../catalog/problems';
import { folded } from '../catalog/shapes';
import { projectPath } from '../stacks/gitlab';
import { stackNames } from '../stacks/load';
import { repositoryRoot } from '../stacks/registry';
import type { StackSettings } from '../stacks/schema';
import { instanceAt } from './neighbours';

const at =
  (environment: string) =>
  (key: string, what: string, remedy: string): Problem => ({
    file: `stacks/Pulumi.${environment}.yaml`,
    key: `config.${key}`,
    what,
    remedy,
  });

/** The fault of an environment that takes its releases from one that there is no file of. */
export function missingOrigin(
  stacks: string,
  { environment, promotion }: Pick<StackSettings, 'environment' | 'promotion'>,
): Problem[] {
  const names = stackNames(stacks);
  if (!promotion || names.includes(promotion.from)) return [];
  const what = `there is no environment "${promotion.from}".`;
  return [at(environment)('promotion.from', what, didYouMean(promotion.from, names))];
}

/**
 * What keeps releases of one environment from going into another.
 * @param modules of this one
 * @param origin the other one; undefined where its file cannot be read, which is told where that is checked
 * @param originModules names of its modules
 */
export function promotionFaults(
  { environment, gitlab, promotion, registry }: StackSettings,
  modules: readonly Module[],
  origin: StackSettings | undefined,
  originModules: readonly string[],
): Problem[] {
  if (!promotion) return [];
  const { from } = promotion;
  const fault = at(environment);
  if (from === environment)
    return [
      fault('promotion.from', 'is this environment itself.', 'Name the one that tests what is merged.'),
    ];
  if (!origin) return [];
  if (origin.promotion)
    return [
      fault(
        'promotion.from',
        `is "${from}", whose own releases are promoted from "${origin.promotion.from}".`,
        `Name the one that tests what is merged: "${origin.promotion.from}".`,
      ),
    ];
  if (instanceAt(origin.gitlab.url) !== instanceAt(gitlab.url))
    return [
      fault(
        'gitlab.url',
        `is not the GitLab of "${from}", whose merge requests and certificates a promotion reads.`,
        'Have one GitLab for both.',
      ),
    ];
  const root = repositoryRoot({ registry });
  return [
    ...(root === repositoryRoot(origin)
      ? [
          fault(
            registry.existing ? 'registry.existing.path' : 'registry.address',
            `leads to ${root}, where "${from}" has its images: each would remove what the other one runs.`,
            'Have a registry of its own, or in one that is there already a path of its own.',
          ),
        ]
      : []),
    ...modules.flatMap(({ name }): Problem[] => {
      if (!originModules.includes(name))
        return [
          fault(
            'promotion.from',
            `is "${from}", which has no module "${name}".`,
            `Add it there, or leave it out of switchyard:modules.`,
          ),
        ];
      const theirs = projectPath(origin.gitlab, name);
      const ours = projectPath(gitlab, name);
      return folded(theirs) === folded(ours)
        ? []
        : [
            fault(
              `gitlab.projects.${name}.existing`,
              `is ${ours}, and the project of ${name} in "${from}" is ${theirs}.`,
              `Write "existing: ${theirs}".`,
            ),
          ];
    }),
  ];
}

import { type BoxDeclaration, topologyBoxes } from '../../components/boxes';
import type { Model } from '../../components/model';
import type { Declaration } from '../../components/shared/declaration';
import { needsOf } from '../../components/shared/order';
import { urnOf, withReleases } from '../engine/urns';

/** What a rebuild makes only when its data is there, because it would act on what is missing or stand in its way. */
function comesAfterData(
  box: BoxDeclaration['box'],
  module: string | undefined,
  { type, name }: Declaration,
): boolean {
  switch (type) {
    // A push of the backup must start no build, and must be allowed to move a protected branch.
    case 'gitlab:index/projectHook:ProjectHook':
    case 'gitlab:index/branchProtection:BranchProtection':
    // Retention, reapers and backups act on what they find, which is nothing yet.
    case 'kubernetes:batch/v1:CronJob':
      return true;
    // Jenkins reads its home once, when it starts.
    case 'kubernetes:apps/v1:StatefulSet':
      return box === 'jenkins' && name === 'jenkins-controller';
    // A module must not write into a database that is restored under it, nor may what migrates its data.
    case 'kubernetes:batch/v1:Job':
    case 'kubernetes:apps/v1:Deployment':
      // What makes good for lost hooks would start builds of what is being restored.
      return (box === 'production' && module !== undefined) || (box === 'jenkins' && name === 'reconciler');
    default:
      return false;
  }
}

/**
 * URNs that the first `up` of a rebuild leaves out, with everything that needs one of them: the engine refuses to make
 * a resource without those that it depends on.
 */
export function afterDataUrns(environment: string, model: Model): string[] {
  // The ledger may be empty yet; a workload that appears between two runs is left out all the same.
  const all = topologyBoxes(withReleases(model)).flatMap((box) =>
    box.declarations.map((declaration) => ({ box, declaration })),
  );
  const late = new Set(
    all
      .filter(({ box, declaration }) => comesAfterData(box.box, box.module, declaration))
      .map(({ declaration }) => declaration.name),
  );
  for (let before = -1; before !== late.size; ) {
    before = late.size;
    for (const { declaration } of all) {
      if (needsOf(declaration).some((name) => late.has(name))) late.add(declaration.name);
    }
  }
  return all
    .filter(({ declaration }) => late.has(declaration.name))
    .map(({ box, declaration }) => urnOf(environment, box.box, declaration));
}

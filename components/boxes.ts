import { autoscalingResources } from './autoscaling/resources';
import { backupResources } from './backup/resources';
import { gitlabModuleResources, gitlabSharedResources } from './gitlab/resources';
import { topologyProjectResources } from './gitlab/topology';
import { aroundJenkins } from './jenkins/existing';
import { jenkinsResources } from './jenkins/resources';
import { topologyPipelineResources } from './jenkins/topology';
import type { Model } from './model';
import { productionResources, productionSharedResources } from './production/resources';
import { registryResources } from './registry/resources';
import { retentionResources } from './registry/retention';
import type { Declaration } from './shared/declaration';
import { inOrder } from './shared/order';
import { testingSharedResources } from './testing/reaper';
import { testingResources } from './testing/resources';

/** One box of the picture with all that it is made of. */
export interface BoxDeclaration {
  readonly box: 'gitlab' | 'registry' | 'jenkins' | 'testing' | 'production' | 'autoscaling' | 'backup';
  /** Set when the box belongs to one module. */
  readonly module?: string;
  readonly name: string;
  readonly declarations: readonly Declaration[];
}

/**
 * The whole topology as plain data, in an order in which each declaration comes after those that it needs.
 * Pure: `render`, the rules and the tests read it without a Pulumi engine.
 */
export function topologyBoxes(model: Model): BoxDeclaration[] {
  return boxes(model).map((box) => ({
    ...box,
    declarations: inOrder(aroundJenkins(model, box.box, box.declarations)),
  }));
}

/** All boxes, or with `only` what a deploy of these modules evaluates: their production. */
export const wantedBoxes = (model: Model, only?: readonly string[]): BoxDeclaration[] =>
  topologyBoxes(model).filter(
    ({ box, module }) => !only || (box === 'production' && module !== undefined && only.includes(module)),
  );

function boxes(model: Model): BoxDeclaration[] {
  const autoscaling = autoscalingResources(model);
  return [
    {
      box: 'gitlab',
      name: 'gitlab',
      declarations: [...gitlabSharedResources(model), ...topologyProjectResources(model)],
    },
    { box: 'registry', name: 'registry', declarations: registryResources(model) },
    {
      box: 'jenkins',
      name: 'jenkins',
      declarations: [...jenkinsResources(model), ...topologyPipelineResources(model)],
    },
    { box: 'registry', name: 'registry-retention', declarations: retentionResources(model) },
    { box: 'testing', name: 'testing', declarations: testingSharedResources(model) },
    { box: 'production', name: 'production', declarations: productionSharedResources(model) },
    ...(autoscaling.length > 0
      ? [{ box: 'autoscaling' as const, name: 'autoscaling', declarations: autoscaling }]
      : []),
    ...(model.settings.backup
      ? [{ box: 'backup' as const, name: 'backup', declarations: backupResources(model) }]
      : []),
    ...model.modules.flatMap((module): BoxDeclaration[] => [
      {
        box: 'gitlab',
        module: module.name,
        name: `gitlab-module-${module.name}`,
        declarations: gitlabModuleResources(model, module),
      },
      {
        box: 'testing',
        module: module.name,
        name: `testing-${module.name}`,
        declarations: testingResources(model, module),
      },
      {
        box: 'production',
        module: module.name,
        name: `production-${module.name}`,
        declarations: productionResources(model, module),
      },
    ]),
  ];
}

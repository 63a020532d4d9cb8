import type { Module } from '../catalog/load';
import { OWN_TRANSFORM } from '../catalog/place';
import { autoscalingDeclarations } from './autoscaling/resources';
import { backupDeclarations } from './backup/resources';
import { gitlabDeclarations, gitlabModuleDeclarations } from './gitlab/resources';
import { jenkinsDeclarations } from './jenkins/resources';
import { type Model, testedModules } from './model';
import { moduleProductionDeclarations, productionDeclarations } from './production/resources';
import { registryDeclarations } from './registry/resources';
import { registryRetentionDeclarations } from './registry/retention';
import type { Declaration } from './shared/declaration';
import { inOrder } from './shared/order';
import { transformed } from './shared/transform';
import {
  autoscalingSpec,
  backupSpec,
  gitlabModuleSpec,
  gitlabSpec,
  jenkinsSpec,
  moduleProductionSpec,
  moduleTestsSpec,
  productionSpec,
  registryRetentionSpec,
  registrySpec,
  testingSpec,
} from './specs';
import { testingDeclarations } from './testing/reaper';
import { moduleTestsDeclarations } from './testing/resources';

/** One box of the picture with all that it is made of. */
export interface BoxDeclaration {
  readonly box: 'gitlab' | 'registry' | 'jenkins' | 'testing' | 'production' | 'autoscaling' | 'backup';
  /** Set when the box belongs to one module. */
  readonly module?: string;
  readonly name: string;
  readonly declarations: readonly Declaration[];
}

/** What was made of a model: an `up` asks for it several times, and to write Jenkins' configuration takes a while. */
const made = new WeakMap<Model, readonly BoxDeclaration[]>();

/**
 * The whole topology as plain data, in an order in which each declaration comes after those that it needs, with what the
 * model's transform makes of it. Pure: `render`, the rules and the tests read it without a Pulumi engine. Made once of each
 * model.
 * @throws ProblemsError for a transform that is at fault
 */
export function topologyBoxes(model: Model): readonly BoxDeclaration[] {
  const known = made.get(model);
  if (known) return known;
  const { settings, transform } = model;
  const declared = boxes(model);
  const wanted = transform
    ? transformed(declared, transform, {
        environment: settings.environment,
        file: OWN_TRANSFORM,
        alone: isDeployed,
      })
    : declared;
  const whole = wanted.map((box) => ({ ...box, declarations: inOrder(box.declarations) }));
  made.set(model, whole);
  return whole;
}

/** A deploy evaluates one module's production without the rest. */
const isDeployed = ({ box, module }: BoxDeclaration): boolean => box === 'production' && module !== undefined;

/** All boxes, or with `only` what a deploy of these modules evaluates: their production. */
export const wantedBoxes = (model: Model, only?: readonly string[]): readonly BoxDeclaration[] =>
  topologyBoxes(model).filter(
    (box) => !only || (isDeployed(box) && box.module !== undefined && only.includes(box.module)),
  );

/** What takes a module's merge requests through their tests. */
const testedBoxes = (model: Model, module: Module): BoxDeclaration[] => [
  {
    box: 'gitlab',
    module: module.name,
    name: `gitlab-module-${module.name}`,
    declarations: gitlabModuleDeclarations(gitlabModuleSpec(model, module)),
  },
  {
    box: 'testing',
    module: module.name,
    name: `testing-${module.name}`,
    declarations: moduleTestsDeclarations(`testing-${module.name}`, moduleTestsSpec(model, module)),
  },
];

function boxes(model: Model): BoxDeclaration[] {
  const autoscaling = autoscalingSpec(model);
  const backup = backupSpec(model);
  const tested = testedModules(model);
  return [
    {
      box: 'gitlab',
      name: 'gitlab',
      declarations: gitlabDeclarations('gitlab', gitlabSpec(model)),
    },
    {
      box: 'registry',
      name: 'registry',
      declarations: registryDeclarations('registry', registrySpec(model)),
    },
    {
      box: 'jenkins',
      name: 'jenkins',
      declarations: jenkinsDeclarations(jenkinsSpec(model)),
    },
    {
      box: 'registry',
      name: 'registry-retention',
      declarations: registryRetentionDeclarations(registryRetentionSpec(model)),
    },
    { box: 'testing', name: 'testing', declarations: testingDeclarations(testingSpec(model)) },
    { box: 'production', name: 'production', declarations: productionDeclarations(productionSpec(model)) },
    ...(autoscaling
      ? [
          {
            box: 'autoscaling' as const,
            name: 'autoscaling',
            declarations: autoscalingDeclarations(autoscaling),
          },
        ]
      : []),
    ...(backup
      ? [{ box: 'backup' as const, name: 'backup', declarations: backupDeclarations('backup', backup) }]
      : []),
    ...model.modules.flatMap((module): BoxDeclaration[] => [
      ...(tested.includes(module) ? testedBoxes(model, module) : []),
      {
        box: 'production',
        module: module.name,
        name: `production-${module.name}`,
        declarations: moduleProductionDeclarations(
          `production-${module.name}`,
          moduleProductionSpec(model, module),
        ),
      },
    ]),
  ];
}

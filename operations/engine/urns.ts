import { type BoxDeclaration, topologyBoxes } from '../../components/boxes';
import type { Model } from '../../components/model';
import type { Declaration } from '../../components/shared/declaration';
import { typeToken } from '../../components/shared/naming';
import { EXIT, Refusal } from '../cli/refusal';

/** The name under which Pulumi keeps an environment's state. */
export const PROJECT = 'switchyard';

/** The URN of a declaration in a stack: told from the model alone, since names are fixed there. */
export const urnOf = (
  stack: string,
  box: BoxDeclaration['box'],
  { type, name }: Pick<Declaration, 'type' | 'name'>,
): string =>
  `urn:pulumi:${stack}::${PROJECT}::${typeToken('index', 'Topology')}$${typeToken(box)}$${type}::${name}`;

/** URNs that a run is limited to or told to replace. */
function urnsOf(
  stack: string,
  model: Model,
  wanted: (box: BoxDeclaration, declaration: Declaration) => boolean,
): string[] {
  return topologyBoxes(model).flatMap((box) =>
    box.declarations
      .filter((declaration) => wanted(box, declaration))
      .map((declaration) => urnOf(stack, box.box, declaration)),
  );
}

/** A model in which every module has a release, so that all that one needs is declared: which one is read by the program. */
export const withReleases = (model: Model): Model => ({
  ...model,
  releases: Object.fromEntries(
    model.modules.map(({ name }) => [name, { image: 'to-be-read@sha256:0', commit: '', migrate: true }]),
  ),
});

/** The production boxes of some modules. */
export function productionUrns(stack: string, model: Model, modules: readonly string[]): string[] {
  return urnsOf(
    stack,
    withReleases(model),
    (box) => box.box === 'production' && box.module !== undefined && modules.includes(box.module),
  );
}

/** Everything that stands for something outside of Pulumi. */
export const allUrns = (stack: string, model: Model): string[] =>
  urnsOf(stack, withReleases(model), () => true);

/** The images that the topology builds. */
export const imageUrns = (stack: string, model: Model): string[] =>
  urnsOf(stack, model, (_box, declaration) => declaration.provider === 'docker');

/** @throws Refusal for a name that the topology does not have */
export function replaceUrns(stack: string, model: Model, resources: readonly string[]): string[] {
  const { environment } = model.settings;
  return resources.flatMap((name) => {
    const found = urnsOf(stack, model, (_box, declaration) => declaration.name === name);
    if (found.length > 0) return found;
    throw new Refusal(
      `--replace: ${environment} has no resource "${name}". Their names stand in resources.md of \`switchyard render ${environment}\`.`,
      EXIT.badInput,
    );
  });
}

/** What a URN says about a resource. */
export interface ResourceName {
  readonly urn: string;
  /** Pulumi's name of it, unique in the topology. */
  readonly name: string;
  /** Type token, as in `kubernetes:apps/v1:Deployment`. */
  readonly type: string;
  /** The kind as people say it, as in `Deployment` or `GitLab Project`. */
  readonly kind: string;
  /** The box of the picture that it belongs to, as in `jenkins`; `topology` for what stands in none. */
  readonly box: string;
}

/** Takes a URN apart: `urn:pulumi:<stack>::<project>::<types, outermost first, $ between>::<name>`. */
export function parseUrn(urn: string): ResourceName {
  const [, , types = '', ...rest] = urn.split('::');
  const chain = types.split('$');
  const type = chain.at(-1) ?? '';
  const [pack = '', , kind = ''] = type.split(':');
  const boxes = chain.flatMap((token) => {
    const [owner, box] = token.split(':');
    return owner === 'switchyard' && box && box !== 'index' ? [box] : [];
  });
  return {
    urn,
    name: rest.join('::'),
    type,
    kind: pack === 'gitlab' && !kind.startsWith('GitLab') ? `GitLab ${kind}` : kind,
    box: boxes.at(-1) ?? 'topology',
  };
}

/** Neither boxes, providers nor the stack itself: what stands for something outside of Pulumi. */
export const isRealResource = (type: string): boolean =>
  type !== '' && !type.startsWith('pulumi:') && !type.startsWith('switchyard:');

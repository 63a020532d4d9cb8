import { type BoxDeclaration, topologyBoxes } from '../components/boxes';
import type { Model } from '../components/model';
import { typeToken } from '../components/shared/box';
import type { Declaration } from '../components/shared/declaration';
import { PROJECT } from './engine';
import { EXIT, Refusal } from './refusal';

/** URNs that a run is limited to or told to replace: told from the model alone, since names are fixed there. */
function urnsOf(
  environment: string,
  model: Model,
  wanted: (box: BoxDeclaration, declaration: Declaration) => boolean,
): string[] {
  return topologyBoxes(model).flatMap((box) =>
    box.declarations
      .filter((declaration) => wanted(box, declaration))
      .map(
        (declaration) =>
          `urn:pulumi:${environment}::${PROJECT}::${typeToken('index', 'Topology')}$${typeToken(box.box)}$${declaration.type}::${declaration.name}`,
      ),
  );
}

/** The production boxes of some modules. */
export function productionUrns(environment: string, model: Model, modules: readonly string[]): string[] {
  // A module that is deployed for the first time has no release here yet; its workload is targeted all the same.
  const releases = Object.fromEntries(
    modules.map((name) => [name, { image: 'to-be-read@sha256:0', commit: '' }]),
  );
  return urnsOf(
    environment,
    { ...model, releases },
    (box) => box.box === 'production' && box.module !== undefined && modules.includes(box.module),
  );
}

/** @throws Refusal for a name that the topology does not have */
export function replaceUrns(environment: string, model: Model, resources: readonly string[]): string[] {
  return resources.flatMap((name) => {
    const found = urnsOf(environment, model, (_box, declaration) => declaration.name === name);
    if (found.length > 0) return found;
    throw new Refusal(
      `--replace: ${environment} has no resource "${name}". Their names stand in resources.md of \`switchyard render ${environment}\`.`,
      EXIT.badInput,
    );
  });
}

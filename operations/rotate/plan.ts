import { asksForPassword } from '../../catalog/containers';
import { serviceOf } from '../../catalog/services';
import type { Place } from '../../clients/pod-exec';
import { KEY_PURPOSE } from '../../components/backup/environment';
import { topologyBoxes } from '../../components/boxes';
import { hookTokenPurpose } from '../../components/gitlab/hooks';
import { partPurpose } from '../../components/jenkins/names';
import type { Model } from '../../components/model';
import {
  type AlternatingUser,
  alternatingUser,
  modulePurpose,
  servicePurpose,
} from '../../components/production/access';
import { names } from '../../components/shared/naming';
import { referencesIn } from '../../components/shared/references';
import { loginPurpose } from '../../components/shared/registry-login';
import { isWithin } from '../../components/shared/rotation';
import { versionOf } from '../../components/shared/secrets';
import { moduleProductionSpec } from '../../components/specs';
import { databasePlace } from '../../delivery/backup/kinds/databases';
import type { SecretSettings } from '../../stacks/rotation';
import { EXIT, Refusal } from '../cli/refusal';

export interface Selection {
  readonly module?: string;
  /** A purpose, or the beginning of several: `service/orders`. */
  readonly purpose?: string;
}

/** A database that takes another password by commands of its catalog file. */
export interface RotatedDatabase {
  readonly purpose: string;
  readonly place: Place;
  /** Where two users take turns: who they are at a version. */
  readonly usersOf?: AlternatingUser['usersOf'];
  /** Prints why its container cannot do it, or nothing. */
  readonly check?: readonly string[];
  readonly admit: readonly string[];
  readonly retire: readonly string[];
}

/** A secret that cannot be rotated, and why: a sentence with its remedy. */
export interface Refused {
  readonly purpose: string;
  readonly why: string;
}

/** Every purpose that the topology derives a secret for, sorted. Logins of a registry of others are theirs. */
export function purposesOf(model: Model): string[] {
  const brought = model.settings.registry.existing ? [names.pullUser, names.pushUser].map(loginPurpose) : [];
  const references = topologyBoxes(model).flatMap(({ declarations }) =>
    declarations.flatMap(({ args }) => referencesIn(args)),
  );
  const purposes = references.flatMap((reference) => ('purpose' in reference ? [reference.purpose] : []));
  return [...new Set(purposes)].filter((purpose) => !brought.includes(purpose)).sort();
}

const ofModule = (purpose: string, module: string): boolean =>
  isWithin(purpose, modulePurpose(module)) ||
  purpose === hookTokenPurpose(module) ||
  purpose === partPurpose(module) ||
  purpose === loginPurpose(names.modulePushUser(module));

/** What a person asked to rotate. @throws Refusal when the topology has nothing of that name */
export function selected(model: Model, { module, purpose }: Selection): string[] {
  const { environment } = model.settings;
  const known = purposesOf(model);
  if (module !== undefined && !model.modules.some(({ name }) => name === module))
    throw new Refusal(`--module: there is no module "${module}" in ${environment}.`, EXIT.badInput);
  const found = known.filter(
    (one) =>
      (module === undefined || ofModule(one, module)) && (purpose === undefined || isWithin(one, purpose)),
  );
  if (found.length === 0)
    throw new Refusal(
      `--purpose: ${environment} has no secret "${purpose}"${module ? ` of ${module}` : ''}. There are: ${known.join(', ')}.`,
      EXIT.badInput,
    );
  return found;
}

/** Databases whose password is one of these purposes, and those that cannot be given another. */
export function databasesOf(
  model: Model,
  purposes: readonly string[],
): { readonly databases: readonly RotatedDatabase[]; readonly refused: readonly Refused[] } {
  const databases: RotatedDatabase[] = [];
  const refused: Refused[] = [];
  for (const module of model.modules) {
    for (const use of module.services) {
      const purpose = servicePurpose(module, use);
      if (use.existing || !purposes.includes(purpose)) continue;
      const service = serviceOf(model.catalog.services, use);
      if (!asksForPassword(service)) continue;
      if (service.rotate === undefined) {
        refused.push({
          purpose,
          why: `catalog/services/${use.kind}.yaml has no "rotate": its password cannot be changed without a request failing meanwhile. Write how, or change it by hand while ${module.name} is stopped.`,
        });
        continue;
      }
      const { check, admit, retire } = service.rotate;
      const alternating = alternatingUser(moduleProductionSpec(model, module), use);
      databases.push({
        purpose,
        place: databasePlace(model.settings, module.name, use.name),
        ...(alternating ? { usersOf: alternating.usersOf } : {}),
        ...(check ? { check } : {}),
        admit,
        retire,
      });
    }
  }
  return { databases, refused };
}

/** Why the key of backups cannot be rotated, where it cannot. */
export function refusedKey({ settings }: Model, purposes: readonly string[]): Refused[] {
  if (!purposes.includes(KEY_PURPOSE) || !settings.backup?.claim) return [];
  return [
    {
      purpose: KEY_PURPOSE,
      why: 'the repository is on a volume, which only the jobs in the cluster reach: add and remove the key there with "restic key".',
    },
  ];
}

/**
 * The settings with a rotation begun: what has begun already goes on with the version that it has.
 * @param purposes to rotate
 */
export function begun({ versions, rotating }: SecretSettings, purposes: readonly string[]): SecretSettings {
  const fresh = purposes.filter((purpose) => !rotating.includes(purpose));
  return {
    versions: {
      ...versions,
      ...Object.fromEntries(fresh.map((purpose) => [purpose, versionOf(versions, purpose) + 1])),
    },
    rotating: [...new Set([...rotating, ...fresh])].sort(),
  };
}

/** The settings when all that had begun is done. */
export const ended = ({ versions }: SecretSettings): SecretSettings => ({ versions, rotating: [] });

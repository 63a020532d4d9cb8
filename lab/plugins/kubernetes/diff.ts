import type { DiffKind, DiffOutcome } from '../shared/server';
import { isRecord, jsonEqual, type Props } from '../shared/values';
import { ANNOTATIONS, annotationOf, type KubeObject, nameOf, namespaceOf, splitApiVersion } from './object';

/** One difference between old and new inputs; `path` has the engine's form: `spec.containers[0].image`. */
export interface Change {
  path: string;
  kind: 'add' | 'delete' | 'update';
}

/** Paths are joined with dots, indexes in brackets, keys that hold a dot or bracket in quotes. */
function join(path: string, key: string): string {
  if (/[.[\]"]/.test(key)) return `${path}["${key.replaceAll('"', '\\"')}"]`;
  return path === '' ? key : `${path}.${key}`;
}

/** Differences, leaf by leaf; lists are compared by position. */
export function changesBetween(before: unknown, after: unknown, path = ''): Change[] {
  if (jsonEqual(before, after)) return [];
  if (isRecord(before) && isRecord(after)) {
    const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
    return keys.flatMap((key) => changesBetween(before[key], after[key], join(path, key)));
  }
  if (Array.isArray(before) && Array.isArray(after)) {
    const length = Math.max(before.length, after.length);
    return Array.from({ length }).flatMap((_, index) =>
      changesBetween(before[index], after[index], `${path}[${index}]`),
    );
  }
  if (before === undefined) return [{ path, kind: 'add' }];
  if (after === undefined) return [{ path, kind: 'delete' }];
  return [{ path, kind: 'update' }];
}

/** What an in-place update may change of some immutable kinds. */
export interface Mutability {
  configMaps: boolean;
  secrets: boolean;
}

const VOLUME_SOURCES = ['csi', 'fc', 'hostPath', 'iscsi', 'local', 'nfs', 'cephfs', 'rbd'];

/** `group/Kind` -> paths (a prefix matches whatever is below) whose change needs a new object. */
const IMMUTABLE: Record<string, RegExp[]> = {
  'apps/Deployment': [/^spec\.selector/],
  'apps/DaemonSet': [/^spec\.selector/],
  'apps/ReplicaSet': [/^spec\.selector/],
  'apps/StatefulSet': [/^spec\.(selector|serviceName|podManagementPolicy|volumeClaimTemplates)/],
  'batch/Job': [
    /^spec\.(selector|template|completions|completionMode|podReplacementPolicy|manualSelector|managedBy)/,
  ],
  // Requests may grow (the class decides); everything else of a claim is fixed once it exists.
  '/PersistentVolumeClaim': [/^spec\.(?!resources\.requests\.storage$|volumeAttributesClassName$)/],
  '/PersistentVolume': [new RegExp(`^spec\\.(${VOLUME_SOURCES.join('|')})`)],
  // A Pod takes new images, deadlines and tolerations only.
  '/Pod': [
    /^spec\.(?!containers\[\d+\]\.image$|initContainers\[\d+\]\.image$|activeDeadlineSeconds$|tolerations)/,
  ],
  '/Service': [/^spec\.clusterIPs?(\[\d+\])?$/],
  '/ResourceQuota': [/^spec\.(scopes|scopeSelector)/],
  '/Secret': [/^type$/],
  'rbac.authorization.k8s.io/RoleBinding': [/^roleRef/],
  'rbac.authorization.k8s.io/ClusterRoleBinding': [/^roleRef/],
  'storage.k8s.io/StorageClass': [/^(provisioner|parameters|reclaimPolicy|volumeBindingMode)/],
  'scheduling.k8s.io/PriorityClass': [/^(value|preemptionPolicy|globalDefault)$/],
  'node.k8s.io/RuntimeClass': [/^handler$/],
  'networking.k8s.io/IngressClass': [/^spec\.controller$/],
};

const DATA = /^(data|binaryData|stringData)(\.|\[|$)/;

/** True when the API server cannot, or the official provider would not, make this change in place. */
export function needsReplacement(
  oldInputs: KubeObject,
  inputs: KubeObject,
  path: string,
  mutability: Mutability,
): boolean {
  if (/^metadata\.(name|namespace|generateName)$/.test(path)) return true;
  if (path === 'kind') return true;
  const { group } = splitApiVersion(String(inputs.apiVersion));
  if (path === 'apiVersion') return splitApiVersion(String(oldInputs.apiVersion)).group !== group;
  const kind = `${group}/${String(inputs.kind)}`;
  if (kind === '/ConfigMap' || kind === '/Secret') {
    const mutable = kind === '/ConfigMap' ? mutability.configMaps : mutability.secrets;
    if (oldInputs.immutable === true && (DATA.test(path) || path === 'immutable')) return true;
    if (!mutable && DATA.test(path)) return true;
  }
  return (IMMUTABLE[kind] ?? []).some((pattern) => pattern.test(path));
}

/**
 * The engine's view of a change. `rejected` are the fields that the API server itself called immutable.
 * A replaced object of a fixed name must go before its successor can come.
 */
export function toDiff(
  oldInputs: KubeObject,
  inputs: KubeObject,
  changes: Change[],
  mutability: Mutability,
  rejected: string[] = [],
): DiffOutcome {
  if (changes.length === 0 && rejected.length === 0) return { changes: false };
  const below = (path: string, field: string) =>
    path === field || path.startsWith(`${field}.`) || path.startsWith(`${field}[`);
  const details: Record<string, DiffKind> = {};
  const replaces = new Set<string>();
  for (const { path, kind } of changes) {
    const replace =
      needsReplacement(oldInputs, inputs, path, mutability) ||
      rejected.some((field) => below(path, field) || below(field, path));
    details[path] = replace ? `${kind}-replace` : kind;
    if (replace) replaces.add(path);
  }
  // The API server rejected a field that the inputs do not spell out: name it all the same.
  if (rejected.length > 0 && replaces.size === 0) {
    for (const field of rejected) {
      details[field] = 'update-replace';
      replaces.add(field);
    }
  }
  const sameName = nameOf(oldInputs) === nameOf(inputs) && namespaceOf(oldInputs) === namespaceOf(inputs);
  const autoNamed = annotationOf(inputs, ANNOTATIONS.autonamed) === 'true';
  return {
    changes: true,
    details,
    replaces: [...replaces],
    deleteBeforeReplace: replaces.size > 0 && sameName && !autoNamed,
  };
}

/** Fields that a 422 calls immutable, in the API server's spelling (`spec.selector`); empty for other faults. */
export function immutableFields(causes: { message: string; field: string }[]): string[] {
  return causes
    .filter(({ message }) =>
      /immutable|may not be changed|cannot be changed|updates to .* are forbidden|may not change/i.test(
        message,
      ),
    )
    .map(({ field }) => field);
}

/** True when neither value nor ownership of any field differs between two answers of the API server. */
export function sameOutcome(live: Props, applied: Props, ownedLive: unknown, ownedApplied: unknown): boolean {
  // An object that we do not own yet (an import) is compared by value only.
  return jsonEqual(live, applied) && (ownedLive === undefined || jsonEqual(ownedLive, ownedApplied));
}

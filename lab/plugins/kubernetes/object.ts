import { createHash, randomBytes } from 'node:crypto';
import { containsUnknown, isRecord, jsonEqual, type Props, secret } from '../shared/values';

/** Any Kubernetes object in its JSON form. */
export type KubeObject = Props;

export const ANNOTATIONS = {
  autonamed: 'pulumi.com/autonamed',
  skipAwait: 'pulumi.com/skipAwait',
  timeoutSeconds: 'pulumi.com/timeoutSeconds',
  patchForce: 'pulumi.com/patchForce',
  deletionPropagationPolicy: 'pulumi.com/deletionPropagationPolicy',
} as const;

/** State-only keys beside the object's own. */
const FIELD_MANAGER_KEY = '__fieldManager';
const INITIAL_API_VERSION_KEY = '__initialApiVersion';

export interface TypeToken {
  apiVersion: string;
  kind: string;
}

/** `apps/v1` -> group `apps`, version `v1`; the core group is the empty string. */
export function splitApiVersion(apiVersion: string): { group: string; version: string } {
  const slash = apiVersion.indexOf('/');
  if (slash < 0) return { group: '', version: apiVersion };
  return { group: apiVersion.slice(0, slash), version: apiVersion.slice(slash + 1) };
}

/**
 * What a resource type stands for: `kubernetes:apps/v1:Deployment`, `kubernetes:core/v1:Secret` (core is the
 * empty group) or any custom resource. Refuses, by name, what only the official plug-in covers.
 */
export function parseTypeToken(type: string): TypeToken {
  const [, module = '', kind = ''] = type.split(':');
  const [group = '', version = ''] = module.split('/');
  const official = "is not covered by the lab's kubernetes plug-in";
  if (['yaml', 'helm.sh', 'kustomize'].includes(group)) {
    throw new Error(`${type} ${official}: declare the objects themselves, or use the official plug-in`);
  }
  if (version === '' || kind === '') throw new Error(`${type} is not a Kubernetes resource type`);
  const builtIn = !group.includes('.') || group.endsWith('.k8s.io');
  if (builtIn && kind.endsWith('List')) throw new Error(`${type} ${official}: declare the single objects`);
  if (builtIn && kind.endsWith('Patch')) {
    throw new Error(`${type} ${official}: declare the whole object, or use the official plug-in`);
  }
  return { apiVersion: group === 'core' ? version : `${group}/${version}`, kind };
}

/** Built-in kinds that live outside namespaces, so that a preview needs no cluster to know. */
const CLUSTER_SCOPED = new Set([
  '/Namespace',
  '/Node',
  '/PersistentVolume',
  'rbac.authorization.k8s.io/ClusterRole',
  'rbac.authorization.k8s.io/ClusterRoleBinding',
  'storage.k8s.io/StorageClass',
  'storage.k8s.io/CSIDriver',
  'storage.k8s.io/CSINode',
  'storage.k8s.io/VolumeAttachment',
  'apiextensions.k8s.io/CustomResourceDefinition',
  'apiregistration.k8s.io/APIService',
  'admissionregistration.k8s.io/ValidatingWebhookConfiguration',
  'admissionregistration.k8s.io/MutatingWebhookConfiguration',
  'admissionregistration.k8s.io/ValidatingAdmissionPolicy',
  'admissionregistration.k8s.io/ValidatingAdmissionPolicyBinding',
  'scheduling.k8s.io/PriorityClass',
  'networking.k8s.io/IngressClass',
  'node.k8s.io/RuntimeClass',
  'flowcontrol.apiserver.k8s.io/FlowSchema',
  'flowcontrol.apiserver.k8s.io/PriorityLevelConfiguration',
  'certificates.k8s.io/CertificateSigningRequest',
]);

const BUILT_IN_GROUPS = new Set(['', 'apps', 'batch', 'autoscaling', 'policy']);

/** Whether a kind is namespaced, or `undefined` when only the API server can tell (custom resources). */
export function staticallyNamespaced({ apiVersion, kind }: TypeToken): boolean | undefined {
  const { group } = splitApiVersion(apiVersion);
  if (CLUSTER_SCOPED.has(`${group}/${kind}`)) return false;
  return BUILT_IN_GROUPS.has(group) || group.endsWith('.k8s.io') ? true : undefined;
}

export function metadataOf(object: KubeObject): Props {
  return isRecord(object.metadata) ? object.metadata : {};
}

export function specOf(object: KubeObject): Props {
  return isRecord(object.spec) ? object.spec : {};
}

export function statusOf(object: KubeObject): Props {
  return isRecord(object.status) ? object.status : {};
}

export function nameOf(object: KubeObject): string {
  return String(metadataOf(object).name ?? '');
}

export function namespaceOf(object: KubeObject): string | undefined {
  const { namespace } = metadataOf(object);
  return typeof namespace === 'string' && namespace !== '' ? namespace : undefined;
}

export function annotationOf(object: KubeObject, name: string): string | undefined {
  const { annotations } = metadataOf(object);
  const value = isRecord(annotations) ? annotations[name] : undefined;
  return typeof value === 'string' ? value : undefined;
}

/** `namespace/name`, or `name` for cluster-scoped objects: the id of the official provider. */
export function objectId(object: KubeObject): string {
  const namespace = namespaceOf(object);
  return namespace === undefined ? nameOf(object) : `${namespace}/${nameOf(object)}`;
}

/** The parts of an id; an import of a namespaced object may leave out `default/`. */
export function parseId(id: string): { namespace?: string; name: string } {
  const slash = id.indexOf('/');
  return slash < 0 ? { name: id } : { namespace: id.slice(0, slash), name: id.slice(slash + 1) };
}

/** Names of objects are DNS labels, at most 63 characters where a label is derived from them. */
const MAX_NAME_LENGTH = 63;

/**
 * Gives an object without a name the one it had, or `<resource name>-<8 hex digits>` from the engine's seed
 * (same plan, same name), and marks it so; a name of the user's own is never touched.
 */
export function autoName(
  inputs: KubeObject,
  oldInputs: KubeObject,
  resourceName: string,
  seed: Uint8Array,
): KubeObject {
  const metadata = metadataOf(inputs);
  if (metadata.name !== undefined && metadata.name !== '') return inputs;
  if (metadata.generateName !== undefined) return inputs;
  const kept = annotationOf(oldInputs, ANNOTATIONS.autonamed) === 'true' ? nameOf(oldInputs) : '';
  const suffix = createHash('sha256')
    .update(seed.length > 0 ? seed : randomBytes(32))
    .update(resourceName)
    .digest('hex')
    .slice(0, 8);
  const base = resourceName.slice(0, MAX_NAME_LENGTH - suffix.length - 1).replace(/[-.]+$/, '');
  const annotations = isRecord(metadata.annotations) ? metadata.annotations : {};
  return {
    ...inputs,
    metadata: {
      ...metadata,
      name: kept || `${base}-${suffix}`,
      annotations: { ...annotations, [ANNOTATIONS.autonamed]: 'true' },
    },
  };
}

/**
 * The name under which a resource's fields are owned in the cluster. It derives from the URN, so that a run
 * that was killed between "created" and "recorded" recognises its own object when it is started again.
 */
export function fieldManagerFor(urn: string): string {
  return `pulumi-kubernetes-${createHash('sha256').update(urn).digest('hex').slice(0, 8)}`;
}

/** The field manager that a state was written under. */
export function fieldManagerOf(outputs: Props): string | undefined {
  const manager = outputs[FIELD_MANAGER_KEY];
  return typeof manager === 'string' ? manager : undefined;
}

/** The fields that a manager owns by apply (`fieldsV1`), or `undefined` when it owns none. */
export function ownedFields(live: KubeObject, manager: string): unknown {
  const { managedFields } = metadataOf(live);
  if (!Array.isArray(managedFields)) return undefined;
  const entry = managedFields
    .filter(isRecord)
    .find(
      (candidate) =>
        candidate.manager === manager && candidate.operation === 'Apply' && !candidate.subresource,
    );
  return entry?.fieldsV1;
}

/** The body of an apply: without state-only keys and without the read-only parts that inputs may carry. */
export function toApplyBody(inputs: KubeObject): KubeObject {
  const { [FIELD_MANAGER_KEY]: _manager, [INITIAL_API_VERSION_KEY]: _version, status, ...rest } = inputs;
  // Only custom resources without a status subresource could take a status; the official provider sends none.
  void status;
  return foldStringData(rest);
}

/** A Secret's `stringData` is write-only; as `data` it can be compared with what the API server answers. */
export function foldStringData(object: KubeObject): KubeObject {
  if (object.kind !== 'Secret' || object.apiVersion !== 'v1' || !isRecord(object.stringData)) return object;
  const { stringData, ...rest } = object;
  const encoded = Object.entries(stringData).map(([key, value]) => [
    key,
    containsUnknown(value) ? value : Buffer.from(String(value), 'utf8').toString('base64'),
  ]);
  return { ...rest, data: { ...(isRecord(object.data) ? object.data : {}), ...Object.fromEntries(encoded) } };
}

/** The live object without what changes on every write: the part that two applies have in common. */
export function comparable(live: KubeObject): KubeObject {
  const {
    managedFields: _fields,
    resourceVersion: _version,
    generation: _generation,
    ...metadata
  } = metadataOf(live);
  const { status: _status, ...rest } = live;
  return { ...rest, metadata };
}

/** What the engine keeps of an object: all of it but the bookkeeping of fields, with secret parts marked. */
export function toOutputs(live: KubeObject, manager: string, inputs: KubeObject): Props {
  const { managedFields: _fields, ...metadata } = metadataOf(live);
  const outputs: Props = {
    ...live,
    apiVersion: live.apiVersion ?? inputs.apiVersion,
    kind: live.kind ?? inputs.kind,
    metadata,
    [FIELD_MANAGER_KEY]: manager,
    [INITIAL_API_VERSION_KEY]: inputs.apiVersion,
  };
  if (outputs.kind === 'Secret' && outputs.apiVersion === 'v1') {
    if (isRecord(outputs.data)) outputs.data = secret(outputs.data);
    if (isRecord(inputs.stringData)) outputs.stringData = secret(inputs.stringData);
  }
  return outputs;
}

/** Inputs as they go into the state: the contents of a Secret are secret, whatever the program said. */
export function protectInputs(inputs: KubeObject): KubeObject {
  if (inputs.kind !== 'Secret' || inputs.apiVersion !== 'v1') return inputs;
  const wrapped = ['data', 'stringData'].filter((key) => inputs[key] !== undefined);
  return { ...inputs, ...Object.fromEntries(wrapped.map((key) => [key, secret(inputs[key])])) };
}

const SERVER_METADATA = new Set([
  'managedFields',
  'resourceVersion',
  'generation',
  'uid',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'selfLink',
  'ownerReferences',
]);

const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';

/** The inputs that describe a live object, for an import. */
export function toImportedInputs(live: KubeObject): KubeObject {
  const { status: _status, ...rest } = live;
  const metadata = Object.fromEntries(
    Object.entries(metadataOf(live)).filter(([key]) => !SERVER_METADATA.has(key)),
  );
  if (isRecord(metadata.annotations)) {
    const { [LAST_APPLIED]: _applied, ...annotations } = metadata.annotations;
    if (Object.keys(annotations).length > 0) metadata.annotations = annotations;
    else delete metadata.annotations;
  }
  return { ...rest, metadata };
}

/**
 * Old inputs with the drifted parts replaced by what is live: where `applied` (the outcome of applying the
 * inputs again) and `live` agree, the user's own spelling stays (`1000m` for `1`).
 */
export function overlayDrift(inputs: unknown, applied: unknown, live: unknown): unknown {
  if (jsonEqual(applied, live)) return inputs;
  if (isRecord(inputs) && isRecord(applied) && isRecord(live)) {
    return Object.fromEntries(
      Object.entries(inputs)
        .map(([key, value]) => [key, overlayDrift(value, applied[key], live[key])] as const)
        .filter(([, value]) => value !== undefined),
    );
  }
  if (Array.isArray(inputs) && Array.isArray(applied) && Array.isArray(live)) {
    if (inputs.length === applied.length && applied.length === live.length) {
      return inputs.map((value, index) => overlayDrift(value, applied[index], live[index]));
    }
  }
  return live;
}

/** Replaces every secret text of a Secret's inputs in a message that may quote them. */
export function redact(message: string, inputs: KubeObject): string {
  if (inputs.kind !== 'Secret') return message;
  const texts = [inputs.data, inputs.stringData, foldStringData(inputs).data]
    .flatMap((part) => (isRecord(part) ? Object.values(part) : []))
    .flatMap((value) => [String(value), Buffer.from(String(value), 'base64').toString('utf8')])
    .filter((text) => text.length > 2)
    .sort((a, b) => b.length - a.length);
  return texts.reduce((text, value) => text.replaceAll(value, '[secret]'), message);
}

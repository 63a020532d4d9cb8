import type {
  CheckCall,
  CheckFailure,
  CheckOutcome,
  CreateCall,
  DeleteCall,
  DiffCall,
  DiffOutcome,
  EngineLog,
  PluginProvider,
  ReadCall,
  ResourceCall,
  UpdateCall,
} from '../shared/server';
import { InitError } from '../shared/server';
import { containsUnknown, isRecord, jsonEqual, type Props, UNKNOWN } from '../shared/values';
import { ApiClient, ApiError } from './client';
import {
  assertLabServer,
  checkProviderInputs,
  flagSetting,
  loadKubeConfig,
  type ProviderInputs,
  parseProviderInputs,
  serverOf,
} from './config';
import { changesBetween, immutableFields, type Mutability, sameOutcome, toDiff } from './diff';
import {
  ANNOTATIONS,
  annotationOf,
  autoName,
  comparable,
  fieldManagerFor,
  fieldManagerOf,
  type KubeObject,
  metadataOf,
  nameOf,
  namespaceOf,
  objectId,
  overlayDrift,
  ownedFields,
  parseId,
  parseTypeToken,
  protectInputs,
  redact,
  specOf,
  staticallyNamespaced,
  toApplyBody,
  toImportedInputs,
  toOutputs,
} from './object';
import { skipsWait, timeoutFor, waitUntilGone, waitUntilReady } from './wait';

/** Default of a deletion; as the official provider. */
const DELETE_TIMEOUT_SECONDS = 600;
/** How long a kind may take to be served after its CustomResourceDefinition, and an account after its namespace. */
const SETTLE_SECONDS = 20;

interface Session {
  inputs: ProviderInputs;
  client: ApiClient;
  namespace: string;
  mutability: Mutability;
}

function describe(object: KubeObject): string {
  return `${String(object.kind)} ${objectId(object)}`;
}

/** The lab's `kubernetes` provider: what it covers behaves as the official one documents; the rest it refuses by name. */
export class KubernetesProvider implements PluginProvider {
  private current?: Session;

  constructor(private readonly log: EngineLog) {}

  async checkConfig(inputs: Props): Promise<CheckOutcome> {
    return { inputs, failures: checkProviderInputs(inputs) };
  }

  /** Another cluster is another provider: what lives there must be made anew. Everything else updates in place. */
  async diffConfig(oldInputs: Props, inputs: Props): Promise<DiffOutcome> {
    if (jsonEqual(oldInputs, inputs)) return { changes: false };
    const identified = oldInputs.clusterIdentifier !== undefined || inputs.clusterIdentifier !== undefined;
    if (identified) {
      const moved = oldInputs.clusterIdentifier !== inputs.clusterIdentifier;
      return { changes: true, replaces: moved ? ['clusterIdentifier'] : [] };
    }
    const [before, after] = [serverOf(oldInputs), serverOf(inputs)];
    const moved = before !== undefined && after !== undefined && before !== after;
    return { changes: true, replaces: moved ? ['kubeconfig'] : [] };
  }

  /** Reads the kubeconfig and vets the address; contacts no API server. */
  async configure(raw: Props): Promise<void> {
    const failures = checkProviderInputs(raw);
    if (failures.length > 0) {
      throw new Error(
        failures.map(({ property, reason }) => `kubernetes provider: ${property} ${reason}`).join('\n'),
      );
    }
    const inputs = parseProviderInputs(raw);
    const config = loadKubeConfig(inputs);
    await assertLabServer(config.getCurrentCluster()?.server ?? '');
    const context = config.getContextObject(config.getCurrentContext());
    this.current = {
      inputs,
      client: new ApiClient(config),
      namespace: inputs.namespace || context?.namespace || 'default',
      mutability: {
        configMaps: flagSetting(inputs.enableConfigMapMutable, 'PULUMI_K8S_ENABLE_CONFIGMAP_MUTABLE'),
        secrets: flagSetting(inputs.enableSecretMutable, 'PULUMI_K8S_ENABLE_SECRET_MUTABLE'),
      },
    };
  }

  private get session(): Session {
    if (!this.current) throw new Error('kubernetes provider: not configured yet');
    return this.current;
  }

  async check(call: CheckCall): Promise<CheckOutcome> {
    const token = parseTypeToken(call.type);
    const failures: CheckFailure[] = [];
    for (const key of ['apiVersion', 'kind'] as const) {
      const given = call.inputs[key];
      if (given !== undefined && given !== token[key]) {
        failures.push({
          property: key,
          reason: `is "${String(given)}", but the resource's type says "${token[key]}"`,
        });
      }
    }
    const withType = { ...call.inputs, apiVersion: token.apiVersion, kind: token.kind };
    const named = autoName(withType, call.oldInputs, call.name, call.randomSeed);
    const namespaced =
      staticallyNamespaced(token) ?? (await this.servedNamespaced(token.apiVersion, token.kind));
    const metadata = metadataOf(named);
    if (namespaced === false && metadata.namespace !== undefined) {
      failures.push({
        property: 'metadata.namespace',
        reason: `${token.kind} lives outside namespaces; remove it`,
      });
    }
    const placed =
      namespaced === true && !metadata.namespace
        ? { ...named, metadata: { ...metadata, namespace: this.session.namespace } }
        : named;
    return { inputs: protectInputs(placed), failures };
  }

  /** Asks the API server; `undefined` while it does not serve the kind (its definition may be of the same program). */
  private async servedNamespaced(apiVersion: string, kind: string): Promise<boolean | undefined> {
    try {
      return (await this.session.client.resource(apiVersion, kind))?.namespaced;
    } catch (error) {
      if (error instanceof ApiError) return undefined;
      throw error;
    }
  }

  async diff(call: DiffCall): Promise<DiffOutcome> {
    const { mutability } = this.session;
    const { oldInputs, inputs } = call;
    const changes = changesBetween(oldInputs, inputs);
    const structural = toDiff(oldInputs, inputs, changes, mutability);
    if (!structural.changes || containsUnknown(inputs)) return structural;
    const moves = (structural.replaces ?? []).some((path) => /^(metadata\.|kind$|apiVersion$)/.test(path));
    if (moves) return structural;
    try {
      const live = await this.find(call, inputs);
      if (!live) return structural;
      const manager = fieldManagerOf(call.oldOutputs) ?? fieldManagerFor(call.urn);
      const applied = await this.apply(call.urn, inputs, {
        fieldManager: manager,
        force: true,
        dryRun: true,
      });
      const owned = ownedFields(live, manager);
      const unchanged = sameOutcome(
        comparable(live),
        comparable(applied),
        owned,
        ownedFields(applied, manager),
      );
      return unchanged ? { changes: false } : structural;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.status !== 422) return structural;
      return toDiff(oldInputs, inputs, changes, mutability, immutableFields(error.causes));
    }
  }

  async create(call: CreateCall): Promise<{ id: string; outputs: Props }> {
    const { inputs, urn } = call;
    const manager = fieldManagerFor(urn);
    if (call.preview)
      return { id: objectId(inputs), outputs: await this.previewCreate(urn, inputs, manager) };
    if (metadataOf(inputs).generateName !== undefined) {
      throw new Error(
        `${describe(inputs)}: metadata.generateName cannot be applied by server-side apply; leave out the name instead`,
      );
    }
    await this.settle(inputs, call.signal);
    await this.refuseForeign(call, manager);
    const live = await this.applySettled(call, inputs, manager);
    return {
      id: objectId(live),
      outputs: await this.awaitReady(call, live, inputs, manager, call.timeoutSeconds),
    };
  }

  /**
   * An object of that name that another made is never taken over silently (the official provider's default).
   * One that is on its way out, such as the predecessor that `skipAwait` did not wait for, is let go first.
   */
  private async refuseForeign(call: CreateCall, manager: string): Promise<void> {
    const { client, inputs: settings } = this.session;
    const { inputs } = call;
    const live = await client.get(
      String(inputs.apiVersion),
      String(inputs.kind),
      namespaceOf(inputs),
      nameOf(inputs),
    );
    if (!live) return;
    if (metadataOf(live).deletionTimestamp !== undefined) {
      await waitUntilGone({
        client,
        object: live,
        timeoutSeconds: timeoutFor(inputs, call.timeoutSeconds),
        signal: call.signal,
        onStatus: (text) => this.log.status(call.urn, text),
      });
      return;
    }
    if (flagSetting(settings.upsertExistingObjects, 'PULUMI_K8S_UPSERT_EXISTING_OBJECTS')) return;
    // Made by this very resource in a run that was killed before it could record it.
    if (ownedFields(live, manager) !== undefined) return;
    throw new Error(
      `${describe(inputs)} already exists in the cluster: import it (resource option import: "${objectId(inputs)}"), ` +
        'choose another name, or set upsertExistingObjects on the provider',
    );
  }

  private async previewCreate(urn: string, inputs: KubeObject, manager: string): Promise<Props> {
    if (containsUnknown(inputs)) return inputs;
    const applied = await this.tryDryRun(urn, inputs, manager);
    if (!applied) return inputs;
    // A dry run invents these anew each time; the real object will have others.
    const metadata: Props = { ...metadataOf(applied), uid: UNKNOWN, creationTimestamp: UNKNOWN };
    const outputs: Props = { ...toOutputs(applied, manager, inputs), metadata };
    delete metadata.managedFields;
    delete metadata.resourceVersion;
    if (inputs.kind === 'Service' && inputs.apiVersion === 'v1')
      outputs.spec = withUnknownAddresses(specOf(applied), specOf(inputs));
    return outputs;
  }

  /**
   * A dry run that may fail for reasons which the update itself will remove (namespace or role of the same
   * program, API server not up yet): then `undefined`. What is wrong with the object itself is an error.
   */
  private async tryDryRun(
    urn: string,
    inputs: KubeObject,
    fieldManager: string,
  ): Promise<KubeObject | undefined> {
    try {
      return await this.apply(urn, inputs, { fieldManager, force: true, dryRun: true });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      // Server-side apply answers 500 for a field that the kind does not have.
      const ofTheObject = [400, 422].includes(error.status) || /typed patch object/.test(error.message);
      if (!ofTheObject) return undefined;
      throw this.explainApply(error, inputs);
    }
  }

  async update(call: UpdateCall): Promise<{ outputs: Props }> {
    const { inputs, urn } = call;
    const manager = fieldManagerOf(call.oldOutputs) ?? fieldManagerFor(urn);
    if (call.preview) {
      const applied = containsUnknown(inputs) ? undefined : await this.tryDryRun(urn, inputs, manager);
      return { outputs: applied ? toOutputs(applied, manager, inputs) : mergeDeep(call.oldOutputs, inputs) };
    }
    const live = await this.applySettled(call, inputs, manager);
    return { outputs: await this.awaitReady(call, live, inputs, manager, call.timeoutSeconds) };
  }

  async read(call: ReadCall): Promise<{ id: string; inputs: Props; outputs: Props } | undefined> {
    const token = parseTypeToken(call.type);
    const live = await this.find(call, { ...token, metadata: metadataOf(call.oldInputs) });
    if (!live) return undefined;
    const id = objectId(live);
    const known = Object.keys(call.oldInputs).length > 0;
    const manager = fieldManagerOf(call.oldOutputs) ?? fieldManagerFor(call.urn);
    if (!known) {
      const inputs = toImportedInputs(live);
      return { id, inputs: protectInputs(inputs), outputs: toOutputs(live, manager, inputs) };
    }
    const inputs = await this.driftedInputs(call, live, manager);
    const recreated = metadataOf(live).uid !== metadataOf(call.oldOutputs).uid;
    // What the cluster itself writes (status, counters, versions) is no drift: the recorded state stays as it was.
    if (!recreated && jsonEqual(inputs, call.oldInputs))
      return { id, inputs: protectInputs(inputs), outputs: protectInputs(call.oldOutputs) };
    return { id, inputs: protectInputs(inputs), outputs: toOutputs(live, manager, inputs) };
  }

  /**
   * The old inputs with whatever someone changed behind our back. Applying the inputs again, as a dry run,
   * tells: what comes out different from the live object is what has drifted. Fields of others never show.
   */
  private async driftedInputs(call: ReadCall, live: KubeObject, manager: string): Promise<KubeObject> {
    let applied: KubeObject;
    try {
      applied = await this.apply(call.urn, call.oldInputs, {
        fieldManager: manager,
        force: true,
        dryRun: true,
      });
    } catch (error) {
      if (!(error instanceof ApiError) || ![403, 422].includes(error.status)) throw error;
      // An immutable field was changed by deleting and making the object anew, or the account may only read, for which
      // the official plug-in needs no more: compare with the inputs themselves, as that one always does.
      applied = toApplyBody(call.oldInputs);
    }
    const [before, after] = [comparable(applied), comparable(live)];
    if (jsonEqual(before, after)) return call.oldInputs;
    const drifted = overlayDrift(toApplyBody(call.oldInputs), before, after);
    const inputs = isRecord(drifted) ? drifted : call.oldInputs;
    return call.oldInputs.stringData === undefined ? inputs : unfoldStringData(inputs, call.oldInputs);
  }

  async delete(call: DeleteCall): Promise<void> {
    const { client } = this.session;
    const token = parseTypeToken(call.type);
    const live = await this.find(call, { ...token, metadata: metadataOf(call.oldOutputs) });
    if (!live) return;
    const policy = annotationOf(call.oldInputs, ANNOTATIONS.deletionPropagationPolicy) ?? 'foreground';
    const policies: Record<string, string> = {
      orphan: 'Orphan',
      background: 'Background',
      foreground: 'Foreground',
    };
    const propagationPolicy = policies[policy.toLowerCase()];
    if (!propagationPolicy) {
      throw new Error(
        `${describe(live)}: ${ANNOTATIONS.deletionPropagationPolicy} is "${policy}"; use orphan, background or foreground`,
      );
    }
    try {
      const found = await client.delete(token.apiVersion, token.kind, namespaceOf(live), nameOf(live), {
        propagationPolicy,
      });
      if (!found) return;
    } catch (error) {
      throw error instanceof ApiError ? new Error(`${describe(live)}: ${error.message}`) : error;
    }
    if (skipsWait(call.oldInputs)) return;
    const annotated = Number(annotationOf(call.oldInputs, ANNOTATIONS.timeoutSeconds));
    await waitUntilGone({
      client,
      object: live,
      timeoutSeconds: call.timeoutSeconds || annotated || DELETE_TIMEOUT_SECONDS,
      signal: call.signal,
      onStatus: (text) => this.log.status(call.urn, text),
    });
  }

  /** The live object of an id; `like` gives the kind, and the namespace of an id without one. */
  private async find(call: ResourceCall & { id: string }, like: KubeObject): Promise<KubeObject | undefined> {
    const { client, namespace: fallback } = this.session;
    const { apiVersion, kind } = { apiVersion: String(like.apiVersion), kind: String(like.kind) };
    const { namespace, name } = parseId(call.id);
    const namespaced = (await client.resource(apiVersion, kind))?.namespaced;
    if (namespaced === undefined) return undefined;
    return client.get(
      apiVersion,
      kind,
      namespaced ? (namespace ?? namespaceOf(like) ?? fallback) : undefined,
      name,
    );
  }

  private apply(
    urn: string,
    inputs: KubeObject,
    options: { fieldManager: string; force: boolean; dryRun?: boolean },
  ): Promise<KubeObject> {
    const quiet = options.dryRun === true || this.session.inputs.suppressDeprecationWarnings === true;
    return this.session.client.apply(toApplyBody(inputs), {
      ...options,
      onWarning: (text) => {
        if (!quiet) this.log.warning(urn, text);
      },
    });
  }

  /** Waits for a kind to be served, when its definition was made a moment ago. */
  private async settle(inputs: KubeObject, signal: AbortSignal): Promise<void> {
    const { client } = this.session;
    const deadline = Date.now() + SETTLE_SECONDS * 1000;
    while (!(await client.resource(String(inputs.apiVersion), String(inputs.kind)))) {
      if (signal.aborted || Date.now() > deadline) {
        throw new Error(
          `${describe(inputs)}: the API server does not serve ${String(inputs.kind)} of ${String(inputs.apiVersion)}; ` +
            'check the spelling, or let it depend on its CustomResourceDefinition',
        );
      }
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }

  /** Applies; a namespace's service account or the namespace itself may lag behind by a moment. */
  private async applySettled(
    call: CreateCall | UpdateCall,
    inputs: KubeObject,
    fieldManager: string,
  ): Promise<KubeObject> {
    const force =
      annotationOf(inputs, ANNOTATIONS.patchForce) === 'true' ||
      flagSetting(this.session.inputs.enablePatchForce, 'PULUMI_K8S_ENABLE_PATCH_FORCE');
    const deadline = Date.now() + SETTLE_SECONDS * 1000;
    for (;;) {
      try {
        return await this.apply(call.urn, inputs, { fieldManager, force });
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        const lagging =
          error.status === 403 &&
          /serviceaccount .* not found|service account .* not found/i.test(error.message);
        if (!lagging || Date.now() > deadline || call.signal.aborted) throw this.explainApply(error, inputs);
        this.log.status(call.urn, 'waiting for the service account');
        await new Promise((resolve) => setTimeout(resolve, 500));
      }
    }
  }

  /** The API server's refusal in one line that names the object; a conflict also names who owns the field. */
  private explainApply(error: ApiError, inputs: KubeObject): Error {
    const what = describe(inputs);
    const conflicts = error.causes.filter(({ reason }) => reason === 'FieldManagerConflict');
    if (conflicts.length > 0) {
      const fields = conflicts.map(({ field, message }) => `${field} (${message})`).join(', ');
      return new Error(
        `${what}: other managers own fields of it: ${fields}; remove these fields from the program, or take them ` +
          `over with the annotation ${ANNOTATIONS.patchForce}: "true"`,
      );
    }
    return new Error(`${what}: ${redact(error.message, inputs)}`);
  }

  private async awaitReady(
    call: ResourceCall,
    object: KubeObject,
    inputs: KubeObject,
    manager: string,
    customTimeout: number,
  ): Promise<Props> {
    if (skipsWait(inputs)) return toOutputs(object, manager, inputs);
    const { live, reasons } = await waitUntilReady({
      client: this.session.client,
      object,
      timeoutSeconds: timeoutFor(inputs, customTimeout),
      signal: call.signal,
      onStatus: (text) => this.log.status(call.urn, text),
    });
    const outputs = toOutputs(live, manager, inputs);
    if (reasons.length === 0) return outputs;
    throw new InitError(
      `${describe(live)} was applied but is not ready`,
      objectId(live),
      outputs,
      reasons,
      inputs,
    );
  }
}

/** Addresses and ports that only the real Service gets. */
function withUnknownAddresses(spec: Props, given: Props): Props {
  const headless = given.clusterIP === 'None' || given.type === 'ExternalName';
  const result: Props = { ...spec };
  if (!headless && given.clusterIP === undefined)
    Object.assign(result, { clusterIP: UNKNOWN, clusterIPs: UNKNOWN });
  if ((given.type === 'NodePort' || given.type === 'LoadBalancer') && Array.isArray(spec.ports)) {
    result.ports = spec.ports.map((port: unknown, index) => {
      const asked: unknown = Array.isArray(given.ports) ? given.ports[index] : undefined;
      const fixed = isRecord(asked) && asked.nodePort !== undefined;
      return isRecord(port) && !fixed ? { ...port, nodePort: UNKNOWN } : port;
    });
  }
  return result;
}

function mergeDeep(base: Props, over: Props): Props {
  const merged: Props = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const below = merged[key];
    merged[key] = isRecord(below) && isRecord(value) ? mergeDeep(below, value) : value;
  }
  return merged;
}

/** Gives keys that came as `stringData` back to it, decoded; the rest stays in `data`. */
function unfoldStringData(inputs: KubeObject, original: KubeObject): KubeObject {
  const plain = isRecord(original.stringData) ? original.stringData : {};
  const data = isRecord(inputs.data) ? inputs.data : {};
  const entries = Object.entries(data);
  const text = entries
    .filter(([key]) => key in plain)
    .map(([key, value]) => [key, Buffer.from(String(value), 'base64').toString('utf8')]);
  const rest = entries.filter(([key]) => !(key in plain));
  const { data: _data, ...others } = inputs;
  return {
    ...others,
    ...(rest.length > 0 || original.data !== undefined ? { data: Object.fromEntries(rest) } : {}),
    stringData: Object.fromEntries(text),
  };
}

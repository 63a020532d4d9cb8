import { randomBytes } from 'node:crypto';
import type {
  CheckCall,
  CheckFailure,
  CheckOutcome,
  CreateCall,
  DeleteCall,
  DiffCall,
  DiffKind,
  DiffOutcome,
  PluginProvider,
  ReadCall,
  UpdateCall,
} from '../shared/server';
import { containsUnknown, isRecord, jsonEqual, type Props, secret, UNKNOWN } from '../shared/values';
import { Client } from './client';
import { type Connection, checkProviderInputs, connectionOf } from './config';
import { fieldOf, type Kind } from './kind';
import { kindOf } from './kinds';
import {
  checkInputs,
  type ResourceSpec,
  replacedByChange,
  resourceSpec,
  SCHEMA_JSON,
  secretOutputs,
} from './schema';

/**
 * The lab's stand-in for the official GitLab plug-in 10.1.1: the same resources, inputs, outputs and ids for what
 * the topology uses. Differences that are meant: an input not covered is refused by name; a token's rotation keeps
 * the resource's id; it speaks only to loopback and 198.18.0.0/15.
 */
export class GitLabProvider implements PluginProvider {
  private connection: Connection | { fault: string } = { fault: 'gitlab provider: not configured' };

  async schema(): Promise<string> {
    return SCHEMA_JSON;
  }

  async checkConfig(inputs: Props): Promise<CheckOutcome> {
    return { inputs, failures: checkProviderInputs(inputs) };
  }

  async configure(inputs: Props): Promise<void> {
    this.connection = connectionOf(inputs);
    // A stack's own config reaches the default provider without a check.
    const [failure] = checkProviderInputs(inputs);
    if (failure) throw new Error(`gitlab provider: ${failure.property} ${failure.reason}`);
    const unknownToken = containsUnknown(inputs.token) || containsUnknown(inputs.baseUrl);
    const early = inputs.earlyAuthCheck === true || inputs.earlyAuthCheck === 'true';
    if (early && !unknownToken) await this.client().get('user');
  }

  async check({ type, name, inputs: given, oldInputs, randomSeed }: CheckCall): Promise<CheckOutcome> {
    const kind = kindOf(type);
    const { inputs, failures } = checkInputs(resourceSpec(type), given);
    for (const property of Object.keys(inputs)) {
      if (kind.covered.includes(property) || kind.local?.includes(property)) continue;
      if (failures.some((failure) => failure.property === property)) continue;
      failures.push({
        property,
        reason: "is not covered by the lab's gitlab plug-in; leave it out of the lab's stack",
      });
    }
    failures.push(...valueFaults(kind, inputs));
    if (failures.length === 0) failures.push(...(kind.validate?.(inputs) ?? []));
    if (kind.autoname && inputs.name === undefined) {
      inputs.name = oldInputs.name ?? `${name}-${suffix(randomSeed)}`;
    }
    return { inputs, failures };
  }

  async diff({ type, oldInputs, oldOutputs, inputs }: DiffCall): Promise<DiffOutcome> {
    const kind = kindOf(type);
    const replacing = [...(kind.replace ?? []), ...replacedByChange(resourceSpec(type))];
    const details: Record<string, DiffKind> = {};
    const replaces: string[] = [];
    for (const { property, how } of changesOf(kind, oldInputs, oldOutputs, inputs)) {
      const replace = replacing.includes(property);
      details[property] = replace ? `${how}-replace` : how;
      if (replace) replaces.push(property);
    }
    if (Object.keys(details).length === 0 && kind.due?.(oldOutputs, inputs)) details.expiresAt = 'update';
    return {
      changes: Object.keys(details).length > 0,
      details,
      replaces,
      deleteBeforeReplace: replaces.length > 0 && kind.deleteBeforeReplace === true,
    };
  }

  async create({ type, inputs, preview, signal }: CreateCall): Promise<{ id: string; outputs: Props }> {
    const kind = kindOf(type);
    const spec = resourceSpec(type);
    await this.plan(kind, inputs, preview, signal);
    if (preview) {
      const unknown = Object.fromEntries(Object.keys(spec.properties).map((property) => [property, UNKNOWN]));
      return { id: '', outputs: { ...unknown, ...inputs } };
    }
    const client = this.client(signal);
    const { id, once } = await kind.create(client, inputs);
    const live = await kind.read(client, id, { ...inputs, ...once });
    if (!live)
      throw new Error(`GitLab: ${type} "${id}" was made, but cannot be read. Has the token the scope "api"?`);
    return { id, outputs: outputsOf(kind, spec, inputs, live, { ...once }) };
  }

  async read({ type, id, oldInputs, oldOutputs, signal }: ReadCall) {
    const kind = kindOf(type);
    const spec = resourceSpec(type);
    const live = await kind.read(this.client(signal), id, { ...oldOutputs, ...oldInputs });
    if (!live) return undefined;
    const values = valuesOf(kind, spec, live);
    const imported = Object.keys(oldInputs).length === 0;
    const managed = imported
      ? [...(spec.requiredInputs ?? []), ...(kind.imported ?? [])]
      : Object.keys(oldInputs);
    const inputs: Props = {};
    for (const property of managed) {
      const now = values[property];
      const before = oldInputs[property];
      const value = property in values && !same(kind, property, before, now) ? now : before;
      if (value !== undefined && value !== null) inputs[property] = value;
    }
    return { id, inputs, outputs: outputsOf(kind, spec, inputs, live, oldOutputs) };
  }

  async update({
    type,
    id,
    inputs,
    oldInputs,
    oldOutputs,
    preview,
    signal,
  }: UpdateCall): Promise<{ outputs: Props }> {
    const kind = kindOf(type);
    const spec = resourceSpec(type);
    const changed: Props = {};
    for (const { property, how } of changesOf(kind, oldInputs, oldOutputs, inputs)) {
      if (kind.covered.includes(property))
        changed[property] = how === 'delete' ? kind.reset?.[property] : inputs[property];
    }
    if (Object.keys(changed).length > 0) await this.plan(kind, inputs, preview, signal);
    const touches = Object.keys(changed).length > 0 || kind.due?.(oldOutputs, inputs) === true;
    if (preview) {
      const moving = touches
        ? Object.fromEntries((kind.moving ?? []).map((property) => [property, UNKNOWN]))
        : {};
      return { outputs: { ...oldOutputs, ...moving, ...inputs } };
    }
    const client = this.client(signal);
    let once: Props | undefined;
    if (touches) {
      if (!kind.update)
        throw new Error(`${type}: GitLab cannot change ${Object.keys(changed).join(', ')} in place`);
      once = await kind.update(client, id, changed, inputs, { ...oldOutputs, ...oldInputs });
    }
    const state = { ...oldOutputs, ...inputs, ...once };
    const live = await kind.read(client, id, state);
    if (!live) throw new Error(`GitLab: ${type} "${id}" is gone. Run \`pulumi refresh\`, then up again`);
    return { outputs: outputsOf(kind, spec, inputs, live, { ...oldOutputs, ...once }) };
  }

  async delete({ type, id, oldInputs, oldOutputs, signal }: DeleteCall): Promise<void> {
    await kindOf(type).delete(this.client(signal), id, { ...oldOutputs, ...oldInputs });
  }

  /** A preview without a token that GitLab takes, or without a GitLab, plans what it can. */
  private async plan(kind: Kind, inputs: Props, preview: boolean, signal?: AbortSignal): Promise<void> {
    if (!kind.plan || ('fault' in this.connection && preview)) return;
    let refusal: string | undefined;
    try {
      refusal = await kind.plan(this.client(signal), inputs);
    } catch (error) {
      if (!preview) throw error;
    }
    if (refusal !== undefined) throw new Error(refusal);
  }

  private client(signal?: AbortSignal): Client {
    if ('fault' in this.connection) throw new Error(this.connection.fault);
    return new Client(this.connection, signal);
  }
}

function suffix(seed: Uint8Array): string {
  const bytes = seed.length >= 4 ? Buffer.from(seed.subarray(0, 4)) : randomBytes(4);
  return bytes.toString('hex').slice(0, 7);
}

function valueFaults(kind: Kind, inputs: Props): CheckFailure[] {
  const failures: CheckFailure[] = [];
  for (const [property, allowed] of Object.entries(kind.values ?? {})) {
    const value = inputs[property];
    const items = Array.isArray(value) ? value : value === undefined ? [] : [value];
    items.forEach((item, index) => {
      if (item === UNKNOWN || allowed.includes(String(item))) return;
      failures.push({
        property: Array.isArray(value) ? `${property}[${index}]` : property,
        reason: `"${String(item)}" is not one of ${allowed.map((word) => `"${word}"`).join(', ')}`,
      });
    });
  }
  return failures;
}

const EMPTY = (value: unknown): boolean =>
  value === undefined ||
  value === null ||
  value === '' ||
  value === false ||
  (Array.isArray(value) && value.length === 0);

/** Whether two values of a property mean the same to GitLab, which answers null for what is empty. */
function same(kind: Kind, property: string, left: unknown, right: unknown): boolean {
  if (jsonEqual(left, right) || (EMPTY(left) && EMPTY(right))) return true;
  if (!kind.unordered?.includes(property) || !Array.isArray(left) || !Array.isArray(right)) return false;
  const without = kind.filledIn?.[property] ?? [];
  const given = (item: unknown) =>
    isRecord(item)
      ? Object.entries(item)
          .filter(([key]) => !without.includes(key))
          .sort()
      : item;
  const sorted = (list: unknown[]) => list.map((item) => JSON.stringify(given(item))).sort();
  return jsonEqual(sorted(left), sorted(right));
}

interface Change {
  property: string;
  how: 'add' | 'delete' | 'update';
}

function changesOf(kind: Kind, oldInputs: Props, oldOutputs: Props, inputs: Props): Change[] {
  const changes: Change[] = [];
  for (const property of [...kind.covered, ...(kind.local ?? [])]) {
    const before = oldInputs[property];
    const after = inputs[property];
    if (after === undefined) {
      const resettable = kind.local?.includes(property) || kind.reset?.[property] !== undefined;
      const effective = kind.reset?.[property];
      if (before !== undefined && resettable && !same(kind, property, before, effective)) {
        changes.push({ property, how: 'delete' });
      }
      continue;
    }
    // An input that only now spells out what GitLab has already is no change.
    const known = before ?? (kind.covered.includes(property) ? oldOutputs[property] : undefined);
    if (containsUnknown(after) || !same(kind, property, known, after)) {
      changes.push({ property, how: before === undefined ? 'add' : 'update' });
    }
  }
  return changes;
}

/** GitLab's answer by property name, in the schema's types; null where GitLab says that there is nothing. */
function valuesOf(kind: Kind, spec: ResourceSpec, live: Props): Props {
  const values: Props = {};
  for (const [property, { type }] of Object.entries(spec.properties)) {
    const value = live[fieldOf(kind, property)];
    if (value === undefined) continue;
    if (value !== null && type === 'string' && typeof value === 'number') values[property] = String(value);
    else if (value !== null && type === 'integer' && typeof value === 'string')
      values[property] = Number(value);
    else values[property] = value;
  }
  return values;
}

/** @param kept what GitLab shows only once, and bookkeeping of the kind: taken over where the answer has nothing */
function outputsOf(kind: Kind, spec: ResourceSpec, inputs: Props, live: Props, kept: Props): Props {
  const outputs: Props = {};
  const values = valuesOf(kind, spec, live);
  for (const property of Object.keys(spec.properties)) {
    const now = values[property];
    const input = inputs[property];
    const value =
      property in values && !(input !== undefined && same(kind, property, input, now)) ? now : input;
    if (value !== undefined && value !== null) outputs[property] = value;
    else if (!(property in values) && !(property in spec.inputProperties) && kept[property] !== undefined) {
      outputs[property] = kept[property];
    }
  }
  for (const [key, value] of Object.entries({ ...kept, ...live })) {
    if (key.startsWith('__')) outputs[key] = value;
  }
  // Inputs that only steer the plug-in are needed again at deletion.
  for (const property of kind.local ?? [])
    if (inputs[property] !== undefined) outputs[property] = inputs[property];
  for (const property of secretOutputs(spec)) {
    if (outputs[property] !== undefined) outputs[property] = secret(outputs[property]);
  }
  return outputs;
}

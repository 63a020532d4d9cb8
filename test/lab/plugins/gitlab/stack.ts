import { GitLabProvider } from '../../../../lab/plugins/gitlab/provider';
import type { CheckFailure, DiffOutcome } from '../../../../lab/plugins/shared/server';
import { isRecord, type Props, unwrapSecrets } from '../../../../lab/plugins/shared/values';

export interface Resource {
  type: string;
  name: string;
  id: string;
  inputs: Props;
  outputs: Props;
}

const plain = (value: unknown): Props => {
  const unwrapped = unwrapSecrets(value);
  return isRecord(unwrapped) ? unwrapped : {};
};

/** Drives a provider as the engine does: check, then create, or diff and update; and refresh, import, delete. */
export class Stack {
  readonly provider = new GitLabProvider();
  private readonly signal = new AbortController().signal;

  static async at(url: string, token: string): Promise<Stack> {
    const stack = new Stack();
    await stack.provider.configure({ baseUrl: `${url}/api/v4/`, token });
    return stack;
  }

  private call(short: string, name: string) {
    const type = `gitlab:index/${short[0]?.toLowerCase()}${short.slice(1)}:${short}`;
    return { type, name, urn: `urn:pulumi:test::test::${type}::${name}`, signal: this.signal };
  }

  async faults(short: string, inputs: Props): Promise<CheckFailure[]> {
    const outcome = await this.provider.check({
      ...this.call(short, 'test'),
      inputs,
      oldInputs: {},
      randomSeed: SEED,
    });
    return outcome.failures ?? [];
  }

  async create(short: string, name: string, given: Props): Promise<Resource> {
    const call = this.call(short, name);
    const { inputs, failures } = await this.provider.check({
      ...call,
      inputs: given,
      oldInputs: {},
      randomSeed: SEED,
    });
    if (failures?.length)
      throw new Error(failures.map(({ property, reason }) => `${property} ${reason}`).join('; '));
    const { id, outputs } = await this.provider.create({
      ...call,
      inputs,
      preview: false,
      timeoutSeconds: 0,
    });
    return { type: short, name, id, inputs, outputs: plain(outputs) };
  }

  async diff(resource: Resource, given: Props = resource.inputs): Promise<DiffOutcome & { inputs: Props }> {
    const call = this.call(resource.type, resource.name);
    const { inputs } = await this.provider.check({
      ...call,
      inputs: given,
      oldInputs: resource.inputs,
      randomSeed: SEED,
    });
    return {
      ...(await this.provider.diff({ ...call, ...old(resource), inputs, ignoreChanges: [] })),
      inputs,
    };
  }

  async update(resource: Resource, given: Props): Promise<Resource> {
    const { inputs, replaces } = await this.diff(resource, given);
    if (replaces?.length) throw new Error(`replaced by ${replaces.join(', ')}`);
    const call = { ...this.call(resource.type, resource.name), ...old(resource), inputs };
    const { outputs } = await this.provider.update({
      ...call,
      ignoreChanges: [],
      preview: false,
      timeoutSeconds: 0,
    });
    return { ...resource, inputs, outputs: plain(outputs) };
  }

  async refresh(resource: Resource): Promise<Resource | undefined> {
    const read = await this.provider.read({ ...this.call(resource.type, resource.name), ...old(resource) });
    return read && { ...resource, inputs: read.inputs, outputs: plain(read.outputs) };
  }

  import(short: string, id: string): Promise<Resource | undefined> {
    return this.refresh({ type: short, name: 'imported', id, inputs: {}, outputs: {} });
  }

  delete(resource: Resource): Promise<void> {
    return this.provider.delete({
      ...this.call(resource.type, resource.name),
      ...old(resource),
      timeoutSeconds: 0,
    });
  }
}

const SEED = new Uint8Array([0xab, 0xcd, 0xef, 0x01, 0x23]);
const old = ({ id, inputs, outputs }: Resource) => ({ id, oldInputs: inputs, oldOutputs: outputs });

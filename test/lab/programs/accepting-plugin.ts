import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PluginProvider } from '../../../lab/plugins/shared/server';
import { servePlugin } from '../../../lab/plugins/shared/server';
import { secret } from '../../../lab/plugins/shared/values';

// A provider that says yes to everything and touches nothing: for what is about the engine alone. Which package it
// stands for is told by the name of its bundle, and that package's version by the file beside it.

const name = basename(__filename, '.js');

/** What the real provider adds once a resource is there, where the topology uses it. */
const issued = (type: string): Record<string, unknown> => {
  if (type.startsWith('docker:')) return { repoDigest: `registry.test/built@sha256:${'a'.repeat(64)}` };
  return /AccessToken$/.test(type) ? { token: secret('issued') } : {};
};

/** Waits for as long as the test says so, as the real one does for Pods; cancelled, it says that nothing came of it. */
async function held(signal: AbortSignal): Promise<void> {
  for (const hold = `${__filename}.hold`; existsSync(hold); await sleep(100)) {
    if (signal.aborted) throw new Error('cancelled while it waited');
    writeFileSync(`${hold}ing`, '');
  }
}

/** What a rollout takes, in milliseconds, where somebody measures: to wait for Pods takes no processor. */
const ROLLOUT = Number(process.env.SWITCHYARD_ACCEPTING_ROLLOUT ?? 0);

const nameOf = ({ metadata }: Record<string, unknown>): unknown =>
  metadata !== null && typeof metadata === 'object' && 'name' in metadata ? metadata.name : undefined;

const accepting: PluginProvider = {
  configure: async () => {},
  check: async ({ inputs }) => ({ inputs }),
  diff: async ({ oldInputs, inputs }) => ({
    changes: JSON.stringify(oldInputs) !== JSON.stringify(inputs),
    // As the real one: an object of another name is another object.
    replaces: nameOf(oldInputs) === nameOf(inputs) ? [] : ['metadata.name'],
  }),
  create: async ({ name: id, type, inputs, preview }) => ({
    id: preview ? '' : id,
    outputs: preview ? inputs : { ...inputs, ...issued(type) },
  }),
  read: async ({ id, oldInputs, oldOutputs }) => ({ id, inputs: oldInputs, outputs: oldOutputs }),
  update: async ({ type, inputs, preview, signal }) => {
    if (!preview) {
      await held(signal);
      if (type === 'kubernetes:apps/v1:Deployment') await sleep(ROLLOUT);
    }
    return { outputs: { ...inputs, ...issued(type) } };
  },
  delete: async () => {},
};

servePlugin(name, readFileSync(`${__filename}.version`, 'utf8'), () => accepting);

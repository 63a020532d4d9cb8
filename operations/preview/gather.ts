import type { PulumiFn } from '@pulumi/pulumi/automation';
import { parseLedger } from '../../catalog/ledger';
import { ProblemsError } from '../../catalog/problems';
import { topologyBoxes } from '../../components/boxes';
import { fetchLedger } from '../../components/inputs';
import { type Folders, loadModel } from '../../components/load';
import { missingSecrets, neededSecrets, secretSources } from '../../stacks/secrets';
import { exportState, stackSecret } from '../engine';
import type { PrepareInputs } from './prepare';

export interface GatherRequest {
  readonly root: string;
  readonly environment: string;
  readonly folders: Folders;
  readonly program: PulumiFn;
}

/** Kubernetes' list of a cluster's nodes; undefined when it cannot be asked, which the note then says. */
async function nodeList(context: string): Promise<unknown> {
  const { CoreV1Api, KubeConfig } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  config.loadFromDefault();
  config.setCurrentContext(context);
  try {
    const { items } = await config.makeApiClient(CoreV1Api).listNode();
    return {
      items: items.map(({ metadata, spec, status }) => ({
        metadata: { name: metadata?.name ?? '' },
        spec: { unschedulable: spec?.unschedulable ?? false },
        status: { allocatable: status?.allocatable ?? {} },
      })),
    };
  } catch {
    return undefined;
  }
}

/**
 * Reads all that a preview is prepared from: the recorded state, what the declarations of this program make of the
 * real secrets, the ledger, the nodes. Runs where the real secrets are, and runs no code but this checkout's.
 * @throws ProblemsError when a secret is missing
 */
export async function previewInputs(request: GatherRequest): Promise<PrepareInputs> {
  const { environment, folders, root, program } = request;
  const model = loadModel(folders, environment);
  const { settings } = model;
  const backend = process.env.PULUMI_BACKEND_URL ?? settings.backend;
  const stack = { root, environment, backend, stacks: folders.stacks, program };
  const needed = neededSecrets(settings.deployEnvironment);
  const values: Record<string, string> = {};
  for (const { key, variable } of needed) {
    const value = process.env[variable] || (key && (await stackSecret(stack, key)));
    if (value) values[variable] = value;
  }
  const missing = missingSecrets(environment, needed, () => false, values);
  if (missing.length > 0) throw new ProblemsError(missing);
  const gitlabToken = values[secretSources.gitlabToken] ?? '';
  const { url, group } = settings.gitlab;
  const ledger = await fetchLedger(url, group, gitlabToken, environment);
  const clusters = { ci: settings.clusters.ci.context, production: settings.clusters.production.context };
  const nodes: Record<string, unknown> = {};
  for (const context of new Set(Object.values(clusters))) {
    const list = await nodeList(context);
    if (list !== undefined) nodes[context] = list;
  }
  const releases = parseLedger(ledger, `release-ledger/${environment}.yaml`).modules;
  return {
    environment,
    deployment: await exportState(stack),
    boxes: topologyBoxes({ ...model, releases }),
    secrets: {
      seed: values[secretSources.seed] ?? '',
      gitlabToken,
      given: Object.fromEntries(settings.deployEnvironment.map((name) => [name, values[name] ?? ''])),
    },
    ledger,
    clusters,
    nodes,
  };
}

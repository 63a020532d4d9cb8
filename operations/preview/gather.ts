import { parseLedger } from '../../catalog/ledger';
import { ProblemsError } from '../../catalog/problems';
import { Kubernetes, whyNot } from '../../clients/kubernetes';
import { fetchLedger } from '../../components/ask-gitlab';
import { topologyBoxes } from '../../components/boxes';
import { lookUp } from '../../components/lookups';
import { missingSecrets, neededSecrets, secretSources, stackVariables } from '../../stacks/secrets';
import type { Terminal } from '../cli/terminal';
import { type Session, withSession } from '../engine/operate';
import { basisOf } from './basis';
import type { PrepareInputs } from './prepare';
import { recordedValues } from './recorded';

/** Kubernetes' list of a cluster's nodes, or why it could not be asked, which the note then says. */
async function nodeList(context: string): Promise<unknown> {
  const cluster = new Kubernetes({ context, policy: { attempts: 3 } });
  try {
    const items = await cluster.nodes();
    return {
      items: items.map(({ metadata, spec, status }) => ({
        metadata: { name: metadata?.name ?? '' },
        spec: { unschedulable: spec?.unschedulable ?? false },
        status: { allocatable: status?.allocatable ?? {} },
      })),
    };
  } catch (error) {
    return { unasked: whyNot(error) };
  }
}

/**
 * Reads all that a preview is prepared from: the recorded state, what the declarations of this program make of the
 * real secrets, the ledger, what is looked up, the nodes. Runs where the real secrets are, and runs no code but this
 * checkout's.
 * @throws ProblemsError when a secret is missing
 */
export const gather = (
  environment: string,
  operation: string,
  terminal: Terminal,
  lockTimeout?: number,
): Promise<PrepareInputs> =>
  withSession(environment, operation, terminal, previewInputs, { existing: true, lockTimeout });

export async function previewInputs({
  model,
  engine,
}: Pick<Session, 'model'> & {
  readonly engine: Pick<Session['engine'], 'config' | 'openState' | 'state'>;
}): Promise<PrepareInputs> {
  const { settings } = model;
  const { environment, gitlab } = settings;
  const needed = neededSecrets(stackVariables(settings));
  // First: what is written between the two makes the basis an older one, and never a newer one than what is compared.
  const state = await engine.state();
  const deployment = await engine.openState();
  // Not every variable of an `up` comes to the Pod that runs this; those that the topology keeps stand in its state.
  const values = recordedValues(deployment, topologyBoxes(model));
  for (const { key, variable } of needed) {
    const value = process.env[variable] || (key && (await engine.config(`switchyard:${key}`)));
    if (value) values[variable] = value;
  }
  const missing = missingSecrets(environment, needed, () => false, values);
  if (missing.length > 0) throw new ProblemsError(missing);
  const gitlabToken = values[secretSources.gitlabToken] ?? '';
  const ledger = await fetchLedger(gitlab.url, gitlab.group, gitlabToken, environment);
  const { modules: releases } = parseLedger(ledger, `release-ledger/${environment}.yaml`);
  const clusters = { ci: settings.clusters.ci.context, production: settings.clusters.production.context };
  const nodes: Record<string, unknown> = {};
  for (const context of new Set(Object.values(clusters))) {
    nodes[context] = await nodeList(context);
  }
  const boxes = topologyBoxes({ ...model, releases });
  return {
    environment,
    deployment,
    boxes,
    secrets: {
      environment,
      versions: settings.secrets.versions,
      seed: values[secretSources.seed] ?? '',
      gitlabToken,
      given: Object.fromEntries(
        stackVariables(settings).map(({ variable }) => [variable, values[variable] ?? '']),
      ),
    },
    ledger,
    basis: basisOf(state, ledger),
    found: await lookUp(model, boxes, gitlabToken),
    clusters,
    nodes,
  };
}

import { fetchReleases } from '../../components/inputs';
import { defaultFolders, loadModel } from '../../components/load';
import type { Model } from '../../components/model';
import { secretSources } from '../../stacks/secrets';
import type { Outcome } from '../outcome';
import { listObjects } from '../outside';
import { root } from '../place';
import { readStatus, type Sources } from './read';
import { statusDocument, statusLines } from './tell';

/** Time for Jenkins to answer, in milliseconds. */
const PATIENCE = 10_000;

function sourcesOf({ settings }: Model): Sources {
  const { environment, gitlab, jenkins } = settings;
  const { JENKINS_USER, JENKINS_TOKEN } = process.env;
  const login = JENKINS_USER
    ? Buffer.from(`${JENKINS_USER}:${JENKINS_TOKEN ?? ''}`).toString('base64')
    : undefined;
  return {
    ledger: () =>
      fetchReleases(gitlab.url, gitlab.group, process.env[secretSources.gitlabToken] ?? '', environment),
    workloads: (kind) =>
      listObjects(
        settings,
        'production',
        'apps/v1',
        kind,
        `app.kubernetes.io/part-of=switchyard,switchyard.dev/purpose=production,switchyard.dev/environment=${environment}`,
      ),
    lastBuild: async (module) => {
      const response = await fetch(`${jenkins.url}/job/${gitlab.group}/job/${module}/lastBuild/api/json`, {
        headers: login ? { authorization: `Basic ${login}` } : {},
        signal: AbortSignal.timeout(PATIENCE),
      });
      if (response.status === 404) return undefined;
      if (!response.ok) throw new Error(`${jenkins.url} answers ${response.status}`);
      return response.json();
    },
  };
}

/** `status`: what is released, what runs, and how the last jobs ended. */
export async function status(environment: string): Promise<Outcome> {
  const model = loadModel(defaultFolders(root), environment);
  const facts = await readStatus(model, sourcesOf(model));
  return { document: statusDocument(facts), lines: statusLines(facts) };
}

import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { type Ledger, parseLedger } from '../catalog/ledger';
import { ProblemsError } from '../catalog/problems';
import { GitLabApi, GitLabError } from '../clients/gitlab-api';
import { secretSources } from '../stacks/secrets';
import { type BoxDeclaration, wantedBoxes } from './boxes';
import { lookUp } from './lookups';
import type { Model } from './model';
import { names } from './shared/naming';
import { referencesIn } from './shared/references';

/**
 * Files that hold what GitLab would be asked for: this environment's ledger, and what was looked up, by `what:key`. A
 * preview of foreign code reads these, since it gets no token.
 */
export const LEDGER_VARIABLE = 'SWITCHYARD_LEDGER_FILE';
export const FOUND_VARIABLE = 'SWITCHYARD_FOUND_FILE';

/**
 * Reads an environment's file of the release ledger. A project or a file that does not exist yet is an empty ledger:
 * the first `up` makes it.
 * @throws ProblemsError when GitLab cannot be asked, or the file is broken
 */
export async function readReleaseLedger(
  url: string,
  group: string,
  token: string,
  environment: string,
): Promise<Ledger> {
  const text = await fetchLedger(url, group, token, environment);
  return parseLedger(text, `${names.ledgerProject}/${environment}.yaml`);
}

/** What runs of each module, as {@link readReleaseLedger} has it. */
export const fetchReleases = async (
  ...where: Parameters<typeof readReleaseLedger>
): Promise<Ledger['modules']> => (await readReleaseLedger(...where)).modules;

/**
 * Text of an environment's file of the release ledger; empty when there is none.
 * @throws ProblemsError when GitLab cannot be asked
 */
export async function fetchLedger(
  url: string,
  group: string,
  token: string,
  environment: string,
): Promise<string> {
  const project = encodeURIComponent(`${group}/${names.ledgerProject}`);
  const file = `${environment}.yaml`;
  const fault = (what: string, remedy: string) =>
    new ProblemsError([{ file: `${names.ledgerProject}/${file}`, what, remedy }]);
  const api = new GitLabApi({ url, token, policy: { attempts: 4 } });
  const path = `projects/${project}/repository/files/${encodeURIComponent(file)}/raw?ref=main`;
  const text = await api.text(path).catch((error: unknown) => {
    if (!(error instanceof GitLabError)) throw error;
    const { status, detail } = error;
    if (status === 0)
      throw fault(`GitLab at ${url} does not answer (${detail}).`, 'Check gitlab.url and that GitLab runs.');
    if (status === 401 || status === 403)
      throw fault(
        `GitLab refuses the token (${status}).`,
        `Give a token with the api scope in ${secretSources.gitlabToken}.`,
      );
    throw fault(`GitLab answers ${status}.`, 'Look at its log.');
  });
  return text ?? '';
}

/**
 * What was looked up for a preview. What its merge request wants for the first time was not: it stands as 0, since a
 * preview tells that a resource is made, and not for whom.
 */
function foundInFile(file: string, boxes: readonly BoxDeclaration[]): Record<string, string> {
  const known = z.record(z.string(), z.string()).parse(JSON.parse(readFileSync(file, 'utf8')));
  const wanted = boxes
    .flatMap(({ declarations }) =>
      declarations.flatMap(({ args, existing }) => referencesIn([args, existing])),
    )
    .flatMap((reference) => (reference.kind === 'found' ? [`${reference.what}:${reference.key}`] : []));
  return { ...Object.fromEntries(wanted.map((name) => [name, '0'])), ...known };
}

/** What GitLab is asked for before the first resource, or the files that stand for it. */
export async function askGitLab(
  model: Model,
  only: readonly string[] | undefined,
  token: () => Promise<string>,
) {
  const { environment, gitlab } = model.settings;
  const boxes = wantedBoxes(model, only);
  const { [LEDGER_VARIABLE]: ledger, [FOUND_VARIABLE]: found } = process.env;
  if (ledger && found) {
    return {
      found: foundInFile(found, boxes),
      releases: parseLedger(readFileSync(ledger, 'utf8'), ledger).modules,
    };
  }
  return {
    found: await lookUp(model, boxes, await token()),
    releases: await fetchReleases(gitlab.url, gitlab.group, await token(), environment),
  };
}

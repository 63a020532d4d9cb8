import { lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BoxDeclaration } from '../../components/boxes';
import { hide } from '../../text/hide';
import { placeholders, type RootSecrets, withhold } from './withhold';

export interface PrepareInputs {
  readonly environment: string;
  /** Exported with its secrets in plain text. */
  readonly deployment: unknown;
  readonly boxes: readonly BoxDeclaration[];
  readonly secrets: RootSecrets;
  /** Text of the environment's file of the release ledger. */
  readonly ledger: string;
  /** See `basisOf`. */
  readonly basis: string;
  /** What was looked up, by `what:key` of its reference. */
  readonly found: Readonly<Record<string, string>>;
  /** Role of a cluster → its context. */
  readonly clusters: Readonly<Record<string, string>>;
  /** Context → Kubernetes' list of its nodes, or `unasked`: why it could not be asked. */
  readonly nodes: Readonly<Record<string, unknown>>;
}

/** Arguments of all declarations. */
export const declaredIn = (boxes: readonly BoxDeclaration[]): unknown[] =>
  boxes.flatMap(({ declarations }) => declarations.map(({ args }) => args));

/**
 * Writes what a preview Pod gets, into `<out>/given`: the state without its secrets, the ledger, and placeholders for
 * the secrets that the program asks for. `<out>/about.json` is for whoever judges the preview, and never goes into that
 * Pod; `<out>/basis` is for whoever applies what was compared (`up --basis`).
 * @returns fingerprint of the state, and how many secrets stood unmarked in it
 */
export function writePreviewInputs(inputs: PrepareInputs, out: string): { state: string; unmarked: number } {
  const declared = declaredIn(inputs.boxes);
  const { deployment, fingerprint, unmarked } = withhold(inputs.deployment, declared, inputs.secrets);
  const stand = placeholders(inputs.secrets);
  const given = join(out, 'given');
  rmSync(out, { recursive: true, force: true });
  mkdirSync(given, { recursive: true });
  const environment = {
    ...stand.given,
    SWITCHYARD_SEED: stand.seed,
    GITLAB_TOKEN: stand.gitlabToken,
  };
  writeFileSync(join(given, 'state.json'), JSON.stringify(deployment));
  writeFileSync(join(given, 'ledger.yaml'), inputs.ledger);
  writeFileSync(join(given, 'found.json'), `${JSON.stringify(inputs.found, null, 2)}\n`);
  writeFileSync(join(given, 'environment.json'), `${JSON.stringify(environment, null, 2)}\n`);
  const { clusters, nodes } = inputs;
  const about = { environment: inputs.environment, state: fingerprint, clusters, nodes };
  writeFileSync(join(out, 'about.json'), `${JSON.stringify(about, null, 2)}\n`);
  writeFileSync(join(out, 'basis'), `${inputs.basis}\n`);
  return { state: fingerprint, unmarked };
}

/**
 * Takes secret values out of every file of a folder that a preview Pod wrote. Such a file may be a link to anywhere:
 * what is no plain file or folder is removed.
 * @returns how many files held one; more than none means that a fence has a hole
 */
export function scrub(folder: string, values: readonly string[]): number {
  let leaks = 0;
  for (const entry of readdirSync(folder)) {
    const path = join(folder, entry);
    const kind = lstatSync(path);
    if (kind.isDirectory()) leaks += scrub(path, values);
    else if (!kind.isFile()) rmSync(path, { force: true });
    else {
      const text = readFileSync(path, 'utf8');
      const hidden = hide(text, values);
      if (hidden.found === 0) continue;
      leaks += 1;
      writeFileSync(path, hidden.text);
    }
  }
  return leaks;
}

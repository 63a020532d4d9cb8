import { cpSync, lstatSync, mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { exitCode, Failure } from '../../clients/failure';
import { stackFile } from '../../stacks/load';
import { parseJson } from '../../text/json';
import { readUntrusted } from './session';

// The preview Pod's two containers share two folders and no other file: `given` is written by the one that has the
// engine, `left` by the one that runs the merge result's program, and each reads the other's.

/** Where things stand in the folder that holds both. */
export const handoverPaths = (folder: string) => {
  const given = join(folder, 'given');
  const left = join(folder, 'left');
  return {
    given,
    source: join(given, 'source'),
    stacks: join(given, 'stacks'),
    ledger: join(given, 'ledger.yaml'),
    found: join(given, 'found.json'),
    /** Written last: whoever finds it finds the rest. */
    order: join(given, 'order.json'),
    /** On which the engine's side answers the program. */
    monitor: join(given, 'monitor.sock'),
    left,
    /** On which the program waits for the engine's side. */
    language: join(left, 'language.sock'),
    log: join(left, 'log'),
    rules: join(left, 'rules.json'),
    ended: join(left, 'ended.json'),
  };
};
export type HandoverPaths = ReturnType<typeof handoverPaths>;

/** What the program's side is to do. */
const orderSchema = z.strictObject({
  environment: z.string().min(1),
  /** The program's variables: placeholders, and where its data is. */
  variables: z.record(z.string(), z.string()),
});
export type Order = z.infer<typeof orderSchema>;

/** How the program's side ended, as it says itself. */
const endedSchema = z.strictObject({
  code: z.number().int().min(0).max(255),
  /** Why it did not come to run the program. */
  fault: z.string().optional(),
});
export type EndedProgram = z.infer<typeof endedSchema>;

/** Bytes of a program's log that are kept. */
export const LONGEST_LOG = 8 << 20;
const LONGEST_ANSWER = 64 << 10;

function writeWhole(file: string, text: string): void {
  const part = `${file}.part`;
  writeFileSync(part, text);
  renameSync(part, file);
}

/**
 * The stack files of a checkout that nobody has reviewed. One that is a link is none: it would lead to a file of ours.
 * @throws Failure (exit 1) when the environment has none
 */
export function copyStacks(source: string, environment: string, into: string): void {
  mkdirSync(into, { recursive: true });
  const from = join(source, 'stacks');
  const isFolder = lstatSync(from, { throwIfNoEntry: false })?.isDirectory() === true;
  for (const name of isFolder ? readdirSync(from).filter((file) => /^Pulumi\..+\.yaml$/.test(file)) : []) {
    const text = readUntrusted(join(from, name));
    if (text !== undefined) writeFileSync(join(into, name), text);
  }
  if (readUntrusted(join(into, stackFile(environment))) === undefined) {
    throw new Failure(
      exitCode.red,
      `the merge result has no stacks/${stackFile(environment)}.`,
      'It must be a plain file.',
    );
  }
}

/** Hands a checkout and what the program may know over to the other side. Links stay links: they are followed there. */
export function handOver(
  paths: HandoverPaths,
  source: string,
  inputs: { readonly stacks: string; readonly ledger: string; readonly found: string; readonly order: Order },
): void {
  cpSync(source, paths.source, { recursive: true, verbatimSymlinks: true });
  cpSync(inputs.stacks, paths.stacks, { recursive: true });
  cpSync(inputs.ledger, paths.ledger);
  cpSync(inputs.found, paths.found);
  writeWhole(paths.order, JSON.stringify(inputs.order));
}

/** What the engine's side ordered; undefined as long as it did not. */
export function readOrder(paths: HandoverPaths): Order | undefined {
  const text = readUntrusted(paths.order);
  return text === undefined ? undefined : orderSchema.parse(parseJson(text));
}

export const writeEnded = (paths: HandoverPaths, ended: EndedProgram): void =>
  writeWhole(paths.ended, JSON.stringify(ended));

/** How the program's side ended, as far as it says so; undefined while it did not. */
export function readEnded(paths: HandoverPaths): EndedProgram | undefined {
  if (lstatSync(paths.ended, { throwIfNoEntry: false }) === undefined) return undefined;
  const parsed = endedSchema.safeParse(parseJson(readUntrusted(paths.ended, LONGEST_ANSWER) ?? ''));
  return parsed.success
    ? parsed.data
    : { code: exitCode.red, fault: 'what the program left cannot be read.' };
}

/** What the program printed. */
export function readProgramLog(paths: HandoverPaths): string {
  if (lstatSync(paths.log, { throwIfNoEntry: false }) === undefined) return '';
  return (
    readUntrusted(paths.log, LONGEST_LOG + 1024) ??
    `What the program left as its log is no plain file of at most ${LONGEST_LOG >> 20} MiB.\n`
  );
}

/** Whether the program waits for the engine's side. */
export const isServing = (paths: HandoverPaths): boolean =>
  lstatSync(paths.language, { throwIfNoEntry: false })?.isSocket() === true;

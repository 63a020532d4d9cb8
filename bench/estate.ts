import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { cpus, tmpdir, totalmem } from 'node:os';
import { delimiter, join } from 'node:path';
import { stringify } from 'yaml';
import { generatedCatalog } from '../test/support/catalog';

// What benches of whole commands share: a company in a folder, and its commands as processes.

export const moduleName = (index: number): string => `module-${String(index).padStart(3, '0')}`;
export const root = join(__dirname, '..');
/** The first so many modules. */
export const moduleNames = (count: number): string[] =>
  Array.from({ length: count }, (_, index) => moduleName(index));
export const SEED = 'a seed for benches, long enough to be one';

export const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

export const seconds = (milliseconds: number) => (milliseconds / 1000).toFixed(2);
export const print = (line: string) => process.stdout.write(`${line}\n`);

export interface Estate {
  readonly modules: number;
  readonly registry: string;
  readonly folder: string;
  readonly environment: NodeJS.ProcessEnv;
}

/** Writes the files of that many modules; those that stand are the same. */
export function writeCatalog(folder: string, modules: number): void {
  const texts = generatedCatalog(modules);
  for (const part of ['modules', 'services'] as const) {
    for (const [file, text] of Object.entries(texts[part]))
      writeFileSync(join(folder, 'catalog', part, file), text);
  }
}

export function estate(work: string, bin: string, registry: string, modules: number): Estate {
  const folder = join(work, `estate-${modules}`);
  const inFolder = (...names: string[]) => join(folder, ...names);
  for (const name of ['state', 'stacks', 'home', 'catalog/modules', 'catalog/services'])
    mkdirSync(inFolder(name), { recursive: true });
  writeCatalog(folder, modules);
  writeFileSync(
    inFolder('stacks', 'Pulumi.bench.yaml'),
    stringify({
      config: {
        'switchyard:environment': 'bench',
        'switchyard:backend': `file://${inFolder('state')}`,
        'switchyard:clusters': { ci: { context: 'one' }, production: { context: 'one' } },
        'switchyard:gitlab': {
          url: 'https://gitlab.test',
          botTokenExpires: new Date(Date.now() + 200 * 86_400_000).toISOString().slice(0, 10),
        },
        'switchyard:jenkins': { url: 'https://jenkins.test' },
        'switchyard:registry': { address: registry, scheme: 'http', onDelete: 'delete' },
        'switchyard:production': { onDelete: 'delete' },
      },
    }),
  );
  writeFileSync(inFolder('found.json'), '{}');
  // What Pulumi's own commands ask for beside a stack.
  writeFileSync(inFolder('Pulumi.yaml'), 'name: switchyard\nruntime: nodejs\n');
  return {
    modules,
    registry,
    folder,
    environment: {
      PATH: [bin, process.env.PATH].join(delimiter),
      HOME: process.env.HOME,
      PULUMI_HOME: inFolder('home'),
      PULUMI_BACKEND_URL: `file://${inFolder('state')}`,
      PULUMI_CONFIG_PASSPHRASE: 'only for this bench',
      PULUMI_SKIP_UPDATE_CHECK: 'true',
      SWITCHYARD_CATALOG: inFolder('catalog'),
      SWITCHYARD_STACKS: inFolder('stacks'),
      SWITCHYARD_LIBRARY: join(root, 'delivery', 'library'),
      SWITCHYARD_LEDGER_FILE: inFolder('ledger.yaml'),
      SWITCHYARD_FOUND_FILE: inFolder('found.json'),
      SWITCHYARD_SEED: SEED,
      GITLAB_TOKEN: 'of a bench',
    },
  };
}

/** The ledger as merges leave it: the next image of each module. */
export function release({ folder, registry }: Estate, number: number, modules: readonly string[]): void {
  const entry = (module: string) => ({
    image: `${registry}/modules/${module}@sha256:${String(number).padStart(64, '0')}`,
    commit: String(number).padStart(40, '0'),
    mergeRequest: 1,
    build: 'https://jenkins.test/1',
  });
  const entries = Object.fromEntries(modules.map((module) => [module, entry(module)]));
  writeFileSync(join(folder, 'ledger.yaml'), stringify({ modules: entries }));
}

/** @returns milliseconds, and what was printed */
export function run(
  { folder, environment }: Estate,
  command: string,
  args: readonly string[],
): Promise<{ readonly milliseconds: number; readonly stdout: string }> {
  const begun = performance.now();
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: folder, env: environment, stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.on('close', (code) =>
      code === 0
        ? resolve({ milliseconds: performance.now() - begun, stdout })
        : reject(new Error(`${command} ${args.join(' ')}: ${code}\n${stdout}\n${stderr}`)),
    );
  });
}

/** A line that says on which machine figures were measured. */
export const machine = (): string =>
  `Machine: ${cpus().length} x ${cpus()[0]?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}`;

/**
 * Runs a bench in a folder that goes with it (KEEP leaves it and says where it is), beside a registry that answers, after the
 * machine and the method.
 */
export async function benchIn(
  method: string,
  run: (work: string, registry: string) => Promise<void>,
): Promise<void> {
  print(machine());
  print(method);
  const work = mkdtempSync(join(tmpdir(), 'switchyard-bench-'));
  const registry = createServer((_request, response) => response.end()).listen(0, '127.0.0.1');
  try {
    await once(registry, 'listening');
    await run(work, `127.0.0.1:${(registry.address() as AddressInfo).port}`);
    if (process.env.KEEP) print(work);
    else rmSync(work, { recursive: true, force: true });
  } catch (error) {
    rmSync(work, { recursive: true, force: true });
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  } finally {
    registry.close();
  }
}

import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ProblemsError } from '../../../catalog/problems';
import { cli } from '../../../operations/cli';
import { documentOf, ended, FailedRun } from '../../../operations/cli/outcome';
import { EXIT, exitCodes, Refusal } from '../../../operations/cli/refusal';
import { backendOf } from '../../../operations/place';
import { root } from '../../support/model';

/** Runs the command line in this process. */
async function run(...args: string[]): Promise<{ out: string; err: string; code: unknown }> {
  const texts = { out: '', err: '' };
  const spies = (['stdout', 'stderr'] as const).map((stream) =>
    jest.spyOn(process[stream], 'write').mockImplementation((text) => {
      texts[stream === 'stdout' ? 'out' : 'err'] += String(text);
      return true;
    }),
  );
  const log = console.log;
  try {
    await cli().parseAsync(['node', 'switchyard', ...args]);
    return { ...texts, code: process.exitCode };
  } finally {
    console.log = log;
    process.exitCode = undefined;
    for (const spy of spies) spy.mockRestore();
  }
}

test('without --json the result stands on stdout, one line each', async () => {
  expect(await run('check', 'lab')).toEqual({
    out: expect.stringMatching(/^lab: \d+ modules, all \d+ rules hold\n$/),
    err: '',
    code: 0,
  });
});

test('with --json stdout is one document, also when the input is refused', async () => {
  const good = await run('check', 'lab', '--json');
  expect(JSON.parse(good.out)).toMatchObject({
    apiVersion: 'switchyard.dev/v1',
    kind: 'Check',
    environment: 'lab',
    result: 'succeeded',
    exitCode: 0,
  });
  const bad = await run('check', 'la', '--json');
  expect(bad.code).toBe(EXIT.badInput);
  expect(JSON.parse(bad.out)).toMatchObject({
    result: 'refused',
    errors: [{ file: 'stacks/Pulumi.la.yaml', remedy: 'Did you mean "lab"?' }],
  });
  expect(bad.err).toBe('stacks/Pulumi.la.yaml: there is no environment "la". Did you mean "lab"?\n');
});

test('the faults of all environments come at once, and one that they share stands once', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'switchyard-check-'));
  try {
    for (const part of ['catalog', 'stacks'])
      cpSync(join(root, part), join(folder, part), { recursive: true });
    const broken = (file: string) =>
      writeFileSync(file, readFileSync(file, 'utf8').replace(/^(.*backend: ).*$/m, '$1nowhere'));
    for (const name of ['lab', 'production']) broken(join(folder, 'stacks', `Pulumi.${name}.yaml`));
    writeFileSync(join(folder, 'catalog', 'modules', 'broken.yaml'), 'prot: 1\n');
    jest.replaceProperty(process, 'env', {
      ...process.env,
      SWITCHYARD_CATALOG: join(folder, 'catalog'),
      SWITCHYARD_STACKS: join(folder, 'stacks'),
    });
    const { err, code } = await run('check');
    expect(code).toBe(EXIT.badInput);
    const lines = err.trim().split('\n');
    expect(lines.filter((line) => line.includes('is not the URL of a state backend'))).toHaveLength(2);
    expect(lines.filter((line) => line.includes('prot: is not a known key'))).toHaveLength(1);
  } finally {
    jest.restoreAllMocks();
    rmSync(folder, { recursive: true, force: true });
  }
});

test('every exit code is explained in the help, once', () => {
  let help = '';
  const program = cli().configureOutput({ writeOut: (text) => (help += text) });
  program.outputHelp();
  for (const [code, meaning] of exitCodes) expect(help).toContain(`  ${code}  ${meaning}\n`);
  expect(exitCodes.map(([code]) => code)).toEqual([0, ...Object.values(EXIT)]);
});

test('an error ends with its code, and a failed run keeps its document', () => {
  expect(ended(new Refusal('held', EXIT.locked))).toEqual({
    code: 4,
    message: 'held',
    document: { errors: [{ message: 'held' }] },
  });
  expect(ended(new FailedRun('up failed', EXIT.failed, { resources: [1] })).document).toEqual({
    resources: [1],
  });
  expect(ended(new ProblemsError([{ file: 'a', what: 'is bad.', remedy: 'Mend.' }])).code).toBe(2);
  expect(ended(new Error('first\nsecond'))).toMatchObject({ code: 1, message: 'first' });
  expect(documentOf('Up', 'lab', EXIT.locked, {}).result).toBe('locked');
});

test("Pulumi's own variable chooses the backend, and is checked like the stack's key", () => {
  const settings = { backend: 's3://bucket' };
  expect(backendOf(settings, {})).toBe('s3://bucket');
  expect(backendOf(settings, { PULUMI_BACKEND_URL: 'gs://other' })).toBe('gs://other');
  expect(() => backendOf(settings, { PULUMI_BACKEND_URL: 'ftp://other' })).toThrow(
    /^PULUMI_BACKEND_URL: has the scheme "ftp", for which Pulumi has no backend\. Use "file:/,
  );
});

import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PROGRAM_FILE, programOf } from '../../catalog/program';
import { WorkingCopy } from '../../clients/git';
import { checkOutProgram } from '../../delivery/applied';
import { run } from '../../delivery/commands';
import { cloneUrl } from '../../delivery/verify';
import { root } from '../support/model';
import { makeWorld, PROJECT, type World } from './world';

const SOURCES = {
  'index.ts': 'export = 1;\n',
  'components/a.ts': 'a\n',
  'delivery/a.ts': 'a\n',
  'operations/cli.ts': 'a\n',
  'rules/a.ts': 'a\n',
  'catalog/load.ts': 'a\n',
  'stacks/load.ts': 'a\n',
};

describe('the program that was applied', () => {
  let world: World;
  beforeAll(async () => {
    world = await makeWorld();
    await world.push('main', SOURCES);
  });
  afterAll(() => world?.close());

  let count = 0;
  const checkOut = async (program: string) => {
    const folder = join(world.folder, `applied-${count++}`);
    const commit = await checkOutProgram(world.context, { project: PROJECT, program, folder });
    return { commit, folder };
  };
  /** The program of a commit, told from its files on disk. */
  const programAt = async (
    commit: string,
    of: (folder: string) => string = (folder) => programOf(folder),
  ): Promise<string> => {
    const copy = new WorkingCopy(join(world.folder, `commit-${count++}`), {
      url: cloneUrl(world.context.gitlabUrl, PROJECT),
      token: world.context.token,
    });
    await copy.open();
    await copy.fetchUntil(['main'], () => copy.has(commit));
    await copy.checkOut(commit);
    return of(copy.folder);
  };

  test('is that of the newest commit which has it, whatever else came since', async () => {
    const old = await programAt(await world.push('main', { 'docs/x.md': 'x\n' }));
    await world.push('main', { 'components/a.ts': 'b\n' });
    const newer = await world.push('main', { 'catalog/modules/orders.yaml': 'description: new\n' });
    const program = await programAt(newer);
    expect(program).not.toBe(old);
    expect((await checkOut(program)).commit).toBe(newer);
    const { folder } = await checkOut(old);
    expect(readFileSync(join(folder, 'components/a.ts'), 'utf8')).toBe('a\n');
    expect(programOf(folder)).toBe(old);
  });

  test('is found by the Switchyard that the repository installs, where it installs one', async () => {
    const product = join(world.folder, 'product');
    mkdirSync(product);
    writeFileSync(join(product, PROGRAM_FILE), `${'a'.repeat(64)}\n`);
    const older = await world.push('main', { 'addresses/own.ts': 'a\n' });
    await world.push('main', { 'addresses/own.ts': 'b\n' });
    const program = await programAt(older, (folder) => programOf(product, folder));
    const folder = join(world.folder, 'own-found');
    expect(await checkOutProgram(world.context, { project: PROJECT, program, folder, product })).toBe(older);
    const another = { project: PROJECT, program: await programAt(older), folder, product };
    await expect(checkOutProgram(world.context, another)).rejects.toThrow('no commit of');
  });

  test('is refused with what to do where no commit has it', async () => {
    await expect(checkOut('e'.repeat(64))).rejects.toThrow(
      /not the one that was applied last, and no commit of switchyard\/orders's main has that one\. .*switchyard up/,
    );
  });
});

test('where no project has it, what to do is told as well', async () => {
  const said = jest.spyOn(process.stderr, 'write').mockReturnValue(true);
  try {
    expect(await run(['as-applied', '--program', '/nowhere', '--', 'up', 'lab'])).toBe(1);
    expect(said.mock.calls.join('')).toMatch(
      /no project of the topology to get that one from\. Run `switchyard up`/,
    );
  } finally {
    said.mockRestore();
  }
});

describe('switchyard in the delivery image', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'switchyard-launcher-'));
    mkdirSync(join(folder, 'bin'));
    for (const [name, text] of [
      ['node', '#!/bin/sh\necho node "$@"\n'],
      ['delivery', '#!/bin/sh\necho delivery "$@"\n'],
    ] as const) {
      writeFileSync(join(folder, 'bin', name), text);
      chmodSync(join(folder, 'bin', name), 0o755);
    }
    writeFileSync(join(folder, 'program-id'), 'one\n');
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  /** The launcher as the image has it, with its two places in a folder of this test. */
  const launched = (applied?: string): string => {
    if (applied !== undefined) writeFileSync(join(folder, 'id'), applied);
    const launcher = join(folder, 'switchyard');
    const text = readFileSync(join(root, 'delivery', 'image', 'bin', 'switchyard'), 'utf8')
      .replace('/etc/switchyard/program/id', join(folder, 'id'))
      .replaceAll('/opt/switchyard', folder);
    writeFileSync(launcher, text);
    return execFileSync('sh', [launcher, 'up', 'lab', '--only', 'a b'], {
      encoding: 'utf8',
      env: { PATH: `${join(folder, 'bin')}:${process.env.PATH}` },
    }).replaceAll(folder, '.');
  };

  test('runs its own program where that was applied, and where nobody says which was', () => {
    const own = 'node ./lib/switchyard.js up lab --only a b\n';
    expect(launched()).toBe(own);
    expect(launched('one\n')).toBe(own);
  });

  test('has the one that was applied run where it is another', () => {
    expect(launched('two\n')).toBe('delivery as-applied --program ./id -- up lab --only a b\n');
  });
});

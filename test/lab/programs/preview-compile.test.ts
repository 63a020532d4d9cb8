import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { programOf } from '../../../catalog/program';
import { compileMerged, imageCompiler } from '../../../delivery/preview/compile';
import { buildDeliveryImage, bundlePackages } from '../../../operations/build/bundles';
import { makeWorld, PROJECT } from '../../delivery/world';
import { root } from '../../support/model';

// Bundles every package that the programs import.
jest.setTimeout(300_000);

test('a preview compiles the program of a merge request with what its image has, and with nothing else', async () => {
  const image = mkdtempSync(join(tmpdir(), 'switchyard-image-'));
  try {
    await bundlePackages(root, image);
    const compiler = imageCompiler(join(image, 'lib'));
    const { file } = await compileMerged(root, join(image, 'merged'), compiler);
    const said = execFileSync(process.execPath, [file, 'check', 'lab'], {
      cwd: root,
      encoding: 'utf8',
      env: { PATH: process.env.PATH },
    });
    expect(said).toMatch(/^lab: \d+ modules, all \d+ rules hold\n$/);
    const source = join(image, 'source');
    mkdirSync(join(source, 'operations'), { recursive: true });
    writeFileSync(join(source, 'operations', 'cli.ts'), "import 'left-pad';\n");
    await expect(compileMerged(source, join(image, 'other'), compiler)).rejects.toThrow(
      /operations\/cli\.ts:1: the package "left-pad" is not in the delivery image/,
    );
  } finally {
    rmSync(image, { recursive: true, force: true });
  }
});

interface Said {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

test('an image runs the program that was applied from its project, on the files of its Pod, and ends as that one does', async () => {
  const world = await makeWorld();
  try {
    const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
      cwd: root,
      encoding: 'utf8',
    });
    const sources = listed
      .split('\0')
      .filter((path) =>
        /^(catalog|clients|components|delivery|index|operations|rules|sdks\/gitlab-schema|stacks|text)/.test(
          path,
        ),
      );
    const texts = sources.map((path): [string, string] => [path, readFileSync(join(root, path), 'utf8')]);
    await world.push('main', Object.fromEntries(texts));
    // Has been merged since, and is not applied yet.
    await world.push('main', { 'operations/cli.ts': "throw new Error('not applied');\n" });
    const image = join(world.folder, 'image');
    await buildDeliveryImage(root, { out: image, previews: true });
    const program = join(world.folder, 'id');
    writeFileSync(program, `${programOf(root)}\n`);
    const [group = '', project = ''] = PROJECT.split('/');
    const asApplied = async (...args: string[]): Promise<Said> => {
      const command = [join(image, 'lib', 'delivery.js'), 'as-applied', '--program', program, '--', ...args];
      const env = {
        PATH: process.env.PATH,
        GITLAB_URL: world.url,
        GITLAB_TOKEN: world.context.token,
        SWITCHYARD_GITLAB_GROUP: group,
        SWITCHYARD_TOPOLOGY_PROJECT: project,
        SWITCHYARD_CATALOG: join(root, 'catalog'),
        SWITCHYARD_STACKS: join(root, 'stacks'),
      };
      try {
        return {
          code: 0,
          ...(await promisify(execFile)(process.execPath, command, { cwd: world.folder, env })),
        };
      } catch (error) {
        return error as Said;
      }
    };
    const good = await asApplied('check', 'lab');
    expect(good).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^lab: \d+ modules, all \d+ rules hold\n$/),
    });
    expect(good.stderr).toMatch(/^delivery: .*: running the program of commit [0-9a-f]{12}\n$/);
    const bad = await asApplied('check', 'nowhere');
    expect(bad.code).toBe(2);
    expect(bad.stderr).toMatch(
      /: running the program of commit .*\nstacks\/Pulumi.nowhere.yaml: there is no environment "nowhere"/,
    );
  } finally {
    await world.close();
  }
});

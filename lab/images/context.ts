import {
  copyFileSync,
  cpSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { cacheHome, hashFiles, LabError, type StepLog } from '../steps';
import type { ImageDefinition } from './definitions';
import { agentInputs, makeAgentProgram } from './program';

const REPOSITORY = join(__dirname, '..', '..');

/** Folder with the Dockerfile of an image. */
export const imageFolder = (image: ImageDefinition): string =>
  image.extra === 'jenkins' ? join(REPOSITORY, 'lab', 'jenkins') : join(__dirname, image.name);

/** Where the toolchain put a program. @throws LabError when it was not built */
function program(name: string): string {
  const path = join(cacheHome(), 'bin', name);
  if (!existsSync(path)) {
    throw new LabError(
      `${name} is not in the toolchain (${path})`,
      'Run the toolchain steps first: npm run lab',
    );
  }
  return realpathSync(path);
}

/** The toolchain names its folders by content hash (`<name>-<hash>`); anything else is hashed itself. */
async function programHash(name: string): Promise<string> {
  const path = program(name);
  const folder = basename(dirname(path));
  return /-[0-9a-f]{8,}$/.test(folder) ? `${name} ${folder}` : `${name} ${await hashFiles([path])}`;
}

/** Hash of all that an image is made from, its parent included. */
export async function imageHash(image: ImageDefinition, parent: string | undefined): Promise<string> {
  const programs = await Promise.all(Object.keys(image.programs ?? {}).map(programHash));
  const files =
    image.extra === 'jenkins'
      ? ['Dockerfile', '.dockerignore', 'bin', 'target/jenkins.jar', 'target/lib'].map((part) =>
          join(imageFolder(image), part),
        )
      : [imageFolder(image)];
  const extra = image.extra === 'agent-program' ? await agentInputs() : [];
  return hashFiles([...files, ...extra], [...programs.sort(), parent ?? 'scratch']);
}

/** Puts a build context together; programs are linked, not copied, as they are large. */
export async function makeContext(image: ImageDefinition, log: StepLog): Promise<string> {
  if (image.extra === 'jenkins') return imageFolder(image);
  const context = join(cacheHome(), 'images', 'context', image.name);
  rmSync(context, { recursive: true, force: true });
  mkdirSync(dirname(context), { recursive: true });
  cpSync(imageFolder(image), context, { recursive: true });
  for (const [name, target] of Object.entries(image.programs ?? {})) {
    const to = join(context, target);
    mkdirSync(dirname(to), { recursive: true });
    try {
      linkSync(program(name), to);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EXDEV') throw error;
      copyFileSync(program(name), to);
    }
  }
  if (image.extra === 'wheels') await pythonWheels(context, log);
  if (image.extra === 'agent-program') await makeAgentProgram(context, log);
  if (image.extra === 'libraries') await maven(context, log, 'copy', 'libs');
  if (image.extra === 'distribution') await distribution(context, log);
  return context;
}

/** What the image's `pom.xml` pins, with all that it needs: `copy` leaves archives as they are, `unpack` opens them. */
const maven = (context: string, log: StepLog, how: 'copy' | 'unpack', folder: string) =>
  log.exec(
    'mvn',
    [
      ...['-B', '-ntp', '-q', '-f', join(context, 'pom.xml')],
      ...[`dependency:${how}-dependencies`, `-DoutputDirectory=${join(context, folder)}`],
    ],
    { timeoutSeconds: 600 },
  );

/** A program's archive, whose only folder becomes `home`. */
async function distribution(context: string, log: StepLog): Promise<void> {
  await maven(context, log, 'unpack', 'unpacked');
  const unpacked = join(context, 'unpacked');
  const [folder = ''] = readdirSync(unpacked).filter((name) => name !== 'META-INF');
  renameSync(join(unpacked, folder), join(context, 'home'));
  rmSync(unpacked, { recursive: true });
  await plugin(join(context, 'plugin'), join(context, 'home'), log);
}

/** A plug-in of ours for that program, made of the Java files of a folder and of the program's own jars. */
async function plugin(folder: string, home: string, log: StepLog): Promise<void> {
  const sources = readdirSync(folder).filter((name) => name.endsWith('.java'));
  const classes = join(folder, 'classes');
  const to = join(home, 'plugins', 'switchyard-lab');
  mkdirSync(to, { recursive: true });
  const files = sources.map((name) => join(folder, name));
  const options = ['--release', '17', '-d', classes, '-cp', join(home, 'lib', '*')];
  await log.exec('javac', [...options, ...files], { timeoutSeconds: 300 });
  const jar = join(to, 'plugin.jar');
  await log.exec('jar', ['--create', '--file', jar, '-C', classes, '.'], { timeoutSeconds: 120 });
  copyFileSync(join(folder, 'plugin-descriptor.properties'), join(to, 'plugin-descriptor.properties'));
}

/** Wheels for the image's Python 3.11, whatever Python the host has; every version is pinned, none is resolved. */
async function pythonWheels(context: string, log: StepLog): Promise<void> {
  await log.exec(
    'python3',
    [
      ...['-m', 'pip', 'install', '--quiet', '--no-deps', '--no-compile', '--only-binary=:all:'],
      ...['--platform', 'manylinux2014_x86_64', '--platform', 'manylinux_2_28_x86_64'],
      ...['--implementation', 'cp', '--python-version', '3.11'],
      ...['--target', join(context, 'site-packages'), '--requirement', join(context, 'requirements.txt')],
    ],
    { timeoutSeconds: 300, env: { PIP_ROOT_USER_ACTION: 'ignore' } },
  );
  rmSync(join(context, 'site-packages', 'bin'), { recursive: true, force: true });
}

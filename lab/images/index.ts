import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MIRROR, MIRROR_PUSH } from '../machine/addresses';
import { cacheHome, hashFiles, LabError, labHome, type Step, type StepLog } from '../steps';
import { partOf } from '../toolchain/parts';
import { hostSources, sourcesList } from './apt';
import { imageHash, makeContext } from './context';
import { BASE, IMAGES, type ImageDefinition, SUITE_IMAGES, type Suite } from './definitions';
import { CONTENT_LABEL, contentInMirror } from './mirror';

export interface ImageOptions {
  /** Registry that images are read from, plain http, host:port. @default the lab's mirror */
  mirror?: string;
  /** Where what that one serves is pushed. @default where the lab's mirror takes it */
  mirrorPush?: string;
  /** Address of the engine. @default the lab's own engine */
  dockerHost?: string;
}

const ROOTFS = join(__dirname, 'debian', 'rootfs.sh');

interface Image {
  readonly name: string;
  readonly tag: string;
}

/** Docker as the lab uses it: its own engine, its own client configuration, builds by BuildKit. */
function docker(options: ImageOptions) {
  const { mirror = MIRROR, mirrorPush = MIRROR_PUSH } = options;
  const env = {
    DOCKER_HOST: options.dockerHost ?? `unix://${join(labHome(), 'run', 'docker.sock')}`,
    DOCKER_CONFIG: join(labHome(), 'docker-client'),
    DOCKER_BUILDKIT: '1',
    DOCKER_CONTEXT: '',
  };
  let client: string | undefined;
  const exec = (log: StepLog, ...args: string[]) => {
    client ??= findClient();
    mkdirSync(env.DOCKER_CONFIG, { recursive: true });
    return log.exec(client, args, { env, timeoutSeconds: 1200 });
  };
  const reference = (image: Image) => `${mirror}/${image.name}:${image.tag}`;
  return {
    reference,
    mirror,
    exec,
    /** Brings an image that the engine has into the mirror, which takes no push by the name that it is read by. */
    push: async (log: StepLog, image: Image) => {
      const pushed = `${mirrorPush}/${image.name}:${image.tag}`;
      await exec(log, 'tag', reference(image), pushed);
      await exec(log, 'push', '--quiet', pushed);
      // The image stays, by its other name.
      await exec(log, 'rmi', pushed);
    },
  };
}

/** Clients from 23 on build only through the buildx plug-in, which Debian 12 does not have; its own 20.10 needs none. */
function findClient(): string {
  for (const client of ['/usr/bin/docker', 'docker']) {
    try {
      const run = (...args: string[]) =>
        execFileSync(client, args, {
          encoding: 'utf8',
          env: process.env,
          stdio: ['ignore', 'pipe', 'ignore'],
        });
      const major = Number(/ (\d+)\./.exec(run('--version'))?.[1]);
      if (major >= 19 && major < 23) return client;
      run('buildx', 'version');
      return client;
    } catch {
      // the next one may do
    }
  }
  throw new LabError(
    'no Docker client here can build with BuildKit (secrets in RUN)',
    "Install Debian's: apt-get install docker.io",
  );
}

/**
 * A node keeps the image that it has under a tag (`imagePullPolicy: IfNotPresent`), so a running one is told to forget
 * an image made anew. An answer of 1 means that it never had it.
 */
async function forgetOnNode(log: StepLog, reference: string): Promise<void> {
  const socket = join(labHome(), 'run', 'containerd.sock');
  if (!existsSync(socket)) return;
  await log.exec('ctr', ['--address', socket, '--namespace', 'k8s.io', 'images', 'rm', reference], {
    accept: [0, 1],
    timeoutSeconds: 30,
  });
}

/** The mirror lies in the cache and outlives a lab that was taken down; the engine's own store does not. */
async function keep(
  log: StepLog,
  engine: ReturnType<typeof docker>,
  image: Image & { readonly base?: true },
): Promise<void> {
  log.line('the mirror has it in this very content');
  if (image.base) await engine.exec(log, 'pull', '--quiet', engine.reference(image));
}

/** The base image: debootstrap once per machine and content, then `docker import`. */
function baseStep(options: ImageOptions): Step {
  const engine = docker(options);
  const hash = () => hashFiles([ROOTFS]);
  return {
    name: 'image-debian',
    title: `Image ${BASE.name}:${BASE.tag}`,
    // debootstrap, the Docker client, a fresh list of the package sources.
    needs: ['packages', 'storage'],
    place: 'image',
    inputs: hash,
    done: async () => (await contentInMirror(engine.mirror, BASE.name, BASE.tag)) === (await hash()),
    run: async (log) => {
      const content = await hash();
      if ((await contentInMirror(engine.mirror, BASE.name, BASE.tag)) === content)
        return keep(log, engine, { ...BASE, base: true });
      const archive = join(cacheHome(), 'images', `debian-bookworm-${content.slice(0, 16)}.tar`);
      if (!existsSync(archive)) {
        mkdirSync(join(cacheHome(), 'images'), { recursive: true });
        const uri = hostSources().find((source) => source.suite === 'bookworm')?.uri ?? '';
        await log.exec('sh', [ROOTFS, archive, uri], { timeoutSeconds: 900 });
      }
      const changes = [
        `LABEL ${CONTENT_LABEL}=${content}`,
        'CMD ["bash"]',
        'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      ];
      await engine.exec(
        log,
        'import',
        ...changes.flatMap((change) => ['--change', change]),
        archive,
        engine.reference(BASE),
      );
      await engine.push(log, BASE);
      await forgetOnNode(log, engine.reference(BASE));
    },
  };
}

/** Steps that bring what an image is made from and with. */
function imageNeeds({ parent, programs = {}, extra }: ImageDefinition): string[] {
  const parts = Object.keys(programs).map((program) => `toolchain-${partOf(program)}`);
  return [
    // The Docker client, and the sources that its packages come from; python3-pip.
    'packages',
    'storage',
    ...(parent ? [`image-${parent}`] : []),
    ...new Set(parts),
    ...(extra === 'jenkins' ? ['jenkins-jar'] : []),
  ];
}

function imageStep(image: ImageDefinition, hash: () => Promise<string>, options: ImageOptions): Step {
  const engine = docker(options);
  return {
    name: `image-${image.name}`,
    title: `Image ${image.name}:${image.tag}`,
    needs: imageNeeds(image),
    place: 'image',
    inputs: hash,
    done: async () => (await contentInMirror(engine.mirror, image.name, image.tag)) === (await hash()),
    run: async (log) => {
      const content = await hash();
      if ((await contentInMirror(engine.mirror, image.name, image.tag)) === content)
        return keep(log, engine, image);
      const context = await makeContext(image, log);
      const secrets = mkdtempSync(join(tmpdir(), 'switchyard-apt-'));
      try {
        const sources = join(secrets, 'sources.list');
        writeFileSync(sources, sourcesList(hostSources()));
        // The host's package sources come in as a secret: they are there while RUN runs and in no layer.
        await engine.exec(
          log,
          ...['build', '--progress=plain', '--network=host', `--secret=id=apt,src=${sources}`],
          ...['--build-arg', `MIRROR=${engine.mirror}`, '--label', `${CONTENT_LABEL}=${content}`],
          ...['--tag', engine.reference(image), context],
        );
      } finally {
        rmSync(secrets, { recursive: true, force: true });
      }
      await engine.push(log, image);
      await forgetOnNode(log, engine.reference(image));
    },
  };
}

/**
 * One step per image; each needs the toolchain's programs, the lab's engine and its mirror, and ends with the image in
 * the mirror. An image is made again when its files, its programs or its parent changed.
 */
export function baseImageSteps(options: ImageOptions = {}): Step[] {
  return [baseStep(options), ...stepsOf(IMAGES, options)];
}

/** The same for what a suite brings, on a lab that is up: its own images are there. */
export function suiteImageSteps(suite: Suite, options: ImageOptions = {}): Step[] {
  const brought = SUITE_IMAGES.filter((image) => image.suite === suite);
  return stepsOf([...IMAGES, ...brought], options).slice(IMAGES.length);
}

function stepsOf(images: readonly ImageDefinition[], options: ImageOptions): Step[] {
  const hashes = new Map<string, () => Promise<string>>([[BASE.name, () => hashFiles([ROOTFS])]]);
  return images.map((image) => {
    const parent = image.parent ? hashes.get(image.parent) : undefined;
    if (image.parent && !parent) throw new Error(`${image.name}: ${image.parent} must come before it`);
    const hash = async () => imageHash(image, await parent?.());
    hashes.set(image.name, hash);
    return imageStep(image, hash, options);
  });
}

import { z } from 'zod';
import type {
  CheckCall,
  CheckFailure,
  CheckOutcome,
  CreateCall,
  DeleteCall,
  DiffCall,
  DiffKind,
  DiffOutcome,
  EngineLog,
  PluginProvider,
  ReadCall,
  UpdateCall,
} from '../shared/server';
import { containsUnknown, isRecord, jsonEqual, type Props, UNKNOWN } from '../shared/values';
import { contextDigest, packContext, readContext } from './context';
import { Engine, type EngineAddress, engineAddress, type RegistryAuth } from './engine';
import { imageReference, isWhole, registryOf } from './reference';

const IMAGE = 'docker:index/image:Image';
/** Kept among the inputs, as the official plug-in does, so that a changed file is a changed input. */
const DIGEST = 'contextDigest';

const flag = z.union([z.boolean(), z.enum(['true', 'false']).transform((text) => text === 'true')]);

/** Inputs of `Image` as @pulumi/docker 5.2 documents them. */
const imageSchema = z.strictObject({
  imageName: z.string(),
  build: z
    .strictObject({
      context: z.string().optional(),
      dockerfile: z.string().optional(),
      args: z.record(z.string(), z.string()).optional(),
      target: z.string().optional(),
      platform: z.string().optional(),
      network: z.string().optional(),
      addHosts: z.array(z.string()).optional(),
      builderVersion: z.enum(['BuilderV1', 'BuilderBuildKit']).optional(),
      cacheFrom: z.strictObject({ images: z.array(z.string()).optional() }).optional(),
      [DIGEST]: z.string().optional(),
    })
    .optional(),
  registry: z
    .strictObject({
      server: z.string().optional(),
      username: z.string().optional(),
      password: z.string().optional(),
    })
    .optional(),
  skipPush: flag.optional(),
  buildOnPreview: flag.optional(),
});

type ImageInputs = z.infer<typeof imageSchema>;

/** What the engine itself adds to a provider's inputs. */
const ENGINE_KEYS = new Set(['version', 'pluginDownloadURL', '__internal']);

const known = (inputs: Props): Props =>
  Object.fromEntries(
    Object.entries(inputs).filter(([key, value]) => !ENGINE_KEYS.has(key) && !containsUnknown(value)),
  );

/**
 * The lab's stand-in for the official Docker plug-in 5.2.0: the resource `Image` through the real Docker Engine API.
 * Everything else of the package is refused by name.
 */
export class DockerProvider implements PluginProvider {
  private address: EngineAddress | { fault: string } = { fault: 'docker provider: not configured' };

  constructor(
    private readonly log: Pick<EngineLog, 'status' | 'info'>,
    private readonly env: NodeJS.ProcessEnv = process.env,
  ) {}

  async checkConfig(inputs: Props): Promise<CheckOutcome> {
    const failures: CheckFailure[] = [];
    for (const [key, value] of Object.entries(known(inputs))) {
      if (key !== 'host') {
        failures.push({
          property: key,
          reason:
            "is not covered by the lab's docker plug-in: it knows host (unix:// or tcp://), and registry on an Image",
        });
      } else if (typeof value !== 'string') failures.push({ property: key, reason: 'must be a string' });
      else {
        const fault = faultOf(() => engineAddress(value));
        if (fault) failures.push({ property: key, reason: fault });
      }
    }
    return { inputs, failures };
  }

  async configure(inputs: Props): Promise<void> {
    const { failures } = await this.checkConfig(inputs);
    const [failure] = failures ?? [];
    if (failure) throw new Error(`docker provider: ${failure.property} ${failure.reason}`);
    const { host } = known(inputs);
    const text =
      typeof host === 'string' && host ? host : this.env.DOCKER_HOST || 'unix:///var/run/docker.sock';
    const fault = faultOf(() => engineAddress(text));
    this.address = fault ? { fault } : engineAddress(text);
  }

  async check({ type, inputs }: CheckCall): Promise<CheckOutcome> {
    assertImage(type);
    const parsed = imageSchema.safeParse(withoutUnknown(inputs));
    const failures: CheckFailure[] = (parsed.error?.issues ?? [])
      // A required input that is not known yet is not missing.
      .filter((issue) => !(issue.path.length === 1 && containsUnknown(inputs[String(issue.path[0])])))
      .flatMap((issue) =>
        issue.code === 'unrecognized_keys'
          ? issue.keys.map((key) => ({
              property: [...issue.path, key].join('.'),
              reason: 'is not an input of Image',
            }))
          : [{ property: issue.path.join('.'), reason: issue.message }],
      );
    if (!parsed.success) return { inputs, failures };
    if (inputs.imageName !== UNKNOWN) {
      const { imageName, skipPush } = parsed.data;
      const fault = faultOf(() => imageReference(imageName));
      if (fault) failures.push({ property: 'imageName', reason: fault });
      // getRegistryAddrFromImage: an image that is pushed is named with its registry.
      else if (skipPush !== true && !isWhole(imageName))
        failures.push({ property: 'imageName', reason: `"${imageName}" does not name its registry` });
    }
    const build = isRecord(inputs.build) ? inputs.build : {};
    if (containsUnknown(build.context) || containsUnknown(build.dockerfile)) return { inputs, failures };
    try {
      const digest = await contextDigest(
        readContext(parsed.data.build?.context, parsed.data.build?.dockerfile),
      );
      return { inputs: { ...inputs, build: { ...build, [DIGEST]: digest } }, failures };
    } catch (error) {
      failures.push({ property: 'build', reason: messageOf(error) });
      return { inputs, failures };
    }
  }

  async diff({ type, oldInputs, inputs }: DiffCall): Promise<DiffOutcome> {
    assertImage(type);
    const details = imageChanges(oldInputs, inputs);
    return { changes: Object.keys(details).length > 0, details };
  }

  async create({ type, urn, inputs, preview, signal }: CreateCall): Promise<{ id: string; outputs: Props }> {
    assertImage(type);
    const outputs = await this.apply(urn, inputs, preview, signal);
    return { id: String(outputs.imageName), outputs };
  }

  /** Whatever changed, it is built and pushed again. */
  async update({ type, urn, inputs, preview, signal }: UpdateCall): Promise<{ outputs: Props }> {
    assertImage(type);
    return { outputs: await this.apply(urn, inputs, preview, signal) };
  }

  /** The image's record is what the last build said; the official plug-in, too, does not look at the registry. */
  async read({ type, id, oldInputs, oldOutputs }: ReadCall) {
    assertImage(type);
    if (Object.keys(oldOutputs).length === 0) {
      throw new Error(`docker: Image "${id}" cannot be imported: an image is built, not adopted`);
    }
    return { id, inputs: oldInputs, outputs: oldOutputs };
  }

  /** As documented for the official plug-in, tags stay where they are, locally and in the registry. */
  async delete({ type }: DeleteCall): Promise<void> {
    assertImage(type);
  }

  private async apply(urn: string, inputs: Props, preview: boolean, signal: AbortSignal): Promise<Props> {
    if (containsUnknown(inputs) && preview) return imageOutputs(inputs, UNKNOWN);
    const image = imageSchema.parse(inputs);
    if (preview && image.buildOnPreview !== true) return imageOutputs(inputs, UNKNOWN);
    if ('fault' in this.address) throw new Error(this.address.fault);
    const engine = new Engine(this.address, signal);
    const { repository, tag } = imageReference(image.imageName);
    const auth = authOf(image);
    const say = (line: string) => this.log.status(urn, line);
    const imageId = await this.build(engine, image, auth, say);
    if (preview) return imageOutputs(inputs, UNKNOWN);
    const digest = image.skipPush === true ? imageId : await engine.push(repository, tag, auth, say);
    this.log.info(urn, image.skipPush === true ? `Built ${imageId}` : `Pushed ${repository}@${digest}`);
    return imageOutputs(inputs, `${repository}@${digest}`);
  }

  private async build(
    engine: Engine,
    image: ImageInputs,
    auth: RegistryAuth | undefined,
    say: (line: string) => void,
  ): Promise<string> {
    const { build = {} } = image;
    const context = readContext(build.context, build.dockerfile);
    const query: Record<string, string> = {
      t: image.imageName,
      dockerfile: context.dockerfileName,
      version: build.builderVersion === 'BuilderV1' ? '1' : '2',
      rm: '1',
      forcerm: '1',
    };
    if (build.args) query.buildargs = JSON.stringify(build.args);
    if (build.target) query.target = build.target;
    if (build.platform) query.platform = build.platform;
    if (build.network) query.networkmode = build.network;
    if (build.addHosts?.length) query.extrahosts = JSON.stringify(build.addHosts);
    if (build.cacheFrom?.images?.length) query.cachefrom = JSON.stringify(build.cacheFrom.images);
    // Build args may be secret: what the builder writes is shown only while it runs, without their values.
    const hidden = [...Object.values(build.args ?? {}), auth?.password ?? ''].filter(
      (value) => value.length >= 6,
    );
    const masked = (line: string) => hidden.reduce((text, value) => text.replaceAll(value, '[secret]'), line);
    try {
      return await engine.build(query, packContext(context), auth, (line) => say(masked(line)));
    } catch (error) {
      throw new Error(masked(messageOf(error)));
    }
  }
}

function assertImage(type: string): void {
  if (type === IMAGE) return;
  throw new Error(
    `${type} is not covered by the lab's docker plug-in, which knows ${IMAGE}. Leave it out of the lab's stack, or ` +
      'install the official plug-in: pulumi plugin install resource docker v5.2.0',
  );
}

function withoutUnknown(value: unknown): unknown {
  if (Array.isArray(value)) return value.filter((item) => item !== UNKNOWN).map(withoutUnknown);
  if (!isRecord(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key, inner]) => inner !== UNKNOWN && !key.startsWith('__'))
      .map(([key, inner]) => [key, withoutUnknown(inner)]),
  );
}

function authOf({ registry, imageName }: ImageInputs): RegistryAuth | undefined {
  // Half a login counts for nothing (getRegistryAuth).
  if (!registry?.username || !registry.password) return undefined;
  const serveraddress = registry.server ?? registryOf(imageName);
  return { username: registry.username, password: registry.password, serveraddress };
}

/** Changes that matter: credentials, as documented, do not rebuild an image. */
function imageChanges(oldInputs: Props, inputs: Props): Record<string, DiffKind> {
  const details: Record<string, DiffKind> = {};
  const compare = (path: string, before: unknown, after: unknown): void => {
    if (jsonEqual(before, after)) return;
    details[path] = before === undefined ? 'add' : after === undefined ? 'delete' : 'update';
  };
  for (const key of ['imageName', 'skipPush', 'buildOnPreview']) compare(key, oldInputs[key], inputs[key]);
  for (const key of ['build', 'registry']) {
    const before = isRecord(oldInputs[key]) ? oldInputs[key] : {};
    const after = inputs[key] === UNKNOWN ? { [DIGEST]: UNKNOWN } : isRecord(inputs[key]) ? inputs[key] : {};
    for (const part of new Set([...Object.keys(before), ...Object.keys(after)])) {
      if (part === 'username' || part === 'password') continue;
      compare(`${key}.${part}`, before[part], after[part]);
    }
  }
  return details;
}

function imageOutputs(inputs: Props, repoDigest: string): Props {
  const build = isRecord(inputs.build) ? inputs.build : {};
  const registry = isRecord(inputs.registry) ? inputs.registry : {};
  const context = build.context ?? '.';
  const { imageName } = inputs;
  return {
    imageName,
    baseImageName: imageName,
    context,
    dockerfile:
      build.dockerfile ??
      (context === '.' ? 'Dockerfile' : `${String(context).replace(/\/$/, '')}/Dockerfile`),
    platform: build.platform,
    registryServer: registry.server ?? (imageName === UNKNOWN ? UNKNOWN : registryOf(String(imageName))),
    repoDigest,
  };
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

function faultOf(work: () => unknown): string | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

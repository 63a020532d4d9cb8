import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { entryOf } from '../catalog/entry';
import { deepFreeze, didYouMean, locate, type Problem, ProblemsError, parseYaml } from '../catalog/problems';
import { yamlText } from '../text/yaml';
import { withoutPrefix } from './files';
import { defaultImages, type ImageRole, type StackSettings, stackSchema } from './schema';
import { type SecretName, secretNames } from './secrets';

const PREFIX = 'switchyard:';

/** A stack file: `config` with our keys, and whatever Pulumi itself keeps there (`encryptionsalt`, …). */
const stackFileSchema = z.looseObject({ config: z.record(z.string(), z.unknown()) });

/** A secret as Pulumi writes it into a stack file. */
const encrypted = z.looseObject({ secure: z.string() });

/**
 * Parses the text of a stack file.
 * @param name the environment, which the file must agree with
 * @throws ProblemsError with every fault
 */
export function parseStack(text: string, file: string, name: string): StackSettings {
  // What everyone may read is looked at once, below, where our keys are those of the settings.
  const outer = parseYaml(text, file, stackFileSchema, false);
  if ('problems' in outer) throw new ProblemsError(outer.problems);
  // Our keys carry the project's prefix; other namespaces (gitlab:, kubernetes:) belong to providers.
  const ours = withoutPrefix(text);
  const parsed = parseYaml(
    ours,
    file,
    z.looseObject({
      config: z.preprocess((config) => {
        if (config === null || typeof config !== 'object') return config;
        const foreign = Object.keys(outer.value.config).filter((key) => !key.startsWith(PREFIX));
        const apart = [...foreign, ...secretNames];
        return Object.fromEntries(Object.entries(config).filter(([key]) => !apart.includes(key)));
      }, stackSchema),
    }),
  );
  const problems: Problem[] = [];
  const report = (found: readonly Problem[]): never => {
    throw new ProblemsError(locate(found, (name) => (name === file ? ours : undefined)));
  };
  for (const [key, value] of Object.entries(outer.value.config)) {
    const secret = secretNames.find((one) => key === `${PREFIX}${one}`);
    if (secret && !encrypted.safeParse(value).success) {
      problems.push({
        file,
        key: `config.${secret}`,
        what: 'is a secret in plain text.',
        remedy: `Write it with "pulumi config set --secret ${key}".`,
      });
    }
    if (!key.includes(':')) {
      problems.push({
        file,
        key: `config.${key}`,
        what: 'has no namespace.',
        remedy: `Write "${PREFIX}${key}".`,
      });
    }
  }
  if ('problems' in parsed) return report([...problems, ...parsed.problems]);
  const settings = parsed.value.config;
  if (settings.environment !== name) {
    problems.push({
      file,
      key: 'config.environment',
      what: `is "${settings.environment}", but the file is for "${name}".`,
      remedy: 'Make the two agree.',
    });
  }
  return problems.length > 0 ? report(problems) : deepFreeze(settings);
}

/** Name of a stack's file: an environment's, or that of a part of its state. */
export const stackFile = (stack: string): string => `Pulumi.${stack}.yaml`;

/** Names of the environments that a folder has a file for. */
export function stackNames(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((file) => /^Pulumi\.[^.]+\.yaml$/.test(file))
    .map((file) => basename(file, '.yaml').slice('Pulumi.'.length))
    .sort();
}

/** Files that look like an environment's and are not read, by their ending. */
export const unreadStacks = (folder: string): Problem[] =>
  existsSync(folder)
    ? readdirSync(folder)
        .filter((file) => /^Pulumi\..+\.(yml|json)$/.test(file))
        .sort()
        .map((file) => ({
          file: `stacks/${file}`,
          what: 'is not read: its name does not end in ".yaml".',
          remedy: 'Rename it, or move it elsewhere.',
        }))
    : [];

/** What each file said when it was read last: all are held against each other, and none is parsed again for that. */
const known = new Map<string, { readonly text: string; readonly settings: StackSettings }>();

/**
 * Reads `Pulumi.<name>.yaml` in a folder.
 * @throws ProblemsError when there is none, or with every fault in it
 */
export function loadStack(folder: string, name: string): StackSettings {
  const file = `stacks/${stackFile(name)}`;
  const path = join(folder, stackFile(name));
  if (!existsSync(path)) {
    throw new ProblemsError([
      { file, what: `there is no environment "${name}".`, remedy: didYouMean(name, stackNames(folder)) },
    ]);
  }
  const text = readFileSync(path, 'utf8');
  const before = known.get(path);
  if (before?.text === text) return before.settings;
  const settings = parseStack(text, file, name);
  known.set(path, { text, settings });
  return settings;
}

/** The settings of an environment; undefined where there are none, or faulty ones. */
export function readableStack(folder: string, name: string): StackSettings | undefined {
  try {
    return loadStack(folder, name);
  } catch (error) {
    if (error instanceof ProblemsError) return undefined;
    throw error;
  }
}

/** Which secrets the stack file holds, encrypted by `pulumi config set --secret`. */
export function secretsInStack(folder: string, name: string): SecretName[] {
  const text = readFileSync(join(folder, stackFile(name)), 'utf8');
  const parsed = parseYaml(text, `stacks/${stackFile(name)}`, stackFileSchema);
  if ('problems' in parsed) throw new ProblemsError(parsed.problems);
  return secretNames.filter((key) => parsed.value.config[`${PREFIX}${key}`] !== undefined);
}

/** Whether the text of a stack file holds what Pulumi tells passphrases apart by. */
export const isSalted = (text: string): boolean => /^encryptionsalt:/m.test(text);

/** What Pulumi keeps in a stack file to encrypt with. */
const ENCRYPTION: readonly string[] = ['encryptionsalt', 'encryptedkey', 'secretsprovider'];

const holdsSecret = (value: unknown): boolean =>
  encrypted.safeParse(value).success ||
  (value !== null && typeof value === 'object' && Object.values(value).some(holdsSecret));

/** The text of a stack file without what it holds encrypted, and without what that is encrypted with. */
export function withoutSecrets(text: string): string {
  const { config, ...rest } = stackFileSchema.parse(parse(text, { uniqueKeys: false }));
  return yamlText(
    {
      ...Object.fromEntries(Object.entries(rest).filter(([key]) => !ENCRYPTION.includes(key))),
      config: Object.fromEntries(Object.entries(config).filter(([, value]) => !holdsSecret(value))),
    },
    {},
  );
}

const hasRegistry = (image: string): boolean => {
  const [first = '', ...rest] = image.split('/');
  return rest.length > 0 && /[.:]/.test(first.slice(1));
};

/** Where images come from: a mirror before those without a registry, and replacements by role or `kind:version`. */
export type ImageSettings = Partial<Pick<StackSettings['images'], 'mirror' | 'replace'>>;

/** An image name as this stack pulls it: replaced if the stack says so, behind the mirror if there is one. */
export function resolveImage(
  { images: { mirror, replace = {} } }: { readonly images: ImageSettings },
  key: string,
  image: string,
): string {
  const chosen = entryOf(replace, key) ?? image;
  return mirror && !hasRegistry(chosen) ? `${mirror}/${chosen}` : chosen;
}

export const imageFor = (settings: { readonly images: ImageSettings }, role: ImageRole): string =>
  resolveImage(settings, role, defaultImages[role]);

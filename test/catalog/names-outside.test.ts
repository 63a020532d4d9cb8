import fc from 'fast-check';
import { parseCatalog } from '../../catalog/load';
import { ProblemsError } from '../../catalog/problems';
import { imageName, userName } from '../../catalog/shapes';
import { jobFolder } from '../../stacks/gitlab';
import { parseStack } from '../../stacks/load';
import { character } from '../support/characters';
import { catalogTexts, stackWith } from '../support/model';
import { scaled } from '../support/scale';

// What GitLab, Jenkins and registries refuse is refused by `check` first: generated names against those systems' own rules, written
// down here from their sources and not from ours. No package registry has a schema of them: the GitLab provider's says "string",
// and Jenkins' plugins have none.

const RUNS = { numRuns: scaled({ usual: 400, all: 20_000 }) };

const refused = (read: () => unknown): boolean => {
  try {
    read();
    return false;
  } catch (error) {
    if (error instanceof ProblemsError) return true;
    throw error;
  }
};

/**
 * GitLab's lib/gitlab/path_regex.rb: `NAMESPACE_FORMAT_REGEX` and `PROJECT_PATH_FORMAT_REGEX` of what is there, and lib/gitlab/
 * regex.rb, `oci_repository_path_regex`, of what is made (Namespace#container_registry_namespace_path_validation and Project);
 * app/validators/addressable_url_validator.rb and lib/gitlab/url_blocker.rb for hooks; app/models/concerns/base_label.rb.
 */
const gitlab = {
  namespace: (part: string): boolean =>
    /^(?:[a-zA-Z0-9_.][a-zA-Z0-9_\-.]*[a-zA-Z0-9_-]|[a-zA-Z0-9_])(?<!\.git|\.atom)$/.test(part) &&
    part.length <= 255,
  project: (part: string): boolean =>
    /^[a-zA-Z0-9_.][a-zA-Z0-9_\-.]*(?<!\.git|\.atom)$/.test(part) && part.length <= 255,
  made: (part: string): boolean => /^[a-zA-Z0-9]+([._-][a-zA-Z0-9]+)*$/.test(part),
  label: (title: string): boolean => /^[^,]+$/.test(title) && title.trim() === title && title.length <= 255,
  hook: (address: string): boolean => {
    const { protocol, hostname } = new URL(address);
    return /^https?:$/.test(protocol) && /^[\p{L}\p{N}[]/u.test(hostname) && !/[\r\n]/.test(address);
  },
};

/** PROJECT_WILDCARD_ROUTES, and of TOP_LEVEL_ROUTES with doc/user/reserved_names.md those of one word. */
const BELOW =
  '- badges blame blob builds commits create create_dir edit files find_file new preview raw refs tree update wikis';
const TOP =
  'admin api assets dashboard explore files groups help import jwt login oauth profile projects public s search sitemap snippets unsubscribes uploads users v2';

/** Jenkins.checkGoodName (core): SECURITY-2424 added the dot at the end. */
const goodName = (name: string): boolean =>
  !['', '.', '..'].includes(name.trim()) &&
  !/[\p{Cc}?*/\\%!@#$^&|<>[\]:;]/u.test(name) &&
  !name.trim().endsWith('.');

/** distribution/reference: regexp.go, and `Parse` and `splitDockerDomain` of reference.go and normalize.go. */
function isReference(text: string): boolean {
  const component = '(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])';
  const host = `${component}(?:\\.${component})*(?::[0-9]+)?`;
  const path = '[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*';
  const remote = `${path}(?:/${path})*`;
  const form = `^(?:(${host})/)?(${remote})(?::([\\w][\\w.-]{0,127}))?(?:@sha256:[0-9a-f]{64})?$`;
  const first = text.slice(0, Math.max(0, text.indexOf('/')));
  const isHost = /[.:A-Z]/.test(first) || first === 'localhost';
  const rest = isHost ? text.slice(first.length + 1) : text.includes('/') ? text : `library/${text}`;
  const [, , name = ''] = new RegExp(form).exec(`${isHost ? first : 'docker.io'}/${rest}`) ?? [];
  return name !== '' && name.length <= 255;
}

const letters = (of: string, most = 12) =>
  fc.string({ unit: fc.constantFrom(...of), minLength: 1, maxLength: most });
const word = fc.oneof(
  letters('ab9-', 6),
  letters('aB9-_.', 8),
  fc.constantFrom(...`${BELOW} ${TOP}`.split(' ')),
  fc.constantFrom('a.git', 'a.atom', 'A.', '.a', '_a', 'a--b', 'a-', 'a..b', 'a_-b', '-', '.', '..'),
  fc.constantFrom('a'.repeat(255), 'a'.repeat(256)),
);

test('a module whose project, job or repository one of them refuses is refused', () => {
  const shop = catalogTexts.modules['shop.yaml'] ?? '';
  let taken = 0;
  fc.assert(
    fc.property(word, (name) => {
      if (refused(() => parseCatalog({ ...catalogTexts, modules: { [`${name}.yaml`]: shop } }))) return;
      taken += 1;
      expect([name, gitlab.made(name), gitlab.project(name)]).toEqual([name, true, true]);
      expect(BELOW.split(' ')).not.toContain(name);
      expect([name, goodName(name), isReference(`registry.test/modules/${name}:1`)]).toEqual([
        ...[name, true, true],
      ]);
    }),
    RUNS,
  );
  expect(taken).toBeGreaterThan(20);
});

const stackRefuses = (gitlabSettings: string): boolean => {
  const soon = new Date(Date.now() + 90 * 86_400_000).toISOString().slice(0, 10);
  const text = stackWith({ gitlab: `botTokenExpires: "${soon}", ${gitlabSettings}` });
  return refused(() => parseStack(text, 'stacks/Pulumi.test.yaml', 'test'));
};

test('a group that GitLab would not make is refused, and its folder is one that Jenkins takes', () => {
  let taken = 0;
  fc.assert(
    fc.property(word, (name) => {
      if (stackRefuses(`group: ${JSON.stringify(name)}`)) return;
      taken += 1;
      expect([name, gitlab.made(name), gitlab.namespace(name), goodName(name)]).toEqual([
        ...[name, true, true, true],
      ]);
      expect(TOP.split(' ')).not.toContain(name);
    }),
    RUNS,
  );
  expect(taken).toBeGreaterThan(20);
});

const path = fc.array(word, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));
const reservedBelow = (parts: readonly string[]): boolean =>
  parts.some((part) => BELOW.split(' ').includes(part.toLowerCase()));

test('a group or a project that is said to be there is taken exactly where GitLab can have it', () => {
  const seen = new Set<string>();
  fc.assert(
    fc.property(path, (full) => {
      const parts = full.split('/');
      const group = parts.every(gitlab.namespace) && !reservedBelow(parts.slice(1));
      const last = parts.at(-1) ?? '';
      const project =
        parts.length > 1 &&
        parts.slice(0, -1).every(gitlab.namespace) &&
        gitlab.project(last) &&
        !reservedBelow(parts.slice(1));
      expect([full, !stackRefuses(`group: { existing: ${JSON.stringify(full)} }`)]).toEqual([full, group]);
      expect([full, !stackRefuses(`projects: { shop: { existing: ${JSON.stringify(full)} } }`)]).toEqual([
        ...[full, project],
      ]);
      if (group) expect([full, goodName(jobFolder({ group: full } as never))]).toEqual([full, true]);
      seen.add(`${group} ${project}`);
    }),
    RUNS,
  );
  expect([...seen].sort()).toEqual(['false false', 'false true', 'true false', 'true true']);
});

test('the names of users are taken exactly where GitLab can have them', () => {
  fc.assert(
    fc.property(word, (name) => {
      expect([name, userName.safeParse(name).success]).toEqual([name, gitlab.namespace(name)]);
    }),
    RUNS,
  );
});

test('a label is taken only where GitLab keeps it as it is written', () => {
  const title = fc.oneof(
    letters('ab <>&;,#/\'"\n', 10),
    fc.string({ unit: character, maxLength: 12 }),
    fc.constantFrom('<b>a</b>', 'a &amp; b', 'a & b', 'a < b', 'scope::a', 'a&#38;', 'a'.repeat(256)),
  );
  let taken = 0;
  fc.assert(
    fc.property(title, (name) => {
      if (stackRefuses(`labels: [{ name: ${JSON.stringify(name)}, color: "#aabbcc" }]`)) return;
      taken += 1;
      expect([name, gitlab.label(name)]).toEqual([name, true]);
      // `sanitize_value` of app/models/label.rb: no tag, comment or character by its name.
      expect(name).not.toMatch(/<[a-z/!?]|&(?:#|[a-z])[a-z0-9]*;/i);
    }),
    RUNS,
  );
  expect(taken).toBeGreaterThan(20);
});

test('an address of Jenkins is taken only where GitLab takes it for a hook', () => {
  const host = letters('ab1-.', 8);
  const address = fc
    .tuple(
      fc.constantFrom('http://', 'https://', 'ftp://', 'http:/', '//'),
      host,
      fc.constantFrom('', ':8080', ':99999', '/jenkins', '/a b'),
    )
    .map((parts) => parts.join(''));
  let taken = 0;
  fc.assert(
    fc.property(address, (url) => {
      const text = stackWith({}).replace('https://jenkins.test', url);
      if (refused(() => parseStack(text, 'stacks/Pulumi.test.yaml', 'test'))) return;
      taken += 1;
      expect([url, gitlab.hook(`${url}/project/switchyard/shop`)]).toEqual([url, true]);
    }),
    RUNS,
  );
  expect(taken).toBeGreaterThan(10);
});

test('the name of an image is taken exactly where registries and kubelets take it', () => {
  const part = fc.oneof(
    letters('ab1', 3),
    letters('aA1._-', 5),
    fc.constantFrom('a..b', 'a__b', 'a--b', 'a.-b', 'localhost', 'Reg'),
  );
  const name = fc
    .tuple(
      fc.option(
        fc.tuple(part, fc.constantFrom('', ':5000', '.test', '.test:443', ':')).map((two) => two.join('')),
        { nil: '' },
      ),
      fc.array(fc.oneof({ weight: 9, arbitrary: part }, fc.constantFrom('a'.repeat(255), 'a'.repeat(130))), {
        minLength: 1,
        maxLength: 3,
      }),
      fc.constantFrom(
        '',
        ':1.2',
        ':',
        ':a_b',
        `@sha256:${'a'.repeat(64)}`,
        `:1@sha256:${'b'.repeat(64)}`,
        '@sha256:ab',
      ),
    )
    .map(([registry, parts, version]) => `${registry ? `${registry}/` : ''}${parts.join('/')}${version}`);
  const seen = new Set<boolean>();
  fc.assert(
    fc.property(name, (text) => {
      const taken = imageName.safeParse(text).success;
      // Ours is bounded as a whole, too.
      expect([text, taken]).toEqual([text, isReference(text) && text.length <= 512]);
      seen.add(taken);
    }),
    { ...RUNS, examples: [[`a__b.test/${'a'.repeat(255)}`], [`ab.test/${'a'.repeat(255)}`]] },
  );
  expect(seen.size).toBe(2);
});

import {
  Composer,
  type CST,
  Document,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  Parser,
  type Scalar,
  type YAMLMap,
  YAMLParseError,
} from 'yaml';
import type { z } from 'zod';
import { plainText } from '../text/terminal';
import { unicodeEscape } from '../text/unicode';
import { FOREIGN } from '../text/yaml';
import { entryOf } from './entry';
import { findLogin, LOGIN } from './logins';

/** One fault in a file that a person wrote: where, what, and what to do about it. */
export interface Problem {
  /** Path as the person knows it, e.g. `catalog/modules/orders.yaml`. */
  readonly file: string;
  /** 1-based line; absent when the fault has no place in the text. */
  readonly line?: number;
  /** 1-based column, where no key says which part of the line is meant. */
  readonly column?: number;
  /** Dotted key, e.g. `services.0.version`; absent for faults of the whole file. */
  readonly key?: string;
  readonly what: string;
  readonly remedy: string;
}

/** A problem in one line, whatever stands in the file that it is told of. */
export function describeProblem(problem: Problem): string {
  const place = [problem.file, problem.line, problem.column].filter((part) => part !== undefined).join(':');
  const key = problem.key ? ` ${problem.key}:` : '';
  return plainText(`${place}:${key} ${problem.what} ${problem.remedy}`.trimEnd());
}

/** All faults found in one go. Its message has one line a fault and is fit to show as it is. */
export class ProblemsError extends Error {
  constructor(readonly problems: readonly Problem[]) {
    super(problems.map(describeProblem).join('\n'));
    this.name = 'ProblemsError';
  }
}

/** Edits between two words, a swap of neighbours counting as one: what typing errors are made of. */
function editDistance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  const at = (i: number, j: number): number => rows[i]?.[j] ?? Number.POSITIVE_INFINITY;
  for (let i = 1; i <= a.length; i++) {
    rows.push([i]);
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      const swapped = a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      rows[i]?.push(
        Math.min(
          at(i - 1, j) + 1,
          at(i, j - 1) + 1,
          at(i - 1, j - 1) + (same ? 0 : 1),
          swapped ? at(i - 2, j - 2) + 1 : Number.POSITIVE_INFINITY,
        ),
      );
    }
  }
  return at(a.length, b.length);
}

/** The candidate that a misspelt word most likely meant; none where every candidate is far. */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  const farthest = Math.max(1, Math.floor(word.length / 3));
  const ranked = candidates
    // Words whose lengths differ by more are farther than that: most are never compared.
    .filter((candidate) => Math.abs(candidate.length - word.length) <= farthest)
    .map((candidate) => ({ candidate, far: editDistance(word.toLowerCase(), candidate.toLowerCase()) }))
    .sort((a, b) => a.far - b.far || a.candidate.localeCompare(b.candidate));
  const best = ranked[0];
  return best && best.far <= farthest ? best.candidate : undefined;
}

export function didYouMean(word: string, candidates: readonly string[]): string {
  const near = nearest(word, candidates);
  if (near) return `Did you mean "${near}"?`;
  return candidates.length > 0 ? `Known: ${[...candidates].sort().join(', ')}.` : '';
}

export type Parsed<T> = { readonly value: T } | { readonly problems: readonly Problem[] };

interface Keyed {
  shape?: Record<string, z.ZodType>;
  def?: {
    innerType?: Keyed;
    in?: Keyed;
    out?: Keyed;
    options?: Keyed[];
    element?: Keyed;
    valueType?: Keyed;
  };
}

/**
 * The part of a schema that has keys, an element or values. Defaults wrap an inner type; a pipe has it on its far side
 * (`z.preprocess`) or on its near one (`.transform`); of a union it is the first that has keys.
 */
function unwrap(node: Keyed | undefined): Keyed | undefined {
  if (!node || node.shape || node.def?.element || node.def?.valueType) return node;
  const { innerType, in: before, out: after, options = [] } = node.def ?? {};
  return [innerType, after, before, ...options]
    .map(unwrap)
    .find((inner) => inner?.shape || inner?.def?.element || inner?.def?.valueType);
}

/** The keys that the schema allows at a path, for "did you mean". */
function keysAt(schema: z.ZodType, path: readonly PropertyKey[]): string[] {
  let node = unwrap(schema as unknown as Keyed);
  for (const part of path) {
    node = unwrap(
      typeof part === 'number'
        ? node?.def?.element
        : ((entryOf(node?.shape, String(part)) as unknown as Keyed | undefined) ?? node?.def?.valueType),
    );
  }
  return Object.keys(node?.shape ?? {});
}

/** Of a union none of whose options fits, the faults of the option that is nearest to what was written. */
function nearestFaults(issue: z.core.$ZodIssue): z.core.$ZodIssue[] {
  // A key that is wrong itself: what is wrong with it stands inside.
  if (issue.code === 'invalid_key')
    return issue.issues.map((fault) => ({ ...fault, path: issue.path }) as z.core.$ZodIssue);
  if (issue.code !== 'invalid_union') return [issue];
  const [best] = issue.errors
    .filter((faults) => !faults.some((fault) => fault.code === 'invalid_type' && fault.path.length === 0))
    .sort((a, b) => a.length - b.length);
  if (!best) return [issue];
  return best.flatMap((fault) => nearestFaults({ ...fault, path: [...issue.path, ...fault.path] }));
}

type Path = readonly PropertyKey[];
type Ranged = { readonly range?: readonly [number, number, number] | null };

/** Parts of a dotted path that one key may be, beside all of it: the rest is hostile. */
const DOTTED = [1, 2, 3, 4, 5, 6, 7, 8];
const joined = (path: Path, count: number): string => path.slice(0, count).join('.');

/** Finds the lines of a document's keys. Each map is indexed once: a file may have thousands of keys, and of faults. */
class Places {
  private readonly indexed = new WeakMap<YAMLMap, ReadonlyMap<string, unknown>>();

  constructor(
    private readonly document: Document,
    private readonly counter: LineCounter,
  ) {}

  line(offset: number): number {
    return this.counter.linePos(offset).line;
  }

  /** Line of what stands at a path, or of the nearest that is there above it. */
  of(path: Path): number | undefined {
    let node: unknown = this.document.contents;
    let rest = path;
    for (let line: number | undefined; ; ) {
      const range = (node as Ranged | null | undefined)?.range;
      if (!range) return line;
      line = this.line(range[0]);
      // A key may have dots in it, which a dotted path does not tell from those between two keys.
      const size = [rest.length, ...DOTTED].find(
        (count) => count <= rest.length && this.inside(node, joined(rest, count)) !== undefined,
      );
      if (!size) return line;
      node = this.inside(node, joined(rest, size));
      rest = rest.slice(size);
    }
  }

  private inside(node: unknown, part: PropertyKey): unknown {
    if (isSeq(node)) return node.items[Number(part)];
    if (!isMap(node)) return undefined;
    const known = this.indexed.get(node) ?? indexOf(node);
    this.indexed.set(node, known);
    return known.get(String(part));
  }
}

const indexOf = (map: YAMLMap): ReadonlyMap<string, unknown> =>
  new Map(map.items.map(({ key, value }) => [isScalar(key) ? String(key.value) : '', value]));

/** What no program, container or API server can keep, although YAML can write it. */
function unkeepable(text: string): Omit<Problem, 'file'> | undefined {
  if (text.includes('\u0000'))
    return { what: 'has a NUL character in it.', remedy: 'Remove it: programs end their texts there.' };
  if (/\p{Surrogate}/u.test(text))
    return { what: 'has half of a character in it.', remedy: 'Write the character itself.' };
  return text === '__proto__'
    ? { what: '"__proto__" is a name that cannot be kept.', remedy: 'Choose another name.' }
    : undefined;
}

interface Placed {
  readonly node: unknown;
  /** Of a key with the key itself. */
  readonly path: Path;
  readonly isKey: boolean;
}

/** Everything in a document, keys too; nothing calls itself, however deep it is. */
function* nodesOf(document: Document): Generator<Placed> {
  const open: Placed[] = [{ node: document.contents, path: [], isKey: false }];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    yield next;
    const { node, path } = next;
    if (isSeq(node))
      open.push(...node.items.map((item, index) => ({ node: item, path: [...path, index], isKey: false })));
    if (!isMap(node)) continue;
    for (const { key, value } of node.items) {
      const here = [...path, isScalar(key) ? String(key.value) : ''];
      open.push({ node: key, path: here, isKey: true }, { node: value, path: here, isKey: false });
    }
  }
}

const byLine = (a: Problem, b: Problem): number => (a.line ?? 0) - (b.line ?? 0);

/** Keys that stand twice, and texts that cannot be kept; linear, where the parser's own look for twins is not. */
function textFaults(document: Document, places: Places, file: string): Problem[] {
  const faults: Problem[] = [];
  const fault = (node: unknown, path: Path, found: Omit<Problem, 'file'>): void => {
    const range = (node as Ranged).range;
    faults.push({ file, line: range ? places.line(range[0]) : 1, key: path.map(shown).join('.'), ...found });
  };
  for (const { node, path, isKey } of nodesOf(document)) {
    if (isMap(node)) {
      const seen = new Set<unknown>();
      for (const { key } of node.items) {
        if (!isScalar(key)) continue;
        if (seen.has(key.value))
          fault(key, [...path, String(key.value)], { what: 'stands twice.', remedy: 'Keep one of the two.' });
        seen.add(key.value);
      }
    } else if (isScalar(node) && typeof node.value === 'string' && (isKey || node.value !== '__proto__')) {
      const bad = unkeepable(node.value);
      if (bad) fault(node, path, bad);
    }
  }
  return faults.sort(byLine);
}

/** Where the text of a scalar begins: a block's header may have a comment behind it. */
function textStart({ range, type }: Scalar, text: string): number {
  const start = range?.[0] ?? 0;
  return type?.startsWith('BLOCK') ? text.indexOf('\n', start) : start;
}

/** A part of a path that may be shown: a key may hold what nobody is told. */
const openPart = (part: PropertyKey): PropertyKey =>
  findLogin(String(part), 'shell') === undefined ? part : '\u2026';

/**
 * Credentials in addresses, wherever they stand: everyone may read the file as it is. Scalars are read as YAML has them, and
 * what is no scalar, comments above all, as it was written. Who fills in variables is not known here, so that those of a
 * shell are none.
 */
function loginFaults(text: string, document: Document, counter: LineCounter, file: string): Problem[] {
  const faults: Problem[] = [];
  const fault = (offset: number, path?: Path): void => {
    const { line, col: column } = counter.linePos(offset);
    const place = path ? { key: path.map(openPart).map(shown).join('.') } : { column };
    faults.push({ file, line, ...place, what: `${LOGIN.what}.`, remedy: LOGIN.remedy });
  };
  const scalars: [start: number, end: number][] = [];
  for (const { node, path } of nodesOf(document)) {
    if (!isScalar(node) || !node.range) continue;
    const [start, end] = [textStart(node, text), node.range[1]];
    scalars.push([start, end]);
    if (typeof node.value !== 'string' || findLogin(node.value, 'shell') === undefined) continue;
    // Behind escapes it is not there in the text.
    fault(start + (findLogin(text.slice(start, end), 'shell') ?? 0), path);
  }
  scalars.sort(([a], [b]) => a - b).push([text.length, text.length]);
  let from = 0;
  for (const [start, end] of scalars) {
    for (const { 0: line, index } of text.slice(from, start).matchAll(/.+/g)) {
      const login = findLogin(line, 'shell');
      if (login !== undefined) fault(from + index + login);
    }
    from = end;
  }
  return faults.sort(byLine).slice(0, MOST_FAULTS);
}

/** A key as a message shows it: without what cannot be printed. */
const shown = (part: PropertyKey): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
  String(part).replace(/[\u0000-\u001f\u007f]|\p{Surrogate}/gu, '\ufffd');

/** Faults of syntax after which the rest of a text is not looked at: each further bracket would be one more. */
const MOST_FAULTS = 20;

function* untilBroken(tokens: Iterable<CST.Token>): Generator<CST.Token> {
  let faults = 0;
  for (const token of tokens) {
    yield token;
    if (token.type === 'error' && ++faults >= MOST_FAULTS) return;
  }
}

/** Levels of maps and lists, far beyond what any file here has: whoever reads more calls itself until it cannot any more. */
const MOST_DEPTH = 100;

/** Where a text begins to be nested deeper than that; its tokens are made, and looked at, level by level. */
function tooDeep(token: CST.Token): number | undefined {
  const open: [token: CST.Token, depth: number][] = [[token, 0]];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const [here, depth] = next;
    if (depth > MOST_DEPTH) return here.offset;
    const inner =
      here.type === 'document'
        ? [here.value]
        : 'items' in here
          ? here.items.flatMap(({ key, value }) => [key, value])
          : [];
    for (const each of inner.reverse()) if (each && 'items' in each) open.push([each, depth + 1]);
  }
  return undefined;
}

/** The document of a text that nobody reads further. */
function unread(offset: number): Document {
  const document = new Document(null);
  const message = `is nested more than ${MOST_DEPTH} levels deep`;
  document.errors.push(new YAMLParseError([offset, offset + 1], 'RESOURCE_EXHAUSTION', message));
  return document;
}

/** The document, faults and all; as `parseDocument` of the library does it, which reads on to the end. */
function readDocument(text: string, counter: LineCounter): Document {
  const composer = new Composer({ prettyErrors: false, uniqueKeys: false });
  const tokens = [...untilBroken(new Parser(counter.addNewLine).parse(text))];
  for (const token of tokens) {
    const deep = tooDeep(token);
    if (deep !== undefined) return unread(deep);
  }
  let document: Document | undefined;
  for (const each of composer.compose(tokens, true, text.length)) {
    if (!document) {
      document = each;
      continue;
    }
    const range: [number, number] = [each.range[0], each.range[1]];
    document.errors.push(new YAMLParseError(range, 'MULTIPLE_DOCS', 'Source contains multiple documents'));
    break;
  }
  return document ?? new Document(null);
}

/**
 * Problems that were found after parsing, with the line of their key where a text is known for their file.
 * @param textOf the text of a file, by the name that the problems use
 */
export function locate(
  problems: readonly Problem[],
  textOf: (file: string) => string | undefined,
): Problem[] {
  const open = new Map<string, Places | undefined>();
  const read = (file: string) => {
    if (!open.has(file)) {
      const text = textOf(file);
      const counter = new LineCounter();
      open.set(file, text === undefined ? undefined : new Places(readDocument(text, counter), counter));
    }
    return open.get(file);
  };
  return problems.map((problem) => {
    const found = problem.line === undefined ? read(problem.file) : undefined;
    if (!found) return problem;
    const path = (problem.key ?? '').split('.').map((part) => (/^\d+$/.test(part) ? Number(part) : part));
    return { ...problem, line: found.of(path) ?? 1 };
  });
}

/**
 * What ends a line for some readers of YAML, and is text to others, as it is here: a comment that Pulumi reads keys in, and
 * nobody sees. A mark at the beginning only says how the text is encoded.
 */
function foreignFaults(text: string, file: string): Problem[] {
  const lines = text
    .replace(/^\ufeff/, ' ')
    .split('\n')
    .entries();
  return [...lines].flatMap(([index, written]): Problem[] => {
    const [unit] = written.match(FOREIGN) ?? [];
    if (unit === undefined) return [];
    const code = `U+${unit.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`;
    return [
      {
        file,
        line: index + 1,
        what: `has the character ${code} in it, which readers of YAML take differently.`,
        remedy: `Remove it, or write "${unicodeEscape(unit)}" in double quotes.`,
      },
    ];
  });
}

/**
 * Parses YAML text against a schema. Never throws: every fault comes back located.
 * @param file name used in the problems
 * @param open whether credentials in it are told, as of what everyone may read. @default true
 */
export function parseYaml<T>(text: string, file: string, schema: z.ZodType<T>, open = true): Parsed<T> {
  const foreign = foreignFaults(text, file).slice(0, MOST_FAULTS);
  if (foreign.length > 0) return { problems: foreign };
  const counter = new LineCounter();
  const document = readDocument(text, counter);
  if (document.errors.length > 0) {
    // One fault of syntax makes others of the same kind behind it, hundreds where brackets are left open.
    const seen = new Map(
      document.errors.map((error) => {
        const line = counter.linePos(error.pos[0]).line;
        const deep = error.code === 'RESOURCE_EXHAUSTION';
        const what = `${deep ? '' : 'is not valid YAML: '}${error.message.split('\n')[0]}.`;
        const remedy = deep ? 'Write it flatter.' : 'Correct the syntax at this line.';
        return [`${line} ${what}`, { file, line, what, remedy }];
      }),
    );
    return { problems: [...seen.values()] };
  }
  const places = new Places(document, counter);
  const kept = textFaults(document, places, file);
  if (kept.length > 0) return { problems: kept };
  // Nothing else is told then: what is said of a text may show it.
  const logins = open ? loginFaults(text, document, counter, file) : [];
  if (logins.length > 0) return { problems: logins };
  let data: unknown;
  try {
    data = document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    return {
      problems: [
        {
          file,
          line: 1,
          what: `cannot be read: ${(error as Error).message}.`,
          remedy: 'Write it without aliases.',
        },
      ],
    };
  }
  const result = schema.safeParse(data ?? {});
  if (result.success) return { value: result.data };
  const problems = result.error.issues.flatMap(nearestFaults).flatMap((issue): Problem[] => {
    const line = places.of(issue.path) ?? 1;
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => ({
        file,
        line: places.of([...issue.path, key]) ?? line,
        key: [...issue.path, key].join('.'),
        what: 'is not a known key.',
        remedy: didYouMean(key, keysAt(schema, issue.path)),
      }));
    }
    const missing = issue.code === 'invalid_type' && /received undefined$/.test(issue.message);
    const [what, remedy] = missing ? ['is missing.', 'Add it.'] : issue.message.split(' | ');
    return [
      { file, line, key: issue.path.join('.'), what: `${what}.`.replace(/\.\.$/, '.'), remedy: remedy ?? '' },
    ];
  });
  return { problems };
}

/** Freezes plain data all the way down, so that no part of the program edits the model. */
export function deepFreeze<T>(value: T): T {
  if (value !== null && typeof value === 'object' && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inner of Object.values(value)) deepFreeze(inner);
  }
  return value;
}

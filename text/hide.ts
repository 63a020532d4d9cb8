const MARK = '[hidden]';

/** Values shorter than this are words of every language: hiding them would garble all and protect nothing. */
const SHORTEST = 8;
/** Characters without a blank from which a line of a value of several lines, a key say, is one itself. */
const LONG_LINE = 32;

/**
 * Where programs break what is long, with what may stand before the next line, as they print it and in JSON. Blanks before a
 * break belong to it, and are in none of these: a pattern that took them would try each of a million.
 */
const BREAKS = [/\r?\n[ \t]*/g, /\r?\n[ \t]*[+~|>-][ \t]+/g, /(?<!\\)(?:\\+r)?\\+n[ \t]*/g];

/** As Go's JSON has it, and so Kubernetes and Pulumi. */
const inGo = (json: string): string =>
  json.replace(/[<>&\u2028\u2029]/g, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`);

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
const inHtml = (text: string, quote: string): string =>
  text.replace(/[&<>"']/g, (one) => ENTITIES[one] ?? quote);

/** The forms in which a program may print a value without meaning to. */
export function disguises(value: string): string[] {
  const buffer = Buffer.from(value);
  // Base64 depends on where the value begins in what was encoded: the three inner cores, without their edges.
  const shifted = [0, 1, 2].map((pad) => {
    const encoded = Buffer.concat([Buffer.alloc(pad), buffer])
      .toString('base64')
      .replace(/=+$/, '');
    const start = pad === 0 ? 0 : pad + 1;
    const whole = (buffer.length + pad) % 3 === 0 ? encoded.length : encoded.length - 1;
    return encoded.slice(start, whole);
  });
  const json = JSON.stringify(value).slice(1, -1);
  const twice = JSON.stringify(json).slice(1, -1);
  const url = encodeURIComponent(value.replace(/\p{Cs}/gu, '\ufffd'));
  const forms = [
    value,
    ...[json, twice, inGo(json), JSON.stringify(inGo(json)).slice(1, -1)],
    ...[url, url.replace(/%[0-9A-F]{2}/g, (one) => one.toLowerCase()), url.replaceAll('%20', '+')],
    ...['&#39;', '&#34;', '&apos;', "'"].map((quote) => inHtml(value, quote)),
    ...["''", "'\\''", `'"'"'`].map((quote) => value.replaceAll("'", quote)),
    ...[buffer.toString('hex'), buffer.toString('hex').toUpperCase()],
    [...value].reverse().join(''),
    ...shifted,
    ...shifted.map((text) => text.replaceAll('+', '-').replaceAll('/', '_')),
  ];
  return [...new Set(forms)].filter((text) => text.length >= SHORTEST);
}

/** What everybody may read of a value that has a key beside it. */
const CERTIFICATES = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/** A value, and what of it is printed alone where others print line by line. */
const partsOf = (secret: string): string[] => [
  secret,
  ...(secret.includes('\n')
    ? secret
        .replace(CERTIFICATES, '')
        .split(/\r?\n/)
        .map((line) => line.trim())
        .filter((line) => line.length >= LONG_LINE && !/\s|^-----/.test(line))
    : []),
];

/** A form with the secret that it is of. */
interface Form {
  readonly text: string;
  readonly secret: string;
}

/** Forms by their first characters: one look at each place of a text, however many they are. */
function formsOf(secrets: readonly string[]): ReadonlyMap<string, readonly Form[]> {
  const forms = new Map<string, Form[]>();
  for (const secret of secrets)
    for (const part of partsOf(secret))
      for (const whole of disguises(part))
        for (const text of new Set([whole, ...BREAKS.map((at) => joined(whole, at).text)])) {
          if (text.length < SHORTEST) continue;
          const key = text.slice(0, SHORTEST);
          const known = forms.get(key);
          if (known) known.push({ text, secret });
          else forms.set(key, [{ text, secret }]);
        }
  return forms;
}

/** Forms of lists that were asked for: a state has thousands of texts, and one list of secrets. */
const known = new WeakMap<
  readonly string[],
  { readonly count: number; readonly forms: ReturnType<typeof formsOf> }
>();

function knownForms(secrets: readonly string[]): ReturnType<typeof formsOf> {
  const found = known.get(secrets);
  if (found?.count === secrets.length) return found.forms;
  const forms = formsOf([...new Set(secrets)].filter(({ length }) => length >= SHORTEST));
  known.set(secrets, { count: secrets.length, forms });
  return forms;
}

type Span = readonly [start: number, end: number];

/** A text without its breaks, and where each character of it stood. */
function joined(text: string, breaks: RegExp): { readonly text: string; readonly at: Uint32Array } {
  const at = new Uint32Array(text.length);
  const parts: string[] = [];
  let length = 0;
  const keep = (from: number, to: number): void => {
    parts.push(text.slice(from, to));
    for (let index = from; index < to; index++) at[length++] = index;
  };
  let last = 0;
  for (const { 0: gap, index } of text.matchAll(breaks)) {
    let end = index;
    while (end > last && /[ \t]/.test(text[end - 1] ?? '')) end -= 1;
    keep(last, end);
    last = index + gap.length;
  }
  keep(last, text.length);
  return { text: parts.join(''), at };
}

/**
 * Takes secret values out of a text, also base64, hexadecimal, URL-encoded, escaped for JSON, HTML, YAML or a shell, reversed, and broken
 * over lines. A fence behind the fence: whoever computes on a value can always disguise it further, so the code that writes the
 * text must not hold it.
 * @param shortest characters of a value; of one shorter than 8 only what it is itself is found
 * @returns the text, and how many values were found in it
 */
export function hide(
  text: string,
  secrets: readonly string[],
  shortest = SHORTEST,
): { text: string; found: number } {
  const found = new Set<string>();
  const spans: Span[] = [];
  const forms = knownForms(secrets);
  const look = (within: string, place: (start: number, end: number) => Span): void => {
    for (let start = 0; start + SHORTEST <= within.length; start++)
      for (const form of forms.get(within.slice(start, start + SHORTEST)) ?? []) {
        if (!within.startsWith(form.text, start)) continue;
        found.add(form.secret);
        spans.push(place(start, start + form.text.length));
      }
  };
  if (forms.size > 0) {
    look(text, (start, end) => [start, end]);
    for (const breaks of BREAKS) {
      if (text.search(breaks) < 0) continue;
      const { text: whole, at } = joined(text, breaks);
      look(whole, (start, end) => [at[start] ?? 0, (at[end - 1] ?? 0) + 1]);
    }
  }
  for (const secret of new Set(secrets)) {
    if (secret === '' || secret.length < shortest || secret.length >= SHORTEST) continue;
    for (let at = text.indexOf(secret); at >= 0; at = text.indexOf(secret, at + 1)) {
      found.add(secret);
      spans.push([at, at + secret.length]);
    }
  }
  if (spans.length === 0) return { text, found: 0 };
  // All of them are looked for before one is taken out: none leaves a rest of another that it overlaps.
  spans.sort(([a], [b]) => a - b);
  const parts: string[] = [];
  let [first, end] = spans[0] as Span;
  let kept = 0;
  for (const [start, to] of [...spans, [text.length + 1, text.length + 1] as const]) {
    if (start < end) {
      end = Math.max(end, to);
      continue;
    }
    parts.push(text.slice(kept, first), MARK);
    kept = end;
    [first, end] = [start, to];
  }
  parts.push(text.slice(kept));
  return { text: parts.join(''), found: found.size };
}

/** Replaces secret values, in the forms that {@link hide} knows, and whatever looks like a GitLab token, by `[hidden]`. */
export function redact(text: string, secrets: readonly string[]): string {
  return hide(text, secrets, 4).text.replace(/\bgl[a-z]{2,6}-[\w-]{16,}/g, '[hidden]');
}

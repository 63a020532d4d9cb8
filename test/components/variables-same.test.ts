import fc from 'fast-check';
import { parse } from 'yaml';
import { parseCatalog } from '../../catalog/load';
import { ProblemsError } from '../../catalog/problems';
import { moduleProductionDeclarations } from '../../components/production/resources';
import { moduleProductionSpec } from '../../components/specs';
import { podYaml, testPod } from '../../delivery/test-pod';
import { containerText, containerVariable } from '../../text/kubernetes';
import { unicodeEscape } from '../../text/unicode';
import { FOREIGN } from '../../text/yaml';
import { green } from '../delivery/certificates';
import { catalogTexts, testModel } from '../support/model';

// What was tested is what runs: a variable has one value, in the test Pod, where it stands in `env`, and in production,
// where it comes by `envFrom`.

type Entry = { readonly name: string; readonly value?: string; readonly valueFrom?: object };

/** What Kubernetes makes of a text: third_party/forked/golang/expansion/expand.go. */
function expanded(text: string, variables: ReadonlyMap<string, string>): string {
  let made = '';
  for (let at = 0; at < text.length; at++) {
    const next = text[at + 1];
    const end = text.indexOf(')', at + 2);
    if (text[at] !== '$' || next === undefined) made += text[at];
    else if (next === '(' && end >= 0) {
      const name = text.slice(at + 2, end);
      made += variables.get(name) ?? `$(${name})`;
      at = end;
    } else {
      made += next === '$' ? '$' : `$${next}`;
      at += 1;
    }
  }
  return made;
}

/** The environment of a container, as pkg/kubelet/kubelet_pods.go makes it. */
function environmentOf(
  env: readonly Entry[],
  from: Readonly<Record<string, string>> = {},
): Map<string, string> {
  const all = new Map(Object.entries(from));
  const filled = new Map<string, string>();
  for (const { name, value, valueFrom } of env) {
    filled.set(name, valueFrom ? 'a password' : expanded(value ?? '', filled));
    all.set(name, filled.get(name) ?? '');
  }
  return all;
}

// A text that stands in a file of YAML, and what Kubernetes, shells and YAML read something into.
const piece = fc.oneof(
  fc.constantFrom(
    '$',
    '$$',
    '$(',
    '$(PORT)',
    '$(CACHE_PASSWORD)',
    ')',
    '(',
    '{password}',
    '${',
    '}',
    "'",
    '"',
    '\\',
  ),
  fc.constantFrom(
    '\n',
    '\r\n',
    '\t',
    ' ',
    ': ',
    ' #',
    '- ',
    'yes',
    'null',
    '12:30',
    '0777',
    '1e3',
    '<<',
    '=',
    '~',
  ),
  fc.constantFrom('\u0085', '\u2028', '\ufeff', '\u007f', 'é', '😀', '%', '&', '*', '!', '|', '>'),
  fc.string({ unit: 'grapheme', maxLength: 5 }).filter((text) => !text.includes('\0')),
);
const value = fc.array(piece, { maxLength: 8 }).map((parts) => parts.join(''));
const name = fc.stringMatching(/^[A-Z_][A-Z0-9_]{0,8}$/).filter((text) => text !== 'PORT');
const variables = fc.dictionary(name, value, { maxKeys: 5 });

function both(environment: Readonly<Record<string, string>>) {
  const catalog = parseCatalog({
    ...catalogTexts,
    modules: {
      'shop.yaml': `${catalogTexts.modules['shop.yaml']}environment: ${JSON.stringify(environment).replace(FOREIGN, unicodeEscape)}\n`,
    },
  });
  const model = testModel({ catalog, modules: catalog.modules });
  const [shop] = catalog.modules;
  if (!shop) throw new Error('no module');
  const certificate = { ...green, module: 'shop' };
  const pod = testPod({ ...model, module: shop, certificate, pullSecrets: [] });
  const declared = moduleProductionDeclarations('production-shop', moduleProductionSpec(model, shop));
  const argsOf = (declaration: string) =>
    declared.find((one) => one.name === declaration)?.args as unknown as {
      data: Record<string, string>;
      spec: { template: { spec: { containers: { env: Entry[] }[] } } };
    };
  return {
    pod,
    tested: (text: string, version: '1.1' | '1.2') => {
      const read = parse(text, { version }) as { spec: { containers: { name: string; env?: Entry[] }[] } };
      return environmentOf(read.spec.containers.find((one) => one.name === 'app')?.env ?? []);
    },
    released: environmentOf(
      argsOf('production-shop-workload').spec.template.spec.containers[0]?.env ?? [],
      argsOf('production-shop-environment').data,
    ),
  };
}

test('a variable has the value that its file says, in the test Pod and in production', () => {
  fc.assert(
    fc.property(variables, (written) => {
      const { pod, tested, released } = both(written);
      const text = podYaml(pod);
      for (const [key, said] of Object.entries(written)) {
        expect([key, released.get(key)]).toEqual([key, said]);
        expect([key, tested(text, '1.2').get(key)]).toEqual([key, said]);
        expect([key, tested(text, '1.1').get(key)]).toEqual([key, said]);
      }
      // The same variables, but for the passwords that only production brings by Secrets.
      const names = [...released.keys()].filter((key) => !key.startsWith('SWITCHYARD_SERVICE_PASSWORD'));
      expect(names.sort()).toEqual([...tested(text, '1.2').keys()].sort());
    }),
    { numRuns: 40 },
  );
});

test('a service’s password reaches the module in both, whatever stands around it', () => {
  const { pod, tested, released } = both({});
  expect(released.get('CACHE_PASSWORD')).toBe('a password');
  expect(tested(podYaml(pod), '1.1').get('CACHE_PASSWORD')).toMatch(/^[0-9a-f]{24}$/);
});

test('text beside a variable stays text, and the variable a variable', () => {
  fc.assert(
    fc.property(value, value, (before, after) => {
      const source = containerText(before) + containerVariable('WORD') + containerText(after);
      expect(expanded(source, new Map([['WORD', '<$(WORD)>']]))).toBe(`${before}<$(WORD)>${after}`);
    }),
  );
});

test('a variable by which production brings a password is no name for another', () => {
  const refused = () => both({ SWITCHYARD_SERVICE_PASSWORD_0: 'x' });
  expect(refused).toThrow(ProblemsError);
  expect(refused).toThrow(/^catalog\/modules\/shop\.yaml:4: environment\.SWITCHYARD_SERVICE_PASSWORD_0/);
});

import fc from 'fast-check';
import {
  emptyLedger,
  parseLedger,
  type Release,
  readLedger,
  serialiseLedger,
  stateOf,
  withRelease,
  withState,
} from '../../catalog/ledger';

const hex = (length: number) =>
  fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: length, maxLength: length });
const release: fc.Arbitrary<Release> = fc.record({
  image: hex(64).map((digest) => `registry.example:5000/modules/a@sha256:${digest}`),
  commit: hex(40),
  mergeRequest: fc.integer({ min: 1, max: 1e6 }),
  build: fc.webUrl(),
});
const name = fc.stringMatching(/^[a-z][a-z0-9]{0,20}$/);
const modules = fc.dictionary(name, release, { noNullPrototype: true });

describe('the release ledger', () => {
  it('comes back as it was written', () => {
    fc.assert(
      fc.property(modules, (entries) => {
        expect(parseLedger(serialiseLedger({ modules: entries }), 'production.yaml')).toEqual({
          modules: entries,
        });
      }),
    );
  });

  it('keeps what was taken back of a module until a newer release of it, and names nothing where nothing was', () => {
    fc.assert(
      fc.property(modules, name, release, release, (entries, module, before, next) => {
        const { commit, mergeRequest, build } = next;
        const undone = { how: 'undone', commit, mergeRequest, build, why: 'it crashed' } as const;
        const taken = withState({ modules: entries }, module, { release: before, undone });
        const read = parseLedger(serialiseLedger(taken), 'production.yaml');
        expect(stateOf(read, module)).toEqual({ release: before, undone });
        const first = withState(read, module, { undone });
        expect(stateOf(parseLedger(serialiseLedger(first), 'x'), module)).toEqual({ undone });
        expect(withRelease(first, module, next)).toEqual(withRelease({ modules: entries }, module, next));
        expect(serialiseLedger({ modules: entries, undone: {} })).toBe(serialiseLedger({ modules: entries }));
      }),
    );
  });

  it('is the same bytes whatever order its modules came in', () => {
    fc.assert(
      fc.property(modules, (entries) => {
        const reversed = Object.fromEntries(Object.entries(entries).reverse());
        expect(serialiseLedger({ modules: reversed })).toBe(serialiseLedger({ modules: entries }));
      }),
    );
  });

  it('changes one module and no other', () => {
    fc.assert(
      fc.property(modules, name, release, (entries, changed, next) => {
        const after = withRelease({ modules: entries }, changed, next);
        expect(after.modules[changed]).toEqual(next);
        for (const other of Object.keys(entries)) {
          if (other !== changed) expect(after.modules[other]).toEqual(entries[other]);
        }
      }),
    );
  });

  it('is empty when the file is', () => {
    expect(parseLedger('', 'production.yaml')).toEqual(emptyLedger);
  });

  it('names every fault with its place: a tag instead of a digest, a short commit, an unknown key', () => {
    const read = readLedger(
      'modules:\n  orders:\n    image: registry/modules/orders:latest\n    commit: abc\n    mergeRequest: 1\n    build: x\n    note: y\n',
      'production.yaml',
    );
    expect('problems' in read && read.problems.map(({ line, key }) => [line, key])).toEqual(
      expect.arrayContaining([
        [3, 'modules.orders.image'],
        [4, 'modules.orders.commit'],
        [7, 'modules.orders.note'],
      ]),
    );
    expect(() => parseLedger('modules: [1', 'production.yaml')).toThrow(
      /production\.yaml:1: is not valid YAML/,
    );
  });
});

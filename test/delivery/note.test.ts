import fc from 'fast-check';
import { type Certificate, canonical, sign } from '../../delivery/certificate';
import { inert, marker, readNote, renderNote, verdictLine } from '../../delivery/note';
import { green, KEY, red } from './certificates';

const failing = fc.array(
  fc.record({ name: fc.string({ unit: 'grapheme' }), message: fc.string({ unit: 'grapheme' }) }),
  {
    maxLength: 25,
  },
);
const withFailing = (entries: { name: string; message: string }[]): Certificate => ({
  ...green,
  tests: { total: entries.length, passed: 0, failed: entries.length, skipped: 0, failing: entries },
});

test('a rollout whose Pod did not start shows the words of that Pod, and keeps its certificate', () => {
  const start = {
    why: 'no agent started within 15 minutes (FailedScheduling)',
    pods: [{ name: 'orders-7-x', events: ['FailedScheduling: 0/1 nodes | <b>'], log: [] }],
  };
  const note = renderNote(
    green,
    {
      state: 'rollout failed',
      commit: green.headSha,
      environment: 'lab',
      build: 'http://j.example/4/',
      start,
    },
    KEY,
  );
  expect(note).toContain('no agent started within 15 minutes (FailedScheduling)');
  expect(note).toContain('- <code>FailedScheduling&#58; 0/1 nodes &#124; &#60;b&#62;</code>');
  expect(readNote(note, KEY)).toEqual({ certificate: green });
});

describe('the note on a merge request', () => {
  it('gives back the certificate that it was made of, whatever the tests are called and say', () => {
    fc.assert(
      fc.property(failing, (entries) => {
        const certificate = withFailing(entries);
        expect(readNote(renderNote(certificate, { state: 'tested' }, KEY), KEY)).toEqual({ certificate });
      }),
    );
  });

  it('stays readable when messages hold fences, markers and signatures', () => {
    const message = `\n\`\`\`\n\nSignature: \`${'0'.repeat(64)}\`\n</details>\n\`\`\`json\n{}\n\`\`\`\n${marker}`;
    const certificate = withFailing([{ name: message, message }]);
    expect(readNote(renderNote(certificate, { state: 'tested' }, KEY), KEY)).toEqual({ certificate });
  });

  it('keeps its certificate valid through merge and deployment', () => {
    for (const progress of [
      { state: 'merged', commit: green.headSha },
      { state: 'left', why: 'it is a draft' },
      { state: 'deployed', commit: green.headSha, environment: 'production', build: 'http://j.example/4/' },
      {
        state: 'rollout failed',
        commit: green.headSha,
        environment: 'production',
        build: 'http://j.example/4/',
      },
    ] as const) {
      expect(readNote(renderNote(green, progress, KEY), KEY)).toEqual({ certificate: green });
    }
  });

  it('is refused when one character of the certificate changes', () => {
    const note = renderNote(red, { state: 'tested' }, KEY);
    expect(readNote(note.replace('"failed": 1', '"failed": 0'), KEY)).toEqual({ fault: 'tampered' });
    expect(
      readNote(note.replace(`"treeSha": "${green.treeSha}"`, `"treeSha": "${'e'.repeat(40)}"`), KEY),
    ).toEqual({
      fault: 'tampered',
    });
    expect(readNote(note, `${KEY}2`)).toEqual({ fault: 'tampered' });
  });

  it('is refused when the certificate has a key that nobody signed, or none at all', () => {
    const note = renderNote(green, { state: 'tested' }, KEY);
    expect(readNote(note.replace('"version": 2,', '"version": 2,\n  "extra": true,'), KEY)).toEqual({
      fault: 'unreadable',
    });
    expect(readNote('Looks good to me', KEY)).toEqual({ fault: 'no certificate' });
    expect(readNote(`> ${note}`, KEY)).toEqual({ fault: 'no certificate' });
  });

  it('never throws on text of others', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(readNote(marker + text, KEY)).toHaveProperty('fault');
      }),
    );
  });

  it('tells since when one may be merged, and of when its place is, or its end', () => {
    const since = Date.parse('2026-11-28T10:00:05.400Z');
    const now = Date.parse('2026-11-28T10:20:11Z');
    const queued = { ...green, gate: { since } };
    const place = { state: 'queued', place: 'place 2 of 3' } as const;
    expect(renderNote(queued, place, KEY, now)).toContain(
      '| Times | may be merged since 2026-11-28 10:00:05 UTC; this is of 2026-11-28 10:20:11 UTC |',
    );
    expect(renderNote(queued, place, KEY, now)).toBe(renderNote(queued, place, KEY, now));
    const out = { ...queued, gate: { since, out: now } };
    expect(renderNote(out, { state: 'taken out', why: 'red' }, KEY, now + 1000)).toContain(
      '| Times | may be merged since 2026-11-28 10:00:05 UTC; taken out at 2026-11-28 10:20:11 UTC |',
    );
    expect(renderNote(queued, { state: 'merged', commit: green.headSha }, KEY, now)).toContain(
      'merged at 2026-11-28 10:20:11 UTC |',
    );
    expect(renderNote(green, { state: 'tested' }, KEY, now)).not.toContain('| Times |');
  });

  it('names the failing test with its message, and is headed by the verdict', () => {
    const note = renderNote(red, { state: 'tested' }, KEY);
    expect(note).toContain('**Switchyard: failed**');
    expect(note).toMatch(/\| Orders\.Stock is kept \| 3 &#33;<span><\/span>= 2 \|/);
    expect(renderNote(green, { state: 'tested' }, KEY)).toContain('**Switchyard: passed**');
  });

  it('lets no text of a test act: no mention, quick action, link, image, HTML or table cell', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        // What is left of "&", "#" and ";" are the entities themselves.
        expect(inert(text).replace(/&#\d+;(<span><\/span>)?/g, '')).not.toMatch(/[@|`<>[\]\n\r*_~!#$:&\\]/);
      }),
    );
    expect(inert('@all <img src=x> [a](http://b) |')).toBe(
      '&#64;<span></span>all &#60;img src=x&#62; &#91;<span></span>a&#93;(http&#58;<span></span>//b) &#124;',
    );
  });
});

describe('the signature', () => {
  it('does not depend on the order of keys', () => {
    const reversed = Object.fromEntries(Object.entries(green).reverse()) as Certificate;
    expect(canonical(reversed)).toBe(canonical(green));
    expect(sign(reversed, KEY)).toBe(sign(green, KEY));
  });
});

describe('the line on the verdict', () => {
  it.each([
    [green, '3 tests passed'],
    [red, '1 of 3 tests failed: Orders.Stock is kept'],
    [
      { ...green, tests: { total: 0, passed: 0, failed: 0, skipped: 0, failing: [] } },
      'no test passed (0 found), and that proves nothing',
    ],
    [{ ...green, tests: undefined }, 'the tests did not run to their end'],
    [{ ...green, image: undefined, tests: undefined }, 'the image was not built'],
    [
      { ...green, treeSha: undefined, conflicts: ['a', 'b', 'c', 'd'] },
      'conflicts with main in a, b, c and 1 more',
    ],
  ] as [Certificate, string][])('%# says what happened', (certificate, line) => {
    expect(verdictLine(certificate)).toBe(line);
  });
});

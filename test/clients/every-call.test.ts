import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../support/model';

/** Product code: what runs for a user. `lab` and `bench` drive it, `sdks` is generated. */
const FOLDERS = [
  'catalog',
  'clients',
  'components',
  'delivery',
  'operations',
  'policy',
  'rules',
  'stacks',
  'text',
];

/**
 * Files that may send a request of their own, and why. All else asks by `clients/ask.ts`, which has the one policy of
 * time-outs and retries.
 */
const MAY: Readonly<Record<string, string>> = {
  'clients/ask.ts': 'is the one place',
  'delivery/gitlab.ts': 'has the policy by retry(): what may be sent twice is a matter of each request',
  'operations/outside.ts': 'has the policy by retry(), for what reads and removes only',
  'components/shared/reachable.ts': 'waits for an address that does not answer yet, for three minutes in all',
};

/** Files with a function of their own of that name, which is git's. */
const GIT = ['delivery/git.ts', 'delivery/verify.ts'];

const SENDS =
  /(?<![\w$.])(?:globalThis\.)?fetch\(|\bhttps?\.(?:request|get)\(|(?:from|import\(|require\() ?'(?:node:)?(?:https|http2|undici|axios|got|node-fetch)'/;

const files = FOLDERS.flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => `${folder}/${file}`),
);
const sending = files.filter((file) =>
  readFileSync(join(root, file), 'utf8')
    .split('\n')
    .some((line) => !/^\s*(\*|\/\/)/.test(line) && SENDS.test(line)),
);

test('no product code sends a request without the one policy of retries and time-outs', () => {
  expect(sending.sort()).toEqual([...Object.keys(MAY), ...GIT].sort());
});

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../support/model';
import { PRODUCT_FOLDERS } from '../support/product';

/**
 * Files that may send a request of their own, and why. All else asks by `clients/ask.ts`, which has the one policy of
 * time-outs and retries.
 */
const MAY: Readonly<Record<string, string>> = {
  'clients/ask.ts': 'is the one place',
  'components/shared/reachable.ts': 'waits for an address that does not answer yet, for three minutes in all',
};

/** The file whose `fetch` is git's. */
const GIT = ['clients/git.ts'];

/** Files that ask a cluster by its client library, and how each call has its limits. */
const CLUSTER: Readonly<Record<string, string>> = {
  'clients/kubernetes.ts': 'each call goes through `answered()`',
  'clients/pod-exec.ts': 'has the policy by retry(), and ends what stands still',
};

/** Files that start a program, and what ends it. */
const START: Readonly<Record<string, string>> = {
  'delivery/source.ts': 'tar, over files on this disk',
  'clients/git.ts': 'has the policy by retry(), and ends git when its time is over',
  'delivery/backup/program.ts': 'ends what stands still, or takes longer than it may in all',
  'delivery/preview/run.ts': 'the engine: as long as it takes, within its Pod',
  'delivery/preview/program.ts': 'the program of a merge request: as long as its Pod may',
  'delivery/preview/isolated.ts': 'the same',
  'operations/drill/index.ts': 'what the person who calls the drill names: as long as it takes',
  'operations/engine/pulumi.ts': 'ends pulumi when its time is over',
  'operations/package/build.ts': 'the compiler of a package that is made',
};

const SENDS =
  /(?<![\w$.])(?:globalThis\.)?fetch\(|\bhttps?\.(?:request|get)\(|(?:from|import\(|require\() ?'(?:node:)?(?:https|http2|undici|axios|got|node-fetch)'/;

const ASKS_CLUSTER =
  /makeApiClient\(|new (?:Exec|Log|Watch|Attach|PortForward|Cp|WebSocketHandler|Informer)\(/;
const STARTS =
  /(?<![\w$.])(?:(?:spawn|execFile|exec|fork)(?:Sync)?\(|promisify\((?:\w+\.)?(?:execFile|exec)\))/;

const files = PRODUCT_FOLDERS.flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => `${folder}/${file}`),
);
const filesWith = (what: RegExp): string[] =>
  files
    .filter((file) =>
      readFileSync(join(root, file), 'utf8')
        .split('\n')
        .some((line) => !/^\s*(\*|\/\/)/.test(line) && what.test(line)),
    )
    .sort();

test('no product code sends a request without the one policy of retries and time-outs', () => {
  expect(filesWith(SENDS)).toEqual([...Object.keys(MAY), ...GIT].sort());
});
test('nor asks a cluster by its client library', () => {
  expect(filesWith(ASKS_CLUSTER)).toEqual(Object.keys(CLUSTER).sort());
});
test('nor starts a program that nothing ends', () => {
  expect(filesWith(STARTS)).toEqual(Object.keys(START).sort());
});

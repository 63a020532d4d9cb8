import { createHash } from 'node:crypto';
import { S3_REGION } from '../../../lab/machine/addresses';
import type { Outcome } from './answers';
import { ABSENT } from './kubernetes-request';

// How the stores are asked: `LIST`, `GET`, `PUT` or `DELETE`, and `state` or `backups`. All but `LIST` are of one object, which
// the suite lays there with the store's own login before each request: a `PUT` overwrites, a `DELETE` takes away.

/** Access key and secret key. */
export type Keys = readonly [id: string, secret: string];
export type Store = 'state' | 'backups';

/** Key of the suite's own object: at the top, where neither Pulumi nor restic looks. */
const OBJECT = ABSENT;
/** What the suite lays there, and what an identity would write over it. */
const LAID = 'laid by the suite';
const WRITTEN = 'written by an identity';

export const storeOf = (what: string): Store => (what.endsWith(' state') ? 'state' : 'backups');

/** What an identity's Secret has for a store; what it has for the other one where it has nothing for this. */
export function storeKeys(data: Readonly<Record<string, string>>, store: Store): Keys {
  const state: Keys = [data.AWS_ACCESS_KEY_ID ?? '', data.AWS_SECRET_ACCESS_KEY ?? ''];
  const backups: Keys = [data.BACKUP_ACCESS_KEY ?? '', data.BACKUP_SECRET_KEY ?? ''];
  const found = (store === 'state' ? [state, backups] : [backups, state]).find(([id]) => id !== '');
  if (!found) throw new Error('holds no login of a store');
  return found;
}

/** Arguments and input of a curl that signs; it prints the body, a line break and the status. */
export interface Curl {
  readonly args: readonly string[];
  readonly input: string;
}

/** @param bucket address of a bucket; @param body of a `PUT` */
export function storeRequest(verb: string, bucket: string, [id, secret]: Keys, body = ''): Curl {
  const url = verb === 'LIST' ? `${bucket}?list-type=2&max-keys=1` : `${bucket}/${OBJECT}`;
  const hash = createHash('sha256').update(body).digest('hex');
  return {
    args: [
      ...['-K', '-', '-s', '-w', '\n%{http_code}', '-X', verb === 'LIST' ? 'GET' : verb],
      ...['--aws-sigv4', `aws:amz:${S3_REGION}:s3`, '-H', `x-amz-content-sha256: ${hash}`],
      ...(verb === 'PUT' ? ['-H', 'content-type: text/plain', '--data-binary', body] : []),
      url,
    ],
    // Not among the arguments, which everybody on the machine reads.
    input: `user = "${id}:${secret}"\n`,
  };
}

interface StoreAnswer {
  readonly status: number;
  readonly body: string;
}
/** Sends a request to a bucket with a login. */
export type AskStore = (verb: string, keys: Keys, body?: string) => StoreAnswer;

export function answerOf(printed: string): StoreAnswer {
  const line = printed.lastIndexOf('\n');
  return { status: Number(printed.slice(line + 1)), body: printed.slice(0, line) };
}

/** A refusal: S3's statuses, and what versitygw says of an access key that is not its own (S3 has 403 for that, too). */
const isRefused = ({ status, body }: StoreAnswer): boolean =>
  [401, 403].includes(status) || (status === 404 && body.includes('<Code>XAdminUserNotFound</Code>'));

/**
 * What comes of a request: the status and the object afterwards have to agree.
 * @throws when the store's own login cannot lay or read the object
 */
export function tryStore(ask: AskStore, own: Keys, keys: Keys, what: string): Outcome {
  const [verb = ''] = what.split(' ');
  const laid = ask('PUT', own, LAID);
  if (laid.status !== 200) throw new Error(`the store takes no object: ${laid.status} ${laid.body}`);
  const answer = ask(verb, keys, verb === 'PUT' ? WRITTEN : undefined);
  const { status, body } = answer;
  const left = ask('GET', own);
  const is = left.status === 200 ? left.body : left.status === 404 ? undefined : `${left.status}`;
  const unchanged = is === LAID;
  if (isRefused(answer)) return unchanged ? 'may not' : status;
  const done: Readonly<Record<string, boolean>> = {
    LIST: unchanged && body.includes('<ListBucketResult'),
    GET: unchanged && body === LAID,
    PUT: is === WRITTEN,
    DELETE: is === undefined,
  };
  return status < 300 && done[verb] ? 'may' : status;
}

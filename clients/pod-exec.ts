import { PassThrough, type Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { StringDecoder } from 'node:string_decoder';
import { setTimeout as sleep } from 'node:timers/promises';
import type { KubeConfig, V1ContainerStatus, V1Status } from '@kubernetes/client-node';
import { redact } from '../text/hide';
import { exitCode, Failure } from './failure';
import { answered, whyNot, within } from './kubernetes';
import { isTransient, type Policy, retry } from './retry';

/** One container of one Pod. */
export interface Place {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
}

const READY_MS = 300_000;
const LOOK_MS = 1_000;
/** No byte and no end for so long: the connection is dead, or the command hangs. */
const SILENCE_MS = 600_000;
const STDERR_KEPT = 4096;

/** Channels of the exec protocol: https://pkg.go.dev/k8s.io/kubelet/pkg/cri/streaming/remotecommand */
const STDIN = 0;
const STDOUT = 1;
const STDERR = 2;
const STATUS = 3;
const CLOSE = 255;

const nameOf = ({ namespace, pod, container }: Place): string => `${namespace}/${pod} (${container})`;

/** The exit code that a command ended with, from the API's status. */
function codeOf(status: V1Status): number {
  if (status.status === 'Success') return 0;
  const cause = status.details?.causes?.find(({ reason }) => reason === 'ExitCode');
  return cause ? Number(cause.message) : -1;
}

interface Socket {
  readonly protocol: string;
  readonly readyState: number;
  send(data: Buffer, sent: (error?: Error) => void): void;
  close(): void;
  pause(): void;
  resume(): void;
  on(event: 'close', listener: () => void): void;
  on(event: 'error', listener: (error: Error) => void): void;
}

/** client-node types the socket as browsers know it; in Node it is one of the package ws. */
function isSocket(value: object): value is Socket {
  return ['send', 'close', 'pause', 'resume', 'on'].every(
    (name) => typeof Reflect.get(value, name) === 'function',
  );
}

/** A connection that never was: the command cannot have begun. */
const NOT_BEGUN = /\b(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH)\b/;

/** Whether a connection may be tried again after a fault. @param repeatable whether its command may begin twice */
function mayConnectAgain(fault: unknown, repeatable: boolean): boolean {
  const { message = '', error } = (fault ?? {}) as { message?: string; error?: { code?: string } };
  const status = /^Unexpected server response: (\d+)$/.exec(message)?.[1];
  if (status !== undefined) return isTransient(Number(status));
  return repeatable || NOT_BEGUN.test(`${error?.code} ${message}`);
}

interface Running {
  /** Resolves with the end of the command. */
  readonly ended: Promise<{ code: number; stderr: string }>;
  readonly stop: () => void;
}

/** Commands inside containers, by the Kubernetes API: no kubectl. Errors are Failures that name place and program. */
export class PodExec {
  /** @param policy of reading a Pod, and of beginning a command. @default that of `clients/retry.ts` */
  constructor(
    private readonly config: KubeConfig,
    private readonly policy?: Partial<Policy>,
  ) {}

  /** The kubeconfig, with a limit to a WebSocket's beginning, for which client-node has no option. */
  private limited(ms: number): KubeConfig {
    const applyToHTTPSOptions = async (options: { handshakeTimeout?: number }): Promise<void> => {
      await within(this.config.applyToHTTPSOptions(options), ms);
      options.handshakeTimeout = Math.ceil(ms);
    };
    return Object.create(this.config, { applyToHTTPSOptions: { value: applyToHTTPSOptions } });
  }

  /** @param repeatable whether the command may begin twice, the first time unheard */
  private async start(
    place: Place,
    argv: readonly string[],
    stdout: PassThrough,
    { input, repeatable = false }: { readonly input?: Readable; readonly repeatable?: boolean } = {},
  ): Promise<Running> {
    // Loaded when needed: the package is large, and most commands never need it.
    const { WebSocketHandler } = await import('@kubernetes/client-node/dist/web-socket-handler.js');
    const query = new URLSearchParams({
      container: place.container,
      stdout: 'true',
      stderr: 'true',
      ...(input ? { stdin: 'true' } : {}),
    });
    for (const word of argv) query.append('command', word);
    const path = `/api/v1/namespaces/${place.namespace}/pods/${place.pod}/exec?${query}`;
    const failure = (why: string, remedy = ''): Failure =>
      new Failure(exitCode.red, `exec: ${argv[0]} in ${nameOf(place)} ${why}.`, remedy);

    let stderr = '';
    const errors = new StringDecoder('utf8');
    let settle: (result: { code: number; stderr: string } | Error) => void = () => undefined;
    const ended = new Promise<{ code: number; stderr: string }>((resolve, reject) => {
      settle = (result) => (result instanceof Error ? reject(result) : resolve(result));
    });
    // Whoever waits for it may come later.
    ended.catch(() => undefined);
    let socket: Socket | undefined;
    let silence: NodeJS.Timeout | undefined;
    const heard = (): void => {
      clearTimeout(silence);
      silence = setTimeout(() => {
        settle(failure(`was silent for ${SILENCE_MS / 60_000} minutes`, 'Look at its node and its log.'));
        socket?.close();
      }, SILENCE_MS);
    };
    const hear = (channel: number, bytes: Buffer): boolean => {
      heard();
      if (channel === STDOUT && !stdout.destroyed && !stdout.write(bytes)) {
        socket?.pause();
        stdout.once('drain', () => socket?.resume());
      } else if (channel === STDERR) stderr = (stderr + errors.write(bytes)).slice(-STDERR_KEPT);
      else if (channel === STATUS) {
        settle({ code: codeOf(JSON.parse(bytes.toString('utf8')) as V1Status), stderr });
        return false;
      }
      return true;
    };
    const connection = await retry((ms) => new WebSocketHandler(this.limited(ms)).connect(path, null, hear), {
      again: (fault) => mayConnectAgain(fault, repeatable),
      policy: this.policy,
    }).catch((error: unknown) => {
      const { message = '' } = error as { message?: string };
      const forbidden = /\b(401|403)\b/.test(message);
      throw failure(
        `could not be started (${message || 'no connection'})`,
        forbidden
          ? 'Check that the service account may create pods/exec there.'
          : 'Check that the Pod runs and that the cluster answers.',
      );
    });
    if (!isSocket(connection)) throw failure('could not be started (no such WebSocket)');
    socket = connection;
    heard();
    connection.on('error', (error) => settle(failure(`lost its connection (${error.message})`)));
    connection.on('close', () => {
      clearTimeout(silence);
      settle(failure('lost its connection before it ended', 'Run it again.'));
    });
    if (input) {
      if (connection.protocol !== 'v5.channel.k8s.io') {
        connection.close();
        throw failure(
          'cannot be told where its input ends',
          'This needs Kubernetes 1.30 or newer (exec protocol v5).',
        );
      }
      this.feed(connection, input, heard).catch((error: Error) => {
        // The command may take what came for all there is: the caller hears that it was not.
        settle(error);
        connection.close();
      });
    }
    return { ended, stop: () => connection.close() };
  }

  private async feed(socket: Socket, input: Readable, heard: () => void): Promise<void> {
    const send = (bytes: Buffer): Promise<void> =>
      new Promise((resolve, reject) => socket.send(bytes, (error) => (error ? reject(error) : resolve())));
    for await (const chunk of input) {
      // A command that has ended takes no more; how it ended is told by its status.
      if (socket.readyState !== 1) return;
      await send(Buffer.concat([Buffer.from([STDIN]), chunk]));
      heard();
    }
    if (socket.readyState === 1) await send(Buffer.from([CLOSE, STDIN]));
  }

  private static fault(
    place: Place,
    argv: readonly string[],
    end: { code: number; stderr: string },
    secrets: readonly string[] = [],
  ): Failure {
    // The last line is where programs say why; their environment, which holds the password, is in none. Before it is cut: half a
    // secret is one too.
    const said = redact(end.stderr.trim().split('\n').at(-1) ?? '', secrets).slice(0, 300);
    return new Failure(
      exitCode.red,
      `exec: ${argv[0]} in ${nameOf(place)} ended with ${end.code}${said ? ` (${said})` : ''}.`,
    );
  }

  /** What a command prints that changes nothing. The stream ends only after exit code 0; anything else breaks it. */
  read(place: Place, argv: readonly string[]): Readable {
    const out = new PassThrough();
    this.start(place, argv, out, { repeatable: true })
      .then(async ({ ended, stop }) => {
        out.once('close', stop);
        const end = await ended;
        if (end.code === 0) out.end();
        else out.destroy(PodExec.fault(place, argv, end));
      })
      .catch((error: Error) => out.destroy(error));
    return out;
  }

  /**
   * Feeds a stream to a command and waits until it ends with 0.
   * @param secrets that a fault of the command may quote
   */
  async write(
    place: Place,
    argv: readonly string[],
    input: Readable,
    secrets: readonly string[] = [],
  ): Promise<void> {
    const said = new PassThrough();
    said.resume();
    try {
      const { ended } = await this.start(place, argv, said, { input });
      const end = await ended;
      if (end.code !== 0) throw PodExec.fault(place, argv, end, secrets);
    } finally {
      input.destroy();
    }
  }

  /** Runs a command that takes and changes nothing; gives what it prints. */
  async run(place: Place, argv: readonly string[]): Promise<string> {
    return (await buffer(this.read(place, argv))).toString('utf8');
  }

  private async status({ namespace, pod, container }: Place): Promise<V1ContainerStatus | undefined> {
    const { CoreV1Api } = await import('@kubernetes/client-node');
    try {
      const api = this.config.makeApiClient(CoreV1Api);
      const found = await answered(() => api.readNamespacedPod({ namespace, name: pod }), {
        policy: this.policy,
      });
      return found.status?.containerStatuses?.find(({ name }) => name === container);
    } catch (error) {
      const { code } = error as { code?: number };
      if (code === 404) return undefined;
      throw new Failure(
        exitCode.red,
        `exec: Pod ${namespace}/${pod} cannot be read (${whyNot(error)}).`,
        code === 403 ? 'Check that the service account may get Pods there.' : '',
      );
    }
  }

  private async until(
    place: Place,
    what: string,
    timeoutMs: number,
    enough: (status: V1ContainerStatus) => boolean,
  ): Promise<V1ContainerStatus> {
    const end = Date.now() + timeoutMs;
    for (;;) {
      const status = await this.status(place);
      if (status && enough(status)) return status;
      if (Date.now() >= end) {
        throw new Failure(
          exitCode.red,
          `exec: ${nameOf(place)} ${status ? `is not ${what}` : 'does not exist'} after ${Math.round(timeoutMs / 1000)} s.`,
          `Look at it: kubectl -n ${place.namespace} describe pod ${place.pod}`,
        );
      }
      await sleep(Math.min(LOOK_MS, timeoutMs));
    }
  }

  /** Ends the container's server by a command, and waits until the container has started anew and is ready. */
  async restart(place: Place, argv: readonly string[], timeoutMs = READY_MS): Promise<void> {
    const before = await this.until(place, 'ready', timeoutMs, ({ ready }) => ready);
    const { ended } = await this.start(place, argv, new PassThrough().resume());
    // The container takes the command along when it ends: only one that ended by itself, and not well, is a fault.
    const end = await ended.catch(() => undefined);
    if (end && end.code > 0 && end.code < 128) throw PodExec.fault(place, argv, end);
    await this.until(
      place,
      'ready again',
      timeoutMs,
      ({ ready, restartCount }) => ready && restartCount > before.restartCount,
    );
  }

  /** Waits until the container is ready. @param timeoutMs default 5 minutes */
  async ready(place: Place, timeoutMs = READY_MS): Promise<void> {
    await this.until(place, 'ready', timeoutMs, ({ ready }) => ready);
  }
}

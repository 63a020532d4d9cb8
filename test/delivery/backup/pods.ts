import { spawn } from 'node:child_process';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { KubeConfig } from '@kubernetes/client-node';

interface Socket {
  readonly protocol: string;
  send(data: Buffer): void;
  close(): void;
  terminate(): void;
  on(event: 'message', listener: (data: Buffer) => void): void;
  on(event: 'close', listener: () => void): void;
}
interface SocketServer {
  handleUpgrade(request: unknown, socket: unknown, head: unknown, then: (socket: Socket) => void): void;
}
type Protocols = Set<string>;

/** The package that client-node speaks WebSocket with. */
const { WebSocketServer } = jest.requireActual<{
  WebSocketServer: new (options: {
    noServer: true;
    handleProtocols: (offered: Protocols) => string | false;
  }) => SocketServer;
}>('ws');

/** What a test makes of one command; the default runs it here. */
export type Behaviour = (socket: Socket, argv: readonly string[]) => boolean;

/** A Kubernetes API that runs `exec` as a process of this machine, by the real protocol (v5). */
export class Pods {
  readonly asked: { path: string; argv: string[]; authorization: string | undefined }[] = [];
  status: { ready: boolean; restartCount: number } | undefined = { ready: true, restartCount: 0 };
  protocol = 'v5.channel.k8s.io';
  behaviour: Behaviour = () => false;
  /** Statuses that the next requests are answered with, whatever they ask. */
  refusals: number[] = [];
  /** Nothing is answered. */
  silent = false;
  requests = 0;
  private readonly server: Server;
  private readonly opened = new Set<Socket>();

  constructor() {
    this.server = createServer((request, response) => {
      this.requests += 1;
      if (this.silent) return;
      const refusal = this.refusals.shift();
      if (refusal !== undefined) {
        response.writeHead(refusal, { 'content-type': 'application/json', 'retry-after': '0' }).end('{}');
        return;
      }
      if (!this.status) {
        response.writeHead(404, { 'content-type': 'application/json' }).end('{"kind":"Status","code":404}');
        return;
      }
      const containerStatuses = [
        { name: request.url?.split('/').at(-1)?.replace(/-0$/, ''), ...this.status },
      ];
      response
        .writeHead(200, { 'content-type': 'application/json' })
        .end(JSON.stringify({ kind: 'Pod', apiVersion: 'v1', status: { containerStatuses } }));
    });
    const sockets = new WebSocketServer({
      noServer: true,
      handleProtocols: (offered) => (offered.has(this.protocol) ? this.protocol : false),
    });
    this.server.on('upgrade', (request, socket, head) => {
      const url = new URL(request.url ?? '', 'http://here');
      const argv = url.searchParams.getAll('command');
      this.requests += 1;
      if (this.silent) return;
      const refusal = this.refusals.shift();
      if (refusal !== undefined) {
        socket.end(`HTTP/1.1 ${refusal} Refused\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`);
        return;
      }
      this.asked.push({ path: url.pathname, argv, authorization: request.headers.authorization });
      sockets.handleUpgrade(request, socket, head, (opened) => {
        this.opened.add(opened);
        if (!this.behaviour(opened, argv)) this.run(opened, argv);
      });
    });
  }

  private run(socket: Socket, [program = '', ...args]: readonly string[]): void {
    const child = spawn(program, args, { stdio: 'pipe' });
    const send = (channel: number) => (chunk: Buffer) =>
      socket.send(Buffer.concat([Buffer.from([channel]), chunk]));
    child.stdout.on('data', send(1));
    child.stderr.on('data', send(2));
    child.stdin.on('error', () => undefined);
    socket.on('message', (data) => {
      if (data[0] === 0) child.stdin.write(data.subarray(1));
      else if (data[0] === 255 && data[1] === 0) child.stdin.end();
    });
    socket.on('close', () => child.kill());
    child.on('close', (code) => {
      send(3)(Buffer.from(JSON.stringify(ended(code ?? 1))));
      socket.close();
    });
  }

  async config(load: () => Promise<{ KubeConfig: new () => KubeConfig }>): Promise<KubeConfig> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    const { KubeConfig } = await load();
    const config = new KubeConfig();
    const server = `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
    config.loadFromOptions({
      // Plain http is refused without this.
      clusters: [{ name: 'c', server, skipTLSVerify: true }],
      users: [{ name: 'u', token: 'token-of-the-account' }],
      contexts: [{ name: 'x', cluster: 'c', user: 'u' }],
      currentContext: 'x',
    });
    return config;
  }

  close(): void {
    for (const socket of this.opened) socket.terminate();
    this.server.closeAllConnections();
    this.server.close();
  }
}

/** The status with which the API ends a command. */
export const ended = (code: number): unknown =>
  code === 0
    ? { status: 'Success', metadata: {} }
    : {
        status: 'Failure',
        reason: 'NonZeroExitCode',
        message: `command terminated with exit code ${code}`,
        details: { causes: [{ reason: 'ExitCode', message: String(code) }] },
      };

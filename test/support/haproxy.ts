import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { proxyConfig } from '../../components/autoscaling/proxy';
import { freePort } from './port';

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

/** One request on a connection of its own, unless an agent is given. @throws when the connection is refused or breaks */
export function ask(
  port: number,
  path: string,
  {
    method = 'GET',
    headers = {},
  }: { readonly method?: string; readonly headers?: Record<string, string> } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, path, method, headers, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        body += chunk;
      });
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body }),
      );
      response.on('error', reject);
    });
    sent.on('error', reject);
    sent.end();
  });
}

export interface RealProxy {
  readonly port: number;
  readonly metricsPort: number;
  /** Value of a metric of one of its proxies. */
  metric(name: string, proxy: string): Promise<number>;
  /** Has it end its connections, as the Pod's preStop does. @returns resolves when it has ended */
  drain(): Promise<void>;
  stop(): Promise<void>;
}

/** Debian's HAProxy with the configuration of a module's Pod, in a folder. */
export async function startProxy(
  folder: string,
  modulePort: number,
  concurrency: number,
): Promise<RealProxy> {
  const [port, metricsPort] = [await freePort(), await freePort()];
  const file = join(folder, 'haproxy.cfg');
  writeFileSync(file, proxyConfig({ port, metricsPort, modulePort, concurrency, stopSeconds: 10 }));
  const server = spawn('haproxy', ['-db', '-f', file], { stdio: 'ignore' });
  const ended = once(server, 'exit');
  for (let attempt = 0; ; attempt++) {
    try {
      await ask(metricsPort, '/ready');
      break;
    } catch (error) {
      if (attempt > 100) throw error;
      await sleep(100);
    }
  }
  return {
    port,
    metricsPort,
    metric: async (name, proxy) => {
      const { body } = await ask(metricsPort, '/metrics');
      const line = body.split('\n').find((one) => one.startsWith(`${name}{proxy="${proxy}"`));
      if (!line) throw new Error(`there is no ${name} of ${proxy}`);
      return Number(line.split(' ').at(-1));
    },
    drain: async () => {
      server.kill('SIGUSR1');
      await ended;
    },
    stop: async () => {
      server.kill('SIGKILL');
      await ended;
    },
  };
}

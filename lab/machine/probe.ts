import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect } from 'node:net';

export interface ProbeOptions {
  /** PEM texts for TLS. */
  ca?: string;
  cert?: string;
  key?: string;
  /** Unix socket instead of the URL's host. */
  socketPath?: string;
  /** Default 2. */
  timeoutSeconds?: number;
}

/** One GET. @returns status and body; undefined when nothing answered */
export function get(
  url: string,
  options: ProbeOptions = {},
): Promise<{ status: number; body: string } | undefined> {
  return new Promise((resolve) => {
    const { timeoutSeconds = 2, ...rest } = options;
    const request = (url.startsWith('https:') ? httpsRequest : httpRequest)(
      url,
      { ...rest, agent: false, timeout: timeoutSeconds * 1000 },
      (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (text: string) => {
          body += text;
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
        response.on('error', () => resolve(undefined));
      },
    );
    request.on('timeout', () => request.destroy());
    request.on('error', () => resolve(undefined));
    request.end();
  });
}

/** True when a GET answers 200. */
export async function answers(url: string, options: ProbeOptions = {}): Promise<boolean> {
  return (await get(url, options))?.status === 200;
}

/** True when someone accepts connections there. */
export function accepts(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: 1000 });
    const end = (result: boolean): void => {
      socket.destroy();
      resolve(result);
    };
    socket.on('connect', () => end(true));
    socket.on('error', () => end(false));
    socket.on('timeout', () => end(false));
  });
}

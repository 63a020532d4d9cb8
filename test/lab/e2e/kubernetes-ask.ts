import { request } from 'node:https';
import { requestOf } from './kubernetes-request';

/** An API server, and the authority of its certificate. */
export interface Access {
  readonly server: string;
  readonly ca: string | Buffer;
}

/** The status of the API server's answer to a request of the identities' table; what is changed is an object of no kind. */
export function askKubernetes({ server, ca }: Access, token: string, what: string): Promise<number> {
  const { method, path, headers } = requestOf(what);
  return new Promise((resolve, reject) => {
    const sent = request(`${server}${path}`, {
      ca,
      // A connection of its own: what is upgraded or refused early leaves one in which answers no longer fit.
      agent: false,
      method,
      headers: { ...headers, authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    });
    sent.once('error', reject);
    sent.once('response', (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    sent.end(method === 'GET' ? undefined : '{}');
  });
}

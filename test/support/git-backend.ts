import { spawn } from 'node:child_process';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';

/** Answers as Git's own server does, for the bare repositories below a folder. */
export function answerAsGit(root: string, request: IncomingMessage, response: ServerResponse): void {
  const { pathname, search } = new URL(request.url ?? '', 'http://here');
  const child = spawn('git', ['http-backend'], {
    env: {
      PATH: process.env.PATH,
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: '1',
      REQUEST_METHOD: request.method,
      PATH_INFO: pathname,
      QUERY_STRING: search.slice(1),
      CONTENT_TYPE: request.headers['content-type'],
      HTTP_CONTENT_ENCODING: request.headers['content-encoding'] as string | undefined,
      GIT_PROTOCOL: request.headers['git-protocol'] as string | undefined,
    },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  request.pipe(child.stdin);
  void buffer(child.stdout).then((bytes) => {
    const end = bytes.indexOf('\r\n\r\n');
    const type = /^Content-Type: (.*)$/im.exec(bytes.toString('latin1', 0, end))?.[1]?.trim() ?? '';
    response.writeHead(200, { 'content-type': type }).end(bytes.subarray(end + 4));
  });
}

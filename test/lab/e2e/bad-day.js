/*
 * Stands before the lab's GitLab on a bad day: of the requests to its API, the given share is answered with an error that
 * GitLab gives when it is overloaded, restarted, or busy with the same thing; some of them after what was asked for was
 * done. Git and the hooks that GitLab sends go through untouched. SIGUSR1 ends the bad day.
 *
 * bad-day.js <address> <port> <port of GitLab> <share, 0 to 1> <seed>
 */
const http = require('node:http');

const [address, port, upstream, share, seed] = process.argv.slice(2);
let rate = Number(share);
process.on('SIGUSR1', () => {
  rate = 0;
});

/** Numbers from 0 to 1, the same for one seed (mulberry32). */
let state = Number(seed);
function random() {
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
}

const INTERNAL = [500, { message: '500 Internal Server Error' }];
/** After the work was done, as a proxy says whose GitLab was restarted. */
const UNHEARD = [502, undefined];

/** What may go wrong with a request, GitLab's own words for it (lib/api/{merge_requests,commit_statuses}.rb). */
function faultsOf(method, path) {
  if (method === 'GET') return [INTERNAL, UNHEARD];
  if (/\/merge_requests\/\d+\/merge$/.test(path)) {
    return [
      INTERNAL,
      UNHEARD,
      [422, { message: 'Branch cannot be merged' }],
      [409, { message: '409 Conflict' }],
    ];
  }
  if (/\/statuses\//.test(path)) return [INTERNAL, UNHEARD, [409, { message: '409 Conflict' }]];
  return [INTERNAL, UNHEARD];
}

http
  .createServer((request, response) => {
    const path = (request.url ?? '').replace(/\?.*/s, '');
    const faults = path.startsWith('/api/v4/') && random() < rate ? faultsOf(request.method, path) : [];
    const fault = faults[Math.floor(random() * faults.length)];
    const answer = ([status, body]) => {
      response.writeHead(status, { 'content-type': body ? 'application/json' : 'text/html' });
      response.end(body ? JSON.stringify(body) : '<html><body>502 Bad Gateway</body></html>');
    };
    if (fault && fault !== UNHEARD) {
      request.resume();
      answer(fault);
      return;
    }
    const passed = http.request(
      { host: address, port: upstream, method: request.method, path: request.url, headers: request.headers },
      (came) => {
        if (fault) {
          came.resume().on('end', () => answer(fault));
        } else {
          response.writeHead(came.statusCode, came.rawHeaders);
          came.pipe(response);
        }
      },
    );
    passed.on('error', () => (response.headersSent ? response.destroy() : answer(UNHEARD)));
    request.pipe(passed);
  })
  .listen(Number(port), address);

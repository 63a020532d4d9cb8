import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { bundleProgram } from '../../../operations/build/bundles';
import { catalogTexts, root, stackText } from '../../support/model';

// `switchyard status --watch` as a program of its own: in a pipe, on a terminal, and when somebody ends it.

const program = join(mkdtempSync(join(tmpdir(), 'switchyard-watch-')), 'switchyard.js');
beforeAll(() => bundleProgram(root, 'switchyard', program));
afterAll(() => rmSync(dirname(program), { recursive: true, force: true }));

let folder: string;
/** What GitLab and Jenkins answer to everything; the cluster is never there. */
let status: number;
let server: Server;
beforeEach(async () => {
  status = 404;
  server = createServer((_request, response) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end('{}');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  folder = mkdtempSync(join(tmpdir(), 'switchyard-watched-'));
  const write = (name: string, text: string) => {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  };
  for (const kind of ['services', 'modules'] as const)
    for (const [name, text] of Object.entries(catalogTexts[kind])) write(`catalog/${kind}/${name}`, text);
  const at = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  write(
    'stacks/Pulumi.test.yaml',
    stackText.replace('https://gitlab.test', at).replace('https://jenkins.test', at),
  );
  cpSync(join(root, 'Pulumi.yaml'), join(folder, 'Pulumi.yaml'));
});
afterEach(() => {
  server.close();
  rmSync(folder, { recursive: true, force: true });
});

/** @param through what runs the command, where that is not a pipe */
function watch(through: (command: readonly string[]) => readonly string[] = (command) => command) {
  const [file = '', ...args] = through([
    process.execPath,
    program,
    'status',
    'test',
    '--watch',
    '--interval',
    '1',
  ]);
  const child = spawn(file, args, {
    cwd: root,
    env: {
      ...process.env,
      SWITCHYARD_CATALOG: join(folder, 'catalog'),
      SWITCHYARD_STACKS: join(folder, 'stacks'),
      GITLAB_TOKEN: 'none',
      KUBECONFIG: join(folder, 'none'),
      TERM: 'xterm',
    },
  });
  const said = { out: '', err: '' };
  child.stdout.on('data', (data) => {
    said.out += String(data);
  });
  child.stderr.on('data', (data) => {
    said.err += String(data);
  });
  const ended = once(child, 'exit') as Promise<[number | null, string | null]>;
  const says = async (text: string | RegExp): Promise<void> => {
    for (;;) {
      if (typeof text === 'string' ? said.out.includes(text) : text.test(said.out)) return;
      const over = await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 50))]);
      if (over) throw new Error(`ended with ${String(over)}, and said ${JSON.stringify(said)}`);
    }
  };
  return { child, said, ended, says };
}

test('in a pipe it says what changes, goes on while nothing answers, and ends with 0 when interrupted', async () => {
  const { child, said, ended, says } = watch();
  await says(/^status of test: 0 of 1 modules run as released/m);
  await says('! could not be read: the production cluster (');
  status = 403;
  await says('! could not be read: the release ledger (');
  status = 404;
  await says('over: could not be read: the release ledger (');
  child.kill('SIGINT');
  expect(await ended).toEqual([0, null]);
  const lines = said.out.split('\n').filter(Boolean);
  expect(lines.slice(-2)).toEqual([
    expect.stringMatching(/^! could not be read: the release ledger \(.*refuses the token \(403\)/),
    expect.stringMatching(/^over: could not be read: the release ledger /),
  ]);
  expect(lines.filter((line, at) => lines.indexOf(line) !== at)).toEqual([]);
  expect(said.err).toBe('');
});

test('on a terminal it draws one screen, and Ctrl-C gives back what was there, with 0', async () => {
  const { child, said, ended, says } = watch((command) => [
    'script',
    '-qec',
    // Without a shell in between: some tell of the interrupt that they got as well, whatever the program ends with.
    `exec ${command.join(' ')}`,
    '/dev/null',
  ]);
  await says('switchyard status test, every 1 s: ');
  const draws = () => said.out.split('\u001b[H').length - 1;
  const drawn = draws();
  while (draws() < drawn + 2) await new Promise((resolve) => setTimeout(resolve, 50));
  // What a terminal sends for Ctrl-C.
  child.stdin.write('\u0003');
  expect(await ended).toEqual([0, null]);
  expect(said.out.startsWith('\u001b[?1049h')).toBe(true);
  expect(said.out.replace(/\^C/g, '').endsWith('\u001b[?1049l')).toBe(true);
});

test('whoever tells it to end gets the terminal back as well', async () => {
  const { said, ended, says, child } = watch((command) => [
    'script',
    '-qec',
    `${command.join(' ')} & echo $! > ${join(folder, 'pid')}; wait $!`,
    '/dev/null',
  ]);
  await says('switchyard status test, every 1 s: ');
  const { readFileSync } = await import('node:fs');
  process.kill(Number(readFileSync(join(folder, 'pid'), 'utf8')), 'SIGTERM');
  expect((await ended)[0]).toBe(128 + 15);
  expect(said.out.endsWith('\u001b[?1049l')).toBe(true);
  expect(child.exitCode).toBe(143);
});

test.each([
  [['--interval', '0'], 'Give at least 1.'],
  [['--interval', 'often'], 'Give a whole number.'],
])('%j is refused', async (more, says) => {
  const child = spawn(process.execPath, [program, 'status', 'test', ...more], { cwd: root });
  let err = '';
  child.stderr.on('data', (data) => {
    err += String(data);
  });
  expect((await once(child, 'close'))[0]).toBe(2);
  expect(err).toContain(says);
});

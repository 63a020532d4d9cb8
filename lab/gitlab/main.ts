import { mkdir, readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { startGitLab, stderrLog } from './server';

const USAGE = `usage: gitlab --data DIR --token-file FILE [--host ADDRESS] [--port PORT] [--external-url URL] [--allow-local-hooks]
Each can be given by environment as SWITCHYARD_GITLAB_DATA, _TOKEN_FILE, _HOST, _PORT, _EXTERNAL_URL, _ALLOW_LOCAL_HOOKS=1.`;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      data: { type: 'string', default: process.env.SWITCHYARD_GITLAB_DATA },
      'token-file': { type: 'string', default: process.env.SWITCHYARD_GITLAB_TOKEN_FILE },
      host: { type: 'string', default: process.env.SWITCHYARD_GITLAB_HOST ?? '127.0.0.1' },
      port: { type: 'string', default: process.env.SWITCHYARD_GITLAB_PORT ?? '8929' },
      'external-url': { type: 'string', default: process.env.SWITCHYARD_GITLAB_EXTERNAL_URL },
      'allow-local-hooks': {
        type: 'boolean',
        default: process.env.SWITCHYARD_GITLAB_ALLOW_LOCAL_HOOKS === '1',
      },
    },
  });
  const { data, 'token-file': tokenFile, host, port } = values;
  if (!data || !tokenFile || !/^\d+$/.test(port)) throw new Error(USAGE);
  const rootToken = (await readFile(tokenFile, 'utf8')).trim();
  if (rootToken.length < 20) throw new Error(`${tokenFile}: the root token must have at least 20 characters`);
  await mkdir(data, { recursive: true, mode: 0o700 });
  const log = stderrLog('info');
  const gitlab = await startGitLab({
    dataDir: data,
    host,
    port: Number(port),
    rootToken,
    externalUrl: values['external-url'],
    allowLocalHooks: values['allow-local-hooks'],
    log,
  });
  log.info(`GitLab stand-in listens on ${gitlab.url}, data in ${data}`);
  let stopping = false;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (stopping) process.exit(1);
      stopping = true;
      void gitlab.close().then(() => process.exit(0));
    });
  }
}

main().catch((error: Error) => {
  process.stderr.write(`gitlab: ${error.message}\n`);
  process.exit(1);
});

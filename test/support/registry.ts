import { execFileSync, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Registry } from '../../clients/registry';
import { freePort } from './port';

export interface RealRegistry {
  readonly registry: Registry;
  readonly host: string;
  /** Folder of all that it keeps. */
  readonly data: string;
  /** Frees what no manifest names, as the registry's Pod does before it serves. */
  collect(): void;
  stop(): void;
  /** Serves again after `stop`. */
  start(): void;
}

/** The real registry of Debian's package, in a folder. */
export async function startRegistry(folder: string): Promise<RealRegistry> {
  const port = await freePort();
  const file = join(folder, 'config.yml');
  const data = join(folder, 'data');
  writeFileSync(
    file,
    `version: 0.1
log: { level: error }
storage: { filesystem: { rootdirectory: ${data} }, delete: { enabled: true } }
http: { addr: "127.0.0.1:${port}" }
`,
  );
  const serve = () => spawn('docker-registry', ['serve', file], { stdio: 'ignore' });
  let server = serve();
  const host = `127.0.0.1:${port}`;
  const registry = new Registry({ host, plainHttp: true });
  for (let attempt = 0; ; attempt++) {
    try {
      await registry.repositories();
      break;
    } catch (error) {
      if (attempt > 100) throw error;
      await sleep(100);
    }
  }
  return {
    registry,
    host,
    data,
    collect: () => {
      execFileSync('docker-registry', ['garbage-collect', file], { stdio: 'ignore' });
    },
    stop: () => {
      server.kill();
    },
    start: () => {
      const begin = () => {
        server = serve();
      };
      // On a busy machine the one before may still hold the port.
      if (server.exitCode === null && server.signalCode === null) server.once('exit', begin);
      else begin();
    },
  };
}

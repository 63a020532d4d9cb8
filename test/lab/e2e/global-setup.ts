import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { REPOSITORY, switchyard } from '../../../lab/topology';

/** Has the command line bundled before the suites start it, some hundred times. */
export default function bundleSwitchyard(): void {
  const [command, args] = switchyard(['--help']);
  execFileSync(command, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  // Node keeps what it compiled: each start of a plug-in takes less.
  process.env.NODE_COMPILE_CACHE = join(REPOSITORY, 'dist', 'compile-cache');
}

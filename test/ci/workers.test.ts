import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { root } from '../support/model';

test('a worker whose jest is killed ends, whatever it still has to do', async () => {
  const works = `
    require(${JSON.stringify(join(root, 'test/support/environment.js'))});
    setInterval(() => undefined, 1000);
    process.send('works');
  `;
  const worker = spawn(process.execPath, ['--eval', works], { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] });
  try {
    expect((await once(worker, 'message'))[0]).toBe('works');
    const over = once(worker, 'exit');
    worker.disconnect();
    expect(await over).toEqual([1, null]);
  } finally {
    worker.kill('SIGKILL');
  }
});

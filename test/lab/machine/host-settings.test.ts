import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { restoreHostSettings, saveHostSettings } from '../../../lab/machine/host-settings';

test('what kubelet changes on the host is put back, and nothing else is touched', () => {
  const folder = mkdtempSync(join(tmpdir(), 'switchyard-settings-'));
  const before = process.env.SWITCHYARD_LAB_HOME;
  process.env.SWITCHYARD_LAB_HOME = folder;
  try {
    mkdirSync(join(folder, 'sys', 'vm'), { recursive: true });
    const path = join(folder, 'sys', 'vm', 'overcommit_memory');
    const other = join(folder, 'sys', 'vm', 'swappiness');
    writeFileSync(path, '0\n');
    writeFileSync(other, '60\n');
    saveHostSettings(join(folder, 'sys'));
    writeFileSync(path, '1\n');
    writeFileSync(other, '10\n');
    saveHostSettings(join(folder, 'sys'));
    restoreHostSettings(join(folder, 'sys'));
    expect(readFileSync(path, 'utf8').trim()).toBe('0');
    expect(readFileSync(other, 'utf8').trim()).toBe('10');
  } finally {
    if (before === undefined) delete process.env.SWITCHYARD_LAB_HOME;
    else process.env.SWITCHYARD_LAB_HOME = before;
    rmSync(folder, { recursive: true, force: true });
  }
});

import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PulumiCommand } from '../../../operations/engine/pulumi';

const folder = mkdtempSync(join(tmpdir(), 'switchyard-pulumi-'));
const path = process.env.PATH;
afterAll(() => {
  process.env.PATH = path;
  rmSync(folder, { recursive: true, force: true });
});

test('a command whose storage does not answer is ended, and says which it was', async () => {
  writeFileSync(join(folder, 'pulumi'), '#!/bin/sh\nexec sleep 600\n');
  chmodSync(join(folder, 'pulumi'), 0o755);
  process.env.PATH = `${folder}:${path}`;
  const pulumi = new PulumiCommand(folder, 's3://states', 300);
  await expect(pulumi.tag('production', 'lock')).rejects.toThrow(
    'pulumi stack tag get did not end within 0.3 s: is the storage of the states reachable?',
  );
});

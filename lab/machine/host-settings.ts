import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { labHome } from '../steps';

/**
 * Kernel settings that kubelet sets and that no namespace holds apart
 * (pkg/kubelet/cm/container_manager_linux.go: setupKernelTunables).
 */
const GLOBAL = [
  'vm/overcommit_memory',
  'vm/panic_on_oom',
  'kernel/panic',
  'kernel/panic_on_oops',
  'kernel/keys/root_maxkeys',
  'kernel/keys/root_maxbytes',
];

const file = (): string => join(labHome(), 'host-settings.json');

/** Notes the host's values once, before kubelet changes them. */
export function saveHostSettings(root = '/proc/sys'): void {
  if (existsSync(file())) return;
  const values: Record<string, string> = {};
  for (const name of GLOBAL) {
    const path = join(root, name);
    if (existsSync(path)) values[name] = readFileSync(path, 'utf8').trim();
  }
  writeFileSync(file(), JSON.stringify(values));
}

/** Puts the host's values back. Without a record, or after a reboot that reset them, nothing changes. */
export function restoreHostSettings(root = '/proc/sys'): void {
  if (!existsSync(file())) return;
  const values: unknown = JSON.parse(readFileSync(file(), 'utf8'));
  for (const [name, value] of Object.entries(values ?? {})) {
    const path = join(root, name);
    if (!GLOBAL.includes(name) || typeof value !== 'string' || !existsSync(path)) continue;
    if (readFileSync(path, 'utf8').trim() !== value) writeFileSync(path, value);
  }
}

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Edition } from '../../../../lab/gitlab/app';
import { type GitLab, startGitLab } from '../../../../lab/gitlab/server';
import { Stack } from './stack';

const TOKEN = 'glpat-root-0123456789abcdef';
const open: { gitlab: GitLab; folder: string }[] = [];

afterAll(async () => {
  for (const { gitlab, folder } of open) {
    await gitlab.close();
    rmSync(folder, { recursive: true });
  }
});

async function start(edition: Edition) {
  const folder = mkdtempSync(path.join(tmpdir(), 'gitlab-edition-'));
  const gitlab = await startGitLab({ dataDir: folder, rootToken: TOKEN, edition });
  open.push({ gitlab, folder });
  const stack = await Stack.at(gitlab.url, TOKEN);
  const { id } = await stack.create('Project', 'shop', { name: 'shop', initializeWithReadme: true });
  return { stack, inputs: { project: id, branch: 'main' } };
}

const LEVELS = { pushAccessLevel: 'no one', mergeAccessLevel: 'developer' };
const ENTRIES = {
  allowedToPushes: [{ accessLevel: 'no one' }],
  allowedToMerges: [{ accessLevel: 'developer' }],
};

/** docs/resources/branch_protection.md of terraform-provider-gitlab 19: which arguments are for which package. */
test.each([
  ['enterprise', ENTRIES, LEVELS, /^pushAccessLevel, mergeAccessLevel: not for a GitLab Enterprise package/],
  ['community', LEVELS, ENTRIES, /^allowedToPushes, allowedToMerges: only for a GitLab Enterprise package/],
] as const)(
  'of an %s package a protected branch takes its own arguments only',
  async (edition, taken, refused, why) => {
    const { stack, inputs } = await start(edition);
    await expect(stack.create('BranchProtection', 'main', { ...inputs, ...refused })).rejects.toThrow(why);
    const made = await stack.create('BranchProtection', 'main', { ...inputs, ...taken });
    expect(await stack.diff(made)).toMatchObject({ changes: false });
    expect(await stack.refresh(made)).toEqual(made);
    await expect(
      stack.update(made, { ...inputs, ...taken, ...refused, allowForcePush: true }),
    ).rejects.toThrow();
  },
);

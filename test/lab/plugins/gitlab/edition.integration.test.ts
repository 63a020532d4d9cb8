// Facts of terraform-provider-gitlab: docs/resources/branch_protection.md; of GitLab: lib/api/metadata.rb.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import * as gitlab from '@pulumi/gitlab';
import * as pulumi from '@pulumi/pulumi';
import { wantedBoxes } from '../../../../components/boxes';
import { lookUp } from '../../../../components/lookups';
import type { Declaration } from '../../../../components/shared/declaration';
import { Registrar } from '../../../../components/shared/registrar';
import type { Edition } from '../../../../lab/gitlab/instance/instance';
import { type GitLab, startGitLab } from '../../../../lab/gitlab/server';
import { modelOf } from '../../../support/model';
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
  return { url: gitlab.url, stack, inputs: { project: id, branch: 'main' } };
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

const PROTECTION = 'gitlab:index/branchProtection:BranchProtection';

/** Arguments as the engine gets them of our program, after it asked the GitLab at `url` which package it is. */
async function argumentsOf(url: string, declarations: readonly Declaration[]): Promise<unknown[]> {
  const box = { box: 'gitlab', name: 'gitlab', declarations } as const;
  const model = modelOf({});
  const settings = { ...model.settings, gitlab: { ...model.settings.gitlab, url } };
  const found = await lookUp({ ...model, settings }, [box], TOKEN);
  const made: unknown[] = [];
  await pulumi.runtime.setMocks({
    newResource: ({ name, inputs, type }) => {
      if (type === PROTECTION) made.push(inputs);
      return { id: name, state: inputs };
    },
    call: ({ inputs }) => inputs,
  });
  const registrar = new Registrar({
    seed: pulumi.secret('a seed for tests, long enough to be one'),
    environment: 'test',
    given: {},
    found,
    provider: (role) => new gitlab.Provider(role, { token: TOKEN }),
  });
  const parent = new pulumi.ComponentResource('test:index:Parent', 'parent');
  const resources = declarations.map((declaration) => registrar.register(declaration, parent));
  await Promise.all(resources.map(({ id }) => new Promise((resolve) => id.apply(resolve))));
  await pulumi.runtime.disconnect();
  return made;
}

test.each(['enterprise', 'community'] as const)(
  'what our program declares of protected branches, a GitLab of an %s package takes, and gives back unchanged',
  async (edition) => {
    const { url, stack, inputs } = await start(edition);
    // Every kind that a topology has: modules, their ledger, the library, and the topology's own project.
    const declared = wantedBoxes(modelOf({ topologyProject: 'path: topology' }))
      .flatMap((box) => box.declarations)
      .filter(({ type }) => type === PROTECTION);
    expect(declared.length).toBeGreaterThan(2);
    const here = declared.map((declaration) => ({
      ...declaration,
      args: { ...declaration.args, project: inputs.project },
    }));
    const given = await argumentsOf(url, here as Declaration[]);
    expect(given).toHaveLength(declared.length);
    for (const [number, args] of given.entries()) {
      const made = await stack.create('BranchProtection', `main-${number}`, args as never);
      expect(await stack.diff(made)).toMatchObject({ changes: false });
      expect(await stack.refresh(made)).toEqual(made);
      await stack.delete(made);
    }
  },
);

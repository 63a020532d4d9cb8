import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import * as gitlab from '@pulumi/gitlab';
import * as pulumi from '@pulumi/pulumi';
import { LocalWorkspace, PulumiCommand, type Stack } from '@pulumi/pulumi/automation';
import { topologyBoxes } from '../../../components/boxes';
import { lookUp } from '../../../components/lookups';
import { Component } from '../../../components/shared/component';
import { typeToken } from '../../../components/shared/naming';
import { Registrar } from '../../../components/shared/registrar';
import { type GitLab, type GitLabOptions, startGitLab } from '../../../lab/gitlab/server';
import { buildPlugins } from '../../../lab/plugins/build';
import { cacheHome } from '../../../lab/steps';
import { modelOf } from '../../support/model';
import type { Body } from '../gitlab/support';

const TOKEN = 'glpat-root-0123456789abcdef';

/** The GitLab boxes by the real engine and the lab's plug-in, against a GitLab of the test's own. */
export interface GitLabStack {
  readonly stack: Stack;
  readonly api: (route: string, init?: RequestInit) => Promise<Response>;
  readonly json: (route: string) => Promise<Body>;
  readonly close: () => Promise<void>;
}

/**
 * Has users ada and bob.
 * @param keys what the stack says under `gitlab:` by now
 */
export async function startGitLabStack(
  name: string,
  keys: () => string,
  options: Pick<GitLabOptions, 'tier'> = {},
): Promise<GitLabStack> {
  const folder = mkdtempSync(path.join(tmpdir(), `${name}-e2e-`));
  const inFolder = (inside: string) => path.join(folder, inside);
  for (const inside of ['bin', 'home', 'work', 'state', 'gitlab']) mkdirSync(inFolder(inside));
  const server: GitLab = await startGitLab({
    dataDir: inFolder('gitlab'),
    rootToken: TOKEN,
    allowLocalHooks: true,
    ...options,
  });
  const api = (route: string, init: RequestInit = {}) =>
    fetch(`${server.url}/api/v4${route}`, {
      ...init,
      headers: { 'PRIVATE-TOKEN': TOKEN, 'Content-Type': 'application/json' },
    });
  for (const username of ['ada', 'bob']) {
    const body = { username, name: username, email: `${username}@test`, force_random_password: true };
    expect((await api('/users', { method: 'POST', body: JSON.stringify(body) })).status).toBe(201);
  }
  const program = async (): Promise<void> => {
    const model = modelOf({ gitlab: keys() });
    const settings = { ...model.settings, gitlab: { ...model.settings.gitlab, url: server.url } };
    const boxes = topologyBoxes({ ...model, settings }).filter(({ box }) => box === 'gitlab');
    const found = await lookUp({ ...model, settings }, boxes, TOKEN);
    const provider = new gitlab.Provider('gitlab', { baseUrl: `${server.url}/api/v4/`, token: TOKEN });
    const registrar = new Registrar({
      seed: pulumi.secret('a seed for tests, long enough to be one'),
      environment: 'test',
      given: {},
      found,
      provider: () => provider,
    });
    for (const { box, name: boxName, declarations } of boxes)
      new Component(typeToken(box), boxName, declarations, { registrar, environment: 'test' });
  };
  await buildPlugins({ binDir: inFolder('bin'), outDir: inFolder('dist'), only: ['gitlab'] });
  // The engine takes plug-ins from beside its CLI first, and there stand those of the lab that is up.
  symlinkSync(path.join(cacheHome(), 'bin', 'pulumi'), inFolder('bin/pulumi'));
  const stack = await LocalWorkspace.createOrSelectStack(
    { stackName: 'test', projectName: `${name}-e2e`, program },
    {
      workDir: inFolder('work'),
      pulumiHome: inFolder('home'),
      pulumiCommand: await PulumiCommand.get({ root: folder, skipVersionCheck: true }),
      envVars: {
        PATH: `${inFolder('bin')}${path.delimiter}${process.env.PATH ?? ''}`,
        PULUMI_CONFIG_PASSPHRASE: 'test',
        PULUMI_BACKEND_URL: `file://${inFolder('state')}`,
        PULUMI_SKIP_UPDATE_CHECK: 'true',
      },
    },
  );
  return {
    stack,
    api,
    json: async (route) => (await api(route)).json(),
    close: async () => {
      await server.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

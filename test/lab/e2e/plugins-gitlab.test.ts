import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import * as docker from '@pulumi/docker';
import * as gitlab from '@pulumi/gitlab';
import * as pulumi from '@pulumi/pulumi';
import { LocalWorkspace, PulumiCommand, type Stack } from '@pulumi/pulumi/automation';
import { type GitLab, startGitLab } from '../../../lab/gitlab/server';
import { MIRROR_PUSH } from '../../../lab/machine/addresses';
import { buildPlugins } from '../../../lab/plugins/build';
import { cacheHome, labHome } from '../../../lab/steps';

// The real engine with the plug-ins, against a GitLab of the test's own and the lab's Docker engine.
jest.setTimeout(900_000);

const TOKEN = 'glpat-root-0123456789abcdef';
let folder: string;
let server: GitLab;
let stack: Stack;
let hookUrl = 'http://127.0.0.1:1/project/switchyard/orders';

const inFolder = (...parts: string[]) => path.join(folder, ...parts);

async function program(): Promise<Record<string, unknown>> {
  const provider = new gitlab.Provider('gitlab', { baseUrl: `${server.url}/api/v4/`, token: TOKEN });
  const opts: pulumi.CustomResourceOptions = { provider };
  const group = new gitlab.Group(
    'group',
    { name: 'switchyard', path: 'switchyard', visibilityLevel: 'private' },
    opts,
  );
  const project = new gitlab.Project(
    'orders',
    {
      name: 'orders',
      namespaceId: group.id.apply(Number),
      visibilityLevel: 'private',
      defaultBranch: 'main',
      initializeWithReadme: true,
      onlyAllowMergeIfPipelineSucceeds: true,
      permanentlyDeleteOnDestroy: true,
    },
    opts,
  );
  const protection = new gitlab.BranchProtection(
    'main',
    {
      project: project.id,
      branch: 'main',
      // Of an enterprise package, as the stand-in is by itself.
      allowedToPushes: [{ accessLevel: 'maintainer' }],
      allowedToMerges: [{ accessLevel: 'maintainer' }],
    },
    opts,
  );
  new gitlab.ProjectHook(
    'hook',
    {
      project: project.id,
      url: hookUrl,
      token: pulumi.secret('hook-token-of-orders'),
      mergeRequestsEvents: true,
    },
    opts,
  );
  for (const file of ['a.txt', 'b.txt', 'c.txt']) {
    new gitlab.RepositoryFile(
      file,
      {
        project: project.id,
        branch: 'main',
        filePath: file,
        content: Buffer.from(`${file}\n`).toString('base64'),
        encoding: 'base64',
        commitMessage: `Write ${file}`,
      },
      { ...opts, dependsOn: [protection] },
    );
  }
  const bot = new gitlab.GroupAccessToken(
    'bot',
    {
      group: group.id,
      name: 'switchyard-bot',
      accessLevel: 'maintainer',
      scopes: ['api'],
      expiresAt: new Date(Date.now() + 30 * 86_400_000).toISOString().slice(0, 10),
    },
    opts,
  );
  const engine = new docker.Provider('docker', {
    host: `unix://${path.join(labHome(), 'run', 'docker.sock')}`,
  });
  const image = new docker.Image(
    'image',
    {
      imageName: `${MIRROR_PUSH}/e2e/plugins:1`,
      build: { context: inFolder('context'), platform: 'linux/amd64' },
    },
    { provider: engine },
  );
  return { projectId: project.id, token: bot.token, image: image.repoDigest };
}

const api = (route: string) => fetch(`${server.url}/api/v4${route}`, { headers: { 'PRIVATE-TOKEN': TOKEN } });

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'plugins-e2e-'));
  for (const name of ['bin', 'home', 'work', 'state', 'context', 'gitlab']) mkdirSync(inFolder(name));
  writeFileSync(inFolder('context', 'Dockerfile'), 'FROM scratch\nCOPY hello /hello\n');
  writeFileSync(inFolder('context', 'hello'), 'hello\n');
  server = await startGitLab({ dataDir: inFolder('gitlab'), rootToken: TOKEN, allowLocalHooks: true });
  await buildPlugins({ binDir: inFolder('bin'), outDir: inFolder('dist'), only: ['gitlab', 'docker'] });
  stack = await LocalWorkspace.createOrSelectStack(
    { stackName: 'test', projectName: 'plugins-e2e', program },
    {
      workDir: inFolder('work'),
      pulumiHome: inFolder('home'),
      pulumiCommand: await PulumiCommand.get({ root: cacheHome(), skipVersionCheck: true }),
      envVars: {
        PATH: `${inFolder('bin')}${path.delimiter}${process.env.PATH ?? ''}`,
        PULUMI_CONFIG_PASSPHRASE: 'test',
        PULUMI_BACKEND_URL: `file://${inFolder('state')}`,
        PULUMI_SKIP_UPDATE_CHECK: 'true',
      },
    },
  );
});

afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

test('up makes everything; a second up and a refresh change nothing', async () => {
  const first = await stack.up();
  expect(first.summary.resourceChanges).toEqual({ create: 12 });
  expect(first.outputs.token?.secret).toBe(true);
  expect(String(first.outputs.image?.value)).toMatch(
    /^127\.198\.18\.2:5001\/e2e\/plugins@sha256:[0-9a-f]{64}$/,
  );
  expect((await stack.up()).summary.resourceChanges).toEqual({ same: 12 });
  const refreshed = await stack.refresh();
  expect(refreshed.summary.resourceChanges?.update).toBeUndefined();
  expect((await stack.up()).summary.resourceChanges).toEqual({ same: 12 });
});

test('the state holds no token in the clear', async () => {
  const file = inFolder('state', '.pulumi', 'stacks', 'plugins-e2e', 'test.json');
  const text = readFileSync(file, 'utf8');
  expect(text).toContain('gitlab:index/projectHook:ProjectHook');
  expect(text).not.toContain('hook-token-of-orders');
  expect(text).not.toContain(TOKEN);
  const { token } = await stack.outputs();
  expect(String(token?.value)).toMatch(/^glpat-/);
  expect(text).not.toContain(String(token?.value));
});

test('a changed hook is updated, a changed file of the image rebuilds it, and nothing else is touched', async () => {
  hookUrl = 'http://127.0.0.1:1/project/switchyard/other';
  writeFileSync(inFolder('context', 'hello'), 'hello again\n');
  const { summary } = await stack.up();
  expect(summary.resourceChanges).toEqual({ update: 2, same: 10 });
});

test('destroy leaves nothing in GitLab but a group that waits for its deletion, out of the way', async () => {
  const { projectId } = await stack.outputs();
  await stack.destroy();
  expect((await api(`/projects/${String(projectId?.value)}`)).status).toBe(404);
  const [group, ...others] = (await (await api('/groups')).json()) as { id: number; full_path: string }[];
  expect(others).toEqual([]);
  expect(group?.full_path).toBe(`switchyard-deletion_scheduled-${group?.id}`);
});

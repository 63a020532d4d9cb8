import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../support/model';

// The recipes of images that are built where there is internet name the versions that this repository works with.

const text = (...path: string[]): string => readFileSync(join(root, ...path), 'utf8');
const versionOf = (...path: string[]): string => (JSON.parse(text(...path)) as { version: string }).version;

test("the agent's recipe has the packages' and the lab's versions", () => {
  const recipe = text('delivery', 'image', 'agent.Dockerfile');
  const given = Object.fromEntries(
    [...recipe.matchAll(/^ARG ([A-Z_]+)=(\S+)$/gm)].map(([, name, version]) => [name, version]),
  );
  const moduleVersion = (name: string, folder: string): string | undefined =>
    new RegExp(`${name} v(\\S+)`).exec(text('lab', 'toolchain', folder, 'go.mod'))?.[1];
  expect(given).toEqual({
    NODE: versionOf('node_modules', 'node', 'package.json'),
    PULUMI: versionOf('node_modules', '@pulumi', 'pulumi', 'package.json'),
    PULUMI_KUBERNETES: versionOf('node_modules', '@pulumi', 'kubernetes', 'package.json'),
    PULUMI_DOCKER: versionOf('node_modules', '@pulumi', 'docker', 'package.json'),
    PULUMI_GITLAB: versionOf('sdks', 'gitlab', 'package.json'),
    KUBERNETES: moduleVersion('k8s.io/kubernetes', 'kubernetes'),
    BUILDKIT: moduleVersion('github.com/moby/buildkit', 'buildkit'),
  });
});

test('whatever the lab puts into its agent is in the recipe, and no Java', () => {
  const recipe = text('delivery', 'image', 'agent.Dockerfile');
  const lab = text('lab', 'images', 'agent', 'Dockerfile');
  const packages = /apt-get install -y (.+) \\/.exec(lab)?.[1]?.split(' ') ?? [];
  expect(packages).toEqual(expect.arrayContaining(['git', 'restic', 'tini']));
  for (const name of packages) expect(recipe).toMatch(new RegExp(`apt-get install .*\\b${name}\\b`));
  for (const program of ['node', 'kubectl', 'buildctl', 'pulumi']) expect(recipe).toContain(program);
  expect(recipe).not.toMatch(/\bjdk|\bjre|java -/i);
});

test("Robot's recipe has the lab's packages", () => {
  const recipe = text('delivery', 'image', 'robot.Dockerfile');
  const packages = text('lab', 'images', 'robot', 'requirements.txt').match(/^robot\S+/gm) ?? [];
  expect(packages).toHaveLength(2);
  for (const name of packages) expect(recipe).toContain(name);
});

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { analyse } from 'scslre';
import ts from 'typescript';
import { dependsOn } from '../../catalog/depends-on';
import { quantity } from '../../catalog/quantity';
import { root } from '../support/model';
import { PRODUCT_FOLDERS } from '../support/product';

// A pattern that takes longer than linearly over a text of others stops what reads it: the reconciler of all modules over one
// description of a merge request, which may have a million characters. Found by scslre, as eslint-plugin-regexp does it.

const SETTING = 'an address of the stack file or of the environment';
/** Patterns that may, since what they read is ours or short. */
const MAY: Readonly<Record<string, string>> = {
  'catalog/addresses.ts: /[0-9]+(?:\\.[0-9]+){3}$/': 'an address that Node takes for one of IPv6',
  'clients/gitlab-api.ts: /\\/+$/': SETTING,
  'delivery/layer.ts: /^ *[0-7]*[ \\0]*$/': 'a field of a tar’s header: twelve bytes',
  'clients/pushgateway.ts: /\\/+$/': SETTING,
  'text/hide.ts: /=+$/': 'base64, which has two of them at its end and none before',
  'catalog/depends-on.ts: /\\/+$/': SETTING,
  'delivery/reconcile/commands.ts: /\\/+$/': SETTING,
  'delivery/reconcile/jenkins.ts: /\\/+$/': SETTING,
  'clients/registry.ts: /(\\w+)="([^"]*)"/g': 'a header, of which Node takes 16 KiB',
  'delivery/open-registry.ts: /\\/.*$/': 'a registry in the config of Docker that is mounted',
  'delivery/verify.ts: /\\/+$/': SETTING,
  'components/jenkins/login.ts: /\\/+$/': SETTING,
  'components/jenkins/topology.ts: /\\/.*$/': 'the type of a declaration',
  'components/neighbours.ts: /\\/+$/': SETTING,
  'operations/init/index.ts: /^-+|-+$/g': 'the name of a folder',
  'operations/engine/lock.ts: /created by (\\S*)@(\\S+) \\(pid (\\d+)\\) at (\\S+)/g': 'what Pulumi says',
  'operations/render/page/browser/script.ts: /#.*$/': 'the page’s own address',
  'operations/render/queue.ts: /\\/+$/': SETTING,
  'operations/schemas/comments.ts: /^\\/\\*\\*|\\*\\/$|^\\s*\\* ?/gm': 'comments of this repository',
  'rules/facts/jenkins.ts: /\\/+$/': SETTING,
  [`rules/facts/graph.ts: ${String.raw`/\b(?:pendingBuildName|updateGitlabCommitStatus|gitlabCommitStatus|gitLabCommitStatusPublisher)\s*\(?\s*(?:\{\s*)?(?:name\s*[:(]\s*)?(['"])([^'"]+)\1/g`}`]:
    'pipelines of the topology',
};

const isSlow = (pattern: string): boolean => {
  const end = pattern.lastIndexOf('/');
  const made = new RegExp(pattern.slice(1, end), pattern.slice(end + 1));
  return analyse(made, { reportTypes: { Move: true, Self: true, Trade: true } }).reports.length > 0;
};

function patternsIn(file: string): string[] {
  const source = ts.createSourceFile(file, readFileSync(join(root, file), 'utf8'), ts.ScriptTarget.Latest);
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isRegularExpressionLiteral(node)) found.push(node.text);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

test('no pattern takes longer than linearly over a text of others', () => {
  const files = PRODUCT_FOLDERS.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.ts') && !path.endsWith('.generated.ts'))
      .map((path) => `${folder}/${path}`),
  );
  const known = new Map<string, boolean>();
  const slow = files.flatMap((file) =>
    patternsIn(file).flatMap((pattern) => {
      const found = known.get(pattern) ?? isSlow(pattern);
      known.set(pattern, found);
      return found ? [`${file}: ${pattern}`] : [];
    }),
  );
  expect(known.size).toBeGreaterThan(300);
  expect([...new Set(slow)].sort()).toEqual(Object.keys(MAY).sort());
});

/** GitLab's longest description. */
const LONGEST = 1_048_576;

test.each([
  ['blanks within', `Depends-On: !1${' '.repeat(LONGEST)}x`],
  ['blanks before', `${' '.repeat(LONGEST)}Depends-On: !1`],
  ['tabs behind', `Depends-On: !1${'\t'.repeat(LONGEST)}`],
  ['lines', 'Depends-On:\n'.repeat(LONGEST / 12)],
  ['a name', `Depends-On: ${'a'.repeat(LONGEST)}!1`],
  ['a path', `Depends-On: ${'a/'.repeat(LONGEST / 2)}!1`],
])('a description of a million characters is read at once: %s', (_what, description) => {
  const begun = performance.now();
  dependsOn(description, { gitlabUrl: 'https://gitlab.test', project: 'g/a', projects: ['g/a'] });
  expect(performance.now() - begun).toBeLessThan(20_000);
});

test('an amount of a million digits is none, at once', () => {
  const begun = performance.now();
  expect(quantity(`${'1'.repeat(LONGEST)}x`)).toBeUndefined();
  expect(performance.now() - begun).toBeLessThan(20_000);
});

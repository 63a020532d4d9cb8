import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cli } from '../../../operations/cli';
import { bashCompletion, completionTree, zshCompletion } from '../../../operations/cli/completion';

const tree = completionTree(cli());
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'switchyard-completion-'));
  mkdirSync(join(folder, 'stacks'));
  mkdirSync(join(folder, 'catalog', 'modules'), { recursive: true });
  for (const name of ['lab', 'production']) writeFileSync(join(folder, 'stacks', `Pulumi.${name}.yaml`), '');
  for (const name of ['orders', 'shop'])
    writeFileSync(join(folder, 'catalog', 'modules', `${name}.yaml`), '');
  writeFileSync(join(folder, 'completion.bash'), bashCompletion(tree));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What bash offers for words, of which the last is under the cursor. */
function offered(...words: string[]): string[] {
  const script = `source completion.bash
    COMP_WORDS=(switchyard "$@"); COMP_CWORD=$#
    _switchyard
    printf '%s\\n' "\${COMPREPLY[@]}"`;
  const printed = execFileSync('bash', ['-c', script, 'bash', ...words], { cwd: folder, encoding: 'utf8' });
  return printed.split('\n').filter((word) => word !== '');
}

test('bash offers the commands, then environments and modules where they belong', () => {
  expect(offered('')).toEqual(tree.commands.map(({ name }) => name));
  expect(offered('up', '')).toEqual(['lab', 'production']);
  expect(offered('up', 'p')).toEqual(['production']);
  expect(offered('render', 'lab', '')).toEqual(['orders', 'shop']);
  expect(offered('up', 'lab', '')).toEqual([]);
  expect(offered('completion', '')).toEqual(['bash', 'zsh']);
});

test('bash knows which options take a value, and of what', () => {
  expect(offered('up', 'lab', '--only', '')).toEqual(['orders', 'shop']);
  expect(offered('up', '--only', 'shop', '')).toEqual(['lab', 'production']);
  expect(offered('up', '--yes', '')).toEqual(['lab', 'production']);
  expect(offered('drift', 'lab', '--f')).toEqual(['--fix', '--fenced']);
  expect(offered('status', 'lab', '--y')).toEqual([]);
});

test('zsh has a function for each command, with its options and places', () => {
  const script = zshCompletion(tree);
  expect(script.split('\n')[0]).toBe('#compdef switchyard');
  for (const { name } of tree.commands) expect(script).toContain(`_switchyard_${name}_command() {`);
  expect(script).toContain("'--fix[put back what drifted, and nothing else]'");
  expect(script).toContain('1:value:{compadd -- ${(f)"$(_switchyard_environments)"}}');
});

test('a command that was renamed answers to its old name, which nobody is offered', () => {
  const redact = cli().commands.find((command) => command.name() === 'redact');
  expect(redact?.aliases()).toEqual(['withhold']);
  expect(offered('')).not.toContain('withhold');
});

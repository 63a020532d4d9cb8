import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { program } from '../../../delivery/commands';
import { cli } from '../../../operations/cli';
import { root } from '../../support/model';

// Which token of GitLab each command of the shared library runs with. What `trusted` makes of its lists, the tests in lab/jenkins
// try under Jenkins' own engine.

const vars = join(root, 'delivery', 'library', 'vars');
const code = (file: string) => readFileSync(join(vars, file), 'utf8').replace(/\/\/.*$/gm, '');

const listed = (name: string): string[] => {
  const body = new RegExp(`List<String> ${name}\\(\\) \\{\\s*return \\[([^\\]]*)\\]`).exec(
    code('trusted.groovy'),
  );
  return [...(body?.[1] ?? '').matchAll(/'([^']+)'/g)].map(([, command = '']) => command);
};
const lists = { bot: listed('asBot'), reader: listed('asReader'), nobody: listed('asNobody') };
const all = Object.values(lists).flat();

/** Program and command of every text that begins like a command of ours; what `sh` is given directly is another matter. */
const called = readdirSync(vars)
  .filter((file) => file.endsWith('.groovy') && file !== 'trusted.groovy')
  .flatMap((file) =>
    [...code(file).matchAll(/(script: )?(['"])(?:timeout \d+ )?((?:delivery|switchyard) [^'"]+)/g)].flatMap(
      ([, direct, , text = '']) =>
        direct ? [] : text.split(' && ').map((one) => one.split(/[ $]/).slice(0, 2).join(' ')),
    ),
  );

test('each command that the pipelines call has its token by one list, and no list has a command that none calls', () => {
  expect(new Set(all).size).toBe(all.length);
  // Of no use to `unpack` are credentials: it gets none, and is not run by `trusted`.
  const trusted = new Set(called.filter((command) => command !== 'delivery unpack'));
  expect([...trusted].sort()).toEqual([...all].sort());
});

test('a command is given to `trusted` as it stands, or by a variable that holds one of those', () => {
  const given = readdirSync(vars)
    .filter((file) => file.endsWith('.groovy'))
    .flatMap((file) =>
      [...code(file).matchAll(/\btrusted\(([^'")]*?)[,)]/g)].map(([, name]) => `${file} ${name}`),
    );
  expect(new Set(given)).toEqual(
    new Set([
      'modulePipeline.groovy up',
      'modulePipeline.groovy run.ledger',
      'topologyPipeline.groovy command',
    ]),
  );
});

test('every listed command is one of the delivery image', () => {
  const known = [
    ...program().commands.map((command) => `delivery ${command.name()}`),
    ...cli().commands.flatMap((command) =>
      [command.name(), ...command.aliases()].map((name) => `switchyard ${name}`),
    ),
  ];
  expect(all.filter((command) => !known.includes(command))).toEqual([]);
});

test('what rolls out, judges, reads the state or backs up a release has the token that only reads', () => {
  expect(lists.reader).toEqual([
    'switchyard up',
    'switchyard judge',
    'switchyard cut',
    'switchyard withhold',
    'switchyard scrub',
    'delivery preview-watch',
    'delivery backup',
  ]);
});

test('what speaks with a build has no token of GitLab', () => {
  expect(lists.nobody).toEqual(['delivery build-plan', 'delivery build', 'delivery test-pod']);
});

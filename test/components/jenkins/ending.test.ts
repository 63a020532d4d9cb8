import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parse } from 'yaml';
import { ENDING_SECONDS, waitForSteps } from '../../../components/jenkins/ending';
import { parseStack } from '../../../stacks/load';
import { cascYaml } from '../../support/jenkins';
import { stackText, testModel } from '../../support/model';

interface AgentPod {
  readonly spec: {
    readonly terminationGracePeriodSeconds?: number;
    readonly containers: readonly { readonly name: string; readonly command?: string[] }[];
  };
}

test('the Pods that change an environment, and no others, are told when they end', () => {
  const model = testModel({
    settings: parseStack(
      `${stackText}  switchyard:topologyProject: { path: topology, apply: automatic }\n`,
      'stacks/Pulumi.test.yaml',
      'test',
    ),
  });
  const { templates } = parse(cascYaml(model)).jenkins.clouds[0].kubernetes as {
    templates: { name: string; yaml: string }[];
  };
  const told = templates.filter(({ yaml }) => {
    const { spec } = parse(yaml) as AgentPod;
    const listens = spec.containers.some(
      ({ command }) => command?.includes('-c') && command[2]?.includes('trap end'),
    );
    expect(listens).toBe(spec.terminationGracePeriodSeconds === ENDING_SECONDS);
    return listens;
  });
  expect(told.map(({ name }) => name).sort()).toEqual(['apply', 'deploy', 'state']);
});

test.each([
  ['of a deploy', '/opt/switchyard/lib/switchyard.js'],
  // `delivery apply-run` and `as-applied` compile the program of another commit (delivery/preview/compile.ts).
  ['of another commit', '/tmp/compiled-x/lib/switchyard.js'],
])('`switchyard` %s is told and waited for, and nothing beside it is touched', async (_of, path) => {
  const folder = mkdtempSync(join(tmpdir(), 'ending-'));
  const proc = join(folder, 'proc');
  const program = (seconds: number) =>
    spawn('sh', ['-c', `trap 'sleep ${seconds}; exit 7' TERM; sleep 60 & wait`], { stdio: 'ignore' });
  const changing = program(1);
  const plugin = program(0);
  const list = (pid: number | undefined, line: string[]) => {
    mkdirSync(join(proc, String(pid)), { recursive: true });
    writeFileSync(join(proc, String(pid), 'cmdline'), `${line.join('\0')}\0`);
  };
  list(changing.pid, ['node', path, 'up', 'lab']);
  list(plugin.pid, ['node', '/usr/local/bin/pulumi-resource-gitlab', '1234']);
  const [command = '', ...args] = waitForSteps(proc);
  const first = spawn(command, args, { stdio: 'ignore' });
  const ended = new Promise<number | null>((resolve) => first.once('exit', resolve));
  let left: number | null | undefined;
  changing.once('exit', (code) => {
    left = code;
  });
  try {
    await sleep(500);
    first.kill('SIGTERM');
    expect(await ended).toBe(0);
    expect(left).toBe(7);
    expect(plugin.exitCode).toBeNull();
  } finally {
    for (const one of [first, changing, plugin]) one.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  }
});

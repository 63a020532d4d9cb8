import fc from 'fast-check';
import { parse } from 'yaml';
import type { Model } from '../../../components/model';
import { cascYaml } from '../../support/jenkins';
import { modelWith } from './support';

/** What of a cloud decides how many agents there may be. */
interface Cloud {
  readonly containerCapStr: string;
  readonly templates: readonly {
    readonly id: string;
    readonly name: string;
    readonly instanceCapStr?: string;
  }[];
}
const cloudOf = (model: Model): Cloud => {
  const casc = parse(cascYaml(model)) as { jenkins: { clouds: { kubernetes: Cloud }[] } };
  const [cloud] = casc.jenkins.clouds;
  if (!cloud) throw new Error('no cloud');
  return cloud.kubernetes;
};

/** The kubernetes plugin's KubernetesProvisioningLimits: all agents of the cloud together, and those of each template. */
class Limits {
  private readonly held = new Map<string, number>();

  constructor(private readonly cloud: Cloud) {}

  private count(kind: string): number {
    return this.held.get(kind) ?? 0;
  }

  register(kind: string): boolean {
    const all = [...this.held.values()].reduce((sum, one) => sum + one, 0);
    const template = this.cloud.templates.find(({ name }) => name === kind);
    if (all >= Number(this.cloud.containerCapStr)) return false;
    if (this.count(kind) >= Number(template?.instanceCapStr ?? Number.POSITIVE_INFINITY)) return false;
    this.held.set(kind, this.count(kind) + 1);
    return true;
  }

  unregister(kind: string): void {
    this.held.set(kind, this.count(kind) - 1);
  }
}

/** What a build does with a second agent. A deploy takes its module's lock in there, and waits for it before; applying takes all. */
function stepsOf(kind: string): string[] {
  const [agent = '', module = ''] = kind.split(' ');
  const [lock, unlock] = [`lock ${module}`, `unlock ${module}`];
  if (agent === 'deploy') return [lock, unlock, '+deploy', lock, unlock, '-deploy'];
  return agent === 'apply' ? ['+apply', 'lock', 'unlock', '-apply'] : [`+${agent}`, `-${agent}`];
}

/** Jenkins' locks of modules' deploys: one of them, or all at once. */
class Locks {
  private held: string[] = [];

  take(step: string): boolean {
    const [what, module] = step.split(' ');
    const all = module === undefined ? ['one', 'other'] : [module];
    if (what === 'lock' && this.held.some((one) => all.includes(one))) return false;
    this.held = this.held.filter((one) => !all.includes(one)).concat(what === 'lock' ? all : []);
    return true;
  }
}

/**
 * Builds as the shared library makes them: a `delivery` agent first, and while it is held one after another of the
 * second kind. Which build moves next is up to `choose`.
 * @returns how many ended when nothing moves any more
 */
function ended(
  cloud: Cloud,
  builds: readonly (readonly string[])[],
  choose: (among: number) => number,
): number {
  const limits = new Limits(cloud);
  const locks = new Locks();
  const steps = builds.map((seconds) => ['+delivery', ...seconds.flatMap(stepsOf), '-delivery']);
  for (;;) {
    const waiting = steps.filter((left) => left.length > 0);
    let moved = false;
    while (waiting.length > 0 && !moved) {
      const [one] = waiting.splice(choose(waiting.length), 1);
      const [step = ''] = one ?? [];
      const kind = step.slice(1);
      if (step.includes('lock')) {
        if (!locks.take(step)) continue;
      } else if (step.startsWith('-')) limits.unregister(kind);
      else if (!limits.register(kind)) continue;
      one?.shift();
      moved = true;
    }
    if (!moved) return steps.filter((left) => left.length === 0).length;
  }
}

const fair = (): ((among: number) => number) => {
  let turn = 0;
  return (among) => turn++ % among;
};
const twenty = Array.from({ length: 20 }, () => ['build', 'test']);

test('twenty builds at once with a cap of six all end', () => {
  expect(ended(cloudOf(modelWith('maximumAgents: 6')), twenty, fair())).toBe(20);
});

test('under the cap of the cloud alone they would stand still, each waiting for its second agent', () => {
  const cloud = cloudOf(modelWith('maximumAgents: 6'));
  const templates = cloud.templates.map(({ id, name }) => ({ id, name }));
  expect(ended({ ...cloud, templates }, twenty, fair())).toBe(0);
});

const clouds = Array.from({ length: 11 }, (_, index) => cloudOf(modelWith(`maximumAgents: ${index + 2}`)));

test('no cap, no mixture of builds and no order of theirs stands still', () => {
  const second = fc.constantFrom('build', 'test', 'deploy one', 'deploy other', 'state', 'preview', 'apply');
  fc.assert(
    fc.property(
      fc.constantFrom(...clouds),
      fc.array(fc.array(second, { maxLength: 4 }), { minLength: 1, maxLength: 25 }),
      fc.infiniteStream(fc.nat()),
      (cloud, builds, order) => {
        expect(ended(cloud, builds, (among) => (order.next().value ?? 0) % among)).toBe(builds.length);
      },
    ),
    { numRuns: 200 },
  );
});

// kubernetes plugin, PodTemplate(null): a random UUID at each load, by which agents are counted.
test('each kind of agent has an id that is the same at each load, and its own among clouds', () => {
  const ids = cloudOf(modelWith()).templates.map(({ id }) => id);
  expect(ids).toEqual(['delivery', 'build', 'deploy', 'state'].map((name) => `kubernetes-${name}`));
  expect(cloudOf(modelWith()).templates.map(({ id }) => id)).toEqual(ids);
});

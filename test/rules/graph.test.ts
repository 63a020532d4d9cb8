import { modelFacts } from '../../rules/assert';
import { factsOf } from '../../rules/facts';
import { jobPathOf } from '../../rules/facts/graph';
import { testModel } from '../support/model';
import { changed, itemsOfTwo, twoModules } from './support';

const { clusters } = testModel().settings;
const one = JSON.stringify(clusters.ci);
const two = JSON.stringify(clusters.production);

test("a commit's way leads from the hook to the backups of production", () => {
  const { graph } = modelFacts(testModel());
  const way = [
    'hook:gitlab-shop-hook',
    'job:switchyard/shop',
    'status:switchyard/shop:switchyard',
    `namespace:${one}:test-shop`,
    'registry:registry.test:5000',
    `workload:${two}:production-shop-workload`,
    `service:${two}:production-shop-cache-service`,
    `backup:${two}:production-shop-cache-workload`,
  ];
  for (const [index, id] of way.entries()) {
    expect(graph.nodes.get(id)?.id).toBe(id);
    const following = way[index + 1];
    if (following) expect(graph.next.get(id)).toContain(following);
    else expect(graph.next.get(id)).toBeUndefined();
  }
});

test('each edge joins two nodes, and none stands twice', () => {
  const { nodes, edges } = modelFacts(twoModules()).graph;
  expect(new Set(edges.map(({ from, to }) => `${from} ${to}`)).size).toBe(edges.length);
  for (const { from, to } of edges) expect([nodes.has(from), nodes.has(to)]).toEqual([true, true]);
});

test('no edge leads from one module to another', () => {
  const { nodes, edges } = modelFacts(twoModules()).graph;
  for (const { from, to } of edges) {
    const modules = [nodes.get(from)?.module, nodes.get(to)?.module].filter((name) => name !== undefined);
    expect(new Set(modules).size).toBeLessThanOrEqual(1);
  }
});

test('the same model gives the same graph', () => {
  const graph = () => modelFacts(twoModules()).graph;
  expect([...graph().nodes.keys()]).toEqual([...graph().nodes.keys()]);
  expect(graph().edges).toEqual(graph().edges);
});

test('a hook to a job that does not exist has no edge', () => {
  const items = changed(itemsOfTwo(), 'gitlab-shop-hook', ['url'], 'https://jenkins.test/project/a/b');
  expect(factsOf(items).graph.next.get('hook:gitlab-shop-hook')).toBeUndefined();
});

test("an image that the topology builds ties its workload to the topology's registry", () => {
  expect(modelFacts(testModel()).graph.next.get('registry:registry.test:5000')).toContain(
    `workload:${one}:jenkins-controller`,
  );
});

test("a hook's address is a job's path below /project/ of that Jenkins, and of no other", () => {
  const jenkins = 'https://jenkins.test/ci';
  expect(jobPathOf(`${jenkins}/project/group/my%20job`, jenkins)).toBe('group/my job');
  expect(jobPathOf(`${jenkins}/project/group/job?x=1`, jenkins)).toBeUndefined();
  expect(jobPathOf('https://other.test/project/group/job', jenkins)).toBeUndefined();
  expect(jobPathOf(`${jenkins}/job/group`, jenkins)).toBeUndefined();
});

test('what is marked for backup has its backup behind its service, and nothing else has one', () => {
  const label = ['metadata', 'labels', 'switchyard.dev/backup'];
  const { graph } = factsOf(changed(itemsOfTwo(), 'production-till-cache-workload', label, undefined));
  expect(graph.next.get(`service:${two}:production-shop-cache-service`)).toEqual([
    `backup:${two}:production-shop-cache-workload`,
  ]);
  expect(graph.next.get(`service:${two}:production-till-cache-service`)).toBeUndefined();
  expect([...graph.nodes.values()].filter(({ kind }) => kind === 'backup')).toHaveLength(1);
});

import type { Change, Plan } from '../../../delivery/preview/events';
import type { Report } from '../../../delivery/preview/note';
import { stepsOf } from '../../../delivery/preview/plan';
import { sha } from '../certificates';

export const KEY = 'a key for the tests, long enough to be one';

export const change = (over: Partial<Change> = {}): Change => ({
  action: 'update',
  urn: 'urn:pulumi:lab::switchyard::switchyard:index:Topology$switchyard:production:Production$kubernetes:apps/v1:Deployment::production-shop-workload',
  type: 'kubernetes:apps/v1:Deployment',
  name: 'production-shop-workload',
  box: 'production',
  boxName: 'production-shop',
  properties: ['spec.replicas'],
  forcing: [],
  holdsData: false,
  protected: false,
  ...over,
});

export const planOf = (changes: readonly Change[], over: Partial<Plan> = {}): Plan => ({
  changes,
  unchanged: 7,
  faults: [],
  finished: true,
  before: [],
  after: [],
  ...over,
});

export function reportOf(changes: readonly Change[], over: Partial<Report> = {}): Report {
  return {
    environment: 'lab',
    plan: planOf(changes),
    violations: [],
    capacity: [],
    build: 'http://jenkins.example/job/switchyard/job/topology/4/',
    artifact: 'preview-lab.md',
    targetBranch: 'main',
    seen: {
      version: 1,
      environment: 'lab',
      project: 'switchyard/topology',
      mergeRequest: 3,
      headSha: sha('a'),
      baseSha: sha('b'),
      treeSha: sha('c'),
      state: 'd'.repeat(64),
      green: true,
      ...stepsOf(changes),
    },
    ...over,
  };
}

import type { Certificate } from '../../delivery/certificate';

export const KEY = 'a-key-of-thirty-two-characters-and-more';
export const sha = (digit: string): string => digit.repeat(40);

/** A certificate of a merge request whose tests passed. */
export const green: Certificate = {
  version: 2,
  module: 'orders',
  project: 'switchyard/orders',
  projectId: 1,
  mergeRequest: 7,
  sourceBranch: 'feature',
  targetBranch: 'main',
  baseSha: sha('a'),
  headSha: sha('b'),
  treeSha: sha('c'),
  commitEpoch: 1_760_000_000,
  build: 'http://jenkins.example/job/switchyard/job/orders/3/',
  policy: 'automatic',
  image: {
    repository: 'registry.example:5000/modules/orders',
    tag: 'mr-7-bbbbbbbb',
    digest: `sha256:${'d'.repeat(64)}`,
  },
  tests: { total: 3, passed: 3, failed: 0, skipped: 0, failing: [] },
};

export const red: Certificate = {
  ...green,
  tests: {
    total: 3,
    passed: 2,
    failed: 1,
    skipped: 0,
    failing: [{ name: 'Orders.Stock is kept', message: '3 != 2' }],
  },
};

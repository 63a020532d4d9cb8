import * as kubernetes from '@pulumi/kubernetes';
import * as pulumi from '@pulumi/pulumi';
import { findModule, IN_PLACE, loadCatalog, ModuleTests, Testing } from 'switchyard';

const config = new pulumi.Config();
const cluster = new kubernetes.Provider('cluster', { context: 'ci', ...IN_PLACE });
const catalog = loadCatalog('catalog');
const shared = {
  environment: 'staging',
  registry: {
    address: 'harbor.example.com',
    pull: { user: 'robot', password: config.requireSecret('pull') },
  },
  seed: config.requireSecret('seed'),
};

// The job that removes what tests leave, once for all modules.
const testing = new Testing(
  'testing',
  {
    ...shared,
    namespace: 'ci-reaper',
    testNamespaces: ['test-orders'],
    deliveryImage: 'harbor.example.com/ci/delivery@sha256:…',
  },
  { provider: cluster },
);

const tests = new ModuleTests(
  'orders-tests',
  {
    ...shared,
    namespace: 'test-orders',
    module: findModule(catalog, 'orders'),
    services: catalog.services,
    jenkins: { namespace: 'ci', serviceAccount: 'jenkins', url: 'http://jenkins.ci.svc:8080' },
    reaper: testing.reaper,
    delivery: { name: 'delivery', namespace: 'ci-agents' },
  },
  { provider: cluster },
);

export const namespace = tests.namespace;

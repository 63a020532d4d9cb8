import * as kubernetes from '@pulumi/kubernetes';
import * as pulumi from '@pulumi/pulumi';
import { findModule, IN_PLACE, loadCatalog, ModuleTests } from 'switchyard';

const config = new pulumi.Config();
const cluster = new kubernetes.Provider('cluster', { context: 'ci', ...IN_PLACE });
const catalog = loadCatalog('catalog');

const tests = new ModuleTests(
  'orders-tests',
  {
    environment: 'staging',
    namespace: 'test-orders',
    module: findModule(catalog, 'orders'),
    services: catalog.services,
    registry: {
      address: 'harbor.example.com',
      pull: { user: 'robot', password: config.requireSecret('pull') },
    },
    jenkins: { namespace: 'ci', serviceAccount: 'jenkins', url: 'http://jenkins.ci.svc:8080' },
    reaper: { name: 'reaper', namespace: 'ci-reaper' },
    delivery: { name: 'delivery', namespace: 'ci-agents' },
    seed: config.requireSecret('seed'),
  },
  { provider: cluster },
);

export const namespace = tests.namespace;

import * as kubernetes from '@pulumi/kubernetes';
import * as pulumi from '@pulumi/pulumi';
import { Autoscaling, findModule, IN_PLACE, loadCatalog, ModuleProduction, Production } from 'switchyard';

const config = new pulumi.Config();
const cluster = new kubernetes.Provider('cluster', { context: 'production', ...IN_PLACE });
const catalog = loadCatalog('catalog');
const module = findModule(catalog, 'orders');
const shared = { environment: 'production', seed: config.requireSecret('seed') };

// Once a cluster: the rank of production's Pods, and what autoscalers ask. The latter where a module scales.
const production = new Production(
  'production',
  { ...shared, priorityClass: 'production' },
  { provider: cluster },
);
const autoscaling = new Autoscaling(
  'autoscaling',
  { ...shared, namespace: 'autoscaling', modules: [{ module, namespace: 'orders' }] },
  { provider: cluster },
);

const orders = new ModuleProduction(
  'orders',
  {
    ...shared,
    namespace: 'orders',
    module,
    services: catalog.services,
    release: { image: 'harbor.example.com/orders@sha256:…', commit: '…' },
    registry: {
      address: 'harbor.example.com',
      pull: { user: 'robot', password: config.requireSecret('pull') },
    },
    priorityClass: production.priorityClass,
    metrics: autoscaling.reader,
  },
  { provider: cluster },
);

export const host = orders.host;

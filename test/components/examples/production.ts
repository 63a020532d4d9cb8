import * as kubernetes from '@pulumi/kubernetes';
import * as pulumi from '@pulumi/pulumi';
import { findModule, IN_PLACE, loadCatalog, ModuleProduction } from 'switchyard';

const config = new pulumi.Config();
const cluster = new kubernetes.Provider('cluster', { context: 'production', ...IN_PLACE });
const catalog = loadCatalog('catalog');

const orders = new ModuleProduction(
  'orders',
  {
    environment: 'production',
    namespace: 'orders',
    module: findModule(catalog, 'orders'),
    services: catalog.services,
    release: { image: 'harbor.example.com/orders@sha256:…', commit: '…' },
    registry: {
      address: 'harbor.example.com',
      pull: { user: 'robot', password: config.requireSecret('pull') },
    },
    seed: config.requireSecret('seed'),
  },
  { provider: cluster },
);

export const host = orders.host;

import * as kubernetes from '@pulumi/kubernetes';
import * as pulumi from '@pulumi/pulumi';
import { IN_PLACE, Registry } from 'switchyard';

const config = new pulumi.Config();
const cluster = new kubernetes.Provider('cluster', { context: 'production', ...IN_PLACE });

const registry = new Registry(
  'images',
  {
    environment: 'production',
    namespace: 'images',
    address: 'registry.example.com',
    modules: ['orders'],
    ingress: { className: 'nginx', tlsSecret: 'registry-tls', annotations: {} },
    seed: config.requireSecret('seed'),
  },
  { provider: cluster },
);

export const url = registry.url;
export const password = registry.pull.password;

import * as kubernetes from '@pulumi/kubernetes';
import * as pulumi from '@pulumi/pulumi';
import { Backup, IN_PLACE } from 'switchyard';

const config = new pulumi.Config();
const cluster = new kubernetes.Provider('cluster', { context: 'ci', ...IN_PLACE });
const keys = { accessKey: config.requireSecret('accessKey'), secretKey: config.requireSecret('secretKey') };

const backup = new Backup(
  'backup',
  {
    environment: 'staging',
    namespace: 'backup',
    settings: { schedule: '17 * * * *', verify: '41 4 * * 0', keep: { daily: 14, weekly: 8, monthly: 12 } },
    credentials: keys,
    kinds: { ci: ['repositories'], production: [] },
    egress: { ci: [{ ports: [{ protocol: 'TCP', port: 443 }] }], production: [] },
    deliveryImage: 'harbor.example.com/ci/delivery@sha256:…',
    registry: {
      address: 'harbor.example.com',
      pull: { user: 'robot', password: config.requireSecret('pull') },
    },
    releaseDays: 365,
    group: '42',
    gitlab: { botToken: { rotation: { days: 180, before: 30 } } },
    repository: [{ name: 'RESTIC_REPOSITORY', value: 's3:https://s3.example.com/backups/staging' }],
    sources: [{ name: 'GITLAB_URL', value: 'https://gitlab.example.com' }],
    backend: { url: 's3://state?region=eu-central-1', variables: {} },
    files: { modules: {}, services: {}, stacks: {} },
    seed: config.requireSecret('seed'),
  },
  { provider: cluster },
);

export const namespace = backup.namespace;

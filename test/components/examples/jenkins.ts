import * as kubernetes from '@pulumi/kubernetes';
import * as pulumi from '@pulumi/pulumi';
import { IN_PLACE, Jenkins } from 'switchyard';

const config = new pulumi.Config();
const cluster = new kubernetes.Provider('cluster', { context: 'ci', ...IN_PLACE });
const login = (user: string) => ({ user, password: config.requireSecret(user) });

const jenkins = new Jenkins(
  'jenkins',
  {
    environment: 'staging',
    url: 'https://jenkins.example.com',
    modules: [{ name: 'orders' }],
    gitlab: {
      url: 'https://gitlab.example.com',
      group: 'shop',
      botToken: config.requireSecret('botToken'),
      readerToken: config.requireSecret('readerToken'),
    },
    registry: { address: 'harbor.example.com', pull: login('puller'), push: login('pusher') },
    image: 'harbor.example.com/ci/jenkins@sha256:…',
    deliveryImage: 'harbor.example.com/ci/delivery@sha256:…',
    seed: config.requireSecret('seed'),
  },
  { provider: cluster },
);

export const hook = jenkins.hookUrl('orders');

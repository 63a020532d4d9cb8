import * as docker from '@pulumi/docker';
import * as gitlab from '@pulumi/gitlab';
import * as k8s from '@pulumi/kubernetes';
import * as pulumi from '@pulumi/pulumi';
import { Component } from '../../components/shared/component';
import type { Declaration } from '../../components/shared/declaration';
import { addKinds, custom, kindOf, kubernetesKinds } from '../../components/shared/kinds';
import { object } from '../../components/shared/kubernetes';
import { manifest } from '../../operations/render/manifests';

import { registeredBy } from '../support/registered';
import './pod-monitor';

const TOKEN = 'kubernetes:monitoring.coreos.com/v1:PodMonitor';

const monitor = object(
  TOKEN,
  'orders-monitor',
  'production',
  { namespace: 'orders', name: 'orders', labels: { a: 'b' } },
  { spec: { selector: { matchLabels: { app: 'orders' } }, podMetricsEndpoints: [{ port: 'http' }] } },
);

class Monitoring extends Component {
  constructor(name: string, declarations: readonly Declaration[]) {
    super('own:index:Monitoring', name, declarations, {
      environment: 'staging',
      seed: pulumi.secret('a seed for tests, long enough to be one'),
    });
    this.registerOutputs({});
  }
}

test('a kind of a program’s own is registered under its token, with what its schema says', async () => {
  const registered = await registeredBy(() => new Monitoring('monitoring', [monitor]));
  const [made] = registered.filter(({ name }) => name === 'orders-monitor');
  expect(made).toMatchObject({
    type: TOKEN,
    inputs: {
      apiVersion: 'monitoring.coreos.com/v1',
      kind: 'PodMonitor',
      metadata: { name: 'orders', namespace: 'orders', labels: { a: 'b' } },
      spec: { podMetricsEndpoints: [{ port: 'http' }], selector: { matchLabels: { app: 'orders' } } },
    },
  });
});

test('render writes it as the manifest that it is, and the look for drift may read it', () => {
  expect(manifest(monitor)).toMatchObject({
    apiVersion: 'monitoring.coreos.com/v1',
    kind: 'PodMonitor',
    spec: { podMetricsEndpoints: [{ port: 'http' }] },
  });
  expect(kubernetesKinds()).toContainEqual([TOKEN, 'podmonitors']);
});

test('a token that is taken is refused, and one that nobody added is told', () => {
  expect(() => addKinds({ 'kubernetes:core/v1:Pod': kindOf('kubernetes:core/v1:Secret') })).not.toThrow();
  expect(() => addKinds({ 'kubernetes:core/v1:Secret': custom('v1', 'Secret', 'secrets') })).toThrow(
    'the kind "kubernetes:core/v1:Secret" is there already',
  );
  expect(() => kindOf('kubernetes:v1:Nothing')).toThrow('"kubernetes:v1:Nothing" is no known kind');
});

test('each kind that comes with Switchyard registers under the token of its entry', () => {
  for (const [token] of kubernetesKinds()) {
    const { resource } = kindOf(token);
    const made = resource({ docker, gitlab, k8s }) as unknown as { readonly __pulumiType?: string };
    if (token === TOKEN || token === 'kubernetes:core/v1:Pod') continue;
    expect(made.__pulumiType).toBe(token);
  }
});

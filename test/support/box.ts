import * as pulumi from '@pulumi/pulumi';
import { Component } from '../../components/shared/component';
import type { Declaration } from '../../components/shared/declaration';
import { object } from '../../components/shared/kubernetes';

/** A declaration that had other names before. */
export const volume = (name: string, aliases?: readonly string[]): Declaration => ({
  ...object(
    'kubernetes:core/v1:PersistentVolumeClaim',
    name,
    'ci',
    { namespace: 'orders', name: 'data', labels: {} },
    { spec: { accessModes: ['ReadWriteOnce'] } },
  ),
  aliases,
});

/** A component of any declarations. */
export class Box extends Component {
  constructor(
    declarations: readonly Declaration[],
    opts?: pulumi.ComponentResourceOptions,
    token = 'switchyard:test:Box',
  ) {
    super(
      token,
      'box',
      declarations,
      { environment: 'staging', seed: pulumi.secret('a seed for tests, long enough to be one') },
      opts,
    );
    this.registerOutputs({});
  }
}

import * as pulumi from '@pulumi/pulumi';
import type { Model } from '../../components/model';
import { Topology } from '../../components/topology';
import { type Registered, registeredBy } from './registered';

/** A secret for every variable that anything names. */
const given = new Proxy(
  {},
  { get: (_target, name) => (typeof name === 'string' ? pulumi.secret(`value of ${name}`) : undefined) },
) as Readonly<Record<string, pulumi.Output<string>>>;

/** What an engine would be told of a whole topology, or with `only` of the production of these modules. */
export const registeredTopology = (model: Model, only?: readonly string[]): Promise<Registered[]> =>
  registeredBy(
    () =>
      new Topology('switchyard', {
        model,
        seed: pulumi.secret('a seed for tests, long enough to be one'),
        gitlabToken: pulumi.secret('root-token'),
        given,
        found: { 'server:production': 'https://two.test' },
        only,
        reach: async () => undefined,
      }),
  );

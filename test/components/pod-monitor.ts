import { addKinds, type CustomObject, custom } from '../../components/shared/kinds';

// What docs/components/kinds.md shows: a kind of a program's own, in one place.

/** Of the schema that monitoring.coreos.com publishes (prometheus-operator, `podmonitors.monitoring.coreos.com`). */
export interface PodMonitor extends CustomObject {
  readonly spec: {
    readonly selector: { readonly matchLabels: Readonly<Record<string, string>> };
    readonly podMetricsEndpoints: readonly { readonly port: string; readonly path?: string }[];
  };
}

const kinds = {
  'kubernetes:monitoring.coreos.com/v1:PodMonitor': custom<PodMonitor>(
    'monitoring.coreos.com/v1',
    'PodMonitor',
    'podmonitors',
  ),
};
type OwnKinds = typeof kinds;

declare module '../../components/shared/kinds' {
  interface Kinds extends OwnKinds {}
}

addKinds(kinds);

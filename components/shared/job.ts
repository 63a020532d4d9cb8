import type { types } from '@pulumi/kubernetes';
import type * as pulumi from '@pulumi/pulumi';
import { emptyDir, restrictedContainer, withDisk } from '../../catalog/containers';
import { bytesOf } from '../../catalog/shapes';
import type { RepositoryFiles } from '../../stacks/files';
import { fileMounts, fileVariables, fileVolumes } from './files';
import { restrictedPod } from './kubernetes';
import { names } from './naming';
import { wholeGibibytes } from './quantities';
import { inputRef } from './references';

/** User of the delivery image. */
const USER = 1000;

const TMP = '1Gi';

export interface PodInputs {
  /** The delivery image by its digest: what the topology builds from this checkout. */
  readonly image: pulumi.Input<string>;
  /** Labels of its Pods. */
  readonly labels: Record<string, string>;
  /** Service account whose token is mounted; it alone says what the Pod may do in the cluster. @default none */
  readonly account?: string;
  /** Arguments of `delivery`. */
  readonly args: readonly string[];
  readonly env?: readonly (
    | { readonly name: string; readonly value: string }
    | {
        readonly name: string;
        readonly valueFrom: { readonly secretKeyRef: { readonly name: string; readonly key: string } };
      }
  )[];
  /** Secrets as files: volume name → where, and which key under which name. */
  readonly secrets?: readonly {
    readonly name: string;
    readonly mountPath: string;
    readonly items: readonly { readonly key: string; readonly path: string }[];
  }[];
  /** The catalog and the stack files, for a job that works from them. @default none */
  readonly files?: RepositoryFiles;
  /** What it asks of its node. @default little, for a job that only asks APIs */
  readonly resources?: {
    readonly requests: { readonly cpu: string; readonly memory: string };
    readonly limits: { readonly memory: string };
  };
  /** Room on the node's disk: where it is mounted, and how much of it may be filled. @default none */
  readonly scratch?: { readonly mountPath: string; readonly sizeLimit: string };
  /** A claim that it writes to. @default none */
  readonly claim?: { readonly name: string; readonly mountPath: string };
  /** How Kubernetes finds that it hangs. @default it does not look */
  readonly livenessProbe?: types.input.core.v1.Probe;
}

export interface JobInputs extends PodInputs {
  /** Five cron fields, UTC. */
  readonly schedule: string;
  readonly account: string;
  /** Seconds after which a run is ended. */
  readonly deadline: number;
}

/** The spec of a Pod that runs the `delivery` program of this checkout. */
export function deliveryPod(inputs: PodInputs, restartPolicy: 'Never' | 'Always') {
  const secrets = inputs.secrets ?? [];
  const { account, claim, files, livenessProbe, scratch } = inputs;
  return {
    restartPolicy,
    ...(account ? { serviceAccountName: account } : {}),
    automountServiceAccountToken: account !== undefined,
    enableServiceLinks: false,
    imagePullSecrets: [{ name: names.pullSecret }],
    securityContext: restrictedPod(USER),
    containers: [
      {
        name: 'delivery',
        image: inputRef('image', inputs.image),
        command: ['delivery', ...inputs.args],
        env: [
          { name: 'HOME', value: '/tmp' },
          ...(account
            ? [
                {
                  name: 'NODE_EXTRA_CA_CERTS',
                  value: '/var/run/secrets/kubernetes.io/serviceaccount/ca.crt',
                },
              ]
            : []),
          ...(files ? fileVariables : []),
          ...(inputs.env ?? []),
        ],
        resources: withDisk(
          inputs.resources ?? { requests: { cpu: '10m', memory: '64Mi' }, limits: { memory: '256Mi' } },
          wholeGibibytes(bytesOf(TMP) + (scratch ? bytesOf(scratch.sizeLimit) : 0) + bytesOf('1Gi')),
        ),
        securityContext: restrictedContainer,
        ...(livenessProbe ? { livenessProbe } : {}),
        volumeMounts: [
          { name: 'tmp', mountPath: '/tmp' },
          ...secrets.map(({ name, mountPath }) => ({ name, mountPath, readOnly: true })),
          ...(files ? fileMounts : []),
          ...(scratch ? [{ name: 'scratch', mountPath: scratch.mountPath }] : []),
          ...(claim ? [{ name: 'claim', mountPath: claim.mountPath }] : []),
        ],
      },
    ],
    volumes: [
      emptyDir('tmp', TMP),
      ...secrets.map(({ name, items }) => ({
        name,
        secret: { secretName: name, items: [...items] },
      })),
      ...(files ? fileVolumes(files) : []),
      ...(scratch ? [emptyDir('scratch', scratch.sizeLimit)] : []),
      ...(claim ? [{ name: 'claim', persistentVolumeClaim: { claimName: claim.name } }] : []),
    ],
  };
}

/** A CronJob's spec that runs the `delivery` program of this checkout: never two at a time, and never piling up. */
export function deliveryJob(inputs: JobInputs) {
  return {
    schedule: inputs.schedule,
    timeZone: 'Etc/UTC',
    concurrencyPolicy: 'Forbid',
    // A run that could not start for an hour is dropped: the next one does its work.
    startingDeadlineSeconds: 3600,
    successfulJobsHistoryLimit: 1,
    failedJobsHistoryLimit: 3,
    jobTemplate: {
      // Its Jobs carry them too, so that they can be listed.
      metadata: { labels: inputs.labels },
      spec: {
        backoffLimit: 1,
        activeDeadlineSeconds: inputs.deadline,
        template: {
          metadata: { labels: inputs.labels },
          spec: deliveryPod(inputs, 'Never'),
        },
      },
    },
  };
}

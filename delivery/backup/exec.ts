import type { Readable } from 'node:stream';
import type { KubeConfig } from '@kubernetes/client-node';

/** One container of one Pod. */
export interface Place {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
}

/** Commands inside containers, by the Kubernetes API: no kubectl. Errors are Failures that name place and program. */
export declare class PodExec {
  constructor(config: KubeConfig);
  /** What a command prints. The stream ends only after exit code 0; anything else breaks it. */
  read(place: Place, argv: readonly string[]): Readable;
  /** Feeds a stream to a command and waits until it ends with 0. */
  write(place: Place, argv: readonly string[], input: Readable): Promise<void>;
  /** Runs a command that takes nothing; gives what it prints. */
  run(place: Place, argv: readonly string[]): Promise<string>;
  /** Ends the container's server by a command, and waits until the container has started anew and is ready. */
  restart(place: Place, argv: readonly string[], timeoutMs?: number): Promise<void>;
  /** Waits until the container is ready. @param timeoutMs default 5 minutes */
  ready(place: Place, timeoutMs?: number): Promise<void>;
}

import type { Facts } from './facts';
import type { Violation } from './facts/violation';

/** Something that must hold in every topology. */
export interface Rule {
  /** Stable: people write it down in reviews and in the configuration of a policy pack. */
  readonly id: string;
  /** What must hold, in one sentence. */
  readonly holds: string;
  /** What goes wrong otherwise. */
  readonly why: string;
  /**
   * Why a policy pack cannot run it: an engine hands values over, where the model has references.
   * @default it runs there
   */
  readonly modelOnly?: string;
  /** Pure, and linear in the number of resources. */
  readonly check: (facts: Facts) => readonly Violation[];
}

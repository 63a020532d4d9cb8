/** One place where a rule does not hold. */
export interface Violation {
  /** Name of the resource, with what it is in its system. */
  readonly where: string;
  readonly what: string;
  readonly remedy: string;
  /** Name of the resource alone. */
  readonly resource: string;
  /** Modules that it concerns; none for what all modules share. */
  readonly modules: readonly string[];
  /** File that it is to be mended in, e.g. `catalog/modules/orders.yaml`. @default the stack's */
  readonly file?: string;
  /** Dotted key there, e.g. `environment.DB_PASSWORD`. @default the whole file */
  readonly at?: string;
}

/** `where: what remedy`, the shape of every fault that Switchyard reports. */
export const describeViolation = ({ where, what, remedy }: Violation): string =>
  `${where}: ${what} ${remedy}`;

/**
 * The entry of a record by a name that comes from outside. Every plain object answers to `constructor`, `toString` and the
 * like by its prototype; a module may be called so.
 */
export const entryOf = <T>(record: Readonly<Record<string, T>> | undefined, name: string): T | undefined =>
  record !== undefined && Object.hasOwn(record, name) ? record[name] : undefined;

/**
 * How far a test goes. `npm test` and `.ci/run` go the usual way; `npm run test:all`, which is for nights, sets
 * `SWITCHYARD_TEST_ALL=1` and goes all the way. Whatever is proved differently by the two is said by one call of this.
 */
export function scaled<T>({ usual, all }: { usual: T; all: T }): T {
  return process.env.SWITCHYARD_TEST_ALL === '1' ? all : usual;
}

/** A test that the usual way leaves out: it takes minutes, and what it proves is near to what others prove. */
export function nightly(name: string, run: () => Promise<void>, milliseconds?: number): void {
  if (scaled({ usual: false, all: true })) test(name, run, milliseconds);
}

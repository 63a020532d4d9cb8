import type { ClaimPlaces } from '../../operations/parts/claims';

/** Claims as a backend keeps them, in memory: each a stack of its own, with one tag. */
export class ClaimStore {
  /** Claim → what its tag says; undefined before that was written. */
  readonly claims = new Map<string, string | undefined>();
  /** Stacks whose lock of Pulumi was broken. */
  readonly cancelled: string[] = [];

  /** @param step comes before and after each of Pulumi's commands does its work. @default nothing does */
  places(step: (command: string) => Promise<unknown> = async () => undefined): ClaimPlaces {
    const say = async <T>(command: string, work: () => T): Promise<T> => {
      await step(command);
      const said = work();
      await step(command);
      return said;
    };
    return {
      claims: {
        stacks: () => say('ls', () => [...this.claims.keys()].map((name) => ({ name, resourceCount: 0 }))),
        make: (name) =>
          say('init', () => {
            if (this.claims.has(name)) throw new Error(`stack '${name}' already exists`);
            this.claims.set(name, undefined);
            return 'v1:salt';
          }),
        forget: (name) => say('rm', () => void this.claims.delete(name)),
        cancel: (name) => say('cancel', () => void this.cancelled.push(name)),
        tag: (name) => say('get', () => this.claims.get(name)),
        setTag: (name, _tag, text) =>
          say('set', () => this.claims.has(name) && this.claims.set(name, text) !== undefined),
      },
      states: { cancel: (name) => say('cancel', () => void this.cancelled.push(name)) },
    };
  }

  /** What is claimed. */
  get scopes(): string[] {
    return [...this.claims.keys()].map((name) => name.replace(/\.[0-9a-f]{16}$/, '')).sort();
  }
}

import { createHmac } from 'node:crypto';
import { encodeBase64, hashSync } from 'bcryptjs';
import { type SubKey, subKeysIn, writtenKey } from '../../stacks/secrets';
import { certificateOf } from './certificate';
import type { CertificatePart } from './references';

/** Rounds of bcrypt in the registry's htpasswd. The secrets are 256-bit random already; more rounds only cost logins. */
const BCRYPT_ROUNDS = '05';

/** Purpose → version; the first is 1. */
export type Versions = Readonly<Record<string, number>>;

/** Every purpose has a first version without being named. */
export const versionOf = (versions: Versions, purpose: string): number =>
  (Object.hasOwn(versions, purpose) ? versions[purpose] : undefined) ?? 1;

const hmac = (key: string, label: string): string => createHmac('sha256', key).update(label).digest('hex');

/** The key of `path` below a key, one step a part: who has it has what is below, and nothing beside or above. */
const below = (key: string, path: string): string =>
  path === '' ? key : path.split('/').reduce((above, part) => hmac(above, `switchyard/key/${part}`), key);

const isBelow = (purpose: string, path: string): boolean =>
  path === '' || purpose === path || purpose.startsWith(`${path}/`);

/**
 * What one environment derives: from the seed, or from the sub-keys that a Pod was given in its place. The chain is
 * seed → environment → each part of the purpose → version, HMAC-SHA256 at each step
 * (docs/decisions/0001-secrets-from-a-seed.md).
 */
export class Secrets {
  private readonly keys: readonly SubKey[];

  /**
   * @param root the seed, or sub-keys with spaces between them
   * @param versions of purposes that were rotated. @default each has its first
   * @throws Error when a sub-key is another environment's
   */
  constructor(
    root: string,
    private readonly environment: string,
    private readonly versions: Versions = {},
  ) {
    this.keys = subKeysIn(root) ?? [
      { environment, path: '', key: hmac(root, `switchyard/environment/${environment}`) },
    ];
    const other = this.keys.find((one) => one.environment !== environment);
    if (other)
      throw new Error(
        `the key that stands in the seed's place is of "${other.environment}", not of "${environment}"`,
      );
  }

  private keyOf(path: string): string {
    const held = this.keys
      .filter((one) => isBelow(path, one.path))
      .sort((a, b) => b.path.length - a.path.length)[0];
    if (!held) throw new Error(`no key at hand gives the secret "${path}" of ${this.environment}`);
    return below(held.key, path.slice(held.path.length).replace(/^\//, ''));
  }

  /** 64 hexadecimal characters. @throws Error when no key at hand reaches the purpose */
  secret(purpose: string): string {
    return hmac(this.keyOf(purpose), `switchyard/secret/${versionOf(this.versions, purpose)}`);
  }

  /** `base64(user:secret)`. */
  basic(user: string, purpose: string): string {
    return Buffer.from(`${user}:${this.secret(purpose)}`).toString('base64');
  }

  /** `user:hash`. The salt is derived as well, so that an unchanged secret leaves an unchanged line. */
  htpasswd(user: string, purpose: string): string {
    const secret = this.secret(purpose);
    const salt = createHmac('sha256', secret).update(`switchyard/salt/${user}`).digest().subarray(0, 16);
    return `${user}:${hashSync(secret, `$2b$${BCRYPT_ROUNDS}$${encodeBase64([...salt], 16)}`)}`;
  }

  /** Part of a certificate for a host. */
  certificate(purpose: string, host: string, part: CertificatePart): string {
    const { key, cert } = certificateOf(this.secret(purpose), host);
    if (part === 'key') return key;
    return part === 'cert' ? cert : Buffer.from(cert).toString('base64');
  }

  /** A sub-key, as a Pod is given it in the seed's place: all purposes below the path, of whatever version. */
  key(path: string): string {
    // Keys of their own that were given for something further below stay what they are.
    const further = this.keys.filter((one) => one.path !== path && isBelow(one.path, path));
    return [{ environment: this.environment, path, key: this.keyOf(path) }, ...further]
      .map(writtenKey)
      .join(' ');
  }
}

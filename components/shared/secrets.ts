import { createHmac } from 'node:crypto';
import { encodeBase64, hashSync } from 'bcryptjs';

/** Rounds of bcrypt in the registry's htpasswd. The secrets are 256-bit random already; more rounds only cost logins. */
const BCRYPT_ROUNDS = '05';

/** HMAC-SHA256 of a purpose under the seed, hexadecimal. One seed gives every secret again after a disaster. */
export function deriveSecret(seed: string, purpose: string): string {
  return createHmac('sha256', seed).update(`switchyard/${purpose}`).digest('hex');
}

/** `user:hash`. The salt is derived as well, so that an unchanged secret leaves an unchanged line. */
export function htpasswdLine(seed: string, user: string, purpose: string): string {
  const salt = createHmac('sha256', seed)
    .update(`switchyard/salt/${user}/${purpose}`)
    .digest()
    .subarray(0, 16);
  return `${user}:${hashSync(deriveSecret(seed, purpose), `$2b$${BCRYPT_ROUNDS}$${encodeBase64([...salt], 16)}`)}`;
}

export function basicCredentials(seed: string, user: string, purpose: string): string {
  return Buffer.from(`${user}:${deriveSecret(seed, purpose)}`).toString('base64');
}

/** Bytes of the point of an ECDSA key, uncompressed (RFC 5656, section 3.1). */
const POINTS: Readonly<Record<string, number>> = { nistp256: 65, nistp384: 97, nistp521: 133 };

/** Parts of a key in wire format, each behind its length (RFC 4251, section 5); undefined where that is not what it is. */
function partsOf(base64: string): Buffer[] | undefined {
  const bytes = Buffer.from(base64, 'base64');
  // Node's reader takes much that others refuse.
  if (bytes.toString('base64') !== base64) return undefined;
  const parts: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    if (at + 4 > bytes.length) return undefined;
    const end = at + 4 + bytes.readUInt32BE(at);
    if (end > bytes.length) return undefined;
    parts.push(bytes.subarray(at + 4, end));
    at = end;
  }
  return parts;
}

/** Bits of a number of the wire format, which is positive. */
const bitsOf = (number: Buffer): number => {
  const digits = number.toString('hex').replace(/^0+/, '');
  return digits === '' || (number[0] ?? 0) > 127 ? 0 : BigInt(`0x${digits}`).toString(2).length;
};

/**
 * Whether a text is a public key of SSH as its .pub file has it: `type base64 comment`, where the base64 says the type
 * again and holds what a key of that type is made of (RFC 4253, section 6.6; RFC 5656; RFC 8709). GitLab refuses any other,
 * of which it makes no fingerprint; OpenSSH takes no RSA below 1024 bits (`SSH_RSA_MINIMUM_MODULUS_SIZE`).
 */
export function isPublicKey(text: string): boolean {
  const [, type = '', base64 = ''] = /^(\S{1,40}) (\S{1,4000})(?: [^\n]*)?$/.exec(text) ?? [];
  const [named, first, second, ...others] = partsOf(base64) ?? [];
  if (!named || !first || named.toString('latin1') !== type || others.length > 0) return false;
  if (type === 'ssh-ed25519') return first.length === 32 && second === undefined;
  if (second === undefined) return false;
  if (type === 'ssh-rsa') return bitsOf(first) > 1 && bitsOf(second) >= 1024;
  const curve = first.toString('latin1');
  return type === `ecdsa-sha2-${curve}` && second.length === POINTS[curve] && second[0] === 4;
}

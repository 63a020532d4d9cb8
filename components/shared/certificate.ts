import { createHash, createPrivateKey, createPublicKey, sign } from 'node:crypto';

// X.509 (RFC 5280) with Ed25519 (RFC 8410), whose signatures are the same each time: the same secret makes the same
// certificate, so that an `up` finds nothing to change. Node can read certificates and sign, and makes none.

const tagged = (tag: number, ...parts: readonly Buffer[]): Buffer => {
  const body = Buffer.concat(parts);
  const { length } = body;
  const size =
    length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, Math.floor(length / 256), length % 256];
  return Buffer.concat([Buffer.from([tag, ...size]), body]);
};
const sequence = (...parts: readonly Buffer[]): Buffer => tagged(0x30, ...parts);
const set = (part: Buffer): Buffer => tagged(0x31, part);
const identifier = (hex: string): Buffer => tagged(0x06, Buffer.from(hex, 'hex'));
const octets = (part: Buffer): Buffer => tagged(0x04, part);
const bits = (part: Buffer): Buffer => tagged(0x03, Buffer.from([0]), part);
const critical = tagged(0x01, Buffer.from([0xff]));

const ED25519 = sequence(identifier('2b6570'));
/** Key of PKCS #8 without its last 32 bytes. */
const PRIVATE_KEY = Buffer.from('302e020100300506032b657004220420', 'hex');
/** Never: it ends when its secret gets another version. RFC 5280, 4.1.2.5: a certificate without an end has this one. */
const VALIDITY = sequence(
  tagged(0x17, Buffer.from('260101000000Z')),
  tagged(0x18, Buffer.from('99991231235959Z')),
);

const extension = (oid: string, isCritical: boolean, value: Buffer): Buffer =>
  sequence(identifier(oid), ...(isCritical ? [critical] : []), octets(value));

const pem = (label: string, der: Buffer): string =>
  `-----BEGIN ${label}-----\n${der.toString('base64').replace(/.{64}/g, '$&\n').trimEnd()}\n-----END ${label}-----\n`;

/** A key and a certificate that is its own authority, as PEM. */
export interface Certificate {
  readonly key: string;
  readonly cert: string;
}

/**
 * A server's certificate for one DNS name.
 * @param secret 64 hexadecimal characters, used for nothing else
 * @param host at most 200 characters
 */
export function certificateOf(secret: string, host: string): Certificate {
  const key = createPrivateKey({
    key: Buffer.concat([PRIVATE_KEY, Buffer.from(secret, 'hex')]),
    format: 'der',
    type: 'pkcs8',
  });
  const publicKey = createPublicKey(key).export({ format: 'der', type: 'spki' });
  // Its issuer is told by name and number: another version is another certificate.
  const serial = createHash('sha256').update(publicKey).digest().subarray(0, 16);
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40;
  const name = sequence(set(sequence(identifier('550403'), tagged(0x0c, Buffer.from('switchyard')))));
  const extensions = sequence(
    extension('551d13', true, sequence()),
    extension('551d0f', true, tagged(0x03, Buffer.from([7, 0x80]))),
    extension('551d25', false, sequence(identifier('2b06010505070301'))),
    extension('551d11', false, sequence(tagged(0x82, Buffer.from(host)))),
  );
  const content = sequence(
    tagged(0xa0, tagged(0x02, Buffer.from([2]))),
    tagged(0x02, serial),
    ED25519,
    name,
    VALIDITY,
    name,
    publicKey,
    tagged(0xa3, extensions),
  );
  return {
    key: key.export({ format: 'pem', type: 'pkcs8' }).toString(),
    cert: pem('CERTIFICATE', sequence(content, ED25519, bits(sign(null, content, key)))),
  };
}

import { isPublicKey } from '../../stacks/ssh-key';

const ED25519 = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJjyd5AEq/fcQpVO46dXWPKitUBaUFedCmKGwzViz8bI';
const ECDSA =
  'ecdsa-sha2-nistp521 AAAAE2VjZHNhLXNoYTItbmlzdHA1MjEAAAAIbmlzdHA1MjEAAACFBAAysaROjFo6hotdrEijVtb7L2Mszf5dH0mAwJihSJtWRKLSM5NSNhCo/x3pVaNsX7bir7Gfmtl6SGbJCNGNcwy8KwE2QSHNe0bnlMRwhY9i79Q8ZQW8V/B6WqnjCECOJzu36s+Ph6olcWa/AXYDNs3rSF8DXtFjag4nIJV7PgqCJnbIcg==';
const RSA =
  'ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQCx0pbT9vW+HqG/qS05mTSAl86aoWIV6nHIVmWfBJ72VOxg25tH+LGEN/P2+xuGURYV8+lPapLKOSh71RRNoQudRpUG7vSDzfpDTbs2Xru7dCOS+dobbx5fLAZoETeDA342SFPVmblvbg9T9PAA2knaJw9hyGaAiALdGFPF7GDIiJ80V8vPqqQrKftqqiM+MVg4Xk11f8J7ItZaaKZGhYr2igwa8IsGYjYMpZ8ePbH14QqMBj7WU818TTkt0HRljnSDZtYGQarADinT8GQvaqCgu3eYeZc5gs0yzYB4zDeR0XlX3dXd6V+Bbdk3oNTZdHtTGJs82YwZMP51YEWDvEA1';

test.each([ED25519, ECDSA, RSA])('%s is a key, with a comment or without', (key) => {
  expect(isPublicKey(key)).toBe(true);
  expect(isPublicKey(`${key} ada of the mirror`)).toBe(true);
});

const wire = (...parts: readonly (string | Buffer)[]): string =>
  Buffer.concat(
    parts.flatMap((part) => {
      const bytes = Buffer.from(part as string, 'latin1');
      const length = Buffer.alloc(4);
      length.writeUInt32BE(bytes.length);
      return [length, bytes];
    }),
  ).toString('base64');
const e = Buffer.from([1, 0, 1]);

test.each([
  ['four characters', 'ssh-ed25519 AAAA'],
  ['nothing', ''],
  ['a type alone', 'ssh-ed25519'],
  ['a key cut short', ED25519.slice(0, -4)],
  ['a key of another type', ED25519.replace('ssh-ed25519', 'ssh-rsa')],
  ['more behind the key', `${ED25519}AAAA`],
  ['one part too many', `ssh-ed25519 ${wire('ssh-ed25519', Buffer.alloc(32, 1), 'x')}`],
  ['31 bytes', `ssh-ed25519 ${wire('ssh-ed25519', Buffer.alloc(31, 1))}`],
  ['a short RSA key', `ssh-rsa ${wire('ssh-rsa', e, Buffer.alloc(64, 127))}`],
  ['an RSA key without a modulus', `ssh-rsa ${wire('ssh-rsa', e)}`],
  ['another curve', `ecdsa-sha2-nistp256 ${wire('ecdsa-sha2-nistp256', 'nistp384', Buffer.alloc(65, 4))}`],
  [
    'a compressed point',
    `ecdsa-sha2-nistp256 ${wire('ecdsa-sha2-nistp256', 'nistp256', Buffer.alloc(33, 2))}`,
  ],
  ['base64 with blanks', ED25519.replace('AAAAC3', 'AAAA C3')],
  ['the private half', '-----BEGIN OPENSSH PRIVATE KEY-----'],
  ['two lines', `${ED25519} a\n${ED25519} b`],
])('%s is none', (_what, key) => {
  expect(isPublicKey(key)).toBe(false);
});

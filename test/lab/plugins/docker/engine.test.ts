// Facts of Docker: api/types/registry/authconfig.go (EncodeAuthConfig, DecodeAuthConfig) of moby.

import { authHeader } from '../../../../lab/plugins/docker/engine';

test('credentials are base64url with padding, as Docker 20.10 decodes them', () => {
  for (const password of ['a', 'ab', 'abc', 'abcd', '???>>>~~~']) {
    const header = authHeader({ password });
    expect(header.length % 4).toBe(0);
    expect(header).toMatch(/^[A-Za-z0-9_-]+=*$/);
    expect(JSON.parse(Buffer.from(header, 'base64url').toString())).toEqual({ password });
  }
});

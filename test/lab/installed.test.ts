import { packagesFault } from '../../lab/installed';

test('packages that npm ci left out are told in one line, with the remedy', () => {
  expect(packagesFault(['fastify', 'pino', 'zod'], (name) => name === 'zod')).toBe(
    "The lab's own packages are not installed (fastify, pino). Run: npm ci",
  );
  expect(packagesFault(['fastify', 'pino'], () => true)).toBeUndefined();
});

import { parse, YAMLError } from 'yaml';
import { z } from 'zod';
import { readBack, shown, type Template } from '../components/shared/references';

/** Every field that may stand in a kubeconfig without making it a secret; any other one does. */
const open = z.strictObject({
  apiVersion: z.literal('v1'),
  kind: z.literal('Config'),
  'current-context': z.string().optional(),
  clusters: z.array(
    z.strictObject({
      name: z.string(),
      cluster: z.strictObject({
        // An address with `user:password@` in it is a secret.
        server: z.string().regex(/^[^@]*$/),
        'certificate-authority': z.string().optional(),
        'certificate-authority-data': z.string().optional(),
        'tls-server-name': z.string().optional(),
      }),
    }),
  ),
  users: z.array(
    z.strictObject({
      name: z.string(),
      user: z.strictObject({
        tokenFile: z.string().startsWith('/').optional(),
        'client-certificate': z.string().startsWith('/').optional(),
        'client-key': z.string().startsWith('/').optional(),
      }),
    }),
  ),
  contexts: z.array(
    z.strictObject({
      name: z.string(),
      context: z.strictObject({ cluster: z.string(), user: z.string(), namespace: z.string().optional() }),
    }),
  ),
});

/** A kubeconfig that names the files of its credentials and holds none of them. */
export function isOpenKubeconfig(value: string | Template): boolean {
  try {
    return open.safeParse(shown(readBack(value, (plain) => parse(plain)))).success;
  } catch (error) {
    if (error instanceof YAMLError) return false;
    throw error;
  }
}

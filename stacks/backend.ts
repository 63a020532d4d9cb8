import { didYouMean } from '../catalog/problems';

/** State backends that Pulumi has, by the scheme of their URL, and an example of each. */
const examples = {
  file: 'file:///var/lib/switchyard/state',
  s3: 's3://bucket?region=eu-central-1',
  gs: 'gs://bucket',
  azblob: 'azblob://container?storage_account=name',
  https: 'https://api.pulumi.com',
} as const;

type Scheme = keyof typeof examples;

/** What gocloud.dev/blob takes off every bucket's URL (blob.go, OpenBucket). */
const EVERY = ['key', 'prefix'];

/**
 * Parameters that each backend takes: the URL openers of gocloud.dev v0.46.1, with which Pulumi opens buckets
 * (blob/fileblob, blob/s3blob with aws/aws.go, blob/gcsblob, blob/azureblob), and what Pulumi itself translates for them
 * (`disableSSL`: pkg/backend/diy/backend.go). They refuse all others. None of these is a credential, which they take from
 * the environment, or from a file that a parameter names.
 */
const parameters: Readonly<Record<Scheme, readonly string[]>> = {
  file: [...EVERY, 'base_url', 'create_dir', 'dir_file_mode', 'metadata', 'no_tmp_dir', 'secret_key_path'],
  s3: [
    ...EVERY,
    'accelerate',
    'anonymous',
    'awssdk',
    'disable_https',
    'disableSSL',
    'dualstack',
    'endpoint',
    'fips',
    'hostname_immutable',
    'kmskeyid',
    'profile',
    'rate_limiter_capacity',
    'region',
    'request_checksum_calculation',
    'response_checksum_validation',
    'role',
    's3ForcePathStyle',
    'ssetype',
    'use_path_style',
  ],
  gs: [...EVERY, 'access_id', 'anonymous', 'private_key_path', 'universe_domain'],
  azblob: [...EVERY, 'cdn', 'domain', 'localemu', 'protocol', 'storage_account'],
  https: [],
};

/** Those that are addresses, or parts of one. */
const ADDRESSES: readonly string[] = ['base_url', 'domain', 'endpoint', 'protocol', 'universe_domain'];

const CREDENTIAL = /sas|sig|token|secret|pass|pwd|credential|key|auth/i;

export interface BackendFault {
  readonly what: string;
  readonly remedy: string;
}

const choice = `Use ${Object.values(examples)
  .map((example) => `"${example}"`)
  .join(', ')
  .replace(/, ([^,]*)$/, ' or $1')}.`;

/**
 * What is wrong with a backend's URL; undefined for one that Pulumi takes: a folder, S3, Google Cloud Storage, Azure
 * Blob, or Pulumi Cloud and what is compatible with it
 * (https://www.pulumi.com/docs/iac/concepts/state-and-backends/).
 */
export function backendFault(url: string): BackendFault | undefined {
  const match = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)([^?#]*)/.exec(url);
  if (!match) return { what: 'is not the URL of a state backend', remedy: choice };
  const [, scheme = '', host = '', path = ''] = match;
  if (!(scheme in examples)) {
    return { what: `has the scheme "${scheme}", for which Pulumi has no backend`, remedy: choice };
  }
  const example = examples[scheme as Scheme];
  if (scheme === 'file') {
    // Pulumi takes a relative folder as below the one it runs in, which is another one in each run of ours.
    const absolute = (host === '' && path.startsWith('/')) || host === '~';
    return absolute
      ? parametersFault(url, 'file')
      : {
          what: 'names a folder relative to wherever the command runs',
          remedy: `Write it whole: "${example}" or "file://~/state".`,
        };
  }
  if (host === '') {
    const missing = scheme === 'https' ? 'host' : scheme === 'azblob' ? 'container' : 'bucket';
    return { what: `names no ${missing}`, remedy: `Write "${example}".` };
  }
  if (/@/.test(host)) return { what: 'holds credentials', remedy: OUTSIDE };
  return parametersFault(url, scheme as Scheme);
}

const OUTSIDE = 'Give them in the environment, as the cloud’s own tools take them.';

/** What is wrong with what stands after "?" and "#". No value is told: it may be a credential. */
function parametersFault(url: string, scheme: Scheme): BackendFault | undefined {
  const [whole = '', fragment] = url.split('#', 2);
  if (fragment !== undefined) return { what: 'has a part after "#"', remedy: 'Leave it out.' };
  const start = whole.indexOf('?');
  const given = [...new URLSearchParams(start < 0 ? '' : whole.slice(start + 1))];
  const known = parameters[scheme];
  const [secret] =
    given.find(([name, value]) =>
      known.includes(name) ? ADDRESSES.includes(name) && /[@?#]/.test(value) : CREDENTIAL.test(name),
    ) ?? [];
  if (secret !== undefined)
    return { what: `holds credentials in its parameter "${secret}"`, remedy: OUTSIDE };
  const [unknown] = given.find(([name]) => !known.includes(name)) ?? [];
  if (unknown === undefined) return undefined;
  // What has digits in it may be a credential without a name.
  const told = /^[A-Za-z_]{1,40}$/.test(unknown) ? `the parameter "${unknown}", which` : 'a parameter that';
  return {
    what: `has ${told} ${scheme}:// does not take`,
    remedy: didYouMean(unknown, known) || 'Leave it out.',
  };
}

/** Whether deploys work on parts of the state there: Pulumi Cloud takes changes one by one, and needs none. */
export const keepsParts = (backend: string): boolean => !backend.startsWith('https:');

/** State backends that Pulumi has, by the scheme of their URL, and an example of each. */
const examples = {
  file: 'file:///var/lib/switchyard/state',
  s3: 's3://bucket?region=eu-central-1',
  gs: 'gs://bucket',
  azblob: 'azblob://container?storage_account=name',
  https: 'https://api.pulumi.com',
} as const;

type Scheme = keyof typeof examples;

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
      ? undefined
      : {
          what: 'names a folder relative to wherever the command runs',
          remedy: `Write it whole: "${example}" or "file://~/state".`,
        };
  }
  if (host === '') {
    const missing = scheme === 'https' ? 'host' : scheme === 'azblob' ? 'container' : 'bucket';
    return { what: `names no ${missing}`, remedy: `Write "${example}".` };
  }
  if (/@/.test(host)) {
    return {
      what: 'holds credentials',
      remedy: 'Give them in the environment, as the cloud’s own tools take them.',
    };
  }
  return undefined;
}

/** Whether deploys work on parts of the state there: Pulumi Cloud takes changes one by one, and needs none. */
export const keepsParts = (backend: string): boolean => !backend.startsWith('https:');

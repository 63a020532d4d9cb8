import { execFileSync } from 'node:child_process';
import { LabError } from '../steps';

/** One package source of the host. */
export interface AptSource {
  uri: string;
  suite: string;
  component: string;
}

const SUITES = ['bookworm', 'bookworm-updates', 'bookworm-security'];

/**
 * Debian's own sources from the host's apt configuration, so that images come from the mirror the machine uses.
 * @param targets lines of `apt-get indextargets` in the format URI, codename, component, separated by blanks
 * @throws LabError when the host is not Debian 12 or its mirror needs TLS, which a bare base image cannot speak
 */
export function parseSources(targets: string): AptSource[] {
  const sources: AptSource[] = [];
  for (const line of [...new Set(targets.split('\n'))].sort()) {
    const [uri, suite, component] = line.trim().split(/\s+/);
    // Third parties use Debian's suite names too; only Debian's archives end in these paths.
    if (!uri || !suite || !/\/debian(-security)?\/?$/.test(uri)) continue;
    if (SUITES.includes(suite) && component === 'main') sources.push({ uri, suite, component });
  }
  const base = sources.find((source) => source.suite === 'bookworm');
  if (!base) {
    throw new LabError(
      "the host's apt configuration has no source for Debian bookworm main",
      'Add one to /etc/apt/sources.list, then run apt-get update',
    );
  }
  const tls = sources.find((source) => !source.uri.startsWith('http://'));
  if (tls) {
    throw new LabError(
      `the host's apt source for ${tls.suite} is not plain http, and the base image carries no certificates`,
      'Use the http address of the same mirror: packages are verified by signature',
    );
  }
  return sources;
}

/** The host's sources; see {@link parseSources}. */
export function hostSources(): AptSource[] {
  const format = '$(REPO_URI) $(CODENAME) $(COMPONENT)';
  try {
    return parseSources(
      execFileSync('apt-get', ['indextargets', '--format', format, 'Created-By: Packages'], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'pipe'],
      }),
    );
  } catch (error) {
    if (error instanceof LabError) throw error;
    throw new LabError(
      'apt-get does not list its sources',
      'Run the lab on Debian 12 and try: apt-get update',
    );
  }
}

/** The text of a sources.list. */
export const sourcesList = (sources: readonly AptSource[]): string =>
  sources.map(({ uri, suite, component }) => `deb ${uri} ${suite} ${component}\n`).join('');

/** A program of the lab that no Debian package carries in a fitting version. */
export interface Part {
  /** Folder beside this file with go.mod and go.sum. */
  name: string;
  version: string;
  title: string;
  programs: Program[];
  /** `-X` settings that the linker writes in: package variable to value. */
  stamps?: Record<string, string>;
  /** Official download, taken when its checksum fits. */
  download?: Download;
  /**
   * Program whose presence on PATH in exactly this version makes the build needless. `match` finds the version
   * in the output of `args`.
   */
  installed?: { program: string; args: string[]; match: RegExp };
}

export interface Program {
  /** File name in the cache's `bin`. */
  name: string;
  /** Go package to build; `.` is the part's own main.go. */
  source: string;
  /** Further names under which the same file is found. */
  links?: string[];
}

export interface Download {
  url: string;
  /** Hexadecimal SHA-256 list of the release: lines `<hash>  <file>`. */
  checksums: string;
  /** Programs in the archive, by path there. */
  files: string[];
}

const KUBERNETES = '1.37.2';
const PULUMI = '3.259.0';
const BUILDKIT = '0.34.2';

function kubernetesStamps(): Record<string, string> {
  const [major = '', minor = ''] = KUBERNETES.split('.');
  const stamps: Record<string, string> = {};
  for (const folder of ['k8s.io/component-base/version', 'k8s.io/client-go/pkg/version']) {
    stamps[`${folder}.gitVersion`] = `v${KUBERNETES}`;
    stamps[`${folder}.gitMajor`] = major;
    stamps[`${folder}.gitMinor`] = minor;
    stamps[`${folder}.gitTreeState`] = 'clean';
    stamps[`${folder}.gitCommit`] = 'unknown';
    stamps[`${folder}.buildDate`] = '1970-01-01T00:00:00Z';
  }
  return stamps;
}

/**
 * In the order in which they are needed: the cluster comes up while the rest compiles, then the images, and no step of
 * the lab's own needs the last.
 */
export const PARTS: Part[] = [
  {
    name: 'kubernetes',
    version: KUBERNETES,
    title: 'Kubernetes control plane, kubelet, kube-proxy, kubectl',
    programs: [
      {
        name: 'kubernetes',
        source: '.',
        links: [
          'kube-apiserver',
          'kube-controller-manager',
          'kube-scheduler',
          'kubelet',
          'kube-proxy',
          'kubectl',
        ],
      },
    ],
    stamps: kubernetesStamps(),
  },
  {
    name: 'pulumi',
    version: PULUMI,
    title: 'Pulumi CLI',
    programs: [{ name: 'pulumi', source: 'github.com/pulumi/pulumi/pkg/v3/cmd/pulumi' }],
    stamps: { 'github.com/pulumi/pulumi/sdk/v3/go/common/version.Version': PULUMI },
    installed: { program: 'pulumi', args: ['version'], match: /v?(\d+\.\d+\.\d+)/ },
    download: {
      url: `https://github.com/pulumi/pulumi/releases/download/v${PULUMI}/pulumi-v${PULUMI}-linux-x64.tar.gz`,
      checksums: `https://github.com/pulumi/pulumi/releases/download/v${PULUMI}/pulumi-${PULUMI}-checksums.txt`,
      files: ['pulumi/pulumi'],
    },
  },
  {
    name: 'coredns',
    version: '1.12.4',
    title: 'CoreDNS',
    programs: [{ name: 'coredns', source: '.' }],
  },
  {
    name: 'local-path-provisioner',
    version: '0.0.30',
    title: 'Volume provisioner',
    programs: [{ name: 'local-path-provisioner', source: 'github.com/rancher/local-path-provisioner' }],
  },
  {
    name: 'buildkit',
    version: BUILDKIT,
    title: 'BuildKit',
    programs: [
      { name: 'buildkitd', source: 'github.com/moby/buildkit/cmd/buildkitd' },
      { name: 'buildctl', source: 'github.com/moby/buildkit/cmd/buildctl' },
    ],
    stamps: { 'github.com/moby/buildkit/version.Version': `v${BUILDKIT}` },
    download: {
      url: `https://github.com/moby/buildkit/releases/download/v${BUILDKIT}/buildkit-v${BUILDKIT}.linux-amd64.tar.gz`,
      checksums: `https://github.com/moby/buildkit/releases/download/v${BUILDKIT}/checksums.txt`,
      files: ['bin/buildkitd', 'bin/buildctl'],
    },
  },
  {
    name: 's3',
    version: '1.8.0',
    title: 'S3 server (versitygw)',
    programs: [{ name: 'versitygw', source: 'github.com/versity/versitygw/cmd/versitygw' }],
  },
  {
    name: 'ferretdb',
    version: '1.24.0',
    title: 'FerretDB',
    programs: [{ name: 'ferretdb', source: '.' }],
  },
  {
    name: 'mongo-tools',
    // Its own releases (100.x) are no versions to Go's module system: the commit is named instead.
    version: '0.0.0-20240723193119-837c2bc263f4',
    title: 'MongoDB database tools',
    programs: [
      { name: 'mongodump', source: 'github.com/mongodb/mongo-tools/mongodump/main' },
      { name: 'mongorestore', source: 'github.com/mongodb/mongo-tools/mongorestore/main' },
    ],
  },
  {
    // The newest that the Go module proxy carries: later ones live in a module of their own, which it does not. The
    // engine still speaks to it, and the Node.js half comes from @pulumi/pulumi in its own version.
    name: 'pulumi-language-nodejs',
    version: '3.68.0',
    title: "Pulumi's Node.js language host",
    programs: [
      {
        name: 'pulumi-language-nodejs',
        source: 'github.com/pulumi/pulumi/sdk/v3/nodejs/cmd/pulumi-language-nodejs',
      },
    ],
    stamps: { 'github.com/pulumi/pulumi/sdk/v3/go/common/version.Version': '3.68.0' },
  },
];

/** Name of the part that brings a program. @throws Error when none does */
export function partOf(program: string): string {
  const part = PARTS.find(({ programs }) =>
    programs.some(({ name, links = [] }) => name === program || links.includes(program)),
  );
  if (!part) throw new Error(`no part brings the program ${program}`);
  return part.name;
}

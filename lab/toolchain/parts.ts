import type { Suite } from '../images/definitions';
import type { Official } from './download';

/** A program of the lab that no Debian package carries in a fitting version. */
export interface Part {
  /** Folder beside this file with go.mod and go.sum. */
  name: string;
  version: string;
  /** What its go.mod pins, where the module has no version of its own. @default {@link version} */
  pin?: string;
  title: string;
  programs: Program[];
  /** Files that its main.go embeds and a module carries, where Go cannot embed them from: module → paths in it. */
  embeds?: Record<string, string[]>;
  /** Files of modules that are compiled from files of ours: module → path in it → path in the part's folder. */
  instead?: Record<string, Record<string, string>>;
  /** Faults of a module that a later version, which is not to be had here, is free of: module → path in it. */
  mends?: Record<string, Record<string, Mend>>;
  /** Build tags. */
  tags?: string[];
  /** `-X` settings that the linker writes in: package variable to value. */
  stamps?: Record<string, string>;
  /** Official files that bring all of its programs, taken when their checksums fit. Only for x86-64. */
  official?: Official[];
  /** Another part whose official archive brings this one's programs, too. */
  comesWith?: string;
  /**
   * Program whose presence on PATH in exactly this version makes the build needless. `match` finds the version
   * in the output of `args`.
   */
  installed?: { program: string; args: string[]; match: RegExp };
}

/** Lines of ours, put before a line of a module's file that stands there once. */
export interface Mend {
  readonly before: string;
  readonly put: string;
}

export interface Program {
  /** File name in the cache's `bin`. */
  name: string;
  /** Go package to build; `.` is the part's own main.go. */
  source: string;
  /** Further names under which the same file is found. */
  links?: string[];
}

const KUBERNETES = '1.37.2';
const PULUMI = '3.259.0';
/** Where it is built. */
const PROVIDER = '4.25.0';
/** Where its release is to be had: what the package of the programs asks for. */
const PROVIDER_RELEASE = '4.34.2';
const BUILDKIT = '0.34.2';
const COREDNS = '1.12.4';
const VERSITYGW = '1.8.0';

const GITHUB = 'https://github.com';

/** Links to the one file that a build makes; files of their own in a release. */
const KUBERNETES_PROGRAMS = [
  'kube-apiserver',
  'kube-controller-manager',
  'kube-scheduler',
  'kubelet',
  'kube-proxy',
  'kubectl',
];

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
        links: KUBERNETES_PROGRAMS,
      },
    ],
    stamps: kubernetesStamps(),
    // kubernetes.io "Download Kubernetes": each program by itself, and beside it a file that holds its hash alone. The
    // server archive would hold every program twice, as an image, too.
    official: KUBERNETES_PROGRAMS.map((program) => {
      const url = `https://dl.k8s.io/release/v${KUBERNETES}/bin/linux/amd64/${program}`;
      return { url, checksums: `${url}.sha256` };
    }),
  },
  {
    name: 'pulumi',
    version: PULUMI,
    title: 'Pulumi CLI',
    programs: [{ name: 'pulumi', source: 'github.com/pulumi/pulumi/pkg/v3/cmd/pulumi' }],
    stamps: { 'github.com/pulumi/pulumi/sdk/v3/go/common/version.Version': PULUMI },
    installed: { program: 'pulumi', args: ['version'], match: /v?(\d+\.\d+\.\d+)/ },
    // .goreleaser.yml and ci-prepare-release.yml of pulumi/pulumi.
    official: [
      {
        url: `${GITHUB}/pulumi/pulumi/releases/download/v${PULUMI}/pulumi-v${PULUMI}-linux-x64.tar.gz`,
        checksums: `${GITHUB}/pulumi/pulumi/releases/download/v${PULUMI}/pulumi-${PULUMI}-checksums.txt`,
        archive: { pulumi: 'pulumi/pulumi', 'pulumi-language-nodejs': 'pulumi/pulumi-language-nodejs' },
      },
    ],
  },
  {
    // The module's versions are commits: this one is of the days of 4.25.0.
    name: 'provider-kubernetes',
    version: PROVIDER,
    pin: '4.0.0-20260115033456-f47bc2d6f199',
    title: "Pulumi's official Kubernetes provider",
    programs: [{ name: 'pulumi-resource-kubernetes', source: '.' }],
    stamps: { 'main.version': PROVIDER },
    embeds: {
      'github.com/pulumi/pulumi-kubernetes/provider/v4': [
        'cmd/pulumi-resource-kubernetes/schema.json',
        'cmd/pulumi-resource-kubernetes/terraform-mapping.json',
      ],
    },
    instead: {
      'github.com/pulumi/pulumi-kubernetes/sdk/v4': {
        'go/kubernetes/yaml/v2/kinds.go': 'instead/kinds.go',
      },
    },
    mends: {
      'github.com/pulumi/pulumi-kubernetes/provider/v4': {
        // Mended in 4.26.0 (#4094): a StatefulSet was taken for rolled out by the status of its former generation.
        'pkg/await/statefulset.go': {
          before: '\tvar updateStrategyType string',
          put: [
            '\tseen, _, err := unstructured.NestedInt64(statefulset.Object, "status", "observedGeneration")',
            '\tif err != nil || seen < sia.currentGeneration {',
            '\t\treturn',
            '\t}',
          ].join('\n'),
        },
      },
    },
    // .goreleaser.yml of pulumi/pulumi-kubernetes.
    official: [
      {
        url: `${GITHUB}/pulumi/pulumi-kubernetes/releases/download/v${PROVIDER_RELEASE}/pulumi-resource-kubernetes-v${PROVIDER_RELEASE}-linux-amd64.tar.gz`,
        checksums: `${GITHUB}/pulumi/pulumi-kubernetes/releases/download/v${PROVIDER_RELEASE}/pulumi-kubernetes_${PROVIDER_RELEASE}_checksums.txt`,
        archive: { 'pulumi-resource-kubernetes': 'pulumi-resource-kubernetes' },
      },
    ],
  },
  {
    name: 'kube-router',
    version: '2.1.0',
    title: 'Network policy enforcement (kube-router)',
    programs: [{ name: 'kube-router', source: '.' }],
  },
  {
    name: 'coredns',
    version: COREDNS,
    title: 'CoreDNS',
    programs: [{ name: 'coredns', source: '.' }],
    // Makefile.release of coredns/coredns: the program at the top of the archive.
    official: [
      {
        url: `${GITHUB}/coredns/coredns/releases/download/v${COREDNS}/coredns_${COREDNS}_linux_amd64.tgz`,
        checksums: `${GITHUB}/coredns/coredns/releases/download/v${COREDNS}/coredns_${COREDNS}_linux_amd64.tgz.sha256`,
        archive: { coredns: 'coredns' },
      },
    ],
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
    // .github/workflows/buildkit.yml of moby/buildkit: no list of checksums, but the provenance of each archive, an in-toto
    // statement whose subject is the archive (exporter/local/fs.go writes it).
    official: [
      {
        url: `${GITHUB}/moby/buildkit/releases/download/v${BUILDKIT}/buildkit-v${BUILDKIT}.linux-amd64.tar.gz`,
        checksums: `${GITHUB}/moby/buildkit/releases/download/v${BUILDKIT}/buildkit-v${BUILDKIT}.linux-amd64.provenance.json`,
        archive: { buildkitd: 'bin/buildkitd', buildctl: 'bin/buildctl' },
      },
    ],
  },
  {
    name: 's3',
    version: VERSITYGW,
    title: 'S3 server (versitygw)',
    programs: [{ name: 'versitygw', source: 'github.com/versity/versitygw/cmd/versitygw' }],
    // .goreleaser.yaml of versity/versitygw: a folder called as the archive.
    official: [
      {
        url: `${GITHUB}/versity/versitygw/releases/download/v${VERSITYGW}/versitygw_v${VERSITYGW}_Linux_x86_64.tar.gz`,
        checksums: `${GITHUB}/versity/versitygw/releases/download/v${VERSITYGW}/checksums.txt`,
        archive: { versitygw: `versitygw_v${VERSITYGW}_Linux_x86_64/versitygw` },
      },
    ],
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
    // Then in the version of the CLI.
    comesWith: 'pulumi',
  },
];

/** What only images that a suite brings hold: compiled when it runs, and part of no lab. */
export const SUITE_PARTS: (Part & { readonly suite: Suite })[] = [
  {
    suite: 'scaling',
    // Debian's has no discovery by Kubernetes' API. Its own releases (3.x.y) are v0.3xx.y to Go's module system.
    name: 'prometheus',
    version: '0.316.0',
    title: 'Prometheus',
    programs: [{ name: 'prometheus', source: 'github.com/prometheus/prometheus/cmd/prometheus' }],
    // Of twenty-five kinds of discovery with their clouds' SDKs the one that is used (plugins/plugin_kubernetes.go).
    tags: ['remove_all_sd', 'enable_kubernetes_sd'],
    stamps: { 'github.com/prometheus/common/version.Version': '3.16.0' },
  },
  {
    suite: 'scaling',
    name: 'prometheus-adapter',
    version: '0.12.0',
    title: 'prometheus-adapter',
    programs: [{ name: 'prometheus-adapter', source: 'sigs.k8s.io/prometheus-adapter/cmd/adapter' }],
  },
  {
    suite: 'scaling',
    name: 'metrics-server',
    version: '0.9.0',
    title: 'metrics-server',
    programs: [{ name: 'metrics-server', source: 'sigs.k8s.io/metrics-server/cmd/metrics-server' }],
  },
  {
    // The version is external-provisioner's.
    suite: 'storage',
    name: 'csi',
    version: '6.4.0',
    title: 'Volumes that grow: external-provisioner, external-resizer, a driver',
    programs: [
      {
        name: 'csi-provisioner',
        source: 'github.com/kubernetes-csi/external-provisioner/v6/cmd/csi-provisioner',
      },
      { name: 'csi-resizer', source: 'github.com/kubernetes-csi/external-resizer/v2/cmd/csi-resizer' },
      { name: 'csi-disks', source: '.' },
      // What the driver is held to.
      { name: 'csi-sanity', source: 'github.com/kubernetes-csi/csi-test/v5/cmd/csi-sanity' },
    ],
  },
];

/** Name of the part that brings a program. @throws Error when none does */
export function partOf(program: string): string {
  const part = [...PARTS, ...SUITE_PARTS].find(({ programs }) =>
    programs.some(({ name, links = [] }) => name === program || links.includes(program)),
  );
  if (!part) throw new Error(`no part brings the program ${program}`);
  return part.name;
}

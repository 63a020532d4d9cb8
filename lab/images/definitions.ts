/** One image of the lab: its folder beside this file holds its Dockerfile. */
export interface ImageDefinition {
  /** Folder, and repository in the mirror. */
  name: string;
  tag: string;
  /** `name` of the image that its Dockerfile starts from. */
  parent?: string;
  /** Programs of the toolchain's `bin` folder that go into the build context: name there → path in the context. */
  programs?: Readonly<Record<string, string>>;
  /** Other images are built upon it, so the engine holds it, too: its builder asks no mirror over plain http. */
  base?: true;
  /** Further content that is made on the host. */
  extra?: 'wheels' | 'agent-program' | 'jenkins' | 'libraries' | 'distribution';
}

/** In build order: a parent comes before its children, what the cluster needs to start comes first. */
export const IMAGES: readonly ImageDefinition[] = [
  { name: 'pause', tag: '3.10', parent: 'debian' },
  { name: 'coredns', tag: '1.12.4', programs: { coredns: 'coredns' } },
  {
    name: 'local-path-provisioner',
    tag: '0.0.30',
    parent: 'debian',
    programs: { 'local-path-provisioner': 'local-path-provisioner' },
  },
  { name: 'python', tag: '3.11', parent: 'debian', base: true },
  {
    name: 'agent',
    tag: 'lab',
    parent: 'debian',
    base: true,
    programs: {
      kubectl: 'kubernetes/kubectl',
      pulumi: 'pulumi/pulumi',
      buildctl: 'buildkit/buildctl',
      'pulumi-resource-kubernetes': 'provider-kubernetes/pulumi-resource-kubernetes',
    },
    extra: 'agent-program',
  },
  { name: 'inbound-agent', tag: 'lab', parent: 'debian' },
  { name: 'jenkins', tag: 'lab', parent: 'debian', base: true, extra: 'jenkins' },
  { name: 'busybox', tag: '1.35', parent: 'debian' },
  { name: 'registry', tag: '2.8', parent: 'debian' },
  { name: 'nginx', tag: '1.22', parent: 'debian' },
  {
    name: 'buildkit',
    tag: '0.34',
    parent: 'debian',
    programs: { buildkitd: 'buildkitd', buildctl: 'buildctl' },
  },
  { name: 'mariadb', tag: '10.11', parent: 'debian' },
  { name: 'postgresql', tag: '15', parent: 'debian' },
  { name: 'rabbitmq', tag: '3.10', parent: 'debian' },
  { name: 'redis', tag: '7.0', parent: 'debian' },
  {
    name: 'ferretdb',
    // Another tag than without logins: Pods that run the old one are made anew.
    tag: '1.24-login',
    parent: 'debian',
    programs: { ferretdb: 'ferretdb', mongodump: 'tools/mongodump', mongorestore: 'tools/mongorestore' },
  },
  { name: 'robot', tag: '7', parent: 'python', extra: 'wheels' },
];

/** Suites that bring images of their own. */
export type Suite = 'services' | 'scaling' | 'storage';

/** Images that a suite brings when it needs them: too slow to make, or to start, for the lab that everybody has. */
export const SUITE_IMAGES: readonly (ImageDefinition & { readonly suite: Suite })[] = [
  { suite: 'services', name: 'mysql', tag: '9.7', parent: 'debian' },
  { suite: 'services', name: 'kafka', tag: '4.1', parent: 'debian', extra: 'libraries' },
  { suite: 'services', name: 'hdfs', tag: '3.4', parent: 'debian', extra: 'libraries' },
  { suite: 'services', name: 'elasticsearch', tag: '8.19', parent: 'debian', extra: 'distribution' },
  { suite: 'services', name: 'python-kafka', tag: '3.11', parent: 'debian', extra: 'wheels' },
  { suite: 'scaling', name: 'haproxy', tag: '2.6', parent: 'debian' },
  { suite: 'scaling', name: 'prometheus', tag: '3.16', programs: { prometheus: 'prometheus' } },
  {
    suite: 'scaling',
    name: 'prometheus-adapter',
    tag: '0.12.0',
    programs: { 'prometheus-adapter': 'adapter' },
  },
  {
    suite: 'scaling',
    name: 'metrics-server',
    tag: '0.9.0',
    programs: { 'metrics-server': 'metrics-server' },
  },
  {
    suite: 'storage',
    name: 'csi',
    tag: '6.4',
    parent: 'debian',
    programs: {
      'csi-provisioner': 'csi-provisioner',
      'csi-resizer': 'csi-resizer',
      'csi-disks': 'csi-disks',
      'csi-sanity': 'csi-sanity',
    },
  },
];

/** The image that everything else starts from; made from debootstrap, not from a Dockerfile. */
export const BASE = { name: 'debian', tag: 'bookworm' } as const;

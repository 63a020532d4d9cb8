import { corednsManifests, storageManifests } from '../../../lab/cluster/addons';
import {
  cniConfig,
  containerdConfig,
  dockerConfig,
  hostsToml,
  kubeletConfig,
  kubeProxyConfig,
  lacksSysResource,
  NODE_POD_SUBNET,
} from '../../../lab/cluster/config';
import { CERTIFICATES, kubeconfig, requestArguments } from '../../../lab/cluster/pki';

const HOME = '/lab-home';

test.each([
  ['CapEff:\t000001fffeffffff', true],
  ['CapEff:\t000001ffffffffff', false],
  ['CapEff:\t0000000000000000', true],
  ['nothing here', false],
])('CAP_SYS_RESOURCE is read out of %j', (status, lacks) => {
  expect(lacksSysResource(status)).toBe(lacks);
});

test('containerd keeps everything of its own and pulls its pause image from the mirror', () => {
  const text = containerdConfig(HOME, true);
  expect(text).toContain('root = "/lab-home/containerd"');
  expect(text).toContain('address = "/lab-home/run/containerd.sock"');
  expect(text).toContain('sandbox_image = "198.18.0.2:5000/pause:3.10"');
  expect(text).toContain('restrict_oom_score_adj = true');
  expect(text).not.toMatch(/"\/(var\/lib|etc)\/containerd/);
});

test('containerd gives no container a volume that its image declares', () => {
  const [, cri = ''] = containerdConfig(HOME, true).split('[plugins."io.containerd.grpc.v1.cri"]');
  expect(cri.split('\n[')[0]).toContain('\n  ignore_image_defined_volumes = true\n');
});

test('a plain registry is reached without TLS', () => {
  expect(hostsToml('198.18.0.2:5000')).toContain('[host."http://198.18.0.2:5000"]');
});

test('the Docker engine touches neither the packet filter nor the network of the host', () => {
  expect(dockerConfig(HOME)).toMatchObject({
    bridge: 'swy-build',
    iptables: false,
    'ip-forward': false,
    'data-root': '/lab-home/docker',
    hosts: ['unix:///lab-home/run/docker.sock'],
    'insecure-registries': ['198.18.0.2:5000', '198.18.0.2:30500', '127.198.18.2:5001'],
  });
});

test('kubelet accepts cgroup v1, keeps its Pods below our cgroup and refuses anonymous callers', () => {
  expect(kubeletConfig(HOME)).toMatchObject({
    failCgroupV1: false,
    cgroupDriver: 'cgroupfs',
    cgroupRoot: '/switchyard-lab',
    authentication: { anonymous: { enabled: false } },
    authorization: { mode: 'Webhook' },
    clusterDNS: ['198.19.0.10'],
  });
});

test("kube-proxy leaves the host's connection tracking limits alone", () => {
  expect(kubeProxyConfig(HOME)).toMatchObject({ conntrack: { maxPerCore: 0, min: 0 }, mode: 'iptables' });
});

test('Pod addresses come from the Pod range', () => {
  expect(NODE_POD_SUBNET).toBe('198.18.128.0/24');
  expect(JSON.stringify(cniConfig())).toContain('"subnet":"198.18.128.0/24"');
});

test('the API server is valid for every name and address that it is called by', () => {
  const names = CERTIFICATES.find(({ name }) => name === 'apiserver')?.names;
  expect(names).toEqual(
    expect.arrayContaining(['IP:198.18.0.2', 'IP:198.19.0.1', 'DNS:kubernetes.default.svc.cluster.local']),
  );
});

test('kubelet is authorised as its own node only', () => {
  const kubelet = CERTIFICATES.find(({ name }) => name === 'kubelet');
  if (!kubelet) throw new Error('kubelet has a certificate');
  expect(requestArguments(kubelet)).toContain('/O=system:nodes/CN=system:node:lab');
});

test('the kubeconfig has one context named lab', () => {
  const config = JSON.parse(kubeconfig('admin', { ca: 'a', cert: 'b', key: 'c' }));
  expect(config.contexts).toEqual([{ name: 'lab', context: { cluster: 'lab', user: 'admin' } }]);
  expect(config['current-context']).toBe('lab');
});

test('add-ons run unprivileged from the mirror', () => {
  const text = JSON.stringify([...corednsManifests(), ...storageManifests(HOME)]);
  for (const [, image] of text.matchAll(/"image":"([^"]+)"/g)) expect(image).toMatch(/^198\.18\.0\.2:5000\//);
  expect(text).not.toContain('"privileged":true');
  expect(text).toContain('"clusterIP":"198.19.0.10"');
});

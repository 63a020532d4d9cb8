import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { API_SERVER, API_SERVICE_IP, CLUSTER_DOMAIN, NODE_IP, NODE_NAME } from '../machine/addresses';
import { labHome, type StepLog } from '../steps';

/** A certificate of the cluster; the file names are `<name>.crt` and `<name>.key`. */
export interface Certificate {
  name: string;
  authority: 'ca' | 'front-proxy-ca';
  /** CN: the Kubernetes user, for client certificates. */
  commonName: string;
  /** O: the Kubernetes group. */
  organisation?: string;
  usage: 'clientAuth' | 'serverAuth';
  /** subjectAltName entries, for servers. */
  names?: string[];
}

export const CERTIFICATES: Certificate[] = [
  {
    name: 'apiserver',
    authority: 'ca',
    commonName: 'kube-apiserver',
    usage: 'serverAuth',
    names: [
      'DNS:kubernetes',
      'DNS:kubernetes.default',
      'DNS:kubernetes.default.svc',
      `DNS:kubernetes.default.svc.${CLUSTER_DOMAIN}`,
      `DNS:${NODE_NAME}`,
      `IP:${NODE_IP}`,
      `IP:${API_SERVICE_IP}`,
      'IP:127.0.0.1',
    ],
  },
  {
    name: 'node',
    authority: 'ca',
    commonName: NODE_NAME,
    usage: 'serverAuth',
    names: [`DNS:${NODE_NAME}`, `IP:${NODE_IP}`, 'IP:127.0.0.1'],
  },
  {
    name: 'admin',
    authority: 'ca',
    commonName: 'lab-admin',
    organisation: 'system:masters',
    usage: 'clientAuth',
  },
  {
    name: 'apiserver-kubelet',
    authority: 'ca',
    commonName: 'kube-apiserver-kubelet-client',
    organisation: 'system:masters',
    usage: 'clientAuth',
  },
  {
    name: 'kube-controller-manager',
    authority: 'ca',
    commonName: 'system:kube-controller-manager',
    usage: 'clientAuth',
  },
  { name: 'kube-scheduler', authority: 'ca', commonName: 'system:kube-scheduler', usage: 'clientAuth' },
  { name: 'kube-proxy', authority: 'ca', commonName: 'system:kube-proxy', usage: 'clientAuth' },
  { name: 'kube-router', authority: 'ca', commonName: 'kube-router', usage: 'clientAuth' },
  {
    name: 'kubelet',
    authority: 'ca',
    commonName: `system:node:${NODE_NAME}`,
    organisation: 'system:nodes',
    usage: 'clientAuth',
  },
  { name: 'front-proxy', authority: 'front-proxy-ca', commonName: 'front-proxy', usage: 'clientAuth' },
];

/** Path in `LAB_HOME/pki`. */
export const pki = (file: string): string => join(labHome(), 'pki', file);

const EC = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
const DAYS = ['-days', '3650'];

/** Arguments of `openssl req` for a certificate. */
export function requestArguments(certificate: Certificate): string[] {
  const { name, authority, commonName, organisation, usage, names } = certificate;
  const subject = `${organisation ? `/O=${organisation}` : ''}/CN=${commonName}`;
  const args = ['req', '-x509', ...EC, ...DAYS, '-subj', subject];
  args.push('-CA', pki(`${authority}.crt`), '-CAkey', pki(`${authority}.key`));
  args.push('-addext', 'basicConstraints=critical,CA:FALSE', '-addext', `extendedKeyUsage=${usage}`);
  if (names) args.push('-addext', `subjectAltName=${names.join(',')}`);
  return [...args, '-keyout', pki(`${name}.key`), '-out', pki(`${name}.crt`)];
}

const read = (file: string): string => readFileSync(pki(file), 'utf8');

/** TLS texts of the administrator, for probes. */
export function adminTls(): { ca: string; cert: string; key: string } {
  return { ca: read('ca.crt'), cert: read('admin.crt'), key: read('admin.key') };
}

/** A kubeconfig with one context, `lab`. Everything is inside: the file can be copied anywhere. */
export function kubeconfig(user: string, tls: { ca: string; cert: string; key: string }): string {
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      { name: 'lab', cluster: { server: API_SERVER, 'certificate-authority-data': base64(tls.ca) } },
    ],
    users: [
      {
        name: user,
        user: { 'client-certificate-data': base64(tls.cert), 'client-key-data': base64(tls.key) },
      },
    ],
    contexts: [{ name: 'lab', context: { cluster: 'lab', user } }],
    'current-context': 'lab',
  };
  return `${JSON.stringify(config, null, 2)}\n`;
}

/** Path of the administrator's kubeconfig. */
export const kubeconfigPath = (): string => join(labHome(), 'kubeconfig');

/** Makes what is missing of authorities, certificates, the service account key and kubeconfigs. */
export async function createPki(log: StepLog): Promise<void> {
  mkdirSync(pki(''), { recursive: true, mode: 0o700 });
  for (const name of ['ca', 'front-proxy-ca']) {
    if (existsSync(pki(`${name}.crt`))) continue;
    const out = ['-keyout', pki(`${name}.key`), '-out', pki(`${name}.crt`)];
    await log.exec('openssl', [
      'req',
      '-x509',
      ...EC,
      ...DAYS,
      '-subj',
      `/CN=switchyard-lab-${name}`,
      ...out,
    ]);
  }
  for (const certificate of CERTIFICATES) {
    if (!existsSync(pki(`${certificate.name}.crt`))) await log.exec('openssl', requestArguments(certificate));
  }
  if (!existsSync(pki('sa.pub'))) {
    await log.exec('openssl', ['genrsa', '-out', pki('sa.key'), '2048']);
    await log.exec('openssl', ['rsa', '-in', pki('sa.key'), '-pubout', '-out', pki('sa.pub')]);
  }
  for (const name of ['kube-controller-manager', 'kube-scheduler', 'kube-proxy', 'kube-router', 'kubelet']) {
    const tls = { ca: read('ca.crt'), cert: read(`${name}.crt`), key: read(`${name}.key`) };
    writeFileSync(pki(`${name}.kubeconfig`), kubeconfig(name, tls), { mode: 0o600 });
  }
  writeFileSync(kubeconfigPath(), kubeconfig('admin', adminTls()), { mode: 0o600 });
}

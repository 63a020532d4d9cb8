// Names at the edges of what Kubernetes takes: pkg/apis/networking/validation/validation.go and pkg/apis/core/validation of
// kubernetes/kubernetes, pkg/util/validation and pkg/api/validation/objectmeta.go of k8s.io/apimachinery, read in November
// 2026. `check` is held against this table, and the table against a real API server.

/** Keys of a module's ingress; `annotation` is a key. */
export interface Example {
  readonly host?: string;
  readonly path?: string;
  readonly className?: string;
  readonly tlsSecret?: string;
  readonly annotation?: string;
  /** @default `x` */
  readonly value?: string;
}

const long = (length: number): string => 'a'.repeat(length);
const row = (example: Example): readonly [string, Example] => {
  const short = Object.entries(example).map(([key, text]: [string, string]) => {
    return `${key} ${text.length > 60 ? `${text.slice(0, 12)}… of ${text.length}` : JSON.stringify(text)}`;
  });
  return [short.join(', '), example];
};

/** Taken by both. */
export const TAKEN = [
  // IsDNS1123Subdomain: 253 in all, and no limit between two dots.
  { tlsSecret: 'a' },
  { tlsSecret: '0.a-b.c--d.9' },
  { tlsSecret: long(253) },
  { tlsSecret: `${long(64)}.${long(64)}` },
  { className: '1.2.3.4' },
  { className: long(253) },
  { host: 'localhost' },
  { host: 'xn--mller-kva.example' },
  { host: '1.2.3' },
  { host: '1.2.3.4.5' },
  { host: `${long(64)}.example` },
  // IsWildcardDNS1123Subdomain.
  { host: '*.a' },
  { host: `*.${long(251)}` },
  // validateHTTPIngressPath: any text after "/" but invalidPathSequences and invalidPathSuffixes.
  { path: '/.well-known/...' },
  { path: '/a..b/.c' },
  { path: '/%2E%2e/a%20b' },
  { path: '/a;b=c,d:e@f!$&()*+~_-.?q=1' },
  { path: '/ü/日本' },
  { path: `/${long(4000)}` },
  // ValidateAnnotations: the key's case does not count, not even that of its prefix.
  { annotation: 'A' },
  { annotation: `Example.COM/${long(63)}` },
  { annotation: `${long(253)}/a_b.c-D9` },
  { annotation: 'nginx.ingress.kubernetes.io/proxy-body-size', value: '' },
  { annotation: 'a', value: `${long(200_000)}"'{}\u00e9` },
  { annotation: 'kubernetes.io/ingress.class', value: 'nginx' },
  { className: 'nginx', annotation: 'kubernetes.io/ingress.class', value: 'nginx' },
].map(row);

/** Refused by both. */
export const REFUSED = [
  { tlsSecret: long(254) },
  { tlsSecret: 'a..b' },
  { tlsSecret: 'a.-b' },
  { tlsSecret: 'a_b' },
  { tlsSecret: 'Tls' },
  { className: 'nginx-' },
  { host: '1.2.3.4' },
  // ParseIPSloppy.
  { host: '01.02.03.004' },
  { host: '*' },
  { host: 'a.*.example' },
  { host: '*.*.example' },
  { host: 'a.example.' },
  { host: 'a.example:80' },
  { host: `*.${long(252)}` },
  { path: 'a' },
  { path: '/a//b' },
  { path: '/a/./b' },
  { path: '/a/..' },
  { path: '/a%2Fb' },
  { annotation: `a/${long(64)}` },
  { annotation: `${long(254)}/a` },
  { annotation: 'a/b/c' },
  { annotation: '/a' },
  { annotation: 'a_b/c' },
  { annotation: '-a' },
  { annotation: 'a', value: long(262_144) },
  { className: 'nginx', annotation: 'kubernetes.io/ingress.class', value: 'other' },
].map(row);

/** Taken by Kubernetes and refused here, on purpose. */
export const NARROWER = [
  // No request has these, and a proxy may read them as its configuration.
  { path: '/a b' },
  { path: '/a{b}' },
  { path: '/a"b' },
  { path: '/a|b' },
  // Every browser takes it for an address that cannot be.
  { host: '256.1.1.1' },
  // Text of the controller's configuration.
  { annotation: 'nginx.ingress.kubernetes.io/server-snippet' },
  { annotation: 'haproxy-ingress.github.io/config-backend' },
  { annotation: 'nginx.ingress.kubernetes.io/auth-url', value: 'http://a;' },
  // Controllers write values into lines of a configuration.
  { annotation: 'a', value: 'b\nc' },
  { annotation: 'a', value: 'b\tc' },
].map(row);

/** The example as the rest of a module's file has it. */
export const moduleWith = ({ annotation, value = 'x', ...example }: Example): string => {
  const ingress = {
    host: 'shop.example',
    ...example,
    ...(annotation === undefined ? {} : { annotations: { [annotation]: value } }),
  };
  return `description: sells\nowners: [ada]\nproduction: ${JSON.stringify({ ingress })}\n`;
};

/** The example as an object of Kubernetes. */
export const ingressWith = ({
  annotation,
  value = 'x',
  host = 'shop.example',
  path = '/',
  className,
  tlsSecret,
}: Example) => ({
  apiVersion: 'networking.k8s.io/v1',
  kind: 'Ingress',
  metadata: {
    name: 'shop',
    ...(annotation === undefined ? {} : { annotations: { [annotation]: value } }),
  },
  spec: {
    ...(className === undefined ? {} : { ingressClassName: className }),
    ...(tlsSecret === undefined ? {} : { tls: [{ hosts: [host], secretName: tlsSecret }] }),
    rules: [
      {
        host,
        http: {
          paths: [
            { path, pathType: 'Prefix', backend: { service: { name: 'shop', port: { number: 8080 } } } },
          ],
        },
      },
    ],
  },
});

import { quantity } from '../../catalog/quantity';
import { isQualifiedName } from '../../catalog/shapes';
import { type Item, kindOf } from '../facts/item';
import { containersOf } from '../facts/pods';
import { at, type Fields, fields, list, number, text, UNKNOWN } from '../facts/read';
import type { Fault } from './shape';

// What an API server refuses beyond its schema, as far as our arguments can come to it: read in
// pkg/apis/{core,apps,batch,networking}/validation of Kubernetes 1.37 and in k8s.io/apimachinery 0.37.

const LABEL = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/;
const SUBDOMAIN = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*$/;
const SERVICE = /^[a-z](?:[a-z0-9-]*[a-z0-9])?$/;
const LABEL_VALUE = /^(?:[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?)?$/;
const CONFIG_KEY = /^[-._a-zA-Z0-9]{1,253}$/;
const VARIABLE = /^[-._a-zA-Z][-._a-zA-Z0-9]*$/;
const PORT_NAME = /^[a-z0-9]+(?:-[a-z0-9]+)*$/;
const CRON = /^(?:[0-9*,/-]+ ){4}[0-9*,/-]+$/;

/** MaxSecretSize, which ConfigMaps have as well. */
const MOST_DATA = 1024 * 1024;
/** TotalAnnotationSizeLimitB. */
const MOST_ANNOTATIONS = 256 * 1024;
/** etcd's `--max-request-bytes`. */
const MOST_OBJECT = 1.5 * 1024 * 1024;

const known = (value: string | undefined): value is string =>
  value !== undefined && value !== UNKNOWN && !value.includes('«');

class Faults {
  readonly found: Fault[] = [];
  add(path: string, what: string): void {
    this.found.push({ path, what });
  }
  name(path: string, value: string | undefined, shape: RegExp, most: number, what: string): void {
    if (!known(value)) return;
    if (value.length > most) this.add(path, `has ${value.length} characters, and ${what} at most ${most}`);
    else if (!shape.test(value)) this.add(path, `is "${value}", which is not ${what}`);
  }
  /** Tells each value after its first. */
  once(path: string, values: readonly (string | undefined)[], what: string): void {
    const seen = new Set<string>();
    for (const value of values) {
      if (value === undefined) continue;
      if (seen.has(value)) this.add(path, `has ${what} "${value}" twice`);
      seen.add(value);
    }
  }
  amount(path: string, value: unknown): number | undefined {
    if (value === undefined || value === UNKNOWN || (typeof value === 'string' && value.includes('«')))
      return undefined;
    const read = quantity(value);
    if (read === undefined) this.add(path, `is "${String(value).slice(0, 40)}", which is no amount`);
    else if (read > 2 ** 63 - 1) this.add(path, 'is more than Kubernetes can count');
    return read;
  }
}

function metadata(meta: Fields, path: string, faults: Faults): void {
  for (const [key, value] of Object.entries(fields(meta, 'labels'))) {
    if (!isQualifiedName(key)) faults.add(`${path}.labels`, `"${key}" is not the key of a label`);
    faults.name(
      `${path}.labels["${key}"]`,
      text({ value }, 'value'),
      LABEL_VALUE,
      63,
      'the value of a label',
    );
  }
  const annotations = Object.entries(fields(meta, 'annotations'));
  for (const [key] of annotations)
    if (!isQualifiedName(key.toLowerCase()))
      faults.add(`${path}.annotations`, `"${key}" is not the key of an annotation`);
  const size = annotations.reduce((sum, [key, value]) => sum + bytes(key) + bytes(value), 0);
  if (size > MOST_ANNOTATIONS)
    faults.add(`${path}.annotations`, `have ${size} bytes, and Kubernetes takes ${MOST_ANNOTATIONS}`);
}

const bytes = (value: unknown): number => (typeof value === 'string' ? Buffer.byteLength(value) : 0);

function data(item: Item, keys: readonly string[], faults: Faults): void {
  let size = 0;
  for (const place of keys) {
    for (const [key, value] of Object.entries(fields(item.args, place))) {
      if (!CONFIG_KEY.test(key) || key === '.' || key.startsWith('..'))
        faults.add(place, `"${key.slice(0, 60)}" is not a key that it takes`);
      size += place === 'data' && kindOf(item) === 'Secret' ? (bytes(value) * 3) / 4 : bytes(value);
    }
  }
  if (size > MOST_DATA)
    faults.add(keys[0] ?? '', `has ${Math.ceil(size)} bytes, and Kubernetes takes ${MOST_DATA}`);
}

function resources(container: Fields, path: string, faults: Faults): void {
  const limits = fields(container, 'resources', 'limits');
  for (const [key, value] of Object.entries(limits)) faults.amount(`${path}.resources.limits.${key}`, value);
  for (const [key, value] of Object.entries(fields(container, 'resources', 'requests'))) {
    const asked = faults.amount(`${path}.resources.requests.${key}`, value);
    const most = quantity(at(limits, key));
    if (asked !== undefined && most !== undefined && asked > most)
      faults.add(
        `${path}.resources.requests.${key}`,
        `is more than the limit of "${String(at(limits, key))}"`,
      );
  }
}

function probe(container: Fields, key: string, path: string, grace: number, faults: Faults): void {
  const found = fields(container, key);
  const handler = key === 'lifecycle' ? fields(found, 'preStop') : found;
  const here = `${path}.${key}`;
  const asked = fields(handler, 'httpGet');
  if (Object.hasOwn(handler, 'httpGet') && !text(asked, 'path'))
    faults.add(`${here}.httpGet.path`, 'is empty');
  if (Object.hasOwn(handler, 'exec') && list(handler, 'exec', 'command').length === 0)
    faults.add(`${here}.exec.command`, 'is empty');
  for (const kind of ['httpGet', 'tcpSocket'] as const)
    port(at(handler, kind, 'port'), `${here}.${kind}.port`, faults);
  for (const count of ['initialDelaySeconds', 'timeoutSeconds', 'periodSeconds', 'failureThreshold']) {
    const value = number(found, count);
    if (value !== undefined && value < 0) faults.add(`${here}.${count}`, 'is below 0');
  }
  const sleep = number(handler, 'sleep', 'seconds');
  if (sleep !== undefined && (sleep < 0 || sleep > grace))
    faults.add(`${here}.preStop.sleep.seconds`, `is not within the ${grace} s in which the Pod must end`);
}

function port(value: unknown, path: string, faults: Faults): void {
  if (typeof value === 'number' && !(Number.isInteger(value) && value >= 1 && value <= 65535))
    faults.add(path, `is ${value}, which is no port`);
}

function securityContext(context: Fields, path: string, faults: Faults): void {
  for (const key of ['runAsUser', 'runAsGroup', 'fsGroup']) {
    const id = number(context, key);
    if (id !== undefined && (id < 0 || id > 2 ** 31 - 1))
      faults.add(`${path}.${key}`, `is ${id}, which is no id`);
  }
}

/** @param mounts names of volumes that something else brings; undefined: some that nobody can know here */
function podSpec(spec: Fields, path: string, mounts: readonly string[] | undefined, faults: Faults): void {
  const containers = containersOf(spec);
  const volumes = list(spec, 'volumes').map((volume) => text(volume, 'name'));
  if (!containers.some(({ init }) => !init)) faults.add(`${path}.containers`, 'is empty');
  faults.once(
    path,
    containers.map(({ name }) => name),
    'a container',
  );
  faults.once(`${path}.volumes`, volumes, 'a volume');
  for (const name of volumes) faults.name(`${path}.volumes`, name, LABEL, 63, 'the name of a volume');
  for (const key of ['serviceAccountName', 'priorityClassName'])
    faults.name(`${path}.${key}`, text(spec, key), SUBDOMAIN, 253, 'a name');
  securityContext(fields(spec, 'securityContext'), `${path}.securityContext`, faults);
  const grace = number(spec, 'terminationGracePeriodSeconds') ?? 30;
  if (grace < 0) faults.add(`${path}.terminationGracePeriodSeconds`, 'is below 0');
  for (const { name, container } of containers) {
    const here = `${path}.containers["${name}"]`;
    faults.name(here, name, LABEL, 63, 'the name of a container');
    const image = text(container, 'image');
    if (image !== undefined && (image === '' || image.trim() !== image))
      faults.add(`${here}.image`, 'is empty, or has blanks around it');
    for (const entry of list(container, 'env'))
      faults.name(`${here}.env`, text(entry, 'name'), VARIABLE, 100_000, 'the name of a variable');
    const mounted = list(container, 'volumeMounts');
    faults.once(
      `${here}.volumeMounts`,
      mounted.map((mount) => text(mount, 'mountPath')),
      'the path',
    );
    for (const mount of mounted) {
      const volume = text(mount, 'name') ?? '';
      if (mounts && !volumes.includes(volume) && !mounts.includes(volume))
        faults.add(`${here}.volumeMounts`, `names the volume "${volume}", which the Pod does not have`);
      if (text(mount, 'mountPath') === '') faults.add(`${here}.volumeMounts`, 'has an empty path');
    }
    const ports = list(container, 'ports');
    faults.once(
      `${here}.ports`,
      ports.map((entry) => text(entry, 'name')),
      'the name',
    );
    for (const entry of ports) {
      portName(text(entry, 'name'), `${here}.ports`, faults);
      port(at(entry, 'containerPort'), `${here}.ports.containerPort`, faults);
    }
    resources(container, here, faults);
    securityContext(fields(container, 'securityContext'), `${here}.securityContext`, faults);
    for (const key of ['startupProbe', 'readinessProbe', 'livenessProbe', 'lifecycle'])
      probe(container, key, here, grace, faults);
  }
}

function portName(name: string | undefined, path: string, faults: Faults): void {
  if (known(name) && !/[a-z]/.test(name)) faults.add(path, `is "${name}", which has no letter`);
  else faults.name(path, name, PORT_NAME, 15, 'the name of a port');
}

function service(item: Item, faults: Faults): void {
  const ports = list(item.args, 'spec', 'ports');
  if (ports.length > 1)
    faults.once(
      'spec.ports',
      ports.map((entry) => text(entry, 'name')),
      'the name',
    );
  faults.once(
    'spec.ports',
    ports.map((entry) => `${number(entry, 'port')}/${text(entry, 'protocol') ?? 'TCP'}`),
    'the port',
  );
  for (const entry of ports) {
    faults.name('spec.ports.name', text(entry, 'name'), LABEL, 63, 'the name of a port');
    for (const key of ['port', 'targetPort', 'nodePort']) port(at(entry, key), `spec.ports.${key}`, faults);
  }
}

const isAddress = (host: string): boolean => /^\d+(\.\d+){3}$/.test(host);

function host(value: string | undefined, path: string, faults: Faults): void {
  if (!known(value)) return;
  if (isAddress(value)) faults.add(path, `is the address ${value}, and an Ingress goes by names`);
  else faults.name(path, value.replace(/^\*\./, ''), SUBDOMAIN, 253, 'the name of a host');
}

/** The older way to name the class, which ingress controllers know as well. */
const CLASS = 'kubernetes.io/ingress.class';

function ingress(item: Item, faults: Faults): void {
  const className = text(item.args, 'spec', 'ingressClassName');
  faults.name('spec.ingressClassName', className, SUBDOMAIN, 253, 'a name');
  const annotated = fields(item.args, 'metadata', 'annotations')[CLASS];
  if (known(className) && annotated !== undefined && annotated !== className)
    faults.add(`metadata.annotations["${CLASS}"]`, `is "${annotated}", and the class is "${className}"`);
  for (const entry of list(item.args, 'spec', 'tls'))
    faults.name('spec.tls.secretName', text(entry, 'secretName'), SUBDOMAIN, 253, 'the name of a Secret');
  for (const rule of list(item.args, 'spec', 'rules')) {
    host(text(rule, 'host'), 'spec.rules.host', faults);
    for (const entry of list(rule, 'http', 'paths')) {
      const path = text(entry, 'path');
      if (known(path) && (!path.startsWith('/') || /\/\/|\/\.\.?(\/|$)|%2f/i.test(path)))
        faults.add('spec.rules.http.paths.path', `is "${path}", which is no path that it takes`);
    }
  }
}

function networkPolicy(item: Item, faults: Faults): void {
  for (const way of ['ingress', 'egress'] as const) {
    for (const rule of list(item.args, 'spec', way)) {
      for (const entry of list(rule, 'ports')) port(at(entry, 'port'), `spec.${way}.ports.port`, faults);
    }
  }
}

function claim(value: unknown, path: string, faults: Faults): void {
  const asked = faults.amount(
    `${path}.resources.requests.storage`,
    at(value, 'resources', 'requests', 'storage'),
  );
  if (asked !== undefined && asked <= 0) faults.add(`${path}.resources.requests.storage`, 'is nothing');
  faults.name(`${path}.storageClassName`, text(value, 'storageClassName'), SUBDOMAIN, 253, 'a name');
}

/** How kinds are named; any other by a DNS subdomain. */
const NAMES: Readonly<Record<string, readonly [shape: RegExp, most: number]>> = {
  Namespace: [LABEL, 63],
  Service: [SERVICE, 63],
  // Its Pods have it as a label.
  Job: [SUBDOMAIN, 63],
  // Jobs add to it, and Pods to theirs.
  CronJob: [SUBDOMAIN, 52],
  // Roles and bindings take whatever can stand in an address.
  Role: [/^(?!\.{1,2}$)[^/%]+$/, 1000],
  RoleBinding: [/^(?!\.{1,2}$)[^/%]+$/, 1000],
  ClusterRole: [/^(?!\.{1,2}$)[^/%]+$/, 1000],
  ClusterRoleBinding: [/^(?!\.{1,2}$)[^/%]+$/, 1000],
};

/** Roughly what etcd is sent: the object, and who manages each of its fields. @param whole bytes of it as JSON */
function objectSize(args: unknown, whole: number): number {
  if (whole < MOST_OBJECT / 2) return whole;
  const managed = bytes(JSON.stringify(args, (_key, value) => (typeof value === 'string' ? '' : value)));
  return whole + managed;
}

/** What each kind says of itself, beside its metadata. */
const SPECS: Readonly<Record<string, (item: Item, faults: Faults) => void>> = {
  ConfigMap: (item, faults) => data(item, ['data', 'binaryData'], faults),
  Secret: (item, faults) => data(item, ['stringData', 'data'], faults),
  Service: service,
  Ingress: ingress,
  NetworkPolicy: networkPolicy,
  PersistentVolumeClaim: ({ args }, faults) => claim(fields(args, 'spec'), 'spec', faults),
  ResourceQuota: ({ args }, faults) => amounts(fields(args, 'spec', 'hard'), 'spec.hard', faults),
  LimitRange: ({ args }, faults) => {
    for (const entry of list(args, 'spec', 'limits'))
      for (const side of ['default', 'defaultRequest', 'max', 'min'])
        amounts(fields(entry, side), `spec.limits.${side}`, faults);
  },
  Deployment: workload,
  StatefulSet: workload,
  Job: workload,
  CronJob: ({ args }, faults) => {
    const schedule = text(args, 'spec', 'schedule');
    if (known(schedule) && !CRON.test(schedule))
      faults.add('spec.schedule', `is "${schedule}", which is none`);
    const template = fields(args, 'spec', 'jobTemplate', 'spec', 'template');
    podSpec(fields(template, 'spec'), 'spec.jobTemplate.spec.template.spec', [], faults);
  },
  Pod: ({ args }, faults) => podSpec(fields(args, 'spec'), 'spec', [], faults),
};

function amounts(given: Fields, path: string, faults: Faults): void {
  for (const [key, value] of Object.entries(given)) faults.amount(`${path}.${key}`, value);
}

function workload({ args }: Item, faults: Faults): void {
  const claims = list(args, 'spec', 'volumeClaimTemplates');
  for (const entry of claims) claim(fields(entry, 'spec'), 'spec.volumeClaimTemplates.spec', faults);
  const names = claims.flatMap((entry) => text(entry, 'metadata', 'name') ?? []);
  metadata(fields(args, 'spec', 'template', 'metadata'), 'spec.template.metadata', faults);
  podSpec(fields(args, 'spec', 'template', 'spec'), 'spec.template.spec', names, faults);
}

/** What an API server refuses in an object whose schema holds. @param size bytes of its arguments as JSON */
export function meaningFaults(item: Item, size: number): Fault[] {
  const faults = new Faults();
  const meta = fields(item.args, 'metadata');
  const [shape, most] = NAMES[kindOf(item)] ?? [SUBDOMAIN, 253];
  if (!item.planned)
    faults.name('metadata.name', text(meta, 'name'), shape, most, `the name of a ${kindOf(item)}`);
  faults.name('metadata.namespace', text(meta, 'namespace'), LABEL, 63, 'the name of a Namespace');
  metadata(meta, 'metadata', faults);
  SPECS[kindOf(item)]?.(item, faults);
  const stored = objectSize(item.args, size);
  if (stored > MOST_OBJECT && faults.found.length === 0)
    faults.add('', `has about ${stored} bytes, and the store behind the API server takes ${MOST_OBJECT}`);
  return faults.found;
}

/** What is wrong with a Pod that Jenkins starts from one of its templates; its agent's own parts come later. */
export function templateFaults(pod: Fields): Fault[] {
  const faults = new Faults();
  podSpec(pod, 'spec', undefined, faults);
  return faults.found;
}

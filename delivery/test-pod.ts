import { createHash } from 'node:crypto';
import {
  agentMounts,
  agentResources,
  agentVolumes,
  CARRIER_RESOURCES,
  containerResources,
  diskOf,
  emptyDir,
  type Filled,
  MODULE_USER,
  moduleEnvironment,
  restrictedContainer,
  serviceContainer,
  servicePorts,
  TEST_ACCOUNT,
} from '../catalog/containers';
import { entryOf } from '../catalog/entry';
import type { Catalog, Module } from '../catalog/load';
import type { Resources } from '../catalog/schema';
import { exitCode, Failure } from '../clients/failure';
import { imageFor, resolveImage } from '../stacks/load';
import type { StackSettings } from '../stacks/schema';
import { containerText } from '../text/kubernetes';
import { shellWord } from '../text/shell';
import { unicodeEscape } from '../text/unicode';
import { yamlText } from '../text/yaml';
import {
  CARRIED_DISK,
  CARRIED_FOLDER,
  LARGEST_LOG,
  LARGEST_PACKED,
  LARGEST_SHOWN,
  RESULT_FILES,
  SHOWN_FILES,
} from './carried';
import type { Certificate } from './certificate';
import { RUN_LABEL, runOf } from './pod-start';

export interface TestPodInput {
  readonly catalog: Catalog;
  readonly module: Module;
  readonly settings: StackSettings;
  readonly certificate: Certificate;
  readonly pullSecrets: readonly string[];
}

/** User id of Jenkins's agents; tests share the workspace with the agent, so they run as the same user. */
const AGENT_USER = 1000;
/** Seconds that a Pod may take before and after its tests: pulls, start of the services, results. */
const MARGIN = 600;
/**
 * Seconds from a Pod's making until it must have started: Jenkins gives up an agent after 1000
 * (`slaveConnectTimeout` of the Kubernetes plugin), and what is late after that is nobody's.
 */
const UNTIL_STARTED = 1800;

/** What Robot asks for. */
const ROBOT: Resources = { cpu: '50m', memory: '64Mi', memoryLimit: '512Mi' };

const environment = (values: Record<string, string>) =>
  Object.keys(values)
    .sort()
    .map((name) => ({ name, value: values[name] ?? '' }));

/** Where a module answers in its test Pod, and where a person has it run: `BASE_URL`. */
export const baseUrlOf = ({ port }: Pick<Module, 'port'>): string => `http://127.0.0.1:${port}`;

/**
 * The Pod in which a merge request is tested: each service a native sidecar, which is ready before the rest
 * starts; the module by digest; Robot; Jenkins's agent. A pure function of its input.
 */
export function testPod(input: TestPodInput) {
  const { module, catalog, settings, certificate } = input;
  if (!certificate.image) {
    throw new Failure(exitCode.input, 'the certificate names no image.', 'Run `delivery build` first.');
  }
  // Lives as long as the Pod and guards nothing but empty databases; the same run gives the same Pod.
  const password = createHash('sha256')
    .update(`test ${module.name} ${certificate.headSha} ${certificate.baseSha}`)
    .digest('hex')
    .slice(0, 24);
  const access = {
    host: '127.0.0.1',
    user: module.name.replace(/-/g, '_').slice(0, 32),
    password,
    database: module.name.replace(/-/g, '_'),
  };
  const services = module.services.map((use) => {
    const service = entryOf(catalog.services, use.kind);
    const version = entryOf(service?.versions, use.version);
    if (!service || !version) {
      throw new Failure(
        exitCode.input,
        `catalog/modules/${module.name}.yaml: there is no ${use.kind} ${use.version}.`,
        'Name a version of catalog/services.',
      );
    }
    const image = resolveImage(settings, `${use.kind}:${use.version}`, version.image);
    return { service, ...serviceContainer(use, service, image, access) };
  });
  const used = new Map<number, string>([[module.port, module.name]]);
  for (const [index, { service }] of services.entries()) {
    const name = module.services[index]?.name ?? service.kind;
    for (const { port } of servicePorts(service)) {
      const other = used.get(port);
      if (other) {
        throw new Failure(
          exitCode.input,
          `catalog/modules/${module.name}.yaml: ${name} and ${other} both listen on ${port} in the test Pod.`,
          'Containers of a Pod share their ports: use one of the two, or another port.',
        );
      }
      used.set(port, name);
    }
  }
  const filled: Record<string, Filled> = Object.assign(
    {},
    ...services.map(({ service }) => moduleEnvironment(service, access)),
  );
  const found = Object.fromEntries(Object.entries(filled).map(([name, { source }]) => [name, source]));
  const written = Object.fromEntries(
    Object.entries(module.environment).map(([name, text]) => [name, containerText(text)]),
  );
  const baseUrl = baseUrlOf(module);
  const scratch = { name: 'scratch', mountPath: '/tmp' };
  const deadline = module.test.timeoutMinutes * 60 + MARGIN;
  /** The last lines of a container that ended stand in the Pod's status: nobody needs a right to its log. */
  const said = { terminationMessagePolicy: 'FallbackToLogsOnError' };
  const carried = { name: 'carried', mountPath: CARRIED_FOLDER };
  const own = (name: string) => ({ ...scratch, name: `${name}-tmp` });

  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      labels: {
        'app.kubernetes.io/component': 'test',
        'app.kubernetes.io/managed-by': 'switchyard',
        'app.kubernetes.io/name': module.name,
        'switchyard.dev/environment': 'test',
        // From its making on: how long the Pod's text waited for an agent takes nothing from its tests.
        'switchyard.dev/expires': `${UNTIL_STARTED + deadline}s`,
        'switchyard.dev/module': module.name,
        'switchyard.dev/purpose': 'test',
        [RUN_LABEL]: runOf(certificate),
      },
      annotations: {
        'switchyard.dev/head': certificate.headSha,
        'switchyard.dev/merge-request': String(certificate.mergeRequest),
        'switchyard.dev/tree': certificate.treeSha ?? '',
        ...Object.assign({}, ...services.map(({ annotations }) => annotations)),
      },
    },
    spec: {
      restartPolicy: 'Never',
      activeDeadlineSeconds: deadline,
      terminationGracePeriodSeconds: 5,
      serviceAccountName: TEST_ACCOUNT,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      ...(input.pullSecrets.length > 0
        ? { imagePullSecrets: input.pullSecrets.map((name) => ({ name })) }
        : {}),
      securityContext: {
        runAsNonRoot: true,
        fsGroup: AGENT_USER,
        seccompProfile: { type: 'RuntimeDefault' },
      },
      initContainers: services.map(({ container }) => ({ ...container, ...said, restartPolicy: 'Always' })),
      containers: [
        {
          ...said,
          name: 'app',
          image: `${certificate.image.repository}@${certificate.image.digest}`,
          env: environment({ ...found, ...written, PORT: String(module.port) }),
          ports: [{ name: 'http', containerPort: module.port }],
          readinessProbe: {
            httpGet: { path: module.probes.ready, port: module.port },
            periodSeconds: 1,
            timeoutSeconds: 5,
            failureThreshold: 120,
          },
          resources: containerResources(module.resources),
          securityContext: { ...restrictedContainer, runAsUser: MODULE_USER },
          volumeMounts: [own('app')],
        },
        {
          ...said,
          name: 'robot',
          image: imageFor(settings, 'robot'),
          command: ['sleep', 'infinity'],
          env: environment({ ...found, BASE_URL: baseUrl, HOME: '/tmp', PYTHONDONTWRITEBYTECODE: '1' }),
          resources: containerResources(ROBOT),
          securityContext: { ...restrictedContainer, runAsUser: AGENT_USER },
          volumeMounts: [own('robot')],
        },
        {
          name: 'jnlp',
          image: imageFor(settings, 'inboundAgent'),
          resources: agentResources,
          securityContext: { ...restrictedContainer, runAsUser: AGENT_USER },
          volumeMounts: [...agentMounts, carried],
        },
        {
          name: 'carrier',
          image: imageFor(settings, 'robot'),
          command: ['sh', '-c', containerText(`${carryScript(module)}exec sleep infinity\n`)],
          resources: containerResources(CARRIER_RESOURCES),
          securityContext: { ...restrictedContainer, runAsUser: AGENT_USER },
          volumeMounts: [carried],
        },
      ],
      volumes: [
        ...services.flatMap(({ dataVolume, disk, volumes }) => [emptyDir(dataVolume, disk), ...volumes]),
        emptyDir('app-tmp', diskOf(module.resources)),
        emptyDir('robot-tmp', diskOf(ROBOT)),
        emptyDir(carried.name, CARRIED_DISK),
        ...agentVolumes,
      ],
    },
  };
}

/**
 * The Pod as YAML: keys sorted, no aliases, nothing folded. Every text stands in quotes and in ASCII: unquoted, "yes" or
 * "12:30" is a text to one version of YAML and none to another, and not every reader takes every character.
 */
export const podYaml = (pod: ReturnType<typeof testPod>): string =>
  yamlText(pod, {
    sortMapEntries: true,
    aliasDuplicateObjects: false,
    lineWidth: 0,
    defaultStringType: 'QUOTE_DOUBLE',
    defaultKeyType: 'PLAIN',
    doubleQuotedAsJSON: true,
  }).replace(/[^\n -~]/g, unicodeEscape);

/** Shell that runs the module's tests in a checkout; results of an earlier or a committed run never count. */
export const testScript = (module: Module): string => `#!/bin/sh
# Runs the tests of ${module.name}: catalog/modules/${module.name}.yaml, test.command
rm -rf -- ${shellWord(module.test.results)}
mkdir -p -- ${shellWord(module.test.results)}
${module.test.command}
`;

/**
 * Shell that a test Pod runs in its workspace: unpacks the checkout and runs the tests in it. It hands on so much of what
 * they say, drops the rest, and waits for nobody who holds on to their output. It needs `tar` in the image of the role
 * `robot`.
 */
export const runScript = (): string => `#!/bin/sh
here=$PWD/.switchyard
tar -xf "$here/given/source.tar" || exit 1
rm -f -- "$here/given/source.tar" "$here/said"
mkfifo -- "$here/said" || exit 1
(
  exec 3<"$here/said"
  trap 'kill "$!" 2>/dev/null; exit' TERM
  # Not by head, which says nothing before it ends.
  dd bs=65536 count=${LARGEST_LOG} iflag=count_bytes <&3 2>/dev/null &
  wait "$!"
  wc -c <&3 >"$here/more" &
  wait "$!"
  more=$(cat "$here/more")
  [ "$((more))" -eq 0 ] || printf '\\nrun.sh: the tests said %s bytes more, left out\\n' "$((more))"
) &
hands=$!
(cd source && exec sh "$here/given/test.sh") >"$here/said" 2>&1
code=$?
(sleep 5; kill "$hands") >/dev/null 2>&1 &
patience=$!
wait "$hands"
kill "$patience" 2>/dev/null
exit "$code"
`;

/**
 * Shell of the container `carrier`: waits until the agent says where its workspace is, which it does when the tests have
 * ended, and copies what leaves the Pod to where no other container but the agent writes. The tests may go on meanwhile,
 * in their own container: whatever they put in a file's place, no more than so much is copied. Only plain files count; of
 * a result that is larger than is read, so much is packed that the verdict says so.
 * @param to where it copies to
 */
export const carryScript = (module: Module, to: string = CARRIED_FOLDER): string => `
to=${shellWord(to)}
until [ -s "$to/from" ]; do sleep 1; done
results=$(cat "$to/from")/source/${shellWord(module.test.results)}
rm -rf -- "$to/report"
mkdir -p -- "$to/report"
plain() { [ -f "$results/$1" ] && [ ! -h "$results/$1" ]; }
left_out() { echo "$1" >>"$to/report/left-out.txt"; }
for name in ${RESULT_FILES.join(' ')}; do
  rm -f -- "$to/$name.gz"
  plain "$name" && gzip -c -- "$results/$name" | head -c ${LARGEST_PACKED + 1} >"$to/$name.gz"
done
for name in ${SHOWN_FILES.join(' ')}; do
  plain "$name" || continue
  head -c ${LARGEST_SHOWN + 1} <"$results/$name" >"$to/part"
  if [ "$(wc -c <"$to/part")" -le ${LARGEST_SHOWN} ]; then
    mv -- "$to/part" "$to/report/$name"
  else
    left_out "$name: is larger than ${LARGEST_SHOWN >> 20} MiB"
  fi
done
if [ -d "$results" ] && [ ! -h "$results" ]; then
  if [ -z "$(find "$results" -type f -size +${LARGEST_SHOWN / 512} | head -n 1)" ]; then
    tar -C "$results" -czf - . | head -c ${LARGEST_PACKED + 1} >"$to/part"
    if [ "$(wc -c <"$to/part")" -le ${LARGEST_PACKED} ]; then
      mv -- "$to/part" "$to/report/results.tar.gz"
    else
      left_out 'all results: are larger than ${LARGEST_PACKED >> 20} MiB as packed'
    fi
  else
    left_out 'all results: a file of theirs is larger than ${LARGEST_SHOWN >> 20} MiB'
  fi
fi
rm -f -- "$to/part"
: >"$to/done"
`;

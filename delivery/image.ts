import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Module } from '../catalog/load';
import { BUILD_ARGUMENT } from '../catalog/schema';
import { exitCode, Failure } from '../clients/failure';
import { RegistryAway } from '../clients/registry';
import { GATE_PORT } from '../stacks/builds';
import { shellWord } from '../text/shell';
import type { Certificate } from './certificate';
import { CACHE_TAG, cacheTag, GATE_USER } from './gate';
import { packSource } from './source';

export interface ImagePlan {
  readonly module: Module;
  readonly certificate: Certificate;
  /** `host:port` of the gate that takes what the build makes. */
  readonly gate: string;
  /** SBOM and provenance attestations; they need the scanner image within reach of buildkitd. */
  readonly attestations: boolean;
  /** Folder of the merge result in the build's Pod. */
  readonly context: string;
}

/** A module's repository as the registry calls it. */
export const repositoryName = (module: string): string => `modules/${module}`;
export const repositoryOf = (registry: string, module: string): string =>
  `${registry}/${repositoryName(module)}`;

export const imageTag = (certificate: Certificate): string =>
  `mr-${certificate.mergeRequest}-${certificate.headSha.slice(0, 8)}`;

/** Address of the gate in a Pod. */
export const gateAddress = (podIp: string): string =>
  podIp.includes(':') ? `[${podIp}]:${GATE_PORT}` : `${podIp}:${GATE_PORT}`;

/** buildctl writes its attribute lists as CSV: a value with a comma or quote has to be quoted. */
const attribute = (key: string, value: string): string =>
  /[",\n]/.test(value) ? `"${`${key}=${value}`.replace(/"/g, '""')}"` : `${key}=${value}`;

/** Arguments of `buildctl`: the same certificate and declaration give the same build. */
export function buildctlArguments(plan: ImagePlan): string[] {
  const { module, certificate } = plan;
  const repository = repositoryOf(plan.gate, module.name);
  const tag = imageTag(certificate);
  const buildArguments: Record<string, string> = {
    ...module.image.args,
    SOURCE_DATE_EPOCH: String(certificate.commitEpoch),
  };
  // Attestations as manifests of the usual kind, which every registry and our own gate know.
  const attested = plan.attestations ? ['oci-artifact=false'] : [];
  return [
    'build',
    '--progress=plain',
    '--frontend=dockerfile.v0',
    `--local=context=${plan.context}`,
    `--local=dockerfile=${dirname(join(plan.context, module.image.dockerfile))}`,
    `--opt=filename=${module.image.dockerfile.split('/').at(-1)}`,
    ...Object.keys(buildArguments)
      .sort()
      .map((name) => `${BUILD_ARGUMENT}${name}=${buildArguments[name]}`),
    `--opt=label:org.opencontainers.image.revision=${certificate.headSha}`,
    `--opt=label:dev.switchyard.module=${module.name}`,
    `--opt=label:dev.switchyard.tree=${certificate.treeSha ?? ''}`,
    // Without the option there is none: `disabled=true` is a word of buildx, which BuildKit takes for a wish to have one.
    ...(plan.attestations ? ['--opt=attest:sbom=', '--opt=attest:provenance=mode=max'] : []),
    `--output=${['type=image', attribute('name', `${repository}:${tag}`), 'push=true', 'rewrite-timestamp=true', ...attested].join(',')}`,
    // Read: what deploys of main left. Written: this build's own, which nobody reads before it is merged and deployed.
    `--import-cache=${['type=registry', attribute('ref', `${repository}:${CACHE_TAG}`)].join(',')}`,
    `--export-cache=${['type=registry', attribute('ref', `${repository}:${cacheTag(tag)}`), 'mode=max', 'image-manifest=true', 'oci-mediatypes=true'].join(',')}`,
  ];
}

/** Folder of the workspace that goes to the build's Pod, all of it. */
export const BUILD_FOLDER = join('.switchyard', 'build');
const SCRIPT = 'run.sh';
/** Written by the pipeline when the build's Pod has ended: the exit code of its script. */
const ENDED = 'ended';

/** The script's exit code where a registry was away that the image starts from (EX_TEMPFAIL of sysexits.h). */
export const BASES_AWAY = 75;

/**
 * What buildctl's last line says where a base image does not come though the Dockerfile may be right, as an extended regular
 * expression: a registry that answers with 429 or 5xx; one of those that the topology names, if it does not answer at all (whatever
 * else is named by a Dockerfile may be out of a build's reach for good). Read in BuildKit 0.34 (`cmd/buildctl/main.go`,
 * `client/llb/sourceresolver`) and in containerd's `core/remotes`, which it pulls by; what a step prints stands in quotes.
 * @param registries each `host[:port]`
 */
export function basesAway(registries: readonly string[]): string {
  const pulls = `^error: failed to solve: (([^ "]+|failed to [a-z ]+( for [^ "]+)?|failed open): )*`;
  const hosts = registries.map((host) => host.replace(/[.[\](){}*+?^$|\\]/g, '\\$&')).join('|');
  const silent = [
    ...['connection refused', 'connection reset by peer', 'i/o timeout', 'TLS handshake timeout', 'EOF'],
    ...['no route to host', 'network is unreachable', 'server misbehaving', 'no such host'],
  ].join('|');
  return [
    `${pulls}unexpected status [^"]*: (429|5[0-9][0-9])( |$)`,
    ...(hosts ? [`${pulls}failed to do request: [A-Za-z]+ "https?://(${hosts})/[^"]*": .*(${silent})$`] : []),
  ].join('|');
}

/**
 * What the build's Pod runs: its own BuildKit, which ends with it, and one build. Whoever wrote the Dockerfile may take
 * over all of that Pod, so nothing of it is trusted with more than the gate's password. Its exit code is no more than its word:
 * {@link BASES_AWAY} gets a build another try, not another verdict.
 * @param registries that the topology names for base images, each `host[:port]`
 */
export function buildScript(
  gate: string,
  buildctl: readonly string[],
  registries: readonly string[] = [],
): string {
  return `${[
    'set -eu',
    `here=$PWD/${BUILD_FOLDER}`,
    'tar -xf "$here/source.tar"',
    'rm "$here/source.tar"',
    'export DOCKER_CONFIG="$here/docker"',
    '{',
    '  cat /config/buildkitd.toml',
    `  printf '\\n[registry."%s"]\\n  http = true\\n' ${shellWord(gate)}`,
    '} >"$here/buildkitd.toml"',
    // A /proc of the steps' own needs an unmasked one from Kubernetes, which only privileged Pods get.
    'rootlesskit buildkitd --addr "$BUILDKIT_HOST" --config "$here/buildkitd.toml" \\',
    '  --oci-worker-no-process-sandbox >"$here/buildkitd.log" 2>&1 &',
    'daemon=$!',
    'tries=0',
    'until buildctl debug workers >/dev/null 2>&1; do',
    '  tries=$((tries + 1))',
    '  if [ "$tries" -gt 300 ] || ! kill -0 "$daemon" 2>/dev/null; then',
    '    echo "buildkitd did not start:" >&2',
    '    tail -n 20 "$here/buildkitd.log" >&2',
    '    exit 1',
    '  fi',
    '  sleep 0.2',
    'done',
    `{ buildctl ${buildctl.map(shellWord).join(' ')} 2>&1 || echo "$?" >"$here/code"; } |`,
    '  while IFS= read -r line; do',
    `    printf '%s\\n' "$line"`,
    `    case $line in 'error: '*) printf '%s\\n' "$line" >"$here/error" ;; esac`,
    '  done',
    'code=0',
    '[ ! -e "$here/code" ] || code=$(cat "$here/code")',
    `if [ "$code" != 0 ] && grep -Eq ${shellWord(basesAway(registries))} "$here/error" 2>/dev/null; then`,
    `  code=${BASES_AWAY}`,
    'fi',
    'kill "$daemon" 2>/dev/null || true',
    'exit "$code"',
  ].join('\n')}\n`;
}

export interface BuildFolder {
  readonly workspace: string;
  /** Folder of the checkout in the workspace. */
  readonly source: string;
  readonly module: Module;
  readonly certificate: Certificate;
  readonly podIp: string;
  readonly attestations: boolean;
  /** Docker's config.json with what builds may log in to besides the gate: registries of base images. */
  readonly bases?: string;
  /** Registries that the topology names for base images: `host[:port]`, with or without a path. */
  readonly registries: readonly string[];
}

/** Writes what the build's Pod is given: the sources, the script, and a password for this build's gate. */
export async function writeBuildFolder(build: BuildFolder): Promise<void> {
  const folder = join(build.workspace, BUILD_FOLDER);
  removeBuildFolder(build.workspace);
  mkdirSync(join(folder, 'docker'), { recursive: true });
  const gate = gateAddress(build.podIp);
  const token = randomBytes(32).toString('hex');
  const auth = Buffer.from(`${GATE_USER}:${token}`).toString('base64');
  const { auths = {} } = build.bases ? (JSON.parse(build.bases) as { auths?: Record<string, unknown> }) : {};
  writeFileSync(
    join(folder, 'docker', 'config.json'),
    `${JSON.stringify({ auths: { ...auths, [gate]: { auth } } })}\n`,
  );
  const { module, certificate, attestations } = build;
  const plan = { module, certificate, gate, attestations, context: build.source };
  const registries = [...build.registries, ...Object.keys(auths)].map(
    (address) => address.replace(/^https?:\/\//, '').split('/')[0] ?? '',
  );
  writeFileSync(
    join(folder, SCRIPT),
    buildScript(gate, buildctlArguments(plan), [...new Set(registries)].sort()),
  );
  await packSource(build.workspace, build.source, join(folder, 'source.tar'));
  writeFileSync(tokenFile(build.workspace), token, { mode: 0o600 });
}

/** Beside the folder, for the gate. */
const tokenFile = (workspace: string): string => join(workspace, '.switchyard', 'gate-token');

/** Removes what was for one build only: no later Pod needs its sources or its password. */
export function removeBuildFolder(workspace: string): void {
  rmSync(join(workspace, BUILD_FOLDER), { recursive: true, force: true });
  rmSync(tokenFile(workspace), { force: true });
}

/** @throws Failure (exit 2) when no plan was written */
export function readGateToken(workspace: string): string {
  const file = tokenFile(workspace);
  if (existsSync(file)) return readFileSync(file, 'utf8').trim();
  throw new Failure(exitCode.input, `${file}: is missing.`, 'Run `delivery build-plan` first.');
}

/**
 * Waits until the pipeline says how the build's Pod ended.
 * @param patience milliseconds: longer than the pipeline lets a build take
 * @throws Failure (exit 1) when the build failed, or nobody says how it ended; RegistryAway where a base image did not come
 */
export async function waitForBuild(workspace: string, pause = 300, patience = 130 * 60_000): Promise<void> {
  const file = join(workspace, BUILD_FOLDER, ENDED);
  const end = Date.now() + patience;
  while (!existsSync(file) || readFileSync(file, 'utf8').trim() === '') {
    if (Date.now() > end) {
      throw new Failure(exitCode.red, 'nobody said how the image build ended.', 'Start the build again.');
    }
    await sleep(pause);
  }
  const code = readFileSync(file, 'utf8').trim();
  if (code === '0') return;
  if (code === String(BASES_AWAY)) {
    throw new RegistryAway(
      'a registry that the image starts from is away',
      'the image build failed: a registry that it starts from did not answer, or with 429 or 5xx.',
      'See its output above.',
    );
  }
  throw new Failure(exitCode.red, `the image build failed (it ended with ${code}).`, 'See its output above.');
}

import type { RepositoryFiles } from '../../stacks/files';
import type { Declaration, ProviderRole } from './declaration';
import { contentHash, object } from './kubernetes';

// The catalog and the stack files are resources of the topology, so that whatever changes them (`up`, plain Pulumi, a
// merge request that is applied) brings them to the Pods that work from them, together with all else that it changes.

/** Where Pods have them. */
const FOLDER = '/etc/switchyard';

/** Each kind of file: the folder that Pods have it in, and the beginning of its ConfigMaps' names. */
const KINDS = [
  { kind: 'modules', name: 'catalog-modules', mountPath: `${FOLDER}/catalog/modules` },
  { kind: 'services', name: 'catalog-services', mountPath: `${FOLDER}/catalog/services` },
  { kind: 'stacks', name: 'stacks', mountPath: `${FOLDER}/stacks` },
] as const;

/**
 * Bytes that a ConfigMap is meant to hold. Kubernetes takes 1 MiB, but `kubectl apply` keeps a second copy in an
 * annotation, of which it takes 256 KiB.
 */
const SHARE = 100_000;

/** Which of several ConfigMaps a file goes to, by its name alone: another file that comes or goes moves none. */
const shareOf = (file: string, shares: number): number =>
  Number.parseInt(contentHash(file).slice(0, 8), 16) % shares;

/** The files of one kind by ConfigMap; at least one, so that a folder without files is there too. */
function sharesOf(files: Readonly<Record<string, string>>): Record<string, string>[] {
  const size = Object.values(files).reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  const shares = Array.from(
    { length: Math.max(1, Math.ceil(size / SHARE)) },
    (): Record<string, string> => ({}),
  );
  for (const file of Object.keys(files).sort()) {
    const share = shares[shareOf(file, shares.length)];
    if (share) share[file] = files[file] ?? '';
  }
  return shares;
}

const mapName = (name: string, index: number): string => (index === 0 ? name : `${name}-${index + 1}`);

/** A namespace that has Pods which are given something. */
interface Place {
  /** Beginning of the resources' names, as the namespace's own resource has it. */
  readonly prefix: string;
  readonly namespace: string;
  readonly provider: Extract<ProviderRole, 'ci' | 'production'>;
  readonly labels: Record<string, string>;
}

/** ConfigMaps with the catalog and the stack files, in a namespace whose Pods work from them. */
export function repositoryFiles(files: RepositoryFiles, inputs: Place): Declaration[] {
  const { prefix, namespace, provider, labels } = inputs;
  return KINDS.flatMap(({ kind, name }) =>
    sharesOf(files[kind]).map((data, index) =>
      object(
        'kubernetes:core/v1:ConfigMap',
        `${prefix}-${mapName(name, index)}`,
        provider,
        { namespace, name: mapName(name, index), labels },
        { data },
        { dependsOn: [`${prefix}-namespace`] },
      ),
    ),
  );
}

const PROGRAM = 'program';

/** A ConfigMap that tells Pods by which program the topology was applied, in a namespace where one changes or judges it. */
export const appliedProgram = (program: string, inputs: Place): Declaration =>
  object(
    'kubernetes:core/v1:ConfigMap',
    `${inputs.prefix}-${PROGRAM}`,
    inputs.provider,
    { namespace: inputs.namespace, name: PROGRAM, labels: inputs.labels },
    { data: { id: `${program}\n` } },
    { dependsOn: [`${inputs.prefix}-namespace`] },
  );

/** Where `switchyard` looks in the delivery image (`delivery/image/bin/switchyard`). */
export const programMount = { name: PROGRAM, mountPath: `${FOLDER}/${PROGRAM}`, readOnly: true };
/** The Pod's volume for {@link programMount}. */
export const programVolume = { name: PROGRAM, configMap: { name: PROGRAM } };

/** What tells a program where they are. */
export const fileVariables = [
  { name: 'SWITCHYARD_CATALOG', value: `${FOLDER}/catalog` },
  { name: 'SWITCHYARD_STACKS', value: `${FOLDER}/stacks` },
];

export const fileMounts = KINDS.map(({ name, mountPath }) => ({ name, mountPath, readOnly: true }));

/** The Pod's volumes for {@link fileMounts}. */
export const fileVolumes = (files: RepositoryFiles) =>
  KINDS.map(({ kind, name }) => ({
    name,
    projected: {
      sources: sharesOf(files[kind]).map((_, index) => ({ configMap: { name: mapName(name, index) } })),
    },
  }));

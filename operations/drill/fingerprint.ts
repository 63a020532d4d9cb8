import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { GitLabApi } from '../../clients/gitlab-api';
import { PodExec } from '../../clients/pod-exec';
import type { Model } from '../../components/model';
import { JENKINS_HOME, jenkinsPlace } from '../../delivery/backup/kinds/jenkins';
import { namespacesOf } from '../../stacks/namespaces';
import { clusterOf } from '../outside/clients';
import { databasesOf } from '../rebuild/restore';
import { projectsOf } from '../rebuild/targets';

/** What lives, in a form in which before and after can be held against each other: `what` → its value. */
export interface Fingerprint {
  /** `orders refs/heads/main` → commit. */
  readonly repositories: Readonly<Record<string, string>>;
  /** Module → image that its workload runs, by digest, and the Pods that are ready with it. */
  readonly images: Readonly<Record<string, string>>;
  /** `orders/mysql` → checksum of its rows, by the service's own `fingerprint` command. */
  readonly databases: Readonly<Record<string, string>>;
  /** Job → numbers of its builds. */
  readonly builds: Readonly<Record<string, string>>;
}

export const fingerprintKinds = ['repositories', 'images', 'databases', 'builds'] as const;

const branches = z.array(z.looseObject({ name: z.string(), commit: z.looseObject({ id: z.string() }) }));

async function refsOf(model: Model, gitlab: Pick<GitLabApi, 'get'>): Promise<Record<string, string>> {
  const refs: Record<string, string> = {};
  for (const { item, path } of projectsOf(model)) {
    for (const [folder, prefix] of [
      ['branches', 'refs/heads'],
      ['tags', 'refs/tags'],
    ] as const) {
      for (let page = 1; ; page++) {
        const listed = branches.parse(
          (await gitlab.get(
            `projects/${encodeURIComponent(path)}/repository/${folder}?per_page=100&page=${page}`,
          )) ?? [],
        );
        for (const { name, commit } of listed) refs[`${item} ${prefix}/${name}`] = commit.id;
        if (listed.length < 100) break;
      }
    }
  }
  return refs;
}

const workload = z.looseObject({
  spec: z.looseObject({
    replicas: z.number().optional(),
    template: z.looseObject({
      spec: z.looseObject({ containers: z.array(z.looseObject({ image: z.string().optional() })) }),
    }),
  }),
  status: z.looseObject({ readyReplicas: z.number().optional() }).optional(),
});

async function imagesOf({ settings, modules }: Model): Promise<Record<string, string>> {
  const images: Record<string, string> = {};
  for (const { name } of modules) {
    const found = await clusterOf(settings, 'production').read({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name, namespace: namespacesOf(settings).production(name) },
    });
    if (found === undefined) continue;
    const { spec, status } = workload.parse(found);
    const ready = (status?.readyReplicas ?? 0) >= (spec.replicas ?? 1);
    images[name] = `${spec.template.spec.containers[0]?.image ?? ''}${ready ? '' : ' (not ready)'}`;
  }
  return images;
}

async function rowsOf(model: Model): Promise<Record<string, string>> {
  const exec = new PodExec(await clusterOf(model.settings, 'production').config());
  const rows = [...databasesOf(model)].map(async ([item, { place, backup }]) => {
    if (!backup.fingerprint) return [];
    const printed = await exec.run(place, backup.fingerprint);
    return [[item, createHash('sha256').update(printed).digest('hex')] as const];
  });
  return Object.fromEntries((await Promise.all(rows)).flat());
}

/** Builds by job from the paths of their folders: `jobs/switchyard/jobs/orders/builds/12`. */
export function buildsIn(paths: string): Record<string, string> {
  const builds = new Map<string, number[]>();
  for (const path of paths.split('\n')) {
    const [, job = '', number] = /jobs\/(.+)\/builds\/(\d+)$/.exec(path) ?? [];
    if (number === undefined) continue;
    const name = job.replaceAll('/jobs/', '/');
    builds.set(name, [...(builds.get(name) ?? []), Number(number)]);
  }
  return Object.fromEntries(
    [...builds].sort().map(([job, numbers]) => [job, numbers.sort((a, b) => a - b).join(' ')]),
  );
}

async function buildsOf({ settings }: Model): Promise<Record<string, string>> {
  if (settings.jenkins.existing) return {};
  const exec = new PodExec(await clusterOf(settings, 'ci').config());
  const printed = await exec.run(jenkinsPlace(settings), [
    'find',
    `${JENKINS_HOME}/jobs`,
    ...['-type', 'd', '-path', '*/builds/*', '-name', '[0-9]*'],
  ]);
  return buildsIn(printed.replaceAll(`${JENKINS_HOME}/`, ''));
}

/** Looks at everything that a rebuild must bring back. */
export async function takeFingerprint(model: Model, gitlab: Pick<GitLabApi, 'get'>): Promise<Fingerprint> {
  const [repositories, images, databases, builds] = await Promise.all([
    refsOf(model, gitlab),
    imagesOf(model),
    rowsOf(model),
    buildsOf(model),
  ]);
  return { repositories, images, databases, builds };
}

export interface FingerprintDifference {
  readonly kind: (typeof fingerprintKinds)[number];
  readonly what: string;
  readonly before: string;
  /** Empty: it is gone. */
  readonly after: string;
}

/** What is gone or another. What came since the disaster is none of it: Jenkins may have built again. */
export function lostBetween(before: Fingerprint, after: Fingerprint): FingerprintDifference[] {
  return fingerprintKinds.flatMap((kind) =>
    Object.entries(before[kind]).flatMap(([what, value]) => {
      const now = after[kind][what] ?? '';
      const same =
        kind === 'builds'
          ? value.split(' ').every((number) => now.split(' ').includes(number))
          : now === value;
      return same ? [] : [{ kind, what, before: value, after: now }];
    }),
  );
}

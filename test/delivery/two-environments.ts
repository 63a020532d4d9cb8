import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Release } from '../../catalog/ledger';
import { GitLab } from '../../clients/gitlab';
import { deploy, reportRollout } from '../../delivery/deploy';
import { type Context, merge, report, takeSource } from '../../delivery/verify';
import { type RealRegistry, startRegistry } from '../support/registry';
import { LEDGER, makeWorld, PROJECT, ROOT_TOKEN, type World } from './world';

const BUILD = 'http://jenkins.example/job/switchyard/job/orders/1/';
export const REPOSITORY = 'modules/orders';
export const PRODUCTION = 'production/release-ledger';
const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';

/** Staging, which tests and releases `orders`, and production beside it: one GitLab, and a registry of Debian's package each. */
export interface Environments {
  readonly world: World;
  readonly staging: RealRegistry;
  readonly production: RealRegistry;
  /** Whoever promotes: not the bot that writes the notes. */
  readonly person: Context;
  /** A folder that is not there yet. */
  work(): string;
  /** A merge request of a file of its own, tested, merged, released in staging and running there: as staging's ledger has it. */
  released(name: string): Promise<Release>;
  close(): Promise<void>;
}

const digestOf = (bytes: Buffer): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

/** An image of one layer. */
async function push({ registry }: RealRegistry, tag: string): Promise<string> {
  const [config, layer] = [Buffer.from(JSON.stringify({ tag })), randomBytes(100_000)];
  for (const blob of [config, layer])
    await registry.putBlob(REPOSITORY, digestOf(blob), blob.length, new Blob([blob]).stream());
  const about = (blob: Buffer) => ({ digest: digestOf(blob), size: blob.length });
  const text = JSON.stringify({
    schemaVersion: 2,
    mediaType: MANIFEST,
    config: about(config),
    layers: [about(layer)],
  });
  await registry.putManifest(REPOSITORY, tag, { mediaType: MANIFEST, bytes: Buffer.from(text) });
  return digestOf(Buffer.from(text));
}

/** @param key what staging signs certificates with */
export async function makeEnvironments(key: string): Promise<Environments> {
  const folder = mkdtempSync(join(tmpdir(), 'promotion-'));
  const [staged, produced] = ['staging', 'production'].map((name) => join(folder, name));
  for (const path of [staged, produced]) mkdirSync(path ?? '');
  const [world, staging, production] = await Promise.all([
    makeWorld(),
    startRegistry(staged ?? ''),
    startRegistry(produced ?? ''),
  ]);
  const group = await world.api('POST', '/groups', { name: 'production', path: 'production' });
  await world.api('POST', '/projects', {
    ...{ name: 'release-ledger', path: 'release-ledger' },
    ...{ namespace_id: group.id, initialize_with_readme: true },
  });
  let counter = 0;
  const work = () => join(folder, `work-${counter++}`);
  return {
    ...{ world, staging, production, work },
    person: {
      ...world.context,
      gitlab: new GitLab({ url: world.url, token: ROOT_TOKEN, policy: { baseMs: 2, capMs: 2 } }),
      token: ROOT_TOKEN,
    },
    released: async (name) => {
      await world.push(name, { [`${name}.txt`]: 'x\n' }, 'origin/main');
      const iid = await world.open(name);
      const tag = `mr-${iid}-00000000`;
      const certificate = {
        ...(await takeSource(world.context, {
          ...{ module: 'orders', project: PROJECT, mergeRequest: iid, build: BUILD, policy: 'automatic' },
          ...{ declared: '0'.repeat(64), folder: work() },
        })),
        image: { repository: `${staging.host}/${REPOSITORY}`, tag, digest: await push(staging, tag) },
        tests: { total: 2, passed: 2, failed: 0, skipped: 0, failing: [] },
      };
      await report(world.context, certificate, key);
      const patience = Array<number>(100).fill(50);
      const commit = await merge(world.context, certificate, 'automatic', key, work(), patience);
      const deployment = await deploy(world.context, staging.registry, staging.host, {
        ...{ module: 'orders', project: PROJECT, ledgerProject: LEDGER, environment: 'staging' },
        ...{ commit, branch: 'main', build: BUILD, rollback: false, migrates: false, folder: work(), key },
      });
      await reportRollout(world.context, deployment, true, BUILD, key);
      return { image: deployment.image, commit, mergeRequest: iid, build: BUILD };
    },
    close: async () => {
      await world.close();
      staging.stop();
      production.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

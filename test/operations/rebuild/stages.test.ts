import { topologyBoxes } from '../../../components/boxes';
import { needsOf } from '../../../components/shared/order';
import { parseUrn, urnOf, withReleases } from '../../../operations/engine/urns';
import { afterDataUrns } from '../../../operations/rebuild/stages';
import { testModel } from '../../support/model';

const model = testModel({ releases: {} });
const late = () => new Set(afterDataUrns('test', model).map((urn) => parseUrn(urn).name));

test('what would act on missing data or stand in its way comes after it', () => {
  const names = late();
  for (const name of [
    'gitlab-shop-hook',
    'gitlab-shop-main',
    'gitlab-ledger-main',
    'jenkins-controller',
    'production-shop-workload',
    'registry-retention-job',
    'reaper-job',
  ]) {
    expect(names).toContain(name);
  }
});

test('what data is restored into comes before it', () => {
  const names = late();
  for (const name of [
    'gitlab-group',
    'gitlab-shop',
    'gitlab-ledger',
    'registry-deployment',
    'registry-service',
    'jenkins-image',
    'jenkins-home',
    'production-shop-cache-workload',
    'production-shop-cache-service',
  ]) {
    expect(names).not.toContain(name);
  }
});

test('nothing of the first run needs anything of the second', () => {
  const names = late();
  const first = topologyBoxes(withReleases(model))
    .flatMap(({ declarations }) => declarations)
    .filter(({ name }) => !names.has(name));
  for (const declaration of first) {
    expect(needsOf(declaration).filter((name) => names.has(name))).toEqual([]);
  }
});

test('a workload is left out also when the ledger, which came back in between, declares it', () => {
  const released = afterDataUrns('test', withReleases(model));
  expect(released).toEqual(afterDataUrns('test', model));
  const workload = { type: 'kubernetes:apps/v1:Deployment', name: 'production-shop-workload' } as const;
  expect(released).toContain(urnOf('test', 'production', workload));
});

import { ProblemsError } from '../../catalog/problems';
import { topologyBoxes } from '../../components/boxes';
import { grown, growthOf, type Wanted, wantedClaims } from '../../operations/growth';
import { testModel } from '../support/model';

const wanted = (storage: string): Wanted[] => [
  { namespace: 'prod-shop', claim: 'cache-data-cache-0', storage, module: 'shop', key: 'services.0.storage' },
];
const claim = (storage: string, storageClassName: string | undefined = 'fast') => ({
  metadata: { name: 'cache-data-cache-0', namespace: 'prod-shop' },
  spec: { storageClassName, resources: { requests: { storage } } },
});
const growing = (storage: string, claims: readonly unknown[], expands = true) =>
  growthOf(wanted(storage), claims, async () => expands);
const refusal = async (...given: Parameters<typeof growing>): Promise<string> => {
  const error: unknown = await growing(...given).catch((thrown: unknown) => thrown);
  return error instanceof ProblemsError ? error.message : '';
};

test('the claims are those that the StatefulSets make', () => {
  const model = testModel();
  const sets = topologyBoxes(model).flatMap(({ declarations }) =>
    declarations.filter(
      ({ type, provider }) => type === 'kubernetes:apps/v1:StatefulSet' && provider === 'production',
    ),
  );
  const made = sets.map(({ args }) => {
    const { metadata, spec } = args as {
      metadata: { name: string; namespace: string };
      spec: { volumeClaimTemplates: { metadata: { name: string } }[] };
    };
    return `${metadata.namespace}/${spec.volumeClaimTemplates[0]?.metadata.name}-${metadata.name}-0`;
  });
  expect(wantedClaims(model).map(({ namespace, claim: name }) => `${namespace}/${name}`)).toEqual(made);
});

test('a volume grows where its class lets it, and nothing happens to one that is as large, however that is written', async () => {
  const found = { namespace: 'prod-shop', claim: 'cache-data-cache-0', from: '1Gi', to: '20Gi' };
  expect(await growing('20Gi', [claim('1Gi')])).toEqual([found]);
  expect(grown(found)).toEqual({
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { namespace: 'prod-shop', name: 'cache-data-cache-0' },
    spec: { resources: { requests: { storage: '20Gi' } } },
  });
  expect(await growing('1Gi', [claim('1024Mi')])).toEqual([]);
  expect(await growing('1Gi', [])).toEqual([]);
});

test('one that cannot grow is refused with the remedy, and one that would shrink', async () => {
  const place = 'catalog/modules/shop.yaml: services.0.storage: ';
  expect(await refusal('20Gi', [claim('1Gi')], false)).toBe(
    `${place}"20Gi" is more than the 1Gi that its volume has, and its class "fast" lets no volume grow. Set allowVolumeExpansion on the class if its driver can; else write 1Gi, or move the data to a new instance of another "name" by its backup.`,
  );
  expect(await refusal('1Gi', [claim('20Gi')])).toBe(
    `${place}"1Gi" is less than the 20Gi that its volume has, and no volume shrinks. Write 20Gi.`,
  );
});

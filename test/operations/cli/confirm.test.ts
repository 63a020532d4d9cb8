import { confirmationText, countsText, questionFor } from '../../../operations/cli/confirm';
import type { Step } from '../../../operations/engine/steps';
import { parseUrn } from '../../../operations/engine/urns';
import { urnOf } from '../../support/events';

const step = (operation: Step['operation'], type: string, name: string, more: Partial<Step> = {}): Step => ({
  ...parseUrn(urnOf('production', type, name)),
  operation,
  state: 'planned',
  boxName: 'production-shop',
  properties: [],
  protected: false,
  ...more,
});

test('what is replaced or deleted is listed, and apart from it what takes data with it', () => {
  expect(
    confirmationText(
      'up',
      'production',
      [
        step('create', 'kubernetes:core/v1:Secret', 'new'),
        step('update', 'kubernetes:apps/v1:Deployment', 'changed', { properties: ['spec.replicas'] }),
        step('replace', 'kubernetes:core/v1:Service', 'moved', { properties: ['metadata.name'] }),
        step('delete', 'kubernetes:core/v1:PersistentVolumeClaim', 'disk', {
          data: 'a volume of 1Gi with all that is on it',
          protected: true,
        }),
      ],
      { create: 1, update: 1, replace: 1, delete: 1 },
    ),
  ).toEqual([
    'up of production would do: 1 create, 1 update, 1 replace, 1 delete',
    'Replaced or deleted:',
    '  replace Service moved, because of metadata.name',
    'DATA GOES with these:',
    '  delete PersistentVolumeClaim disk: a volume of 1Gi with all that is on it',
    'Protected, so it will be refused: disk',
  ]);
});

test('where nothing goes, nothing is listed', () => {
  const steps = [step('create', 'kubernetes:core/v1:Secret', 'new')];
  expect(confirmationText('up', 'lab', steps, { create: 1 })).toEqual(['up of lab would do: 1 create']);
  expect(countsText({})).toBe('no change');
});

test('production asks for its name: no other answer is a yes', () => {
  const { text, accepts } = questionFor('up', 'production', true);
  expect(text).toContain('Type the name of the environment');
  expect(['production', 'y', 'yes', 'Production', ''].map(accepts)).toEqual([
    true,
    false,
    false,
    false,
    false,
  ]);
});

test('other environments take a yes', () => {
  const { accepts } = questionFor('destroy', 'lab', false);
  expect(['y', 'Yes', 'lab', 'n', ''].map(accepts)).toEqual([true, true, false, false, false]);
});

import type { BoxDeclaration } from '../../../components/boxes';
import { givenRef, keyRef, secretRef, text } from '../../../components/shared/references';
import { recordedValues } from '../../../operations/preview/recorded';

const secret = (value: unknown) => ({
  '4dabf18193072939515e22adb298388d': '1b47061264138c4ac30d75fd1eb44270',
  plaintext: JSON.stringify(value),
});
const type = 'kubernetes:core/v1:Secret';
const boxes: BoxDeclaration[] = [
  {
    box: 'jenkins',
    name: 'jenkins',
    declarations: [
      {
        type,
        name: 'keys',
        provider: 'ci',
        args: {
          stringData: {
            SEED: givenRef('STAGING_SEED'),
            OTHER: keyRef('', { environment: 'other', variable: 'OTHER_SEED' }),
            derived: secretRef('x'),
            beside: text`user:${givenRef('PART')}`,
            absent: givenRef('ABSENT'),
          },
        },
      },
    ],
  },
];
const state = (stringData: unknown) => ({
  version: 3,
  deployment: {
    resources: [
      { urn: 'urn:pulumi:test::switchyard::pulumi:pulumi:Stack::keys', type: 'pulumi:pulumi:Stack' },
      { urn: `urn:pulumi:test::switchyard::${type}::keys`, type, inputs: { stringData } },
    ],
  },
});

test.each([
  ['whole', secret({ SEED: 'their seed', OTHER: 'their key', derived: 'd', beside: 'user:p' })],
  [
    'key by key',
    {
      SEED: secret('their seed'),
      OTHER: secret('their key'),
      derived: secret('d'),
      beside: secret('user:p'),
    },
  ],
])('a variable that a Secret of the state holds is read from there, encrypted %s', (_how, stringData) => {
  expect(recordedValues(state(stringData), boxes)).toEqual({
    STAGING_SEED: 'their seed',
    OTHER_SEED: 'their key',
  });
});

test('the registrar writes the texts of a Secret as its data: they are read from there, too', () => {
  const encoded = (value: string) => Buffer.from(value).toString('base64');
  const { version, deployment } = state(undefined);
  const inputs = { data: secret({ SEED: encoded('their seed'), OTHER: encoded('their kéy') }) };
  const resources = deployment.resources.map((one) => (one.type === type ? { ...one, inputs } : one));
  expect(recordedValues({ version, deployment: { resources } }, boxes)).toEqual({
    STAGING_SEED: 'their seed',
    OTHER_SEED: 'their kéy',
  });
});

test('a state that has nothing of it gives nothing', () => {
  expect(recordedValues({ version: 3 }, boxes)).toEqual({});
  expect(recordedValues({ version: 3, deployment: { resources: [] } }, boxes)).toEqual({});
});

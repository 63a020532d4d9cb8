import { ProblemsError } from '../../catalog/problems';
import { imageFor, loadStack, parseStack, resolveImage, stackNames, withoutSecrets } from '../../stacks/load';
import { root, stackText } from '../support/model';

const parse = (text: string, name = 'test') => parseStack(text, `stacks/Pulumi.${name}.yaml`, name);
const messageOf = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    if (error instanceof ProblemsError) return error.message;
    throw error;
  }
  return '';
};

test('every stack file of this repository is valid', () => {
  const folder = `${root}/stacks`;
  expect(stackNames(folder)).toEqual(expect.arrayContaining(['lab', 'production']));
  for (const name of stackNames(folder)) expect(loadStack(folder, name).environment).toBe(name);
});

test("a provider's own config stands beside ours and is left alone", () => {
  expect(parse(`${stackText}  gitlab:insecure: false\n`).gitlab.group).toBe('switchyard');
});

test('a key without a namespace is refused', () => {
  expect(messageOf(() => parse(`${stackText}  jenkins: {}\n`))).toContain(
    'config.jenkins: has no namespace. Write "switchyard:jenkins".',
  );
});

test('a misspelt key is refused at its line with the right one', () => {
  expect(messageOf(() => parse(stackText.replace('switchyard:backend', 'switchyard:backnd')))).toBe(
    'stacks/Pulumi.test.yaml:2: config.backend: is missing. Add it.\n' +
      'stacks/Pulumi.test.yaml:3: config.backnd: is not a known key. Did you mean "backend"?',
  );
});

test('a file for another environment is refused', () => {
  expect(messageOf(() => parse(stackText, 'staging'))).toBe(
    'stacks/Pulumi.staging.yaml:2: config.environment: is "test", but the file is for "staging". Make the two agree.',
  );
});

test('an unknown environment is refused with the nearest name', () => {
  expect(messageOf(() => loadStack(`${root}/stacks`, 'prodction'))).toBe(
    'stacks/Pulumi.prodction.yaml: there is no environment "prodction". Did you mean "production"?',
  );
});

test('one key puts every image behind a mirror, and names that carry a registry stay', () => {
  const settings = parse(
    `${stackText}  switchyard:images: { mirror: "mirror.test:5000", replace: { robot: "robot:7", "cache:1.0": "other.test/cache:1" } }\n`,
  );
  expect(imageFor(settings, 'robot')).toBe('mirror.test:5000/robot:7');
  expect(imageFor(settings, 'registry')).toMatch(/^mirror\.test:5000\/registry:/);
  expect(resolveImage(settings, 'cache:1.0', 'cache:1.0')).toBe('other.test/cache:1');
});

// splitDockerDomain of distribution/reference: a first part without "." and ":" is no registry, but "localhost".
test.each([
  ['registry', false],
  ['my-registry', false],
  ['registry:443', true],
  ['registry.test', true],
  ['localhost', true],
  ['localhost:5000', true],
])('an address that Docker takes for a name on Docker Hub is no registry: %s', (address, taken) => {
  const told = messageOf(() => parse(stackText.replace('registry.test:5000', address)));
  expect(told).toEqual(
    taken
      ? ''
      : expect.stringMatching(
          /^stacks\/Pulumi\.test\.yaml:\d+: config\.registry\.address: is taken for a name on Docker Hub\. Write it/,
        ),
  );
});

test('one build may not hand over more than all of a module share', () => {
  const told = (builds: string) =>
    messageOf(() =>
      parse(stackText.replace('"registry.test:5000"', `"registry.test:5000", builds: { ${builds} }`)),
    );
  expect(told('each: 1Ti')).toMatch(
    /^stacks\/Pulumi\.test\.yaml:\d+: config\.registry\.builds\.each: is more than unreleased, "16Gi", which all builds of a module share\. Lower it, or raise unreleased\.$/,
  );
  expect(told('each: 1Ti, unreleased: 1Ti')).toBe('');
  expect(parse(stackText).registry.builds).toEqual({ each: '4Gi', unreleased: '16Gi' });
});

test('a secret that Pulumi encrypted is no setting, and one in plain text is refused at its line', () => {
  const settings = parse(`${stackText}  switchyard:seed: { secure: "v1:abc:def" }\n`);
  expect(settings).not.toHaveProperty('seed');
  expect(messageOf(() => parse(`${stackText}  switchyard:gitlabToken: glpat-plain\n`))).toBe(
    'stacks/Pulumi.test.yaml:8: config.gitlabToken: is a secret in plain text. Write it with "pulumi config set --secret switchyard:gitlabToken".',
  );
});

describe('a schedule', () => {
  const told = (schedule: string) =>
    messageOf(() => parse(`${stackText}  switchyard:topologyProject: { drift: "${schedule}" }\n`));

  test.each(['47 3 * * *', '*/20 8-18/2 1,15 1-12 0-6', '0 0 31 12 6', '59 23 * * 1-5'])(
    'is five cron fields in numbers: %s',
    (schedule) => {
      expect(told(schedule)).toBe('');
    },
  );

  test.each([
    ['60 3 * * *', 'has "60" for the minute, which is from 0 to 59'],
    ['0 24 * * *', 'has "24" for the hour, which is from 0 to 23'],
    ['0 0 0 * *', 'has "0" for the day of the month, which is from 1 to 31'],
    ['0 0 * 13 *', 'has "13" for the month, which is from 1 to 12'],
    // Kubernetes knows Sunday as 0 only.
    ['0 0 * * 7', 'has "7" for the day of the week, which is from 0 to 6'],
    ['0 18-8 * * *', 'has "18-8" for the hour'],
    ['*/0 * * * *', 'has "*/0" for the minute'],
    // Jenkins takes no step of a single number.
    ['5/15 * * * *', 'has "5/15" for the minute'],
    ['1,,2 * * * *', 'has "" for the minute'],
    ['1-2-3 * * * *', 'has "1-2-3" for the minute'],
    ['H 3 * * *', 'is not a schedule. Write five cron fields in UTC'],
    ['@daily', 'is not a schedule. Write five cron fields in UTC'],
    ['0 0 * *', 'is not a schedule. Write five cron fields in UTC'],
  ])('of another kind is refused at its key: %s', (schedule, fault) => {
    expect(told(schedule)).toContain(`config.topologyProject.drift: ${fault}`);
    expect(told(schedule).split('\n')).toHaveLength(1);
  });
});

test('without what it holds encrypted a stack file says the same, and needs no passphrase', () => {
  const text = `encryptionsalt: v1:abc
secretsprovider: awskms://alias/x
config:
  switchyard:environment: test
  switchyard:seed:
    secure: v1:def
  gitlab:nested: { deep: [{ secure: v1:ghi }] }
  switchyard:jenkins: { url: "https://jenkins.test" }
`;
  expect(withoutSecrets(text)).toBe(
    'config:\n  switchyard:environment: test\n  switchyard:jenkins:\n    url: https://jenkins.test\n',
  );
});

import { ProblemsError } from '../../catalog/problems';
import { loadStack, parseStack } from '../../stacks/load';
import { root, stackText } from '../support/model';

const jenkins = (text: string, url = 'https://jenkins.test') =>
  parseStack(
    stackText.replace('{ url: "https://jenkins.test" }', `{ url: "${url}", ${text} }`),
    'stacks/Pulumi.test.yaml',
    'test',
  ).jenkins;
const fault = (text: string, url?: string): string => {
  try {
    jenkins(text, url);
  } catch (error) {
    if (error instanceof ProblemsError) return error.message;
    throw error;
  }
  return '';
};

test('what is not said is the safe way: home kept, no anonymous reader, no eviction, no metrics', () => {
  expect(jenkins('storage: 20Gi')).toEqual({
    url: 'https://jenkins.test',
    storage: '20Gi',
    onDelete: 'retain',
    anonymousRead: false,
    evictable: false,
    maximumAgents: 20,
    buildCache: '20Gi',
    resources: { cpu: '500m', memory: '1Gi', memoryLimit: '2Gi' },
  });
});

test('production keeps the home of Jenkins, and the lab lets it go', () => {
  expect(loadStack(`${root}/stacks`, 'production').jenkins.onDelete).toBe('retain');
  expect(loadStack(`${root}/stacks`, 'lab').jenkins.onDelete).toBe('delete');
});

test.each([
  [
    'ingress: { host: ci.test }',
    'config.jenkins.ingress.host: is not the host of url, "jenkins.test". Make the two agree.',
  ],
  [
    'ingress: { host: "https://jenkins.test" }',
    'config.jenkins.ingress.host: is not a host name. Write "orders.example.com" or "*.example.com", without scheme and port.',
  ],
  [
    'ingress: { host: jenkins.test, clasName: nginx }',
    'config.jenkins.ingress.clasName: is not a known key. Did you mean "className"?',
  ],
  [
    'login: { roles: { admin: [a] } }',
    'config.jenkins.login: needs one of openIdConnect and gitlab. Write the one that is meant, and only that.',
  ],
  [
    'login: { gitlab: { clientId: a, clientSecretFrom: SWITCHYARD_SEED }, roles: { admin: [a] } }',
    'config.jenkins.login.gitlab.clientSecretFrom: is a variable of the topology itself. Give this secret in a variable of its own.',
  ],
  [
    'login: { gitlab: { clientId: a, clientSecretFrom: A }, roles: { admin: [] } }',
    'config.jenkins.login.roles.admin: names no group. Name at least one.',
  ],
  [
    'login: { gitlab: { clientId: a, clientSecretFrom: A }, roles: { admin: ["switchyard:emergency"] } }',
    'config.jenkins.login.roles.admin.0: is not the name of a group. Leave ":" and spaces around it out.',
  ],
  [
    'login: { gitlab: { clientId: a, clientSecretFrom: A }, roles: { admin: [Authenticated] } }',
    "config.jenkins.login.roles.admin.0: is a name of Jenkins' own. Name a group of the provider.",
  ],
  [
    'login: { openIdConnect: { wellKnown: "http://id.test/x", clientId: a, clientSecretFrom: A }, roles: { admin: [a] } }',
    'config.jenkins.login.openIdConnect.wellKnown: is not https. Use https: whoever answers there says who is who.',
  ],
  [
    'login: { gitlab: { clientId: a, clientSecretFrom: A }, roles: { admin: [a] } }, existing: { namespace: site }',
    'config.jenkins.login: is of a Jenkins that is there already. Leave it to the owner of that Jenkins.',
  ],
  [
    'reader: { user: a, tokenFrom: A }',
    'config.jenkins.reader: is of no use: this Jenkins has a user for the reconciler. Leave it out; it is for a Jenkins with "existing" or "login".',
  ],
  [
    'reader: { user: Anonymous, tokenFrom: A }, existing: { namespace: site }',
    "config.jenkins.reader.user: is a name of Jenkins' own. Name a user who has an API token.",
  ],
  [
    'reader: { user: admin, tokenFrom: A }, login: { gitlab: { clientId: a, clientSecretFrom: A }, roles: { admin: [a] } }',
    'config.jenkins.reader.user: is the user for emergencies. Name a user of the provider who may only read.',
  ],
  ['onDelete: keep', 'config.jenkins.onDelete: is neither retain nor delete. Use one of the two.'],
  [
    'buildEgress: [{ cidr: 169.254.169.254/32, ports: [80] }]',
    'config.jenkins.buildEgress.0.cidr: is link-local, or a metadata service. Leave it out: no way leads there.',
  ],
  [
    'buildEgress: [{ cidr: 10.0.0.7, ports: [443] }]',
    'config.jenkins.buildEgress.0.cidr: is not an IPv4 range. Write "10.0.0.0/24", or "10.0.0.7/32" for one.',
  ],
  [
    'maximumAgents: 1',
    'config.jenkins.maximumAgents: is too few agents for any build: each holds one while it waits for a second. Write 2 or more.',
  ],
  ['buildCache: lots', 'config.jenkins.buildCache: is not an amount of storage. Write "20Gi".'],
])('%s is refused with its place and remedy', (text, message) => {
  expect(fault(text)).toBe(`stacks/Pulumi.test.yaml:6: ${message}`);
});

test('a certificate for an http address is refused', () => {
  expect(fault('ingress: { host: jenkins.test, tlsSecret: tls }', 'http://jenkins.test')).toContain(
    'config.jenkins.url: is http, but the ingress has a certificate. Write https.',
  );
});

import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Agent, agentRequest, agentsIn, askAsAgent, TRIES_OF_AGENT } from './e2e/agent-request';
import { IDENTITIES } from './e2e/identities-data';

// How the lab's suite `hostile-build` asks Jenkins with what an agent has. What the stand-in answers: its ReloadTest.

const pod = (name: string, namespace: string, secret?: string) => ({
  metadata: { name, namespace },
  spec: {
    containers: [
      { name: 'buildkitd' },
      {
        name: 'jnlp',
        env: [
          { name: 'JENKINS_URL', value: 'x' },
          { name: 'JENKINS_SECRET', value: secret },
        ],
      },
    ],
  },
});
const agents = agentsIn(
  JSON.stringify({ items: [pod('build-a', 'ci-build', 'one'), pod('delivery-b', 'ci-agents', 'two')] }),
);
const [build, delivery] = agents as [Agent, Agent];

test('an agent has its secret in its own container; one without is told', () => {
  expect(agents).toEqual([
    { name: 'build-a', namespace: 'ci-build', secret: 'one' },
    { name: 'delivery-b', namespace: 'ci-agents', secret: 'two' },
  ]);
  expect(() => agentsIn(JSON.stringify({ items: [pod('build-a', 'ci-build')] }))).toThrow(
    'ci-build/build-a: the agent has no JENKINS_SECRET',
  );
});

test('each request differs from its own connection in what it tries', () => {
  const header = (what: string) => agentRequest(build, agents, what).headers;
  const connection = { 'node-name': 'build-a', 'secret-key': 'one', 'x-remoting-capability': 'identities' };
  const basic = (text: string) => ({ authorization: `Basic ${Buffer.from(text).toString('base64')}` });
  expect(Object.keys(TRIES_OF_AGENT).map((what) => [what, header(what)])).toEqual([
    ['its own connection', connection],
    ['its own connection, by another secret', { ...connection, 'secret-key': 'two' }],
    ["another agent's connection", { ...connection, 'node-name': 'delivery-b' }],
    ['the connection of an agent that is not there', { ...connection, 'node-name': 'identities-absent' }],
    ['a connection without a secret', { 'node-name': 'build-a', 'x-remoting-capability': 'identities' }],
    ['its name and secret as a login', basic('build-a:one')],
    ['its secret as the password of admin', basic('admin:one')],
    ['a build of its own, by that login', basic('build-a:one')],
  ]);
  expect(() => agentRequest(build, [build], 'its own connection')).toThrow(
    'no other agent runs beside build-a',
  );
});

test('a Jenkins that checks as core does answers each as expected', async () => {
  // WebSocketAgents.doIndex, and BasicHeaderProcessor for a login that is none.
  const server = http.createServer(({ headers, url }, response) => {
    const name = headers['node-name'];
    const known = agents.find((agent) => agent.name === name);
    const status =
      url !== '/wsagents/'
        ? 401
        : headers['secret-key'] === undefined || !known
          ? 400
          : known.secret === headers['secret-key']
            ? 501
            : 403;
    response.writeHead(status).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const jenkins = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  try {
    for (const agent of [build, delivery])
      for (const [what, status] of Object.entries(TRIES_OF_AGENT))
        expect([agent.name, what, await askAsAgent(jenkins, agent, agents, what)]).toEqual([
          ...[agent.name, what, status],
        ]);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

test('every identity that is an agent says so in the same words', () => {
  const says = IDENTITIES.flatMap(({ name, jenkins }) =>
    /agent’s connection/.test(jenkins.says) ? [[name, jenkins.says]] : [],
  );
  expect(says.map(([name]) => name)).toEqual(
    expect.arrayContaining(['test Pod', 'build', 'delivery', 'deploy', 'preview', 'drift', 'release backup']),
  );
  expect(new Set(says.map(([, text]) => text)).size).toBe(1);
});

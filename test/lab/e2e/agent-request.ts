// What somebody would ask Jenkins for who has taken over an agent's Pod: its secret is an HMAC of its name (core:
// JnlpAgentReceiver), which the plugin puts into the environment of its own container.

export interface Agent {
  readonly name: string;
  readonly namespace: string;
  readonly secret: string;
}

interface Pods {
  readonly items: readonly {
    readonly metadata: { readonly name: string; readonly namespace: string };
    readonly spec: {
      readonly containers: readonly {
        readonly name: string;
        readonly env?: readonly { readonly name: string; readonly value?: string }[];
      }[];
    };
  }[];
}

/** The agents among Pods, as the API server lists these. @throws when one has no secret */
export const agentsIn = (json: string): Agent[] =>
  (JSON.parse(json) as Pods).items.map(({ metadata: { name, namespace }, spec: { containers } }) => {
    const env = containers.find((container) => container.name === 'jnlp')?.env ?? [];
    const secret = env.find((one) => one.name === 'JENKINS_SECRET')?.value;
    if (!secret) throw new Error(`${namespace}/${name}: the agent has no JENKINS_SECRET`);
    return { name, namespace, secret };
  });

/**
 * What is tried, and what Jenkins answers. 501 is the lab's stand-in's: the secret is right, and it speaks no remoting; Jenkins
 * takes that connection, or says 400 that it has it.
 */
export const TRIES_OF_AGENT = {
  'its own connection': 501,
  'its own connection, by another secret': 403,
  "another agent's connection": 403,
  'the connection of an agent that is not there': 400,
  'a connection without a secret': 400,
  'its name and secret as a login': 401,
  'its secret as the password of admin': 401,
  'a build of its own, by that login': 401,
} as const satisfies Readonly<Record<string, number>>;

const basic = (user: string, password: string) => ({
  authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
});
const connection = (name: string, secret?: string) => ({
  path: '/wsagents/',
  headers: {
    'node-name': name,
    'x-remoting-capability': 'identities',
    ...(secret === undefined ? {} : { 'secret-key': secret }),
  },
});

/** A request of an agent. @param all the agents that run; one more than the one that asks */
export function agentRequest(
  { name, secret }: Agent,
  all: readonly Agent[],
  what: string,
): { readonly path: string; readonly method?: string; readonly headers: Readonly<Record<string, string>> } {
  const other = all.find((one) => one.name !== name);
  if (!other) throw new Error(`no other agent runs beside ${name}`);
  switch (what as keyof typeof TRIES_OF_AGENT) {
    case 'its own connection':
      return connection(name, secret);
    case 'its own connection, by another secret':
      return connection(name, other.secret);
    case "another agent's connection":
      return connection(other.name, secret);
    case 'the connection of an agent that is not there':
      return connection('identities-absent', secret);
    case 'a connection without a secret':
      return connection(name);
    case 'its name and secret as a login':
      return { path: '/me/api/json', headers: basic(name, secret) };
    case 'its secret as the password of admin':
      return { path: '/me/api/json', headers: basic('admin', secret) };
    case 'a build of its own, by that login':
      return { path: '/job/switchyard/job/orders/build', method: 'POST', headers: basic(name, secret) };
  }
}

/** The status of Jenkins' answer. */
export async function askAsAgent(
  jenkins: string,
  agent: Agent,
  all: readonly Agent[],
  what: string,
): Promise<number> {
  const { path, method = 'GET', headers } = agentRequest(agent, all, what);
  const answer = await fetch(`${jenkins}${path}`, {
    method,
    headers,
    redirect: 'manual',
  });
  await answer.arrayBuffer();
  return answer.status;
}

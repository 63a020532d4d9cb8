import * as pulumi from '@pulumi/pulumi';
import { MockMonitor } from '@pulumi/pulumi/runtime/mocks';

/** What an engine would be told of one resource. */
export interface Registered {
  readonly type: string;
  readonly name: string;
  readonly parent: string;
  readonly inputs: Readonly<Record<string, unknown>>;
  readonly provider: string;
  /** URNs of what it waits for. */
  readonly dependencies: readonly string[];
  /** Names that it had before. */
  readonly aliases: readonly string[];
}

interface Request {
  getType(): string;
  getName(): string;
  getParent(): string;
  getProvider(): string;
  getObject(): { toJavaScript(): Record<string, unknown> } | undefined;
  getDependenciesList(): string[];
  getAliasesList(): { getSpec(): { getName(): string } | undefined }[];
}
type Register = (request: Request, done: unknown) => Promise<void>;

/** Sets the stand-ins and tells what is registered from then on. Ends with `pulumi.runtime.disconnect()`. */
async function recording(): Promise<{ readonly registered: Registered[]; readonly end: () => void }> {
  const registered: Registered[] = [];
  await pulumi.runtime.setMocks({
    newResource: ({ name, inputs, id }) => ({
      id: id || `${name}-id`,
      state: { ...inputs, repoDigest: `${name}@sha256:0`, token: `token of ${name}` },
    }),
    call: ({ inputs }) => inputs,
  });
  const prototype = MockMonitor.prototype as unknown as { registerResource: Register };
  const { registerResource } = prototype;
  prototype.registerResource = function (request, done) {
    registered.push({
      type: request.getType(),
      name: request.getName(),
      parent: request.getParent(),
      inputs: request.getObject()?.toJavaScript() ?? {},
      provider: request.getProvider(),
      dependencies: [...request.getDependenciesList()].sort(),
      aliases: request.getAliasesList().map((alias) => alias.getSpec()?.getName() ?? ''),
    });
    return registerResource.call(this, request, done);
  };
  return {
    registered,
    end: () => {
      prototype.registerResource = registerResource;
    },
  };
}

/**
 * Everything that a program registers, by stand-ins.
 * @param program makes the resources and returns the component to wait for
 */
export async function registeredBy(program: () => pulumi.Resource): Promise<Registered[]> {
  const { registered, end } = await recording();
  try {
    const component = program();
    await new Promise((resolve) => component.urn.apply(resolve));
    // Waits for all that is still on its way.
    await pulumi.runtime.disconnect();
  } finally {
    end();
  }
  return registered;
}

/** What an output becomes in a test. */
export const settled = <T>(output: pulumi.Output<T>): Promise<T> =>
  new Promise((resolve) => {
    output.apply(resolve);
  });

/** The key and the mark by which Pulumi's wire format tells a secret. */
const [SPECIAL, SECRET_MARK] = ['4dabf18193072939515e22adb298388d', '1b47061264138c4ac30d75fd1eb44270'];

const unmarked = (value: unknown): unknown => {
  if (value === null || typeof value !== 'object') return value;
  if (SPECIAL in value && 'value' in value) return unmarked(value.value);
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, unmarked(inner)]));
};

/** What a Secret holds, in plain text; all of it must be marked as secret. */
export function secretTexts(registered: readonly Registered[], name: string): Record<string, string> {
  const { data } = registered.find((one) => one.name === name)?.inputs ?? {};
  expect(data).toMatchObject({ [SPECIAL]: SECRET_MARK });
  const texts = Object.entries(unmarked(data) as Record<string, string>);
  return Object.fromEntries(texts.map(([key, text]) => [key, Buffer.from(text, 'base64').toString()]));
}

/** Names of what a resource waits for, sorted. */
export const waitsFor = (registered: readonly Registered[], name: string): (string | undefined)[] =>
  (registered.find((one) => one.name === name)?.dependencies ?? [])
    .map((urn) => urn.split('::').at(-1))
    .sort();

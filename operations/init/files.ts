import { PROJECT } from '../engine/urns';
import { PACKAGE_SCHEMAS, schemaLine } from '../schemas/line';

/** What a repository of one's own is made of. */
export interface OwnRepository {
  /** Name of its package. */
  readonly name: string;
  /** Its first environment. */
  readonly environment: string;
  /** Where npm finds Switchyard. */
  readonly switchyard: string;
  /** Packages that it shares with Switchyard's own program, with the versions that go together: name → range. */
  readonly shared: Readonly<Record<string, string>>;
  /** What its program is compiled and checked with: name → range. */
  readonly compiling: Readonly<Record<string, string>>;
}

const packageFile = ({ name, switchyard, shared, compiling }: OwnRepository): string =>
  `${JSON.stringify(
    {
      name,
      version: '0.0.0',
      private: true,
      description: "A company's whole CI/CD topology",
      engines: { node: '>=22.12' },
      scripts: { check: 'switchyard check', test: 'node --test test/*.test.js' },
      dependencies: { ...shared, switchyard },
      devDependencies: compiling,
    },
    null,
    2,
  )}\n`;

const PROGRAM = `import { topology } from 'switchyard';

/** What \`switchyard up\` runs: the topology of catalog/ and stacks/. Components of your own may be made beside it. */
export = async () => {
  const addresses = await topology(__dirname);
  return { ...addresses };
};
`;

const TEST = `const { test } = require('node:test');
const { join } = require('node:path');
const { check } = require('switchyard');

test('the catalog and every stack file are as they must be, and every rule holds', () => {
  check(join(__dirname, '..'));
});
`;

const PULUMI = `name: ${PROJECT}
description: A company's whole CI/CD topology
runtime:
  name: nodejs
  options:
    typescript: true
main: index.ts
stackConfigDir: stacks
`;

const TYPESCRIPT = `${JSON.stringify(
  {
    compilerOptions: {
      target: 'ES2023',
      lib: ['ES2023'],
      module: 'CommonJS',
      moduleResolution: 'Bundler',
      // Pulumi's Node.js host compiles without it by folders, and TypeScript 6 wants it said.
      rootDir: '.',
      strict: true,
      isolatedModules: true,
      esModuleInterop: true,
      skipLibCheck: true,
      noEmit: true,
      types: ['node'],
    },
    include: ['**/*.ts'],
    exclude: ['node_modules', 'dist'],
  },
  null,
  2,
)}\n`;

const stackFile = (
  environment: string,
): string => `${schemaLine({ name: 'stack', folder: 'stacks' }, PACKAGE_SCHEMAS)}
# Addresses, contexts and the bucket are examples: put yours in their place. Every key: docs/reference.md of Switchyard.
config:
  switchyard:environment: ${environment}
  # Where the state is kept, as \`pulumi login\` takes it.
  switchyard:backend: s3://example-switchyard-state?region=eu-central-1
  switchyard:clusters:
    ci: { context: ci }
    production: { context: production }
  switchyard:gitlab:
    url: https://gitlab.example.com
    botTokenRotation: { days: 180, before: 30 }
  switchyard:jenkins:
    url: https://jenkins.example.com
    ingress: { host: jenkins.example.com, className: nginx, tlsSecret: jenkins-tls }
  switchyard:registry:
    address: registry.example.com
    ingress:
      className: nginx
      tlsSecret: registry-tls
      # Layers are larger than a controller's usual limit.
      annotations: { nginx.ingress.kubernetes.io/proxy-body-size: "0" }
  switchyard:deployEnvironment:
    [AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, PULUMI_CONFIG_PASSPHRASE, SWITCHYARD_SEED]
`;

const readme = ({ environment, switchyard }: OwnRepository): string => `# Our topology

Made by \`switchyard init\`. What runs is in \`catalog/modules/\`, where it runs in \`stacks/\`; \`index.ts\` is the program, to which components of your own may be added; \`transform.ts\`, if you make one, changes what is declared (docs/components/transform.md of Switchyard). Switchyard itself is a package (\`${switchyard}\`), which brings the services that modules may use; a file \`catalog/services/<kind>.yaml\` replaces one of them, or adds one.

\`\`\`sh
npm install                        # brings Switchyard, from where package.json says
npx switchyard module new <name>   # the first module
npm test                           # the catalog, the stack file, every rule
npx switchyard render ${environment} --out rendered --open
npx switchyard up ${environment}
\`\`\`

Another version of Switchyard: \`npm update switchyard\` (of a file: \`npm install <the new file>\`), read its CHANGELOG.md, which says what \`up\` will change, then \`npx switchyard preview ${environment}\`.

Merge requests on this repository can be previewed and applied by the topology itself: \`switchyard:topologyProject\` in the stack file (docs/previews.md of Switchyard).
`;

/** Every file of it: path → text. The same repository has the same bytes, whenever and wherever it is made. */
export const ownFiles = (repository: OwnRepository): ReadonlyMap<string, string> =>
  new Map([
    ['.gitignore', 'node_modules\ndist/\nrendered/\n*.log\n.env\n'],
    ['Pulumi.yaml', PULUMI],
    ['README.md', readme(repository)],
    ['catalog/modules/.gitkeep', ''],
    ['index.ts', PROGRAM],
    ['package.json', packageFile(repository)],
    [`stacks/Pulumi.${repository.environment}.yaml`, stackFile(repository.environment)],
    ['test/topology.test.js', TEST],
    ['tsconfig.json', TYPESCRIPT],
  ]);

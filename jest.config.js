const { availableParallelism } = require('node:os');
const nights = require('./test/lab/nights.json');
const bundled = require('./test/support/bundled.js');

/** @type {import('jest').Config} */
module.exports = {
  testEnvironment: '<rootDir>/test/support/environment.js',
  // One more than there are cores: a suite that waits for a program leaves its core to the others. (Jest's own count leaves a
  // core idle, which on two is half of them.) The integration tests are held beside the lab, which has the cores first.
  maxWorkers: availableParallelism() + (process.env.SWITCHYARD_TESTS === 'integration' ? 0 : 1),
  // A hang is told after a minute. Integration tests start git, servers and programs, beside the lab in .ci/run.
  testTimeout: process.env.SWITCHYARD_TESTS === 'integration' ? 300_000 : 60_000,
  roots: ['<rootDir>/test'],
  testSequencer: '<rootDir>/test/support/sequencer.js',
  testPathIgnorePatterns: [
    // `npm test` and `npm run test:integration` share what runs without a lab (docs/testing.md); by default both run.
    ...(process.env.SWITCHYARD_TESTS === 'unit' ? ['\\.integration\\.test\\.ts$'] : []),
    ...(process.env.SWITCHYARD_TESTS === 'integration' ? ['(?<!\\.integration)\\.test\\.ts$'] : []),
    // End-to-end suites need a running lab, those of programs what it is built of, those of the page a browser:
    // `npm run test:lab`, `test:programs`, `test:browser`.
    ...(process.env.SWITCHYARD_E2E ? [] : ['/test/lab/e2e/', '/test/lab/programs/']),
    // `npm run test:lab` leaves what takes longest to nights; a suite that is named runs whenever it is.
    ...(process.env.SWITCHYARD_TESTS === 'lab' && process.env.SWITCHYARD_TEST_ALL !== '1'
      ? Object.keys(nights).map((name) => `/test/lab/${name}\\.test\\.ts$`)
      : []),
    ...(process.env.SWITCHYARD_BROWSER ? [] : ['/test/browser/']),
  ],
  // Suites that share the lab run side by side where they can (`test/lab/lanes.ts`).
  ...(process.env.SWITCHYARD_E2E ? { runner: '<rootDir>/test/lab/runner.ts' } : {}),
  globalSetup: process.env.SWITCHYARD_E2E ? '<rootDir>/test/lab/e2e/global-setup.ts' : undefined,
  moduleNameMapper: {
    ...bundled(__dirname),
    '^@npmcli/arborist$': '<rootDir>/test/support/arborist.js',
    // The examples of docs/components import the package by its name, as `paths` of tsconfig.json has it.
    '^switchyard/(kinds|transform)$': '<rootDir>/components/shared/$1',
  },
  transform: {
    '\\.(t|j|mj)s$': [
      '@swc/jest',
      { jsc: { target: 'es2022', parser: { syntax: 'typescript' } }, module: { type: 'commonjs' } },
    ],
  },
  // Several dependencies ship ES modules only, which jest loads after a transform.
  transformIgnorePatterns: [
    '/node_modules/(?!(execa|@gitbeaker|@kubernetes/client-node|openid-client|oauth4webapi|jose|get-stream|human-signals|is-plain-obj|is-stream|is-unicode-supported|npm-run-path|parse-ms|path-key|pretty-ms|strip-final-newline|unicorn-magic|yoctocolors|@sindresorhus|figures|@sec-ant|socks-proxy-agent|agent-base|micromark[a-z0-9-]*|decode-named-character-reference|character-entities|devlop|dequal|ccount|parse5|entities)/)',
  ],
};

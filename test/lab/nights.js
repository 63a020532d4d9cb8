/**
 * Suites that `npm run test:lab` and `test:programs` leave to nights (`npm run test:all`), each with what the usual run proves
 * of the same. By its name any suite runs at any time: `SWITCHYARD_E2E=1 npx jest --runInBand test/lab/e2e/kills`.
 *
 * @type {Readonly<Record<string, string>>}
 */
const NIGHTS = {
  'e2e/deploy-killed': 'Locks are leases: by unit tests and real git.',
  'e2e/environments': 'One environment is previewed and its note edited: e2e/previews.',
  'e2e/existing': 'Its declarations, by unit tests; a project that was there, by programs/adopting.',
  'e2e/kills': 'An up that is killed at four points: e2e/topology.',
  'e2e/machine': 'The lab comes up, and goes without a trace: .ci/run.',
  'e2e/new-module': 'Removal and growth by unit tests and programs/growth.',
  'e2e/plain-pulumi': 'The same program under switchyard: e2e/topology.',
  'e2e/pod-start': 'What is told of a Pod that does not start, by unit and model tests.',
  'e2e/queue': 'Its decisions by model tests, its turns by real git.',
  'e2e/rebuild': 'Its plan and its data by unit tests; what it restores from: e2e/backup.',
  'e2e/rotate': 'Each step by unit tests; restic’s by programs/backup-restic.',
  'e2e/scaling': 'Its decisions by replay.',
  'e2e/services': 'Their declarations, by unit tests.',
  'e2e/storm': 'Every hook lost: e2e/reconcile.',
  'e2e/undo': 'A rollout that does not get ready, by unit tests.',
  'programs/own-repository': 'The package is built, and its examples compile: integration tests.',
  'programs/parts': 'Deploys work on their part: e2e/topology.',
  'programs/preview-engine': 'The same in its Pod: e2e/previews.',
  'programs/rebuild-engine': 'Its plan by unit tests.',
  'programs/two-clusters': 'The declarations of two clusters by unit tests.',
};

module.exports = { NIGHTS };

import { FaultGatherer, faultText } from '../../../operations/engine/faults';
import { says, urnOf } from '../../support/events';

const workload = urnOf('production', 'kubernetes:apps/v1:Deployment', 'production-shop-workload');
const stack = 'urn:pulumi:test::switchyard::pulumi:pulumi:Stack::switchyard-test';

const gather = (...events: Parameters<FaultGatherer['take']>[0][]) => {
  const gatherer = new FaultGatherer();
  for (const event of events) gatherer.take(event);
  return gatherer.all();
};

test("a provider's message is one line with its resource, without colours", () => {
  const { errors } = gather(
    says('error', '<{%fg 1%}>2 errors occurred:\n  * no image\n  * no Pod<{%reset%}>\n', workload),
  );
  expect(errors.map(faultText)).toEqual([
    'Deployment production-shop-workload: 2 errors occurred: * no image * no Pod',
  ]);
});

// The provider passes on what a container left as its termination message (pkg/kubernetes/pod/check.go of cloud-ready-checks 1.3).
test("what a container said in a provider's message moves no cursor", () => {
  const { errors } = gather(says('error', 'exit code 1\n\u001b[2J\u001b]0;x\u0007done\u009b1A', workload));
  expect(errors.map(({ message }) => message)).toEqual(['exit code 1 ?[2J?]0;x?done?1A']);
});

test("the program's faults are one line each, and each stands once", () => {
  const lines = 'stacks/a.yaml:1: x: is missing. Add it.\nstacks/a.yaml:2: y: is missing. Add it.\n';
  const { errors } = gather(says('error', lines, stack), says('error', lines));
  expect(errors.map(faultText)).toEqual(lines.trim().split('\n'));
});

test('"update failed" after the reason adds nothing', () => {
  expect(gather(says('error', 'update failed', stack), says('error', 'preview failed')).errors).toEqual([]);
});

test('warnings stand apart; debug messages, which hold secrets in the clear, are never shown', () => {
  const debug = says('info', 'RegisterResource prepared: hunter2');
  if (debug.diagnosticEvent) Object.assign(debug.diagnosticEvent, { severity: 'debug' });
  const found = gather(
    debug,
    says('info', 'fine'),
    says('warning', 'from $PATH'),
    says('warning', 'from $PATH'),
  );
  expect(found).toEqual({ errors: [], warnings: [{ message: 'from $PATH' }] });
});

import { nodeFault } from '../../../operations/cli/node';

test('an older Node is told in one line how to get a newer one', () => {
  expect(nodeFault('20.20.2')).toMatch(
    /^Node 20\.20\.2 is too old: 22 or newer is needed\. Run it through npm .+\.$/,
  );
  expect(nodeFault('22.0.0')).toBeUndefined();
  expect(nodeFault('24.1.0')).toBeUndefined();
});

import fc from 'fast-check';
import { ProblemsError } from '../../catalog/problems';
import { parseStack } from '../../stacks/load';
import { longestPause } from '../../stacks/schedule';
import { stackWith } from '../support/model';

const told = (keys: Parameters<typeof stackWith>[0]): string => {
  try {
    parseStack(stackWith(keys), 'stacks/Pulumi.test.yaml', 'test');
  } catch (error) {
    if (error instanceof ProblemsError) return error.message;
    throw error;
  }
  return '';
};
const BUCKET = 'repository: "s3:https://s3.test/bucket/x"';
const ofRetention = (schedule: string) => told({ registry: `retention: { schedule: "${schedule}" }` });

// robfig/cron, by which CronJobs go: `mustParseInt` reads steps as Go's `int`.
test.each(['*/99999999999999999999 * * * *', '*/61 * * * *', '0 */25 * * *', '1-5/60 0-23/25 * * *'])(
  'a step that is longer than its field is refused: the API server takes none that is no integer, and none means what it says: %s',
  (schedule) => {
    const lines = ofRetention(schedule).split('\n');
    for (const line of lines)
      expect(line).toMatch(
        /^stacks\/Pulumi\.test\.yaml:7: config\.registry\.retention\.schedule: has "[^"]+" for the (minute|hour), which is from 0 to \d+\. Write e\.g\./,
      );
  },
);

test.each([
  ['0 0 31 2 *', 29],
  ['0 0 30 2 1', 29],
  ['0 0 31 4,6,9,11 *', 30],
])('a schedule whose day no month has never comes, and is refused: %s', (schedule, most) => {
  expect(ofRetention(schedule)).toMatch(
    new RegExp(
      `: config\\.registry\\.retention\\.schedule: says day \\d+, which none of its months has\\. Write a day up to ${most}, or further months\\.$`,
    ),
  );
});

test.each(['*/60 */24 */31 */12 */7', '0 0 29 2 *', '0 0 31 2,3 *', '0 0 1-31 2 *', '00 03 * * *'])(
  'a schedule that comes is taken: %s',
  (schedule) => {
    expect(ofRetention(schedule)).toBe('');
  },
);

test.each<[string, number]>([
  ['17 * * * *', 60],
  ['*/20 * * * *', 20],
  ['*/25 * * * *', 25],
  ['17 3 * * *', 24 * 60],
  ['17 */12 * * *', 12 * 60],
  ['0 8-18 * * 1-5', (2 * 24 + 14) * 60],
  ['0 0 1 * *', 31 * 24 * 60],
  ['0 0 29 2 *', (4 * 365 + 1) * 24 * 60],
  // A list of all days is a day that was said: either will do.
  ['0 0 1-31 * 1', 24 * 60],
  ['0 0 1 * 0-6/1', 24 * 60],
])('the longest pause of %s is %d minutes', (schedule, minutes) => {
  expect(longestPause(schedule)).toBe(minutes);
});

test('backups that are late before the next one comes are refused, and those that are in time taken', () => {
  const backup = (schedule: string, hours?: number) =>
    told({
      backup: `${BUCKET}, schedule: "${schedule}"${hours === undefined ? '' : `, maximumAgeHours: ${hours}`}`,
    });
  expect(backup('17 3 * * *')).toBe(
    'stacks/Pulumi.test.yaml:8: config.backup.maximumAgeHours: is 3, and schedule leaves up to 24 hours between two backups: each would be late before the next. Write 25 or more, or back up more often.',
  );
  expect(backup('17 3 * * *', 25)).toBe('');
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 23 }), fc.integer({ min: 1, max: 24 }), (step, hours) => {
      const schedule = `0 */${step} * * *`;
      expect([schedule, hours, backup(schedule, hours) === '']).toEqual([schedule, hours, step <= hours]);
    }),
    { numRuns: 60 },
  );
});

test.each([
  ['s3:https://169.254.169.254/bucket/x', 'is link-local, or a metadata service.'],
  ['s3:https://10.0.0.07/bucket/x', 'has a host that is read as 10.0.0.7.'],
  ['s3:https://s3.test/bucket/../x', 'has an empty part, or "." or "..", in its path.'],
  ['s3:https://s3.test:0/bucket/x', 'names port 0.'],
])('a repository is an address like any other: %s', (repository, says) => {
  expect(told({ backup: `repository: "${repository}"` })).toContain(
    `stacks/Pulumi.test.yaml:8: config.backup.repository: ${says}`,
  );
});

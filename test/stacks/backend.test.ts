import { ProblemsError } from '../../catalog/problems';
import { backendFault } from '../../stacks/backend';
import { parseStack } from '../../stacks/load';
import { stackText } from '../support/model';

test.each([
  'file:///var/state',
  'file://~/state',
  's3://bucket',
  's3://bucket/path?region=eu-central-1&endpoint=http://198.18.0.2:9000&s3ForcePathStyle=true',
  'gs://bucket/path',
  'azblob://container?storage_account=name',
  'https://api.pulumi.com',
])('%s is a backend', (url) => {
  expect(backendFault(url)).toBeUndefined();
});

test.each([
  ['bucket', 'is not the URL of a state backend'],
  ['ftp://host/path', 'has the scheme "ftp", for which Pulumi has no backend'],
  ['http://pulumi.example.com', 'has the scheme "http", for which Pulumi has no backend'],
  ['file://./state', 'names a folder relative to wherever the command runs'],
  ['s3://', 'names no bucket'],
  ['azblob://?storage_account=a', 'names no container'],
  ['https://', 'names no host'],
  ['https://me:hunter2@pulumi.example.com', 'holds credentials'],
])('%s is none: it %s', (url, what) => {
  const fault = backendFault(url);
  expect(fault?.what).toBe(what);
  expect(fault?.remedy).toMatch(/^(Use|Write|Give) /);
  expect(`${fault?.what} ${fault?.remedy}`).not.toContain('hunter2');
});

test('a stack file with such a URL is refused at its line', () => {
  const text = stackText.replace('file:///state', 'swift://state');
  const parse = () => parseStack(text, 'stacks/Pulumi.test.yaml', 'test');
  expect(parse).toThrow(ProblemsError);
  expect(parse).toThrow(
    /^stacks\/Pulumi\.test\.yaml:3: config\.backend: has the scheme "swift", for which Pulumi has no backend\. Use /,
  );
});

test('copies of the state go to a backend too, and only production asks for its name', () => {
  const with_ = (line: string) => parseStack(`${stackText}  ${line}\n`, 'stacks/Pulumi.test.yaml', 'test');
  expect(with_('switchyard:stateCopies: "gs://copies"').stateCopies).toBe('gs://copies');
  expect(() => with_('switchyard:stateCopies: copies')).toThrow(/config\.stateCopies: is not the URL/);
  expect(with_('switchyard:confirm: true').confirm).toBe(true);
  expect(with_('gitlab:insecure: false').confirm).toBe(false);
});

import { ProblemsError } from '../../catalog/problems';
import { backendFault } from '../../stacks/backend';
import { parseStack } from '../../stacks/load';
import { stackText, stackWith } from '../support/model';

test.each([
  'file:///var/state',
  'file://~/state',
  's3://bucket',
  's3://bucket/path?region=eu-central-1&endpoint=http://198.18.0.2:9000&s3ForcePathStyle=true',
  'gs://bucket/path',
  'azblob://container?storage_account=name',
  'azblob://container?storage_account=name&domain=blob.core.windows.net&protocol=https',
  'gs://bucket?access_id=state@project.iam.gserviceaccount.com',
  's3://bucket?endpoint=minio.test:9000&disableSSL=true',
  's3://bucket?profile=ci&awssdk=v2&role=arn:aws:iam::1:role/a@b&prefix=a@b/',
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
  ['s3://b?endpoint=https://me:hunter2@host', 'holds credentials in its parameter "endpoint"'],
  ['s3://b?endpoint=https%3A%2F%2Fhunter2%40host', 'holds credentials in its parameter "endpoint"'],
  ['s3://b?region=x&endpoint=hunter2@host:9000', 'holds credentials in its parameter "endpoint"'],
  [
    's3://b?endpoint=https://host&endpoint=https://hunter2@host',
    'holds credentials in its parameter "endpoint"',
  ],
  ['s3://b?endpoint=https%3A%2F%2Fhost%3Ftoken%3Dhunter2', 'holds credentials in its parameter "endpoint"'],
  ['s3://b?accessKey=me&secretKey=hunter2', 'holds credentials in its parameter "accessKey"'],
  ['azblob://c?storage_account=a&sas_token=sv=hunter2', 'holds credentials in its parameter "sas_token"'],
  ['azblob://c?storage_account=a&account_key=hunter2', 'holds credentials in its parameter "account_key"'],
  ['azblob://c?sv=2026&sig=hunter2', 'holds credentials in its parameter "sig"'],
  ['azblob://c?domain=hunter2@host', 'holds credentials in its parameter "domain"'],
  ['gs://b?private_key=hunter2', 'holds credentials in its parameter "private_key"'],
  ['s3://b?storage_account=a', 'has the parameter "storage_account", which s3:// does not take'],
  ['s3://b?endpont=http://host', 'has the parameter "endpont", which s3:// does not take'],
  ['https://api.pulumi.com?access_token=hunter2', 'holds credentials in its parameter "access_token"'],
  ['https://api.pulumi.com/?org=x', 'has the parameter "org", which https:// does not take'],
  ['s3://b?hunter2', 'has a parameter that s3:// does not take'],
  ['s3://b#hunter2', 'has a part after "#"'],
])('%s is none: it %s', (url, what) => {
  const fault = backendFault(url);
  expect(fault?.what).toBe(what);
  expect(fault?.remedy).toMatch(/^(Use|Write|Give|Did|Leave|Known:) /);
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

test('a repository of backups is an address without a login, a query and a fragment', () => {
  const faults = (repository: string): string => {
    try {
      parseStack(stackWith({ backup: `repository: "${repository}"` }), 'stacks/Pulumi.test.yaml', 'test');
      return '';
    } catch (error) {
      return (error as Error).message;
    }
  };
  expect(faults('s3:https://s3.test/bucket/copies')).toBe('');
  for (const rest of [
    'https://key:hunter2@s3.test/bucket',
    'https://hunter2@s3.test/bucket',
    'https://s3.test/bucket?secret=hunter2',
    'https://s3.test/bucket#hunter2',
  ]) {
    const told = faults(`s3:${rest}`);
    expect(told).toMatch(/^stacks\/Pulumi\.test\.yaml:\d+: config\.backup\.repository: /);
    expect(told).not.toContain('hunter2');
  }
});

import { createHmac } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { exitCode, Failure } from '../../clients/failure';
import { canonical, sign } from '../../delivery/certificate';
import { certificateFile, readCertificate, readSealed, writeCertificate } from '../../delivery/state';
import { green, KEY } from './certificates';

const variables = {
  BUILD_URL: green.build,
  REGISTRY: 'registry.example:5000',
  SWITCHYARD_CERTIFICATE_KEY: KEY,
  SWITCHYARD_GITLAB_GROUP: 'switchyard',
  SWITCHYARD_GITLAB_PROJECTS: '',
  SWITCHYARD_MODULE: 'orders',
  gitlabMergeRequestIid: '7',
};
const before = { ...process.env };
let workspace: string;
let file: string;

beforeEach(() => {
  workspace = mkdtempSync(join(tmpdir(), 'state-'));
  Object.assign(process.env, variables, { SWITCHYARD_STATE: join(workspace, 'state') });
  file = certificateFile(workspace);
});
afterEach(() => {
  process.env = { ...before };
  rmSync(workspace, { recursive: true });
});

const refused = (act: () => unknown = () => readCertificate(workspace)): Failure => {
  try {
    act();
  } catch (error) {
    if (error instanceof Failure) return error;
    throw error;
  }
  throw new Error('expected a failure');
};
/** Changes what stands in the file, and leaves its seal. */
const change = (edit: (text: string) => string): void =>
  writeFileSync(file, edit(readFileSync(file, 'utf8')));
const sealed = (): { kind: string; binding: Record<string, unknown>; value: object; seal: string } =>
  JSON.parse(readFileSync(file, 'utf8'));

describe('the certificate between two commands', () => {
  it('comes back as it was written, for its owner only, and lies where the Pod says', () => {
    writeCertificate(workspace, green);
    expect(readCertificate(workspace)).toEqual(green);
    expect(file).toBe(join(workspace, 'state', 'certificate.json'));
    expect(statSync(file).mode & 0o777).toBe(0o600);
    process.env.SWITCHYARD_STATE = '';
    expect(certificateFile(workspace)).toBe(join(workspace, '.switchyard', 'state', 'certificate.json'));
  });

  it('is missing with its remedy before `source` ran', () => {
    expect(refused()).toMatchObject({
      code: exitCode.input,
      message: `${file}: is missing. Run \`delivery source\` first, in the same folder.`,
    });
  });

  it.each([
    ['a failed test that passed', (text: string) => text.replace('"failed":0', '"failed":1')],
    ['another image', (text: string) => text.replace('"digest":"sha256:d', '"digest":"sha256:e')],
    ['another policy', (text: string) => text.replace('"policy":"automatic"', '"policy":"manual"')],
    ['another kind', (text: string) => text.replace('"kind":"certificate"', '"kind":"deployment"')],
    ['another build in its binding', (text: string) => text.replace('orders/3/","', 'orders/4/","')],
    ['a seal of zeros', (text: string) => text.replace(/"seal":"\w+"/, `"seal":"${'0'.repeat(64)}"`)],
  ])('is refused when %s stands in it', (_what, edit) => {
    writeCertificate(workspace, green);
    const written = readFileSync(file, 'utf8');
    change(edit);
    expect(readFileSync(file, 'utf8')).not.toBe(written);
    expect(refused()).toMatchObject({
      code: exitCode.red,
      message: expect.stringMatching(
        /is not what this build wrote: its seal does not hold\. Nothing of it is used: run the build again\./,
      ),
    });
  });

  it.each([
    ['the certificate alone, as it was kept before', () => JSON.stringify(green)],
    ['text', () => 'not JSON'],
    ['nothing', () => ''],
    ['a seal that is none', () => JSON.stringify({ ...sealed(), seal: 'x' })],
    ['a part that nobody sealed', () => JSON.stringify({ ...sealed(), extra: 1 })],
  ])('is refused when the file holds %s', (_what, text) => {
    writeCertificate(workspace, green);
    writeFileSync(file, text());
    expect(refused()).toMatchObject({ code: exitCode.red });
    expect(refused().message).toContain('is not what this build wrote');
  });

  it("counts no note's signature, which everybody can read, and no key of others, as a seal", () => {
    writeCertificate(workspace, green);
    const { seal, ...about } = sealed();
    const forged = [
      sign(green, KEY),
      createHmac('sha256', KEY).update(canonical(about)).digest('hex'),
      createHmac('sha256', `${KEY}2`).update(canonical(about)).digest('hex'),
    ];
    for (const other of forged) {
      writeFileSync(file, JSON.stringify({ ...about, seal: other }));
      expect(refused().message).toContain('its seal does not hold');
    }
    writeFileSync(file, JSON.stringify({ ...about, seal }));
    expect(readCertificate(workspace)).toEqual(green);
  });

  it.each([
    ['an older build', { BUILD_URL: 'http://jenkins.example/job/switchyard/job/orders/4/' }],
    ['another merge request', { gitlabMergeRequestIid: '8' }],
    ['another module', { SWITCHYARD_MODULE: 'billing' }],
    ['a project elsewhere', { SWITCHYARD_GITLAB_PROJECTS: 'orders=legacy/orders' }],
    ['another group', { SWITCHYARD_GITLAB_GROUP: 'others' }],
  ])('is refused when it is a true one of %s', (_what, other) => {
    writeCertificate(workspace, green);
    Object.assign(process.env, other);
    expect(refused()).toMatchObject({ code: exitCode.red });
    expect(refused().message).toContain('belongs to another build, module or merge request');
  });

  it.each([
    ['module', { module: 'billing' }],
    ['project', { project: 'switchyard/billing' }],
    ['mergeRequest', { mergeRequest: 8 }],
    ['build', { build: 'http://jenkins.example/job/switchyard/job/orders/2/' }],
    ['image', { image: { ...green.image, repository: 'registry.example:5000/modules/billing' } }],
  ])('is not even sealed with %s of another', (_name, other) => {
    const failure = refused(() => writeCertificate(workspace, { ...green, ...other } as typeof green));
    expect(failure.code).toBe(exitCode.red);
    expect(existsSync(file)).toBe(false);
  });

  it('is refused when the registry that holds its image is another by now', () => {
    writeCertificate(workspace, green);
    process.env.REGISTRY = 'registry.example:5001';
    expect(refused().message).toContain("and orders's are of registry.example:5001/modules/orders");
  });

  it.each<[string, () => void]>([
    [
      'a link, also to a true one',
      () => {
        writeFileSync(join(workspace, 'true.json'), readFileSync(file));
        rmSync(file);
        symlinkSync(join(workspace, 'true.json'), file);
      },
    ],
    [
      'a folder',
      () => {
        rmSync(file);
        mkdirSync(file);
      },
    ],
    ['endless', () => truncateSync(file, (8 << 20) + 1)],
  ])('is refused when its file is %s', (_what, make) => {
    writeCertificate(workspace, green);
    make();
    expect(refused()).toMatchObject({ code: exitCode.red });
    expect(refused().message).toContain('is not a plain file');
  });

  it('needs the key, and says so', () => {
    writeCertificate(workspace, green);
    delete process.env.SWITCHYARD_CERTIFICATE_KEY;
    expect(refused()).toMatchObject({ code: exitCode.input });
    expect(refused().message).toContain('SWITCHYARD_CERTIFICATE_KEY is not set');
  });

  it('never shows the key in what it says', () => {
    writeCertificate(workspace, green);
    expect(readFileSync(file, 'utf8')).not.toContain(KEY);
    change(() => '');
    expect(refused().message).not.toContain(KEY);
  });
});

it('a value of one purpose is not read for another', () => {
  writeCertificate(workspace, green);
  const { binding } = sealed() as { binding: Record<string, string | number> };
  const read = () => readSealed(file, 'deployment', binding, z.unknown(), '');
  expect(refused(read).message).toContain('belongs to another build');
});

import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { finalStatus, mergeRequest, openMergeRequest, productionVersion, travel } from '../../../lab/journey';
import { openLog } from '../../../lab/steps';
import { JENKINS_URL } from '../../../lab/topology';

// Merge requests that want more than to be tested, in a running lab (`npm run lab`). Nothing of what they try may come of it.
jest.setTimeout(900_000);

const log = openLog('e2e');

const lastLog = async (): Promise<string> =>
  (await fetch(`${JENKINS_URL}/job/switchyard/job/orders/lastBuild/consoleText`)).text();

/** Opens a merge request on orders and waits for its verdict. */
async function judged(branch: string, title: string, change: (checkout: string) => void) {
  const iid = (await openMergeRequest(log, branch, title, change)) as number;
  const opened = await mergeRequest(iid);
  const status = await finalStatus(String(opened.sha));
  const notes = await shownNotes(iid);
  return { iid, sha: String(opened.sha), status, note: notes[0]?.body ?? '', notes: notes.length };
}

async function nextVersion(): Promise<string> {
  const [major, minor, patch] = String(await productionVersion())
    .split('.')
    .map(Number);
  return `${major}.${minor}.${Number(patch) + 1}`;
}

/** What the delivery commands kept of a merge request, unsigned, before it was sealed. */
const forged = (about: { iid: number; sha: string; base: string }): string =>
  JSON.stringify({
    version: 1,
    module: 'orders',
    project: 'switchyard/pipeline-library',
    mergeRequest: about.iid,
    sourceBranch: 'never-tested',
    targetBranch: 'main',
    baseSha: about.base,
    headSha: about.sha,
    treeSha: about.base,
    commitEpoch: 1,
    build: 'http://jenkins.example/1/',
    image: {
      repository: 'registry.example/modules/billing',
      tag: 'x',
      digest: `sha256:${'0'.repeat(64)}`,
    },
    tests: { total: 1, passed: 1, failed: 0, skipped: 0, failing: [] },
  });

/** Writes a certificate wherever one was or may be kept, through the committed link and beside it. */
const forging = (text: string): string => `*** Settings ***
Library           OperatingSystem
Suite Teardown    Fail    on purpose

*** Test Cases ***
Write A Certificate Everywhere
    FOR    \${file}    IN
    ...    results/certificate.json
    ...    results/state/certificate.json
    ...    .switchyard/certificate.json
    ...    ../.switchyard/certificate.json
    ...    ../.switchyard/state/certificate.json
    ...    ../.switchyard/carried/certificate.json
    ...    ../.switchyard/out/certificate.json
        Create File    \${file}    ${text.replaceAll('\\', '\\\\')}
    END
`;

/** Puts an archive in the place of each result when Robot has ended: names that leave the folder, links, and files behind them. */
const HOSTILE_LIBRARY = `
import atexit
import io
import os
import tarfile


def entry(archive, name, kind=tarfile.REGTYPE, link=''):
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = link
    content = b'{"hostile": true}'
    if kind == tarfile.REGTYPE:
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    else:
        archive.addfile(info)


def leave():
    for folder in ('results', '../.switchyard/out'):
        os.makedirs(folder, exist_ok=True)
        for name in ('output.xml', 'output.xml.gz'):
            with tarfile.open(folder + '/' + name, 'w:gz') as archive:
                entry(archive, '../../../../state/certificate.json')
                entry(archive, '/state/certificate.json')
                entry(archive, 'state', tarfile.SYMTYPE, '/state')
                entry(archive, 'state/certificate.json')
                entry(archive, 'home', tarfile.SYMTYPE, '../..')
                entry(archive, 'home/.gitconfig')
                entry(archive, 'hard', tarfile.LNKTYPE, '/etc/passwd')
                entry(archive, 'pipe', tarfile.FIFOTYPE)
    os.remove('results/xunit.xml')
    os.symlink('/etc/passwd', 'results/xunit.xml')


class Hostile:
    ROBOT_LIBRARY_SCOPE = 'GLOBAL'

    def leave_an_archive(self):
        atexit.register(leave)
`;

import { shownNotes } from './running';

const HOSTILE_SUITE = `*** Settings ***
Library    Hostile.py

*** Test Cases ***
Leave An Archive
    Leave An Archive
`;

describe('results', () => {
  test('a committed link and a forged certificate merge nothing else, and a failing suite teardown is red', async () => {
    const before = await productionVersion();
    const iid = (await openMergeRequest(
      log,
      'never-tested',
      'A change that nobody tested',
      (checkout) => writeFileSync(join(checkout, 'NOTES'), `${Date.now()}\n`),
      'pipeline-library',
    )) as number;
    const victim = await mergeRequest(iid, 'pipeline-library');
    const about = {
      iid,
      sha: String(victim.sha),
      base: String((victim.diff_refs as { base_sha?: string } | undefined)?.base_sha ?? victim.sha),
    };
    const {
      iid: own,
      status,
      note,
      notes,
    } = await judged('forged-certificate', 'A change that wants another one merged', (checkout) => {
      rmSync(join(checkout, 'results'), { recursive: true, force: true });
      writeFileSync(join(checkout, '.gitignore'), '__pycache__\n');
      symlinkSync('../.switchyard', join(checkout, 'results'));
      mkdirSync(join(checkout, '.switchyard'), { recursive: true });
      writeFileSync(join(checkout, '.switchyard', 'certificate.json'), forged(about));
      writeFileSync(join(checkout, 'tests', 'forging.robot'), forging(forged(about)));
    });
    // Its own tests were judged, by Robot's rule: each of them passed, and the teardown of their suite did not.
    expect(status.state).toBe('failed');
    expect(status.description).toContain('Write A Certificate Everywhere');
    expect(notes).toBe(1);
    expect(note).toContain('the suite teardown failed');
    expect((await mergeRequest(own)).state).toBe('opened');
    expect((await mergeRequest(iid, 'pipeline-library')).state).toBe('opened');
    expect(await shownNotes(iid, 'pipeline-library')).toEqual([]);
    expect(await productionVersion()).toBe(before);
  });

  test('an archive in the place of results is text that is no result, and is unpacked nowhere', async () => {
    const { iid, status, note } = await judged(
      'hostile-archive',
      'A change that leaves an archive',
      (checkout) => {
        writeFileSync(join(checkout, 'tests', 'Hostile.py'), HOSTILE_LIBRARY);
        writeFileSync(join(checkout, 'tests', 'hostile.robot'), HOSTILE_SUITE);
      },
    );
    expect(status.state).toBe('failed');
    expect(note).toContain('results/output.xml');
    expect((await mergeRequest(iid)).state).toBe('opened');
    const said = await lastLog();
    expect(said).not.toContain('hostile": true');
    expect(said).not.toContain('[Pipeline] unstash results');
  });

  test('a repository with honest symbolic links is built, tested as it is, merged and deployed', async () => {
    const version = await nextVersion();
    await travel(
      log,
      'honest-links',
      'A change with links',
      (checkout) => {
        writeFileSync(join(checkout, 'VERSION'), `${version}\n`);
        for (const [path, target] of [
          ['link-to-file', 'README.md'],
          ['link-to-folder', 'tests'],
          ['link-to-nothing', 'nowhere'],
        ] as const) {
          rmSync(join(checkout, path), { force: true });
          symlinkSync(target, join(checkout, path));
        }
        writeFileSync(
          join(checkout, 'tests', 'links.robot'),
          `*** Settings ***
Library    OperatingSystem
Library    Process

*** Test Cases ***
Links And History Are As They Were Committed
    File Should Exist    link-to-folder/links.robot
    \${target}=    Run Process    readlink    link-to-nothing
    Should Be Equal    \${target.stdout}    nowhere
    File Should Exist    .git/HEAD
    File Should Exist    .gitignore
`,
        );
      },
      version,
    );
    expect(await productionVersion()).toBe(version);
  });
});

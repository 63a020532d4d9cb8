import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { parse } from 'yaml';
import type { Release } from '../../catalog/ledger';
import { findModule, loadCatalog } from '../../catalog/load';
import { gitEnvironment } from '../../clients/git';
import type { MergeRequest } from '../../clients/gitlab';
import { bearerChallenge } from '../../clients/registry';
import { decideLedger, type Relation } from '../../delivery/deploy';
import { buildctlArguments, buildScript, gateAddress, waitForBuild } from '../../delivery/image';
import { credentialsFor } from '../../delivery/open-registry';
import { readSettings } from '../../delivery/settings';
import { carryScript, podYaml, testPod, testScript } from '../../delivery/test-pod';
import { decideMerge, explainMergeError, whyOther } from '../../delivery/verify';
import { imageFor, loadStack } from '../../stacks/load';
import { green, red, sha } from './certificates';

const root = join(__dirname, '..', '..');
const catalog = loadCatalog(join(root, 'catalog'));
const orders = findModule(catalog, 'orders');
const settings = loadStack(join(root, 'stacks'), 'lab');

const request: MergeRequest = {
  id: 70,
  iid: 7,
  state: 'opened',
  draft: false,
  sha: green.headSha,
  title: 'Feature',
  source_branch: 'feature',
  target_branch: 'main',
  source_project_id: 1,
  target_project_id: 1,
};

describe('a merge', () => {
  it('happens only for a green certificate of this head on this base', () => {
    expect(decideMerge(green, request, { head: green.baseSha }, 'automatic')).toEqual({ do: 'merge' });
  });

  it('happens on another base only where merging gives the tested tree', () => {
    const on = (merged?: string) =>
      decideMerge(green, request, { head: sha('f'), ...(merged ? { merged } : {}) }, 'automatic');
    expect(on(green.treeSha)).toEqual({ do: 'merge' });
    expect([on(), on(sha('e')), on(green.baseSha)].map((decision) => decision.do)).toEqual([
      'again',
      'again',
      'again',
    ]);
    // No tree, no merge: nothing was tested.
    const { treeSha: _, ...untested } = green;
    expect(decideMerge(untested, request, { head: sha('f') }, 'automatic').do).toBe('refuse');
  });

  it.each([
    ['refuse', red, request, green.baseSha, 'automatic'],
    [
      'refuse',
      { ...green, tests: { ...green.tests, passed: 0, total: 0 } },
      request,
      green.baseSha,
      'automatic',
    ],
    ['leave', green, { ...request, state: 'closed' }, green.baseSha, 'automatic'],
    ['leave', green, { ...request, draft: true }, green.baseSha, 'automatic'],
    ['leave', green, { ...request, sha: sha('f') }, green.baseSha, 'automatic'],
    ['leave', { ...green, policy: 'manual' }, request, green.baseSha, 'manual'],
    ['leave', { ...green, policy: 'manual' }, request, green.baseSha, 'automatic'],
    ['leave', green, request, green.baseSha, 'manual'],
    ['leave', { ...green, policy: 'manual', gate: { since: 1 } }, request, green.baseSha, 'manual'],
    ['leave', green, request, green.baseSha, 'reviewed'],
    // Nobody has asked who approved it.
    ['leave', { ...green, policy: 'reviewed' }, request, green.baseSha, 'reviewed'],
    ['refuse', green, { ...request, iid: 8 }, green.baseSha, 'automatic'],
    ['refuse', green, { ...request, target_project_id: 2 }, green.baseSha, 'automatic'],
    ['refuse', { ...green, projectId: 2 }, request, green.baseSha, 'automatic'],
    ['again', green, request, sha('f'), 'automatic'],
    ['again', green, { ...request, target_branch: 'release' }, green.baseSha, 'automatic'],
  ] as const)('%# does not happen otherwise: %s', (outcome, certificate, state, base, policy) => {
    const decision = decideMerge(certificate as typeof green, state as MergeRequest, { head: base }, policy);
    expect(decision.do).toBe(outcome);
  });

  it.each([
    [green, request, undefined],
    [green, { ...request, iid: 8 }, 'belongs to !7 of project 1, and this is !8 of project 1'],
    [green, { ...request, target_project_id: 2 }, 'belongs to !7 of project 1, and this is !7 of project 2'],
    [{ ...green, projectId: 3 }, request, 'belongs to !7 of project 3, and this is !7 of project 1'],
  ])('%# is of the merge request that the certificate is of', (certificate, state, why) => {
    const said = whyOther(certificate, state as MergeRequest);
    expect(said).toEqual(why === undefined ? undefined : expect.stringContaining(why));
  });

  it.each([
    [401, 'refuse'],
    [404, 'leave'],
    [405, 'leave'],
    [406, 'leave'],
    [409, 'leave'],
    [422, 'refuse'],
    [418, 'refuse'],
  ])('that GitLab answers with %d ends with "%s" and says the number and why', (status, outcome) => {
    const decision = explainMergeError(status, 'because');
    expect(decision.do).toBe(outcome);
    expect(decision.why).toContain(String(status));
    expect(decision.why).toContain('because');
  });
});

describe('the ledger decision', () => {
  const release = (commit: string): Release => ({
    image: green.image ? `${green.image.repository}@${green.image.digest}` : '',
    commit,
    mergeRequest: 7,
    build: green.build,
  });

  it('writes an older or unrelated commit only as a rollback', () => {
    fc.assert(
      fc.property(
        fc.constantFrom<Relation>('first', 'same', 'newer', 'older', 'unrelated'),
        fc.boolean(),
        (relation, rollback) => {
          const decision = decideLedger(release(sha('1')), release(sha('2')), relation, {
            rollback,
            ran: false,
          });
          const backwards = relation === 'older' || relation === 'unrelated';
          if (backwards && !rollback) expect(['skip', 'refuse']).toContain(decision.do);
          else expect(['write', 'keep']).toContain(decision.do);
        },
      ),
    );
  });
});

describe('the image build', () => {
  const plan = {
    module: { ...orders, image: { dockerfile: 'docker/Dockerfile', args: { B: '2,3', A: '1' } } },
    certificate: green,
    gate: '10.1.2.3:8099',
    attestations: false,
    context: 'context',
  };

  it('hands over to its gate, dated by the commit; it reads the cache of main and writes one of its own', () => {
    const args = buildctlArguments(plan);
    expect(args).toEqual(
      expect.arrayContaining([
        '--frontend=dockerfile.v0',
        '--local=context=context',
        '--local=dockerfile=context/docker',
        '--opt=filename=Dockerfile',
        '--opt=build-arg:A=1',
        '--opt=build-arg:B=2,3',
        '--opt=build-arg:SOURCE_DATE_EPOCH=1760000000',
        '--output=type=image,name=10.1.2.3:8099/modules/orders:mr-7-bbbbbbbb,push=true,rewrite-timestamp=true',
        '--import-cache=type=registry,ref=10.1.2.3:8099/modules/orders:buildcache',
        '--export-cache=type=registry,ref=10.1.2.3:8099/modules/orders:mr-7-bbbbbbbb-cache,mode=max,image-manifest=true,oci-mediatypes=true',
      ]),
    );
    // No step may ask for more than BuildKit gives by itself.
    expect(args.join(' ')).not.toMatch(/allow|entitlement|insecure/);
    // BuildKit takes any `attest:` for a wish, `disabled=true` too.
    expect(args.join(' ')).not.toContain('attest:');
    expect(buildctlArguments({ ...plan, attestations: true })).toEqual(
      expect.arrayContaining(['--opt=attest:sbom=', '--opt=attest:provenance=mode=max']),
    );
  });

  it('is waited for until the pipeline says how it ended, and not for ever', async () => {
    const workspace = mkdtempSync(join(tmpdir(), 'switchyard-build-'));
    const folder = join(workspace, '.switchyard', 'build');
    mkdirSync(folder, { recursive: true });
    await expect(waitForBuild(workspace, 1, 20)).rejects.toThrow('nobody said how');
    writeFileSync(join(folder, 'ended'), '1');
    await expect(waitForBuild(workspace, 1)).rejects.toThrow('ended with 1');
    writeFileSync(join(folder, 'ended'), '0\n');
    await expect(waitForBuild(workspace, 1)).resolves.toBeUndefined();
    rmSync(workspace, { recursive: true });
  });

  it('is a script whose words are taken as they stand', () => {
    const script = buildScript('10.1.2.3:8099', ['build', "--opt=build-arg:A=$(id) `id` 'x'"]);
    expect(script).toContain(`buildctl 'build' '--opt=build-arg:A=$(id) \`id\` '\\''x'\\''' 2>&1 ||`);
    const checked = spawnSync('sh', ['-n'], { input: script, encoding: 'utf8' });
    expect(checked.stderr).toBe('');
    expect(() => buildScript('10.1.2.3:8099', ['build', '--opt=build-arg:A=a\0b'])).toThrow('NUL');
    expect(gateAddress('10.1.2.3')).toBe('10.1.2.3:8099');
    expect(gateAddress('fd00::7')).toBe('[fd00::7]:8099');
  });
});

describe('the test Pod', () => {
  const input = {
    catalog,
    module: orders,
    settings,
    certificate: green,
    pullSecrets: ['registry-pull'],
  };
  const pod = testPod(input);

  it('is the same bytes for the same input', () => {
    expect(podYaml(testPod(input))).toBe(podYaml(pod));
    expect(parse(podYaml(pod))).toEqual(JSON.parse(JSON.stringify(pod)));
  });

  it('has each service as a native sidecar that is awaited, and the module by digest', () => {
    expect(pod.spec.initContainers.map(({ name }) => name)).toEqual(orders.services.map(({ name }) => name));
    for (const service of pod.spec.initContainers) {
      expect(service.restartPolicy).toBe('Always');
      expect(service.startupProbe).toBeDefined();
    }
    expect(pod.spec.containers.map(({ name }) => name)).toEqual(['app', 'robot', 'jnlp', 'carrier']);
    expect(pod.spec.containers[2]?.image).toBe(imageFor(settings, 'inboundAgent'));
    expect(pod.spec.containers[0]?.image).toBe(`${green.image?.repository}@${green.image?.digest}`);
  });

  it('has a volume for what leaves it, which neither the tests nor what is tested have', () => {
    const having = [...pod.spec.initContainers, ...pod.spec.containers].filter(({ volumeMounts }) =>
      volumeMounts.some(({ name }) => name === 'carried'),
    );
    expect(having.map(({ name }) => name)).toEqual(['jnlp', 'carrier']);
    expect(pod.spec.volumes).toContainEqual({ name: 'carried', emptyDir: { sizeLimit: '512Mi' } });
    // The shell is what runs, whatever Kubernetes makes of `$`.
    const [, , script = ''] = pod.spec.containers.find(({ name }) => name === 'carrier')?.command ?? [];
    expect(script.replaceAll('$$', '$')).toBe(`${carryScript(orders)}exec sleep infinity\n`);
  });

  it('fits Pod Security restricted in every container and brings no service account', () => {
    expect(pod.spec.automountServiceAccountToken).toBe(false);
    expect(pod.spec.securityContext).toMatchObject({
      runAsNonRoot: true,
      seccompProfile: { type: 'RuntimeDefault' },
    });
    for (const container of [...pod.spec.initContainers, ...pod.spec.containers]) {
      expect(container.securityContext).toMatchObject({
        allowPrivilegeEscalation: false,
        capabilities: { drop: ['ALL'] },
        runAsNonRoot: true,
      });
      expect(container.resources.limits.memory).toBeDefined();
    }
  });

  it('mounts nothing that it does not declare, and says when it may be reaped', () => {
    const volumes = pod.spec.volumes.map(({ name }) => name);
    const mounts = [...pod.spec.initContainers, ...pod.spec.containers].flatMap((container) =>
      'volumeMounts' in container && container.volumeMounts
        ? container.volumeMounts.map(({ name }) => name)
        : [],
    );
    expect(new Set(volumes).size).toBe(volumes.length);
    // Jenkins mounts the workspace into each container, where a volume of that name is there already.
    expect([...new Set(mounts), 'workspace-volume'].sort()).toEqual([...volumes].sort());
    expect(pod.metadata.labels).toMatchObject({
      'switchyard.dev/expires': `${orders.test.timeoutMinutes * 60 + 2400}s`,
      'switchyard.dev/module': 'orders',
      'switchyard.dev/purpose': 'test',
    });
  });

  it('is refused without an image, and when two containers want one port', () => {
    expect(() => testPod({ ...input, certificate: { ...green, image: undefined } })).toThrow(
      /delivery build/,
    );
    expect(() => testPod({ ...input, module: { ...orders, port: 3306 } })).toThrow(/both listen on 3306/);
  });

  it('runs the tests after results of before are gone', () => {
    const script = testScript({
      ...orders,
      test: { ...orders.test, results: "it's", command: 'robot tests' },
    });
    expect(script).toContain("rm -rf -- 'it'\\''s'");
    expect(script.indexOf('rm -rf')).toBeLessThan(script.indexOf('robot tests'));
  });
});

describe('settings and credentials', () => {
  it('names every missing variable at once, with its remedy', () => {
    expect(() =>
      readSettings(['GITLAB_URL', 'GITLAB_TOKEN', 'SWITCHYARD_POD_IP'], { GITLAB_URL: 'gitlab' }),
    ).toThrow(/GITLAB_URL is not a URL[\s\S]*GITLAB_TOKEN is not set[\s\S]*SWITCHYARD_POD_IP is not set/);
  });

  it('gives git its token only by a header bound to the project, and no child the other secrets', () => {
    const environment = gitEnvironment(
      { url: 'https://gitlab.example/a/b.git', token: 'secret-token' },
      { PATH: '/bin', GITLAB_TOKEN: 'secret-token', SWITCHYARD_CERTIFICATE_KEY: 'k', GIT_DIR: '/x' },
    );
    expect(JSON.stringify(environment)).not.toContain('secret-token');
    expect(environment).toMatchObject({
      PATH: '/bin',
      GIT_CONFIG_KEY_0: 'http.https://gitlab.example/a/b.git.extraHeader',
    });
    expect(environment).not.toHaveProperty('SWITCHYARD_CERTIFICATE_KEY');
    expect(environment).not.toHaveProperty('GIT_DIR');
  });

  it('finds the registry in docker’s config, and reads a bearer challenge', () => {
    const config = JSON.stringify({
      auths: { 'https://r.example:5000/v2/': { auth: 'eA==' }, other: { auth: 'bm8=' } },
    });
    expect(credentialsFor(config, 'r.example:5000', 'config.json')).toBe('eA==');
    expect(credentialsFor(config, 'r.example', 'config.json')).toBeUndefined();
    expect(() => credentialsFor('[]', 'r', 'config.json')).toThrow(/config\.json: is not a docker config/);
    expect(bearerChallenge('Bearer realm="https://a/t",service="s",scope="repository:m:pull,push"')).toEqual({
      realm: 'https://a/t',
      service: 's',
      scope: 'repository:m:pull,push',
    });
    expect(bearerChallenge('Basic realm="x"')).toBeUndefined();
  });
});

test('a module whose project lies elsewhere is looked for there, and none other is', () => {
  const projects = (value?: string) =>
    readSettings(['SWITCHYARD_GITLAB_PROJECTS'], { SWITCHYARD_GITLAB_PROJECTS: value })
      .SWITCHYARD_GITLAB_PROJECTS;
  expect([...projects('orders=legacy/orders,shop=old/Shop')]).toEqual([
    ['orders', 'legacy/orders'],
    ['shop', 'old/Shop'],
  ]);
  expect([...projects()]).toEqual([]);
});

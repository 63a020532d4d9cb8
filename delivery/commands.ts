import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Command, CommanderError } from 'commander';
import { TEST_CONTAINERS } from '../catalog/containers';
import { LEDGER_PROJECT } from '../catalog/ledger';
import { findModule, loadCatalog, type Module } from '../catalog/load';
import { ProblemsError } from '../catalog/problems';
import { exitCode, Failure } from '../clients/failure';
import { WorkingCopy } from '../clients/git';
import { GitLab } from '../clients/gitlab';
import { Cluster, podToken } from '../clients/kubernetes-in-pod';
import { PATIENT, RegistryAway } from '../clients/registry';
import type { Policy } from '../clients/retry';
import { projectsOf } from '../stacks/gitlab';
import { loadStack } from '../stacks/load';
import { wholeNumber } from '../text/arguments';
import { redact } from '../text/hide';
import { readAgentStart } from './agent-start';
import { addAppliedCommand, Ended } from './applied';
import { addBackupCommands } from './backup/commands';
import { type Certificate, declaredAs, isQueued } from './certificate';
import {
  deploy,
  earlierInLedger,
  readDeployment,
  reportRollout,
  reportUnstarted,
  writeDeployment,
} from './deploy';
import { addDriftCommands } from './drift/commands';
import { asksOthers, noHistory, readHistory, readOthers, withFlaky, withHistory } from './flaky';
import { openGate } from './gate';
import {
  imageTag,
  readGateToken,
  removeBuildFolder,
  repositoryName,
  repositoryOf,
  waitForBuild,
  writeBuildFolder,
} from './image';
import { LEDGER_BRANCH, short } from './ledger';
import { verdictLine } from './note';
import { openRegistry } from './open-registry';
import { packParcel, unpackParcel } from './parcel';
import { patienceOf, RUN_FILE, runOf, watchTestPod } from './pod-start';
import { addPreviewCommands } from './preview/commands';
import { tellComing, tellNotComing, tellRolling } from './progress';
import { applyQuarantine, faultsBrought, namedIn, readQuarantines } from './quarantine';
import { mergeInTurn } from './queue/merge';
import { type Gate, isInQueue, mayQueue, tellTesting, turnOf, waitInQueue } from './queue/turn';
import { COPY, ENDED_FILE, endStatus, QueueWatch, watchQueue } from './queue/watch';
import { reap } from './reap';
import { addReconcileCommand } from './reconcile/commands';
import { collectRegistry, historyStart, readLedgers } from './registry-gc';
import { assertImage, dataStays, rollBack } from './releases';
import { ROLLING_FILE, readRolling, rollingText } from './rolling';
import { readSettings } from './settings';
import { packSource } from './source';
import { leaveStartWords, ownSecrets, START_FILE, startWords } from './start-words';
import { certificateFile, readCertificate, writeCertificate } from './state';
import { baseUrlOf, podYaml, runScript, testPod, testScript } from './test-pod';
import { undo } from './undo';
import { readPodWords, UNSTEADY_FILE } from './unsteady';
import { addFailing, RESULTS, readFolders, testsAsKept } from './verdict';
import {
  type Context,
  cloneUrl,
  enterQueue,
  goOn,
  merge,
  report,
  reportBroken,
  takeSource,
  testedBefore,
} from './verify';

const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

/** Of what a deploy tells on its way: it waits for no GitLab that does not answer. */
const IMPATIENT: Partial<Policy> = { attempts: 1, attemptMs: 2500 };

/** The checkout inside the workspace. */
const SOURCE = 'source';

function context(
  policy?: Partial<Policy>,
): Context & { group: string; projectOf: (module: string) => string } {
  const settings = readSettings([
    'GITLAB_URL',
    'GITLAB_TOKEN',
    'SWITCHYARD_GITLAB_GROUP',
    'SWITCHYARD_GITLAB_PROJECTS',
  ]);
  const group = settings.SWITCHYARD_GITLAB_GROUP;
  return {
    gitlab: new GitLab({ url: settings.GITLAB_URL, token: settings.GITLAB_TOKEN, policy }),
    gitlabUrl: settings.GITLAB_URL,
    token: settings.GITLAB_TOKEN,
    group,
    projectOf: (module) => settings.SWITCHYARD_GITLAB_PROJECTS.get(module) ?? `${group}/${module}`,
    say,
  };
}

const moduleOf = (name: string) =>
  findModule(loadCatalog(readSettings(['SWITCHYARD_CATALOG']).SWITCHYARD_CATALOG), name);

/** What is asked of a merge request of a module, as the catalog has it now. */
function requestOf(module: Module, projectOf: (name: string) => string) {
  const { services } = loadCatalog(readSettings(['SWITCHYARD_CATALOG']).SWITCHYARD_CATALOG);
  const kinds = [...new Set(module.services.map(({ kind }) => kind))].sort();
  return {
    module: module.name,
    project: projectOf(module.name),
    policy: module.merge,
    declared: declaredAs({ module, services: kinds.map((kind) => services[kind]) }),
  };
}

/**
 * The merge queue that a merge request of a module may be in; undefined where none is kept: where no reconciler starts
 * what waits, nothing may wait.
 */
function queueOf(
  module: Module,
  { project, policy, declared }: ReturnType<typeof requestOf>,
  mergeRequest: number,
  workspace: string,
): Gate | undefined {
  const { SWITCHYARD_QUEUE: kept, SWITCHYARD_GITLAB_REBASE: rebase } = readSettings([
    'SWITCHYARD_QUEUE',
    'SWITCHYARD_GITLAB_REBASE',
  ]);
  if (!kept) return undefined;
  const settings = readSettings(['REGISTRY', 'SWITCHYARD_STACKS', 'SWITCHYARD_ENVIRONMENT']);
  const { modules } = loadCatalog(readSettings(['SWITCHYARD_CATALOG']).SWITCHYARD_CATALOG);
  const stack = loadStack(settings.SWITCHYARD_STACKS, settings.SWITCHYARD_ENVIRONMENT);
  const { testing, gitlab } = stack;
  const proof = { key: certificateKey(), module: module.name, policy, declared, registry: settings.REGISTRY };
  return {
    project,
    projects: projectsOf(
      stack,
      modules.map(({ name }) => name),
    ),
    mergeRequest,
    most: testing.parallel,
    start: gitlab.queue.window,
    rebases: rebase,
    proof,
    folder: join(workspace, SOURCE),
  };
}

/** What GitLab is asked for on top of the tests themselves: where it cannot be told, that is said, and the verdict does without. */
async function unlessAway<T, U>(
  what: string,
  otherwise: U,
  read: (gitlab: GitLab, towards: ReturnType<typeof context>) => Promise<T>,
): Promise<T | U> {
  try {
    const towards = context();
    return await read(towards.gitlab, towards);
  } catch (error) {
    const [line] = (error as Error).message.split('\n');
    say(`${what} cannot be told: ${line}`);
    return otherwise;
  }
}

const certificateKey = (): string => readSettings(['SWITCHYARD_CERTIFICATE_KEY']).SWITCHYARD_CERTIFICATE_KEY;

interface Common {
  readonly workspace: string;
  readonly json: boolean;
}

/** `delivery`, one command a step of the pipeline. Split from `run` so that tests can look at it. */
export function program(): Command {
  const top = new Command('delivery')
    .description('What happens to a commit: the steps that the Jenkins shared library calls.')
    .option('--workspace <folder>', 'folder that holds source/ and .switchyard/', '.')
    .option('--json', 'print the result as JSON', false)
    .addHelpText(
      'after',
      '\nExit codes: 0 done; 1 red (tests failed, or something was refused); 2 wrong input;\n' +
        '3 another tree is to be tested; 4 nothing to do; 5 drift;\n6 tested by an earlier build: merge; 7 undone by an earlier build: roll out what was before;\n8 in the merge queue: started anew when something is to be done for it; 9 the test Pod does not start, or was lost;\n10 to be built again; 11 nothing was found out: it is tested again by itself.',
    )
    .showHelpAfterError()
    .exitOverride();
  const common = (): Common => {
    const options = top.opts<Common>();
    return { workspace: resolve(options.workspace), json: options.json };
  };
  const result = (value: unknown, line: string): void => say(common().json ? JSON.stringify(value) : line);

  top
    .command('source')
    .description('Post the status as running and check out the merge result.')
    .requiredOption('--module <name>', 'module of the catalog')
    .option('--merge-request <iid>', 'default: gitlabMergeRequestIid')
    .action(async (options: { module: string; mergeRequest?: string }) => {
      const module = moduleOf(options.module);
      const settings = readSettings(['BUILD_URL', 'gitlabMergeRequestIid'], process.env, {
        gitlabMergeRequestIid: options.mergeRequest,
      });
      const { SWITCHYARD_GITLAB_REBASE: rebase } = readSettings(['SWITCHYARD_GITLAB_REBASE']);
      const { group: _group, projectOf, ...towards } = context();
      const { workspace } = common();
      rmSync(certificateFile(workspace), { force: true });
      for (const file of [ENDED_FILE, START_FILE])
        rmSync(join(workspace, dirname(file)), { recursive: true, force: true });
      const request = { ...requestOf(module, projectOf), mergeRequest: settings.gitlabMergeRequestIid };
      const queue = queueOf(module, request, request.mergeRequest, workspace);
      const turn = queue ? await turnOf(towards, queue) : undefined;
      if (turn?.do === 'merge') {
        await goOn(towards, request, settings.BUILD_URL);
        throw new Failure(exitCode.tested, `the merge queue of ${request.project} has a result: it decides.`);
      }
      if (queue && turn?.do === 'wait') await waitInQueue(towards, queue, turn.place, settings.BUILD_URL);
      const given = turn?.do === 'test' ? turn.turn : undefined;
      if (module.merge !== 'automatic' && !given) {
        const { REGISTRY } = readSettings(['REGISTRY']);
        const tested = await testedBefore(towards, request, certificateKey(), REGISTRY);
        if (tested) {
          await goOn(towards, request, settings.BUILD_URL);
          throw new Failure(exitCode.tested, `${tested.headSha} was tested by ${tested.build}.`);
        }
      }
      const certificate = await takeSource(towards, {
        ...request,
        build: settings.BUILD_URL,
        rebase,
        rebasesInTurn: queue?.rebases,
        folder: join(workspace, SOURCE),
        turn: given,
      });
      writeCertificate(workspace, certificate, options);
      if (certificate.conflicts)
        throw new Failure(exitCode.red, `!${certificate.mergeRequest} ${verdictLine(certificate)}.`);
      if (queue && turn?.do === 'test' && turn.look)
        await tellTesting(towards, queue, turn.look, certificate);
      result(
        certificate,
        `merge result ${certificate.treeSha}: ${certificate.headSha} into ${certificate.targetBranch} at ${certificate.baseSha}`,
      );
    });

  top
    .command('build-plan')
    .description('Write what the build’s Pod is given: sources, script, and the password of the gate.')
    .action(async () => {
      const settings = readSettings([
        'SWITCHYARD_POD_IP',
        'SWITCHYARD_BUILD_ATTESTATIONS',
        'SWITCHYARD_BASES_LOGIN',
        'REGISTRY',
        'SWITCHYARD_STACKS',
        'SWITCHYARD_ENVIRONMENT',
      ]);
      const { mirror } = loadStack(settings.SWITCHYARD_STACKS, settings.SWITCHYARD_ENVIRONMENT).images;
      const { workspace } = common();
      // Of a build before this one, of which the registry lost what it made.
      rmSync(join(workspace, START_FILE), { force: true });
      const certificate = readCertificate(workspace);
      const module = moduleOf(certificate.module);
      if (!existsSync(join(workspace, SOURCE, module.image.dockerfile))) {
        throw new Failure(
          exitCode.red,
          `${certificate.project}: there is no ${module.image.dockerfile} in the merge result.`,
          `Add it, or name another in catalog/modules/${module.name}.yaml: image.dockerfile.`,
        );
      }
      await writeBuildFolder({
        workspace,
        source: SOURCE,
        module,
        certificate,
        podIp: settings.SWITCHYARD_POD_IP,
        attestations: settings.SWITCHYARD_BUILD_ATTESTATIONS,
        bases: settings.SWITCHYARD_BASES_LOGIN
          ? readFileSync(settings.SWITCHYARD_BASES_LOGIN, 'utf8')
          : undefined,
        registries: [settings.REGISTRY, ...(mirror ? [mirror] : [])],
      });
      result({ module: module.name }, `build of ${module.name}: planned`);
    });

  top
    .command('build')
    .description(
      'Take what the build’s Pod makes, look at it, and publish it as the module’s image. Exit 10 when the registry lost it.',
    )
    .action(async () => {
      const settings = readSettings([
        'REGISTRY',
        'REGISTRY_PLAIN_HTTP',
        'SWITCHYARD_HANDED',
        'SWITCHYARD_BUILD_MOST',
        'SWITCHYARD_UNRELEASED_MOST',
        'SWITCHYARD_IMAGE_DISK',
      ]);
      const { workspace } = common();
      const certificate = readCertificate(workspace);
      const module = moduleOf(certificate.module);
      const registry = openRegistry(settings, PATIENT);
      const tag = imageTag(certificate);
      try {
        const token = readGateToken(workspace);
        const repository = repositoryName(module.name);
        const gate = await openGate({
          registry,
          repository,
          token,
          imageTag: tag,
          folder: join(settings.SWITCHYARD_HANDED || join(workspace, '.switchyard'), 'handed'),
          most: { build: settings.SWITCHYARD_BUILD_MOST, unreleased: settings.SWITCHYARD_UNRELEASED_MOST },
          imageBytes: settings.SWITCHYARD_IMAGE_DISK,
          say,
        });
        try {
          const built = waitForBuild(workspace).catch((ended) => {
            throw gate.blame(ended);
          });
          await Promise.all([gate.ready, built]);
          const published = await gate.publish();
          const image = { repository: repositoryOf(settings.REGISTRY, module.name), tag, ...published };
          writeCertificate(workspace, { ...certificate, image });
          result(image, `image ${image.repository}@${image.digest}`);
        } finally {
          await gate.close();
        }
      } catch (error) {
        // The image is not built, and its Dockerfile has no part in it.
        const why =
          error instanceof RegistryAway
            ? error.why
            : error instanceof Failure && error.code === exitCode.lost
              ? 'the registry lost what was built'
              : undefined;
        if (why !== undefined) leaveStartWords(workspace, { why, infrastructure: true, pods: [] }, say);
        throw error;
      } finally {
        removeBuildFolder(workspace);
      }
    });

  top
    .command('test-pod')
    .description('Write the test Pod and the script that runs the tests in it.')
    .option('--out <file>', 'where the Pod goes; default .switchyard/test-pod.yaml in the workspace')
    .action(async (options: { out?: string }) => {
      const settings = readSettings([
        'SWITCHYARD_CATALOG',
        'SWITCHYARD_STACKS',
        'SWITCHYARD_ENVIRONMENT',
        'SWITCHYARD_PULL_SECRETS',
      ]);
      const { workspace } = common();
      const certificate = readCertificate(workspace);
      const catalog = loadCatalog(settings.SWITCHYARD_CATALOG);
      const module = findModule(catalog, certificate.module);
      const pod = testPod({
        catalog,
        module,
        settings: loadStack(settings.SWITCHYARD_STACKS, settings.SWITCHYARD_ENVIRONMENT),
        certificate,
        pullSecrets: settings.SWITCHYARD_PULL_SECRETS,
      });
      const folder = join(workspace, '.switchyard');
      // All of it goes into the test Pod, and nothing else does: an archive, since a stash follows links.
      const given = join(folder, 'given');
      rmSync(given, { recursive: true, force: true });
      mkdirSync(given, { recursive: true });
      await packSource(workspace, SOURCE, join(given, 'source.tar'));
      writeFileSync(join(given, 'test.sh'), testScript(module));
      writeFileSync(join(given, 'run.sh'), runScript());
      for (const name of ['carried', 'start']) rmSync(join(folder, name), { recursive: true, force: true });
      const out = options.out ? resolve(options.out) : join(folder, 'test-pod.yaml');
      writeFileSync(out, podYaml(pod));
      writeFileSync(join(workspace, RUN_FILE), runOf(certificate));
      writeFileSync(join(folder, 'timeout-minutes'), String(module.test.timeoutMinutes));
      result(
        { pod: out },
        `test Pod: ${[...module.services.map((use) => use.name), ...TEST_CONTAINERS].join(', ')}`,
      );
    });

  top
    .command('test-pod-watch')
    .description('Wait until the tests have ended. Exit 9 when their Pod does not start, or was taken away.')
    .requiredOption('--namespace <name>', 'namespace of the test Pod')
    .action(async (options: { namespace: string }) => {
      const { SWITCHYARD_STACKS, SWITCHYARD_ENVIRONMENT } = readSettings([
        'SWITCHYARD_STACKS',
        'SWITCHYARD_ENVIRONMENT',
      ]);
      const { startMinutes } = loadStack(SWITCHYARD_STACKS, SWITCHYARD_ENVIRONMENT).testing;
      const { workspace } = common();
      // Jenkins ends it with the build: whether the Pod was taken away is asked once more.
      let stopped = false;
      process.once('SIGTERM', () => {
        stopped = true;
      });
      const words = await watchTestPod(
        new Cluster({ token: podToken() }),
        { workspace, namespace: options.namespace },
        patienceOf(startMinutes),
        { say, sleep, stopped: () => stopped },
      );
      if (!words) return;
      throw new Failure(
        exitCode.stuck,
        `the test Pod ${words.lost ? 'was lost' : 'does not start'}: ${words.why}.`,
      );
    });

  top
    .command('agent-events')
    .description(
      'Say why no agent started, by the events of its namespace, and keep it for who tells the end.',
    )
    .requiredOption('--namespace <name>', 'namespace of the agents')
    .requiredOption('--minutes <number>', 'how long one was waited for', wholeNumber)
    .action(async ({ namespace, minutes }: { namespace: string; minutes: number }) => {
      const { workspace } = common();
      const words = await readAgentStart(new Cluster({ token: podToken() }), namespace, minutes);
      leaveStartWords(workspace, words, say);
      result(words, `${words.why}.`);
    });

  top
    .command('queue-watch')
    .description(
      'Wait until image and tests have ended. Exit 3 as soon as another tree is to be tested, 4 when none is.',
    )
    .action(async () => {
      const { workspace } = common();
      const certificate = readCertificate(workspace);
      const { group: _group, projectOf, ...towards } = context();
      const module = moduleOf(certificate.module);
      const queue = isQueued(certificate)
        ? queueOf(module, requestOf(module, projectOf), certificate.mergeRequest, workspace)
        : undefined;
      const gate = queue && { ...queue, folder: join(workspace, COPY) };
      const watch = new QueueWatch(towards, certificate, gate);
      const useless = await watchQueue({
        look: () => watch.look(),
        end: (why) => endStatus(towards, certificate, why),
        ended: () => existsSync(join(workspace, ENDED_FILE)),
        say,
        sleep,
      });
      if (useless)
        throw new Failure(useless.code, `the test of !${certificate.mergeRequest} stops: ${useless.why}.`);
    });

  top
    .command('verdict')
    .description('Read the test results. Exit 1 when a test failed, and when none passed.')
    .option(
      '--results <folder...>',
      'folders that hold output.xml or xunit.xml, packed by gzip or not; default: what the pipeline carried',
    )
    .action(async (options: { results?: string[] }) => {
      const { workspace } = common();
      const certificate = readCertificate(workspace);
      const carried = join(workspace, '.switchyard', 'carried');
      const module = moduleOf(certificate.module);
      const { results: where, command } = module.test;
      // Where tests left anything, they decide.
      const start = options.results || existsSync(carried) ? undefined : startWords(workspace);
      const history = await unlessAway('what failed in earlier builds', noHistory, (gitlab) =>
        readHistory(gitlab, certificate, certificateKey()),
      );
      if (start) {
        const judged = { ...withHistory(certificate, history), start };
        writeCertificate(workspace, judged);
        throw new Failure(exitCode.red, `${verdictLine(judged)}.`);
      }
      const quarantines = await unlessAway(
        'which tests are quarantined',
        undefined,
        (gitlab, { gitlabUrl, token }) => {
          const url = cloneUrl(gitlabUrl, certificate.project);
          return readQuarantines(
            gitlab,
            certificate,
            new WorkingCopy(join(workspace, SOURCE), { url, token }),
          );
        },
      );
      const named = new Set([
        ...(quarantines ? namedIn(quarantines) : []),
        ...history.earlier.flatMap(({ failed }) => failed),
      ]);
      const { tests, faults, seen } = options.results
        ? await readFolders(
            options.results.map((folder) => resolve(workspace, folder)),
            undefined,
            undefined,
            named,
          )
        : await readFolders([carried], () => where, undefined, named);
      // What is no test is in nobody's quarantine.
      const broken = [
        ...faults.map((message) => ({ name: RESULTS, message })),
        ...(quarantines ? faultsBrought(quarantines) : []),
      ];
      const counted = addFailing(
        applyQuarantine(tests, faults.length > 0 ? undefined : seen, quarantines),
        broken,
      );
      const shown = (text: string): string => redact(text, ownSecrets()).replaceAll(`${workspace}/`, '');
      const run = { command: redact(command, ownSecrets()), baseUrl: baseUrlOf(module) };
      const kept = { ...testsAsKept(counted, shown), ...(counted.failed > 0 ? { run } : {}) };
      const others = asksOthers(kept, history)
        ? await unlessAway('what fails now and then', [], (gitlab) =>
            readOthers(gitlab, certificate, certificateKey()),
          )
        : [];
      const judged = withFlaky({ ...certificate, tests: kept }, history, seen, others, Date.now());
      writeCertificate(workspace, judged);
      for (const { name, message } of kept.failing) say(`failed: ${name}: ${message.split('\n')[0]}`);
      for (const { name, until } of kept.quarantine?.failed ?? [])
        say(`failed, in quarantine until ${until}: ${name}`);
      for (const line of kept.quarantine?.said ?? []) say(`quarantine: ${line}`);
      for (const { name, failed, runs } of judged.flaky ?? [])
        say(`flaky, failed in ${failed} of ${runs} runs that are known: ${name}`);
      result(kept, `verdict: ${verdictLine(judged)}`);
      if (counted.failed > 0 || counted.passed === 0)
        throw new Failure(exitCode.red, `${verdictLine(judged)}.`);
    });

  top
    .command('report')
    .description(
      'Post the final status and the note. Exit 1 when the certificate is not green, 11 when it is tested again by itself.',
    )
    .option('--module <name>', 'posts a failed status even when `source` left no certificate')
    .option('--merge-request <iid>', 'default: gitlabMergeRequestIid')
    .action(async (options: { module?: string; mergeRequest?: string }) => {
      const key = certificateKey();
      const { workspace } = common();
      const readOrBreakOff = async () => {
        try {
          return readCertificate(workspace, options);
        } catch (error) {
          if (!options.module || !(error instanceof Failure)) throw error;
          // Nobody waits for a status that never comes.
          const settings = readSettings(['BUILD_URL', 'gitlabMergeRequestIid'], process.env, {
            gitlabMergeRequestIid: options.mergeRequest,
          });
          const { group: _group, projectOf, ...towards } = context();
          await reportBroken(
            towards,
            projectOf(options.module),
            settings.gitlabMergeRequestIid,
            settings.BUILD_URL,
          );
          throw error;
        }
      };
      const kept = await readOrBreakOff();
      // Where no agent started that makes the image, or the tests' was lost, nothing else says so.
      const read =
        kept.tests || kept.conflicts ? kept : { ...kept, start: kept.start ?? startWords(workspace) };
      const { projectOf, ...towards } = context();
      const module = moduleOf(read.module);
      const queue = queueOf(module, requestOf(module, projectOf), read.mergeRequest, workspace);
      const enters = queue !== undefined && (await mayQueue(towards.gitlab, queue));
      const certificate = enters ? enterQueue(read, towards.gitlab.time) : read;
      if (certificate !== read) writeCertificate(workspace, certificate, options);
      const { SWITCHYARD_QUEUE: reconciled } = readSettings(['SWITCHYARD_QUEUE']);
      const green = await report(towards, certificate, key, reconciled);
      if (!green && isQueued(certificate))
        throw new Failure(exitCode.queued, `in the merge queue: ${verdictLine(certificate)}.`);
      if (!green) throw new Failure(exitCode.red, `reported as failed: ${verdictLine(certificate)}.`);
      result({ green }, `reported: ${verdictLine(certificate)}`);
    });

  top
    .command('merge')
    .description('Merge exactly what was tested.')
    .option(
      '--tested <module>',
      'by an earlier build, whose certificate is in the note: after exit 6 of `source`',
    )
    .action(async (options: { tested?: string }) => {
      const key = certificateKey();
      const { workspace } = common();
      const { projectOf, ...towards } = context();
      const noted = async (name: string): Promise<Certificate> => {
        const settings = readSettings(['REGISTRY', 'gitlabMergeRequestIid']);
        const request = {
          ...requestOf(moduleOf(name), projectOf),
          mergeRequest: settings.gitlabMergeRequestIid,
        };
        const tested = await testedBefore(towards, request, key, settings.REGISTRY);
        if (tested) return tested;
        throw new Failure(exitCode.again, `!${request.mergeRequest} has to be tested again.`);
      };
      const inTurn = async (name: string, isIt: (gate: Gate) => boolean | Promise<boolean>) => {
        const { gitlabMergeRequestIid: iid } = readSettings(['gitlabMergeRequestIid']);
        const module = moduleOf(name);
        const queue = queueOf(module, requestOf(module, projectOf), iid, workspace);
        return queue && (await isIt(queue)) ? queue : undefined;
      };
      const own = options.tested ? undefined : readCertificate(workspace);
      const queue = await inTurn(options.tested ?? own?.module ?? '', (gate) =>
        own ? isQueued(own) : isInQueue(towards, gate),
      );
      if (queue) {
        const commit = await mergeInTurn(towards, queue);
        result({ commit }, `merged as ${commit}`);
        return;
      }
      const certificate = own ?? (await noted(options.tested ?? ''));
      const policy = moduleOf(certificate.module).merge;
      const commit = await merge(towards, certificate, policy, key, join(workspace, SOURCE));
      result({ commit }, `merged as ${commit}`);
    });

  top
    .command('deploy')
    .description('Check the certificate of a pushed commit, promote its image, record it in the ledger.')
    .requiredOption('--module <name>', 'module of the catalog')
    .option('--commit <sha>', 'default: gitlabAfter')
    .option('--branch <name>', 'default: gitlabBranch')
    .option('--rollback', 'allow an older commit to replace a newer one', false)
    .action(async (options: { module: string; commit?: string; branch?: string; rollback: boolean }) => {
      const settings = readSettings(
        [
          'BUILD_URL',
          'gitlabAfter',
          'gitlabBranch',
          'REGISTRY',
          'REGISTRY_PLAIN_HTTP',
          'SWITCHYARD_ENVIRONMENT',
          'SWITCHYARD_CERTIFICATE_KEY',
        ],
        process.env,
        { gitlabAfter: options.commit, gitlabBranch: options.branch },
      );
      const module = moduleOf(options.module);
      const { group, projectOf, ...towards } = context();
      const { workspace } = common();
      const registry = openRegistry(settings);
      const key = settings.SWITCHYARD_CERTIFICATE_KEY;
      const request = {
        module: module.name,
        project: projectOf(module.name),
        ledgerProject: `${group}/${LEDGER_PROJECT}`,
        environment: settings.SWITCHYARD_ENVIRONMENT,
        commit: settings.gitlabAfter,
        branch: settings.gitlabBranch,
        build: settings.BUILD_URL,
        rollback: options.rollback,
        migrates: module.production.migrate !== undefined,
        folder: join(workspace, SOURCE),
        key,
      };
      const deployment = await deploy(towards, registry, settings.REGISTRY, request).catch(async (why) => {
        await tellNotComing(context(IMPATIENT), request, key).catch((error: Error) => say(error.message));
        throw why;
      });
      writeDeployment(workspace, deployment);
      if (deployment.undone)
        throw new Failure(
          exitCode.undone,
          `${short(deployment.commit)} is undone: ${deployment.undone.why}.`,
        );
      result(deployment, `to be rolled out: ${deployment.image}`);
    });

  top
    .command('unstarted')
    .description(
      'Post why a deploy did not begin, where no Pod for its rollout started; else only that it is on its way no more.',
    )
    .requiredOption('--module <name>', 'module of the catalog')
    .action(async (options: { module: string }) => {
      const start = startWords(common().workspace);
      const settings = readSettings([
        'BUILD_URL',
        'gitlabAfter',
        'gitlabBranch',
        'SWITCHYARD_ENVIRONMENT',
        'SWITCHYARD_CERTIFICATE_KEY',
      ]);
      const { group: _group, projectOf, ...towards } = context();
      const request = {
        project: projectOf(moduleOf(options.module).name),
        environment: settings.SWITCHYARD_ENVIRONMENT,
        commit: settings.gitlabAfter,
        branch: settings.gitlabBranch,
        build: settings.BUILD_URL,
        key: settings.SWITCHYARD_CERTIFICATE_KEY,
      };
      if (!start) return tellNotComing(context(IMPATIENT), request, request.key);
      await reportUnstarted(towards, request, start);
      result(start, `not deployed: ${start.why}`);
    });

  top
    .command('progress')
    .description(
      'Write into the merge request’s note how far its deploy is, by what was left. Exit 1 where GitLab does not take it at once.',
    )
    .requiredOption('--module <name>', 'module of the catalog')
    .action(async (options: { module: string }) => {
      const { workspace } = common();
      const rolling = readRolling(join(workspace, ROLLING_FILE));
      if (!rolling) throw new Failure(exitCode.red, `${ROLLING_FILE} does not say how far a deploy is.`);
      const { group: _group, projectOf, ...towards } = context(IMPATIENT);
      const key = certificateKey();
      if ('begun' in rolling) {
        const { BUILD_URL } = readSettings(['BUILD_URL']);
        await tellRolling(towards, readDeployment(workspace), rolling, BUILD_URL, key);
      } else {
        const settings = readSettings(['BUILD_URL', 'gitlabAfter', 'gitlabBranch', 'SWITCHYARD_ENVIRONMENT']);
        const coming = {
          project: projectOf(moduleOf(options.module).name),
          environment: settings.SWITCHYARD_ENVIRONMENT,
          commit: settings.gitlabAfter,
          branch: settings.gitlabBranch,
        };
        await tellComing(towards, coming, rolling, settings.BUILD_URL, key);
      }
      result(rolling, `told: ${rollingText(rolling)}`);
    });

  top
    .command('rollback')
    .description('Put an earlier release of a module back into the ledger.')
    .requiredOption('--module <name>', 'module of the catalog')
    .option('--to <commit>', 'commit of a release, or its beginning; default: the one before what runs')
    .option('--hold', 'keep it until a rollback without --hold: nothing merged takes its place', false)
    .action(async (options: { module: string; to?: string; hold: boolean }) => {
      const settings = readSettings([
        'BUILD_URL',
        'REGISTRY',
        'REGISTRY_PLAIN_HTTP',
        'SWITCHYARD_ENVIRONMENT',
      ]);
      const { name: module } = moduleOf(options.module);
      const { group, projectOf, gitlab } = context();
      const { workspace } = common();
      const registry = openRegistry(settings);
      const environment = settings.SWITCHYARD_ENVIRONMENT;
      const request = {
        module,
        environment,
        ledgerProject: `${group}/${LEDGER_PROJECT}`,
        to: options.to,
        hold: options.hold,
        build: settings.BUILD_URL,
        wrote: earlierInLedger(workspace),
      };
      const { release, from, written } = await rollBack(gitlab, request, (target) =>
        assertImage(registry, settings.REGISTRY, module, target),
      );
      writeDeployment(workspace, {
        module,
        project: projectOf(module),
        environment,
        commit: release.commit,
        branch: LEDGER_BRANCH,
        mergeRequest: release.mergeRequest,
        image: release.image,
        by: 'rollback',
      });
      result(
        { release, from, written },
        [
          `to be rolled out: ${module} ${short(release.commit)}${release.hold ? ', held' : ''}; before it was ${short(from.commit)}`,
          ...[dataStays(release, from) ?? []].flat(),
        ].join('; '),
      );
    });

  top
    .command('undo')
    .description(
      'Put what was before a release that does not hold back into the ledger, and tell its author.',
    )
    .option('--report <file>', `what the rollout's Pods said; default ${UNSTEADY_FILE} in the workspace`)
    .action(async (options: { report?: string }) => {
      const settings = readSettings(['BUILD_URL']);
      const { workspace } = common();
      const { group, ...towards } = context();
      const undone = await undo(
        towards,
        `${group}/${LEDGER_PROJECT}`,
        readDeployment(workspace),
        settings.BUILD_URL,
        readPodWords(options.report ? resolve(options.report) : join(workspace, UNSTEADY_FILE)),
      );
      writeDeployment(workspace, undone);
      result(undone, `undone: ${undone.module} ${short(undone.commit)} in ${undone.environment}`);
    });

  top
    .command('rollout')
    .description('Post what came of `switchyard up` on the commit and in the note. Exit 1 when it failed.')
    .requiredOption('--exit-code <number>', 'exit code of `switchyard up`', wholeNumber)
    .action(async (options: { exitCode: number }) => {
      const settings = readSettings(['BUILD_URL', 'SWITCHYARD_CERTIFICATE_KEY']);
      const deployment = readDeployment(common().workspace);
      const succeeded = options.exitCode === 0;
      const { undone } = deployment;
      await reportRollout(
        context(),
        deployment,
        succeeded,
        settings.BUILD_URL,
        settings.SWITCHYARD_CERTIFICATE_KEY,
        startWords(common().workspace),
      );
      if (undone) {
        const before = undone.serves
          ? `${short(undone.serves)} is in the ledger again`
          : 'nothing was before it';
        throw new Failure(
          exitCode.red,
          `${deployment.module} ${short(deployment.commit)} is undone in ${deployment.environment}: ${undone.why}; ${before}.`,
          succeeded
            ? 'The merge request has the words of its Pods; the next merge goes out again.'
            : `What was before could not be rolled out (exit code ${options.exitCode}): say \`switchyard up\`.`,
        );
      }
      if (!succeeded) {
        throw new Failure(
          exitCode.red,
          `the rollout of ${deployment.module} to ${deployment.environment} failed (exit code ${options.exitCode}).`,
          'The reason is in the log of `switchyard up` above; production keeps serving the Pods it had.',
        );
      }
      result(
        deployment,
        `rolled out: ${deployment.module} ${short(deployment.commit)} in ${deployment.environment}`,
      );
    });

  top
    .command('reap')
    .description('Remove Pods, claims and Secrets of tests that are past their end. Runs in a Pod.')
    .requiredOption('--namespace <name...>', 'namespaces to clean')
    .action(async (options: { namespace: string[] }) => {
      const cluster = new Cluster({ token: podToken() });
      const reaped = await reap(cluster, options.namespace, Math.floor(Date.now() / 1000), say);
      result(reaped, `reaped: ${reaped.length} in ${options.namespace.length} namespaces`);
    });

  top
    .command('registry-gc')
    .description('Remove images that no ledger names and no merge request waits for. Runs in a Pod.')
    .requiredOption('--namespace <name>', "namespace of the registry's Pod")
    .requiredOption('--days <number>', 'days that an image stays after its merge request ended', wholeNumber)
    .requiredOption(
      '--release-days <number>',
      'days that a release stays after a ledger last named it',
      wholeNumber,
    )
    .option('--dry-run', 'only say what would go', false)
    .action(async (options: { namespace: string; days: number; releaseDays: number; dryRun: boolean }) => {
      const settings = readSettings(['REGISTRY', 'REGISTRY_PLAIN_HTTP']);
      const { gitlab, gitlabUrl, token, group, projectOf } = context();
      const now = Math.floor(Date.now() / 1000);
      const folder = mkdtempSync(join(tmpdir(), 'switchyard-ledger-'));
      try {
        const removed = await collectRegistry({
          registry: openRegistry(settings),
          gitlab,
          cluster: new Cluster({ token: podToken() }),
          projectOf,
          ledgers: () =>
            readLedgers(
              { url: cloneUrl(gitlabUrl, `${group}/${LEDGER_PROJECT}`), token },
              folder,
              historyStart(now, options.releaseDays),
            ),
          namespace: options.namespace,
          days: options.days,
          now,
          dryRun: options.dryRun,
          say,
        });
        const count = Object.values(removed).flat().length;
        result(removed, `${options.dryRun ? 'would go' : 'removed'}: ${count} images`);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    });

  top
    .command('pack <folder> <file>')
    .description('Pack what foreign code left: the plain files of a folder, and nothing else.')
    .action(async (folder: string, file: string) => {
      const { workspace } = common();
      await packParcel(resolve(workspace, folder), resolve(workspace, file));
    });

  top
    .command('unpack <file> <folder>')
    .description(
      'Make plain files of one new folder from what `pack` packed. Exit 1 when it is anything else.',
    )
    .action(async (file: string, folder: string) => {
      const { workspace } = common();
      const names = await unpackParcel(resolve(workspace, file), resolve(workspace, folder));
      result(names, `unpacked: ${names.join(', ') || 'nothing'}`);
    });

  addBackupCommands(top, { context, result });
  const shell = { context, workspace: () => common().workspace, result };
  addPreviewCommands(top, shell);
  addDriftCommands(top, shell);
  addAppliedCommand(top, shell);
  addReconcileCommand(top, shell);
  return top;
}

/** Runs the command line and gives its exit code; every fault is one clear line on stderr. */
export async function run(argv: readonly string[]): Promise<number> {
  try {
    await program().parseAsync(argv, { from: 'user' });
    return exitCode.done;
  } catch (error) {
    if (error instanceof Ended) return error.code;
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCode.done : exitCode.input;
    const code =
      error instanceof Failure ? error.code : error instanceof ProblemsError ? exitCode.input : exitCode.red;
    const secrets = [
      'GITLAB_TOKEN',
      'SWITCHYARD_CERTIFICATE_KEY',
      'REGISTRY_PASSWORD',
      'RESTIC_PASSWORD',
      'JENKINS_PASSWORD',
      'AWS_SECRET_ACCESS_KEY',
      'BACKUP_SECRET_KEY',
    ].flatMap((name) => process.env[name] ?? []);
    for (const line of (error as Error).message.split('\n'))
      process.stderr.write(`delivery: ${redact(line, secrets)}\n`);
    return code;
  }
}

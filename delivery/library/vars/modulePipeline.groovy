// Arranges stages and Pods, and nothing else: every decision is made by the `delivery` command, whose exit
// codes are 0 done, 1 red, 2 wrong input, 3 another tree to test, 4 nothing to do, 6 tested by an earlier build,
// 7 undone by an earlier build, 8 in the merge queue, 9 no test Pod starts or stays, 10 to be built again, 11 tested again by
// itself; `switchyard judge` ends with 7 where a rollout does not hold, `switchyard up` with 8 where the state has to be cut first.
// Commands that need credentials run by `trusted`. Never bind one around a Pod: what a merge request brings (its
// tests) runs here too, and a bound credential stands in the environment of every step inside.
// A Pod that cannot start is made anew for ever: `onAgent` ends that for each second agent, `delivery test-pod-watch` for tests.
// No agent is waited for under a lock.

import org.jenkinsci.plugins.workflow.steps.FlowInterruptedException

def call(Map settings) {
    String module = settings.module
    if (!(module ==~ /[a-z][a-z0-9-]*/)) {
        error("modulePipeline: module: '${module}' is not the name of a module of the catalog")
    }
    // A topology that shares its cluster or its Jenkins with others names its own.
    String cloud = settings.cloud ?: 'kubernetes'
    String prefix = settings.namespacePrefix ? "${settings.namespacePrefix}-" : ''
    Map place = [cloud: cloud, namespace: "${prefix}test-${module}", build: "${prefix}ci-build"]
    Map rollout = [cloud: cloud, namespace: "${prefix}ci-deploy", parts: settings.parts == true]
    String action = env.gitlabActionType
    String branch = env.gitlabBranch
    // What the commands do, they do for this module, whatever a file of the build says.
    withEnv(["SWITCHYARD_MODULE=${module}"]) {
        if (settings.rollback != null) {
            goBack(module, settings.rollback, rollout)
        } else if (action == 'MERGE') {
            verify(module, place)
        } else if (action == 'PUSH' && branch == 'main') {
            if (deploy(module, rollout) && settings.backup) {
                backUp(module, "${prefix}ci-backup")
            }
        } else {
            echo("modulePipeline: nothing to do for ${action} of ${branch}; merge requests are tested, main is deployed")
        }
    }
}

// Tests the merge result, again for as long as it is another one by the time that it was tested. There is no end to be set:
// each time somebody else was merged, and to be red for that would be nobody's fault.
void verify(String module, Map place) {
    int round = 1
    while (verifyOnce(module, place) == 3) {
        echo("modulePipeline: to be tested again, with what the target branch has or will have by then (round ${round})")
        round++
    }
}

int verifyOnce(String module, Map place) {
    int source = 1
    int code = 1
    boolean stopped = false
    node('delivery') {
        try {
            stage('Source') {
                container('delivery') {
                    source = trusted("delivery source --module ${module}")
                }
            }
            code = source
            if (source == 0) {
                Map ended = buildAndTest(module, place)
                code = ended.code
                stopped = ended.stopped
            }
        } finally {
            // Also when a stage broke off, and whatever it says: nobody waits for a status that never comes. What was stopped
            // has had its end.
            if (source != 4 && source != 6 && source != 8 && !stopped) {
                stage('Report') {
                    container('delivery') {
                        int reported = trusted("delivery report --module ${module}")
                        // What is red in the merge queue may be so by others: what comes of it is decided there. What broke off is not red.
                        if (code == 0 || reported == 8 || reported == 11) {
                            code = reported
                        }
                    }
                }
            }
        }
        if (!stopped && (source == 6 || (source == 0 && (code == 0 || code == 8)))) {
            // Where an earlier build tested it, and it waited for its approval or its turn, the note has the certificate.
            String tested = source == 6 ? " --tested ${module}" : ''
            stage('Merge') {
                lock("merge-${module}") {
                    container('delivery') {
                        code = trusted("delivery merge${tested}")
                    }
                }
            }
        }
    }
    if (code == 8) {
        // It waits without an agent, and without a build.
        currentBuild.result = 'NOT_BUILT'
        echo('modulePipeline: it waits in the merge queue; the reconciler starts it again when something is to be done')
    } else if (code == 11) {
        currentBuild.result = 'NOT_BUILT'
        echo('modulePipeline: nothing was found out, and nobody is red for it; the reconciler starts it again')
    } else if (stopped && code == 4) {
        currentBuild.result = 'NOT_BUILT'
    } else if (code != 0 && code != 3 && code != 4) {
        error("modulePipeline: ${module} is red; the reason stands above and in the merge request's note")
    }
    return code
}

// Beside image and tests runs a watch, which ends both as soon as nobody waits for this tree any more: then `stopped` is true, and
// `code` is 3 where another one is to be tested. The watch has ended the status by then. It needs no agent of its own, and one
// that breaks off stops nothing.
Map buildAndTest(String module, Map place) {
    int code = 1
    int useless = 0
    try {
        parallel(
            failFast: true,
            work: {
                try {
                    stage('Image') {
                        code = image(module, place)
                    }
                    if (code == 0) {
                        stage('Test') {
                            code = testInPod(place)
                        }
                    }
                } finally {
                    // The watch waits for this.
                    writeFile(file: '.switchyard/queue/ended', text: '')
                }
            },
            watch: {
                int ended = 0
                container('delivery') {
                    ended = trusted('delivery queue-watch')
                }
                if (ended == 3 || ended == 4) {
                    useless = ended
                    error('modulePipeline: stopped, nobody waits for what is tested; the reason stands above')
                }
                if (ended != 0) {
                    echo("modulePipeline: whether the test is still wanted is not watched any more (exit code ${ended})")
                }
            }
        )
    } catch (Exception broken) {
        if (useless == 0) {
            throw broken
        }
        echo("modulePipeline: stopped (exit code ${useless})")
    }
    return useless == 0 ? [code: code, stopped: false] : [code: useless, stopped: true]
}

int testInPod(Map place) {
    int code = 1
    // Nothing of the checkout by itself: a stash follows its links, out of it too.
    stash(name: 'given', includes: '.switchyard/given/**')
    int minutes = Integer.parseInt(readFile('.switchyard/timeout-minutes').trim())
    Map<String, String> left = [:]
    // Also for a place that never gets free.
    timeout(time: minutes + 30, unit: 'MINUTES') {
        left = testWatched(place, minutes)
    }
    carry(left)
    container('delivery') {
        code = trusted('delivery verdict')
    }
    return code
}

// A registry that frees its blobs meanwhile is away for a while, and takes those that no manifest names yet: nobody's fault, and
// mended by another build, once.
int image(String module, Map place) {
    int code = imageOnce(module, place)
    if (code != 10) {
        return code
    }
    echo('modulePipeline: the registry lost what was built; it is built once more')
    return imageOnce(module, place)
}

// The Dockerfile runs in a Pod of this build alone, with a BuildKit that ends with it and without any credential. What it
// makes comes out through the gate that `delivery build` keeps, which publishes it.
int imageOnce(String module, Map place) {
    int code = 0
    container('delivery') {
        code = trusted('delivery build-plan')
    }
    if (code != 0) {
        return code
    }
    stash(name: 'build', includes: '.switchyard/build/**')
    parallel(
        build: {
            int ended = 1
            try {
                onAgent('build', place.build) {
                    timeout(time: 120, unit: 'MINUTES') {
                        unstash('build')
                        container('buildkitd') {
                            ended = sh(script: 'sh .switchyard/build/run.sh', returnStatus: true)
                        }
                    }
                }
            } finally {
                // The gate waits for this.
                writeFile(file: '.switchyard/build/ended', text: "${ended}")
            }
        },
        gate: {
            container('delivery') {
                code = trusted('delivery build && delivery test-pod', module)
            }
        }
    )
    return code
}

// Beside the tests runs a watch of their Pod, which ends both when none starts or stays, and leaves what it saw to `delivery verdict`.
// A watch that breaks off says nothing of the tests. It has the last word where their agent breaks off: only it can tell why. That
// nobody else took the Pod is so where the tests ended, and where Jenkins ended them: at their time, or with the build.
Map<String, String> testWatched(Map place, int minutes) {
    Map<String, String> left = [:]
    Map run = [stuck: false, broken: null]
    try {
        parallel(
            failFast: true,
            tests: {
                String how = 'over'
                try {
                    left = test(place, readFile('.switchyard/test-pod.yaml'), minutes)
                } catch (FlowInterruptedException stopped) {
                    throw stopped
                } catch (Exception broken) {
                    how = 'broke off'
                    run.broken = broken
                } finally {
                    // The watch waits for this.
                    writeFile(file: '.switchyard/start/ended', text: how)
                }
            },
            start: {
                int code = 0
                container('delivery') {
                    String authority = 'NODE_EXTRA_CA_CERTS=/var/run/secrets/kubernetes.io/serviceaccount/ca.crt'
                    String watch = "timeout ${(minutes + 25) * 60} delivery test-pod-watch --namespace ${place.namespace}"
                    code = sh(script: "${authority} ${watch}", returnStatus: true)
                }
                run.stuck = code == 9
                if (run.stuck) {
                    error('modulePipeline: the test Pod does not start, or was lost; its events stand above')
                }
                if (code != 0) {
                    echo("modulePipeline: whether the test Pod starts is not watched any more (exit code ${code})")
                }
            }
        )
    } catch (Exception broken) {
        if (!run.stuck) {
            throw broken
        }
    }
    if (run.broken != null && !run.stuck) {
        throw run.broken
    }
    return left
}

// One Pod holds the module, its services and Robot; `delivery test-pod` wrote it. What its tests left comes back as text,
// packed and in Base64, and as nothing else: `unstash` makes links and writes through them as the sender says, and
// whoever wrote the tests may be the sender. Nothing is read or kept from the workspace, where tests that go on in the
// background may put a file of any size at any time: the container `carrier` copies so much and no more, when it is told
// where the workspace is, into `/carried`, which the tests do not have.
Map<String, String> test(Map place, String pod, int minutes) {
    Map<String, String> left = [:]
    podTemplate(yaml: pod, cloud: place.cloud, namespace: place.namespace, showRawYaml: false) {
        node(POD_LABEL) {
            unstash('given')
            container('robot') {
                timeout(time: minutes, unit: 'MINUTES') {
                    // The results decide (`delivery verdict`), not the exit code.
                    sh(script: 'sh .switchyard/given/run.sh', returnStatus: true)
                }
            }
            // A pipe in a file's place would be copied for ever.
            timeout(time: 5, unit: 'MINUTES') {
                writeFile(file: '/carried/from', text: pwd())
                for (int pause = 1; !fileExists('/carried/done'); pause = pause < 10 ? pause + 1 : 10) {
                    sleep(pause)
                }
                List<String> files = resultFiles()
                for (int i = 0; i < files.size(); i++) {
                    String file = "/carried/${files[i]}"
                    if (fileExists(file)) {
                        left[files[i]] = readFile(file: file, encoding: 'Base64')
                    }
                }
            }
            // For people to look at: the verdict makes a build red, which knows what is in quarantine, and the tree of another round
            // is not this one's. What Jenkins cannot read keeps nobody from it.
            dir('/carried/report') {
                catchError(buildResult: 'FAILURE', stageResult: 'FAILURE') {
                    archiveArtifacts(artifacts: '**', allowEmptyArchive: true)
                    junit(testResults: 'xunit.xml', allowEmptyResults: true, skipMarkingBuildUnstable: true)
                }
                catchError(buildResult: 'FAILURE', stageResult: 'FAILURE') {
                    robot(outputPath: '.', passThreshold: 0.0, unstableThreshold: 0.0)
                }
            }
        }
    }
    return left
}

List<String> resultFiles() {
    return ['output.xml.gz', 'xunit.xml.gz']
}

// Puts down what the tests left, under names of ours, where only `delivery verdict` looks.
void carry(Map<String, String> left) {
    List<String> files = resultFiles()
    for (int i = 0; i < files.size(); i++) {
        if (left[files[i]] != null) {
            writeFile(file: ".switchyard/carried/${files[i]}", text: left[files[i]], encoding: 'Base64')
        }
    }
}

// Records the tested image in the ledger, then runs the topology's own program for this module. True when it was rolled out.
boolean deploy(String module, Map rollout) {
    return release(module, "delivery deploy --module ${module}", rollout)
}

// What people ask for is text of theirs: nothing but a commit's digits gets into a command.
void goBack(String module, Map wanted, Map rollout) {
    String to = wanted.to == null ? '' : wanted.to.trim()
    if (to != '' && !(to ==~ /[0-9a-f]{7,40}/)) {
        error("modulePipeline: TO: '${to}' is no commit; give 7 to 40 of its digits, or nothing for the release before what runs")
    }
    String commit = to == '' ? '' : " --to ${to}"
    String hold = wanted.hold == true ? ' --hold' : ''
    release(module, "delivery rollback --module ${module}${commit}${hold}", rollout)
}

// The lock is the module's own: deploys of others go on side by side, where each has its part of the state. Nothing is held while
// an agent starts, so that a Pod which cannot start is in nobody's way: the rollout's stands before the lock is taken, and before
// the ledger says anything. It never waits for the lock, since it has the catalog and the stack files as they were when it started:
// who has the lock may be applying others. Where it is taken, that is waited for without a Pod, and then another one starts.
boolean release(String module, String ledger, Map place) {
    Map run = [module: module, ledger: ledger, lock: place.parts ? "deploy-${module}".toString() : 'deploy', code: 0, rollout: 1, held: 1,
               words: '', recorded: false, undone: false, uncut: false, cut: false, ended: false, progress: '', told: '', quiet: 0]
    node('delivery') {
        try {
            while (!run.ended) {
                waitForTurn(run)
                releaseOnce(run, place)
                if (run.uncut) {
                    cut(run, place)
                }
            }
        } finally {
            if (!run.ended && run.recorded) {
                outcome(run)
            } else if (!run.ended && ledger.startsWith('delivery deploy ')) {
                // Nothing told the commit anything yet.
                stage('Outcome') {
                    container('delivery') {
                        trusted("delivery unstarted --module ${module}")
                    }
                }
            }
        }
        if (run.code != 0 && run.code != 4) {
            error("modulePipeline: ${module} was not deployed; the reason stands above and in the commit's status")
        }
    }
    return run.rollout == 0 && !run.undone
}

void waitForTurn(Map run) {
    boolean isFree = false
    lock(resource: run.lock, skipIfLocked: true) {
        isFree = true
    }
    if (isFree) {
        return
    }
    waits(run, 'turn', 0)
    tell(run, 0)
    lock(run.lock) {
        // Nothing: whoever had it is done.
    }
}

// Of what a person goes back to nobody knows yet which merge request it is of.
void waits(Map run, String step, int quiet) {
    run.progress = run.ledger.startsWith('delivery deploy ') ? "{\"step\":\"${step}\"}".toString() : ''
    run.quiet = quiet
}

// How far it is goes into the merge request's note: ten seconds after it was told last, if it has come further since. A GitLab that
// does not answer at once is asked again after a minute, and keeps nobody from what is to be done.
void tell(Map run, int passed) {
    run.quiet = run.quiet - passed
    if (run.quiet > 0 || run.progress == '' || run.progress == run.told) {
        return
    }
    String progress = run.progress
    int code = 1
    try {
        writeFile(file: '.switchyard/rollout/progress.json', text: progress)
        container('delivery') {
            code = trusted("delivery progress --module ${run.module}")
        }
    } catch (FlowInterruptedException stopped) {
        throw stopped
    } catch (Exception broken) {
        echo("modulePipeline: how far it is could not be told: ${broken.message}")
    }
    run.told = code == 0 ? progress : run.told
    run.quiet = code == 0 ? 10 : 60
}

// Not ended where another build came first, or the state is to be cut.
void releaseOnce(Map run, Map place) {
    waits(run, 'agent', 10)
    Map template = [inheritFrom: 'deploy', cloud: place.cloud, namespace: place.namespace, serviceAccount: "deployer-${run.module}".toString(), showRawYaml: false]
    secondAgent([template: template, namespace: place.namespace], { Map turns -> rollOut(run, place, turns) }, { Map turns ->
        lock(resource: run.lock, skipIfLocked: true) {
            record(run, turns)
        }
    }, { Integer passed -> tell(run, passed) })
}

// The ledger first, then production. What does not hold is undone in the same order, so that a build which is killed between the
// two leaves a ledger that says where to go, and the next one goes there. So does this one's next round: said again, the ledger's
// command finds what it wrote, or what was written over it since.
void record(Map run, Map turns) {
    run.recorded = false
    stage('Ledger') {
        container('delivery') {
            run.code = trusted(run.ledger, run.module)
        }
    }
    run.undone = run.code == 7
    run.recorded = run.code == 0 || run.undone
    run.ended = !run.recorded
    if (run.ended) {
        return
    }
    try {
        stage('Rollout') {
            askForRollout(run, turns)
        }
        if (run.rollout == 7 && !run.undone) {
            stage('Undo') {
                container('delivery') {
                    run.undone = trusted('delivery undo') == 0
                }
                if (run.undone) {
                    askForRollout(run, turns)
                }
            }
        }
        run.uncut = run.rollout == 8 && !run.cut
    } finally {
        if (!run.uncut) {
            outcome(run)
        }
    }
}

void outcome(Map run) {
    run.ended = true
    stage('Outcome') {
        container('delivery') {
            run.code = trusted("delivery rollout --exit-code ${run.rollout}")
        }
    }
}

// What its Pods said is carried as a text.
void askForRollout(Map run, Map turns) {
    run.rollout = 1
    run.held = 1
    run.progress = ''
    run.quiet = 10
    secondAgent.turn(turns, { Integer passed -> tell(run, passed) })
    if (run.held == 7) {
        writeFile(file: '.switchyard/rollout/unsteady.json', text: run.words)
        run.rollout = 7
    }
}

// What does it says how far it is in a file, which is carried as a text. Nobody waits for the last look at that, and no fault of it
// is one of the rollout.
void rollOut(Map run, Map place, Map turns) {
    Map work = [over: false]
    parallel(
        rollout: {
            try {
                rollOutThere(run, place)
                secondAgent.done(turns)
            } finally {
                work.over = true
            }
        },
        progress: {
            try {
                follow(run, work)
            } catch (FlowInterruptedException stopped) {
                throw stopped
            } catch (Exception broken) {
                echo("modulePipeline: how far it is is not told any more: ${broken.message}")
            }
        }
    )
}

void follow(Map run, Map work) {
    int waited = 0
    while (!work.over) {
        waited = secondAgent.pause(waited)
        if (!work.over && fileExists('.switchyard/rollout/progress.json')) {
            run.progress = readFile('.switchyard/rollout/progress.json')
        }
    }
}

// Leaves in `rollout` 0 when what the ledger names is rolled out, 8 when nothing was done, since the environment was changed and not
// cut for its modules; in `held` 7 when it does not hold. The Pod has the module's own account, and for the length of `up` what
// opens the module's part of the state and no other.
void rollOutThere(Map run, Map place) {
    int code = 1
    container('deploy') {
        timeout(time: 40, unit: 'MINUTES') {
            String up = 'switchyard up "$SWITCHYARD_ENVIRONMENT" --only ' + run.module + ' --yes'
            code = trusted(up, run.module, place)
            if (code != 8) {
                run.held = trusted('switchyard judge "$SWITCHYARD_ENVIRONMENT" ' + run.module)
            }
            // Whatever stopped it is over: what is there is settled.
            if (code != 0 && run.held == 0) {
                code = trusted(up, run.module, place)
            }
        }
        if (run.held == 7 && fileExists('.switchyard/rollout/unsteady.json')) {
            run.words = readFile('.switchyard/rollout/unsteady.json')
        }
    }
    run.rollout = code
}

// A plain `pulumi up` cuts nothing for its modules' deploys, nor does an `up` that was killed. What opens the whole state has a Pod of
// its own, which starts when the rollout's is gone and the lock with it. Once: what is uncut after that is told.
void cut(Map run, Map place) {
    run.uncut = false
    run.cut = true
    onAgent('state', place.namespace) {
        timeout(time: 15, unit: 'MINUTES') {
            container('state') {
                trusted('switchyard cut "$SWITCHYARD_ENVIRONMENT"')
            }
        }
    }
}

// What was merged and released is copied at once, in a Pod that reaches the backups and nothing of production: the one that
// rolls out reaches no backups. A release stands whatever comes of it: the build is unstable then.
void backUp(String module, String namespace) {
    int code = 1
    stage('Backup') {
        catchError(buildResult: 'UNSTABLE', stageResult: 'UNSTABLE') {
            onAgent('backup', namespace) {
                timeout(time: 10, unit: 'MINUTES') {
                    container('backup') {
                        code = trusted("timeout 300 delivery backup --kind repositories --kind registry --module ${module}")
                    }
                }
            }
        }
    }
    if (code != 0) {
        unstable("modulePipeline: ${module} was released, but not backed up; the reason stands above, the next scheduled backup tries again")
    }
}

// Arranges stages and Pods, and nothing else: every decision is made by the `delivery` command, whose exit
// codes are 0 done, 1 red, 2 wrong input, 3 target branch moved, 4 nothing to do, 6 tested by an earlier build,
// 7 undone by an earlier build, 8 in the merge queue, 9 no test Pod starts; `switchyard judge` ends with 7 where a rollout
// does not hold, `switchyard up` with 8 where the state has to be cut first.
// Commands that need credentials run by `trusted`. Never bind one around a Pod: what a merge request brings (its
// tests) runs here too, and a bound credential stands in the environment of every step inside.
// A Pod that cannot start is made anew for ever: `onAgent` ends that for each second agent, `delivery test-pod-watch` for tests.

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
    node('delivery') {
        try {
            stage('Source') {
                container('delivery') {
                    source = trusted("delivery source --module ${module}")
                }
            }
            code = source
            if (source == 0) {
                stage('Image') {
                    code = image(module, place)
                }
            }
            if (code == 0) {
                stage('Test') {
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
                }
            }
        } finally {
            // Also when a stage broke off, and whatever it says: nobody waits for a status that never comes.
            if (source != 4 && source != 6 && source != 8) {
                stage('Report') {
                    container('delivery') {
                        int reported = trusted("delivery report --module ${module}")
                        // What is red in the merge queue may be so by others: what comes of it is decided there.
                        if (code == 0 || reported == 8) {
                            code = reported
                        }
                    }
                }
            }
        }
        if (source == 6 || (source == 0 && (code == 0 || code == 8))) {
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
    } else if (code != 0 && code != 3 && code != 4) {
        error("modulePipeline: ${module} is red; the reason stands above and in the merge request's note")
    }
    return code
}

// The Dockerfile runs in a Pod of this build alone, with a BuildKit that ends with it and without any credential. What it
// makes comes out through the gate that `delivery build` keeps, which publishes it.
int image(String module, Map place) {
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

// Beside the tests runs a watch of their Pod, which ends both when none starts, and leaves what it saw to `delivery verdict`.
// A watch that breaks off says nothing of the tests.
Map<String, String> testWatched(Map place, int minutes) {
    Map<String, String> left = [:]
    boolean stuck = false
    try {
        parallel(
            failFast: true,
            tests: {
                try {
                    left = test(place, readFile('.switchyard/test-pod.yaml'), readFile('.switchyard/results').trim(), minutes)
                } finally {
                    // The watch waits for this.
                    writeFile(file: '.switchyard/start/ended', text: '')
                }
            },
            start: {
                int code = 0
                container('delivery') {
                    String authority = 'NODE_EXTRA_CA_CERTS=/var/run/secrets/kubernetes.io/serviceaccount/ca.crt'
                    String watch = "timeout ${(minutes + 25) * 60} delivery test-pod-watch --namespace ${place.namespace}"
                    code = sh(script: "${authority} ${watch}", returnStatus: true)
                }
                stuck = code == 9
                if (stuck) {
                    error('modulePipeline: the test Pod does not start; its events stand above')
                }
                if (code != 0) {
                    echo("modulePipeline: whether the test Pod starts is not watched any more (exit code ${code})")
                }
            }
        )
    } catch (Exception broken) {
        if (!stuck) {
            throw broken
        }
    }
    return left
}

// One Pod holds the module, its services and Robot; `delivery test-pod` wrote it. What its tests left comes back as text,
// packed and in Base64, and as nothing else: `unstash` makes links and writes through them as the sender says, and
// whoever wrote the tests may be the sender.
Map<String, String> test(Map place, String pod, String results, int minutes) {
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
            // A pipe in a file's place would be read for ever.
            timeout(time: 5, unit: 'MINUTES') {
                List<String> files = resultFiles()
                for (int i = 0; i < files.size(); i++) {
                    String file = ".switchyard/out/${files[i]}"
                    if (fileExists(file)) {
                        left[files[i]] = readFile(file: file, encoding: 'Base64')
                    }
                }
            }
            // For people to look at. What Jenkins cannot read keeps nobody from the verdict.
            catchError(buildResult: 'FAILURE', stageResult: 'FAILURE') {
                archiveArtifacts(artifacts: "${results}/**", allowEmptyArchive: true)
                junit(testResults: "${results}/xunit.xml", allowEmptyResults: true)
            }
            catchError(buildResult: 'FAILURE', stageResult: 'FAILURE') {
                robot(outputPath: results, passThreshold: 100.0, unstableThreshold: 100.0)
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

// The ledger first, then production. The lock is taken within the first agent: one that cannot start waits alone, and holds
// nothing. What does not hold is undone in the same order, so that a build which is killed between the two leaves a ledger
// that says where to go, and the next one goes there.
boolean release(String module, String ledger, Map place) {
    int rollout = 1
    boolean undone = false
    node('delivery') {
        lock('deploy') {
            int code = 0
            stage('Ledger') {
                container('delivery') {
                    code = trusted(ledger, module)
                }
            }
            undone = code == 7
            if (code == 0 || undone) {
                try {
                    stage('Rollout') {
                        rollout = rollOut(module, place)
                    }
                    if (rollout == 7 && !undone) {
                        stage('Undo') {
                            container('delivery') {
                                undone = trusted('delivery undo') == 0
                            }
                            if (undone) {
                                rollout = 1
                                rollout = rollOut(module, place)
                            }
                        }
                    }
                } finally {
                    stage('Outcome') {
                        container('delivery') {
                            code = trusted("delivery rollout --exit-code ${rollout}")
                        }
                    }
                }
            }
            if (code != 0 && code != 4) {
                error("modulePipeline: ${module} was not deployed; the reason stands above and in the commit's status")
            }
        }
    }
    return rollout == 0 && !undone
}

// 0 when what the ledger names is rolled out and holds, 7 when it does not hold.
int rollOut(String module, Map place) {
    int code = rollOutOnce(module, place)
    if (code != 8) {
        return code
    }
    // A plain `pulumi up` cuts nothing for its modules' deploys, nor does an `up` that was killed. What opens the whole state
    // has a Pod of its own.
    onAgent('state', place.namespace) {
        timeout(time: 15, unit: 'MINUTES') {
            container('state') {
                trusted('switchyard cut "$SWITCHYARD_ENVIRONMENT"')
            }
        }
    }
    return rollOutOnce(module, place)
}

// As `rollOut`, and 8 when nothing was done, since the environment was changed and not cut for its modules. What its Pods said
// is carried as a text. The Pod has the module's own account, and for the length of `up` what opens the module's part of the
// state and no other.
int rollOutOnce(String module, Map place) {
    int code = 1
    int held = 1
    String words = ''
    podTemplate(inheritFrom: 'deploy', cloud: place.cloud, namespace: place.namespace, serviceAccount: "deployer-${module}", showRawYaml: false) {
        onAgent(POD_LABEL, place.namespace) {
            container('deploy') {
                timeout(time: 40, unit: 'MINUTES') {
                    String up = 'switchyard up "$SWITCHYARD_ENVIRONMENT" --only ' + module + ' --yes'
                    code = trusted(up, module, place)
                    if (code != 8) {
                        held = trusted('switchyard judge "$SWITCHYARD_ENVIRONMENT" ' + module)
                    }
                    // Whatever stopped it is over: what is there is settled.
                    if (code != 0 && held == 0) {
                        code = trusted(up, module, place)
                    }
                }
                if (held == 7 && fileExists('.switchyard/rollout/unsteady.json')) {
                    words = readFile('.switchyard/rollout/unsteady.json')
                }
            }
        }
    }
    if (held != 7) {
        return code
    }
    writeFile(file: '.switchyard/rollout/unsteady.json', text: words)
    return 7
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

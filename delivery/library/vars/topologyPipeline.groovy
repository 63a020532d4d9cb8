// Arranges stages and Pods of the topology's own repository; the `delivery` and `switchyard` commands decide.
// Code of a merge request that is not merged runs in the Pod `preview` only, which gets no credential: never bind one around
// it (see `trusted`). Nothing here starts it: it waits in a container of its own for what `delivery preview-run` hands over.
// A Pod that cannot start is made anew for ever: `onAgent` ends that for each second agent. No agent is waited for under a lock.

def call(Map settings) {
    String action = env.gitlabActionType
    Map place = [own: settings.own, prefix: settings.namespacePrefix ? "${settings.namespacePrefix}-" : '']
    if (action == 'MERGE') {
        preview(place)
    } else if (action == 'PUSH' && env.gitlabBranch == 'main') {
        if (settings.apply == 'automatic') {
            apply(place, settings.modules)
        } else {
            echo('topologyPipeline: this stack leaves applying to people: run `switchyard up`')
        }
    } else {
        echo("topologyPipeline: nothing to do for ${action} of ${env.gitlabBranch}")
    }
}

List<String> affected() {
    String text = readFile('.switchyard/preview/environments').trim()
    return text == '' ? [] : text.split('\n').toList()
}

void preview(Map place) {
    int code = 0
    boolean superseded = false
    node('delivery') {
        try {
            stage('Source') {
                container('delivery') {
                    code = trusted('delivery preview-source')
                }
            }
            if (code == 0) {
                // Packed by the command: a stash of the checkout itself would follow its links, out of it too.
                stash(name: 'source', includes: '.switchyard/given/source.tar')
                List<String> environments = affected()
                try {
                    // A newer commit ends the watch, and with it the rest.
                    parallel(
                        failFast: true,
                        previews: {
                            for (int i = 0; i < environments.size(); i++) {
                                previewOne(environments[i], place)
                            }
                            writeFile(file: '.switchyard/preview/done', text: '')
                        },
                        watch: {
                            container('delivery') {
                                superseded = trusted('delivery preview-watch') == 4
                            }
                            if (superseded) {
                                error('topologyPipeline: cancelled, a newer commit has its own preview')
                            }
                        }
                    )
                } catch (Exception broken) {
                    if (!superseded) {
                        throw broken
                    }
                }
            }
        } finally {
            if (code != 4) {
                stage('Verdict') {
                    try {
                        // Before the status: whoever follows its link finds the whole.
                        archiveArtifacts(artifacts: 'preview-*.md,.switchyard/preview/*/record/log', allowEmptyArchive: true)
                    } finally {
                        container('delivery') {
                            code = trusted('delivery preview-finish')
                        }
                    }
                }
            }
        }
    }
    if (code == 4) {
        currentBuild.result = 'NOT_BUILT'
    } else if (code != 0) {
        error('topologyPipeline: the preview is red; the reason stands in the merge request\'s note')
    }
}

// What foreign code left comes out as one text (`delivery pack`), and becomes plain files of one folder (`delivery unpack`):
// `unstash` would make links and write through them as that code says.
String packed(String folder) {
    sh(script: "delivery pack ${folder}/record ${folder}/record.parcel", returnStatus: true)
    String text = ''
    timeout(time: 5, unit: 'MINUTES') {
        if (fileExists("${folder}/record.parcel")) {
            text = readFile(file: "${folder}/record.parcel", encoding: 'Base64')
        }
    }
    return text
}

// Of no use to it are credentials, so none are bound.
void unpack(String folder, String record) {
    String command = "mkdir -p ${folder}/record"
    if (record != '') {
        writeFile(file: "${folder}/record.parcel", text: record, encoding: 'Base64')
        command = "delivery unpack ${folder}/record.parcel ${folder}/record"
    }
    if (sh(script: command, returnStatus: true) != 0) {
        error("topologyPipeline: what came out of ${folder} is not what may; the reason stands above")
    }
}

// What an environment's preview left: of a merge request for its reviewers, and of what was merged to be compared with that.
String previewed(String environment, Map place, int round) {
    String record = ''
    onAgent(agent('preview', environment, place.own), "${place.prefix}ci-preview") {
        timeout(time: 45, unit: 'MINUTES') {
            unstash('source')
            unstash("given-${environment}-${round}")
            container('preview') {
                timeout(time: 30, unit: 'MINUTES') {
                    sh(script: "tar -xf .switchyard/given/source.tar && delivery preview-run --environment ${environment}", returnStatus: true)
                }
                record = packed(".switchyard/preview/${environment}")
            }
        }
    }
    return record
}

void previewOne(String environment, Map place) {
    String folder = ".switchyard/preview/${environment}"
    String record = ''
    withhold(environment, place, 1)
    stage("Preview ${environment}") {
        record = previewed(environment, place, 1)
    }
    stage("Report ${environment}") {
        onAgent(agent('state', environment, place.own), "${place.prefix}ci-deploy") {
            timeout(time: 15, unit: 'MINUTES') {
                container('state') {
                    unpack(folder, record)
                    if (stateful(environment, place.own, "switchyard scrub ${environment} ${folder}/record") != 0) {
                        error("topologyPipeline: what the preview of ${environment} wrote could not be scrubbed, so it is not shown")
                    }
                }
                stash(name: "scrubbed-${environment}", includes: "${folder}/record/**,${folder}/leaked", allowEmpty: true)
            }
        }
        unstash("about-${environment}-1")
        unstash("scrubbed-${environment}")
        container('delivery') {
            trusted("delivery preview-report --environment ${environment}")
        }
    }
}

// Another environment has Pods of its own, with its own credentials and none of ours.
String agent(String kind, String environment, String own) {
    return environment == own ? kind : "${kind}-${environment}"
}

// What reads a state: ours with this environment's bot, another one's with the token that its Pod has.
int stateful(String environment, String own, String command) {
    return environment == own ? trusted(command) : sh(script: command, returnStatus: true)
}

// The state without its secrets, made where the secrets are.
void withhold(String environment, Map place, int round) {
    String folder = ".switchyard/preview/${environment}"
    stage("State ${environment}") {
        onAgent(agent('state', environment, place.own), "${place.prefix}ci-deploy") {
            timeout(time: 15, unit: 'MINUTES') {
                container('state') {
                    if (stateful(environment, place.own, "switchyard withhold ${environment} --lock-timeout 10 --out ${folder}") != 0) {
                        error("topologyPipeline: the state of ${environment} cannot be read; the reason stands above")
                    }
                }
                stash(name: "given-${environment}-${round}", includes: "${folder}/given/**")
                stash(name: "about-${environment}-${round}", includes: "${folder}/about.json,${folder}/basis")
            }
        }
    }
}

// The locks of all modules' deploys: those that have parts of the state, and that of those that have none.
List<Map> deployLocks(List<String> modules) {
    List<Map> locks = []
    for (int i = 0; i < modules.size(); i++) {
        locks.add([resource: "deploy-${modules[i]}".toString()])
    }
    return locks
}

// Environment after environment; the first that is not as previewed, or fails, stops all after it.
void apply(Map place, List<String> modules) {
    int code = 0
    node('delivery') {
        stage('Plans') {
            container('delivery') {
                code = trusted('delivery apply-source')
            }
        }
        if (code == 0) {
            try {
                stash(name: 'source', includes: '.switchyard/given/source.tar')
                List<String> environments = affected()
                for (int i = 0; i < environments.size() && code == 0; i++) {
                    code = applyOne(environments[i], place, modules)
                }
            } finally {
                // Nobody waits for a status that never comes.
                container('delivery') {
                    trusted('delivery apply-finish')
                }
            }
        }
    }
    if (code != 0 && code != 4) {
        error('topologyPipeline: not all was applied; the reason stands above and in the commit\'s statuses')
    }
}

// Compared again where something was released or changed before it could be applied: nobody's deploys wait for a comparison, nor for
// its agents. Where that happens each time, nothing is applied: locks that are held while agents start would end it, and be in
// everybody's way.
int applyOne(String environment, Map place, List<String> modules) {
    int applied = 3
    int outcome = 1
    boolean compared = false
    try {
        for (int round = 1; round <= 5 && applied == 3; round++) {
            compared = false
            int code = compare(environment, place, round)
            if (code != 0) {
                return code
            }
            compared = true
            applied = 1
            applied = applyCompared(environment, place, modules, round)
            if (applied == 3) {
                echo("topologyPipeline: ${environment} was changed by a release or an `up` since it was compared (round ${round} of 5)")
            }
        }
    } finally {
        // What was not compared to its end is told by `apply-finish`.
        if (compared) {
            stage("Outcome ${environment}") {
                container('delivery') {
                    outcome = trusted("delivery apply-report --environment ${environment} --exit-code ${applied}")
                }
            }
        }
    }
    return outcome
}

// Without a lock: what it compares is written down, and `apply-run` changes nothing where something else is recorded by then.
int compare(String environment, Map place, int round) {
    String folder = ".switchyard/preview/${environment}"
    String record = ''
    int code = 1
    withhold(environment, place, round)
    stage("Compare ${environment}") {
        record = previewed(environment, place, round)
        unstash("about-${environment}-${round}")
        container('delivery') {
            if (round > 1) {
                sh(script: "rm -rf ${folder}/record", returnStatus: true)
            }
            unpack(folder, record)
            code = trusted("delivery apply-check --environment ${environment}")
        }
    }
    return code
}

// Nothing is released while it is applied. The claims in Pulumi's state keep deploys away from it too, but not from the ledger, which
// is read for an `up` and written for a deploy; and whoever waits for a claim is refused after 20 minutes.
int applyCompared(String environment, Map place, List<String> modules, int round) {
    int applied = 1
    stage("Apply ${environment}") {
        onAgent(agent('apply', environment, place.own), "${place.prefix}ci-apply") {
            unstash('source')
            unstash("about-${environment}-${round}")
            lock(resource: 'deploy', extra: deployLocks(modules)) {
                timeout(time: 60, unit: 'MINUTES') {
                    container('apply') {
                        applied = sh(script: "tar -xf .switchyard/given/source.tar && delivery apply-run --environment ${environment}", returnStatus: true)
                    }
                }
            }
        }
    }
    return applied
}

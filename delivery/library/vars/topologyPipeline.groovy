// Arranges stages and Pods of the topology's own repository; the `delivery` and `switchyard` commands decide.
// Code of a merge request runs in the Pod `preview` only, which gets no credential: never bind one around it (see `trusted`).
// A Pod that cannot start is made anew for ever: `onAgent` ends that for each second agent.

def call(Map settings) {
    String action = env.gitlabActionType
    Map place = [own: settings.own, prefix: settings.namespacePrefix ? "${settings.namespacePrefix}-" : '']
    if (action == 'MERGE') {
        preview(place)
    } else if (action == 'PUSH' && env.gitlabBranch == 'main') {
        if (settings.apply == 'automatic') {
            apply(place)
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

void previewOne(String environment, Map place) {
    String folder = ".switchyard/preview/${environment}"
    String record = ''
    withhold(environment, place)
    stage("Preview ${environment}") {
        onAgent(agent('preview', environment, place.own), "${place.prefix}ci-preview") {
            timeout(time: 45, unit: 'MINUTES') {
                unstash('source')
                unstash("given-${environment}")
                container('preview') {
                    timeout(time: 30, unit: 'MINUTES') {
                        sh(script: "tar -xf .switchyard/given/source.tar && delivery preview-run --environment ${environment}", returnStatus: true)
                    }
                    record = packed(folder)
                }
            }
        }
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
        unstash("about-${environment}")
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
void withhold(String environment, Map place) {
    String folder = ".switchyard/preview/${environment}"
    stage("State ${environment}") {
        onAgent(agent('state', environment, place.own), "${place.prefix}ci-deploy") {
            timeout(time: 15, unit: 'MINUTES') {
                container('state') {
                    if (stateful(environment, place.own, "switchyard withhold ${environment} --out ${folder}") != 0) {
                        error("topologyPipeline: the state of ${environment} cannot be read; the reason stands above")
                    }
                }
                stash(name: "given-${environment}", includes: "${folder}/given/**")
                stash(name: "about-${environment}", includes: "${folder}/about.json")
            }
        }
    }
}

// Environment after environment; the first that is not as previewed, or fails, stops all after it.
void apply(Map place) {
    int code = 0
    // The lock of the modules' deploys: nobody changes the state between the comparison and the `up`. It is taken within the
    // first agent: one that cannot start waits alone, and holds nothing.
    node('delivery') {
        lock('deploy') {
            stage('Plans') {
                container('delivery') {
                    code = trusted('delivery apply-source')
                }
            }
            if (code == 0) {
                stash(name: 'source', includes: '.switchyard/given/source.tar')
                List<String> environments = affected()
                try {
                    for (int i = 0; i < environments.size() && code == 0; i++) {
                        code = applyOne(environments[i], place)
                    }
                } finally {
                    // Nobody waits for a status that never comes.
                    container('delivery') {
                        trusted('delivery apply-finish')
                    }
                }
            }
        }
    }
    if (code != 0 && code != 4) {
        error('topologyPipeline: not all was applied; the reason stands above and in the commit\'s statuses')
    }
}

int applyOne(String environment, Map place) {
    String folder = ".switchyard/preview/${environment}"
    String record = ''
    int code = 0
    withhold(environment, place)
    stage("Compare ${environment}") {
        onAgent(agent('apply', environment, place.own), "${place.prefix}ci-apply") {
            timeout(time: 45, unit: 'MINUTES') {
                unstash('source')
                container('apply') {
                    sh(script: "tar -xf .switchyard/given/source.tar && delivery apply-run --environment ${environment} --operation preview", returnStatus: true)
                    record = packed(folder)
                }
            }
        }
        unstash("about-${environment}")
        container('delivery') {
            unpack(folder, record)
            code = trusted("delivery apply-check --environment ${environment}")
        }
    }
    if (code != 0) {
        return code
    }
    int applied = 1
    try {
        stage("Apply ${environment}") {
            onAgent(agent('apply', environment, place.own), "${place.prefix}ci-apply") {
                timeout(time: 60, unit: 'MINUTES') {
                    unstash('source')
                    container('apply') {
                        applied = sh(script: "tar -xf .switchyard/given/source.tar && delivery apply-run --environment ${environment} --operation up", returnStatus: true)
                    }
                }
            }
        }
    } finally {
        stage("Outcome ${environment}") {
            container('delivery') {
                code = trusted("delivery apply-report --environment ${environment} --exit-code ${applied}")
            }
        }
    }
    return code
}

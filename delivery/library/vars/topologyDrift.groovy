// Looks for drift and keeps the issue about it; the `delivery` and `switchyard` commands decide.
// The Pod `drift` may read and nothing else. The state comes to it without secrets, made where they are.
// A Pod that cannot start is made anew for ever: `onAgent` ends that for each second agent. No agent is waited for under a lock.

def call(Map settings) {
    String environment = settings.environment
    String prefix = settings.namespacePrefix ? "${settings.namespacePrefix}-" : ''
    int code = 1
    boolean seen = false
    node('delivery') {
        try {
            look(environment, prefix, settings.parts == true)
            seen = true
        } finally {
            stage('Report') {
                container('delivery') {
                    // Whoever reads the issue of yesterday finds that nobody looked today.
                    String unseen = seen ? '' : ' --unseen'
                    code = trusted("delivery drift-report --environment ${environment}${unseen}")
                }
                archiveArtifacts(artifacts: "drift-${environment}.md", allowEmptyArchive: true)
            }
        }
    }
    if (code == 5) {
        unstable("topologyDrift: ${environment} is not as it was applied; the issue says where")
    } else if (code != 0) {
        error('topologyDrift: the issue could not be kept; the reason stands above')
    }
}

// Again where something was released or applied meanwhile: what that is changing is no drift.
void look(String environment, String prefix, boolean parts) {
    for (int round = 1; round <= 3; round++) {
        state('State', environment, prefix, parts, 'before', round)
        compare(environment, prefix, round)
        int found = 0
        container('delivery') {
            found = sh(script: "delivery drift-found --environment ${environment}", returnStatus: true)
        }
        if (found == 0) {
            return
        }
        if (found != 5) {
            error("topologyDrift: what the look at ${environment} left is no report; the reason stands above")
        }
        state('State again', environment, prefix, parts, 'after', round)
        int moved = 1
        container('delivery') {
            String folder = ".switchyard/drift/${environment}"
            moved = sh(script: "cmp -s ${folder}/before/about.json ${folder}/after/about.json", returnStatus: true)
        }
        if (moved == 0) {
            return
        }
        echo("topologyDrift: ${environment} was changed by a release or an `up` during the look (round ${round} of 3)")
    }
    error("topologyDrift: ${environment} was changed during each of three looks; the next one may find it at rest")
}

// What is recorded, without its secrets, when nobody changes it.
void state(String name, String environment, String prefix, boolean parts, String at, int round) {
    String folder = ".switchyard/drift/${environment}/${at}"
    stage(name) {
        onAgent('state', "${prefix}ci-deploy") {
            if (parts) {
                read(environment, folder)
            } else {
                // Where all deploys work on one state, one that is under way is not told from drift by it. Before the look and after
                // it none is: one between the two has changed what is recorded.
                lock('deploy') {
                    read(environment, folder)
                }
            }
            stash(name: "given-${at}-${round}", includes: "${folder}/given/**")
            stash(name: "about-${at}-${round}", includes: "${folder}/about.json")
        }
        unstash("about-${at}-${round}")
    }
}

void read(String environment, String folder) {
    timeout(time: 40, unit: 'MINUTES') {
        container('state') {
            if (trusted("switchyard withhold ${environment} --lock-timeout 20 --out ${folder}") != 0) {
                error("topologyDrift: the state of ${environment} cannot be read; the reason stands above")
            }
        }
    }
}

void compare(String environment, String prefix, int round) {
    String folder = ".switchyard/drift/${environment}"
    int code = 1
    String record = ''
    stage('Look') {
        onAgent('drift', "${prefix}ci-drift") {
            timeout(time: 40, unit: 'MINUTES') {
                unstash("given-before-${round}")
                container('drift') {
                    timeout(time: 30, unit: 'MINUTES') {
                        code = sh(script: "delivery drift-run --environment ${environment}", returnStatus: true)
                    }
                    sh(script: "delivery pack ${folder}/record ${folder}/record.parcel", returnStatus: true)
                }
                // As text, not by a stash: see topologyPipeline.
                if (fileExists("${folder}/record.parcel")) {
                    record = readFile(file: "${folder}/record.parcel", encoding: 'Base64')
                }
            }
        }
        if (code != 0) {
            error("topologyDrift: ${environment} could not be looked at; the reason stands above")
        }
        writeFile(file: "${folder}/record.parcel", text: record, encoding: 'Base64')
        container('delivery') {
            if (sh(script: "rm -rf ${folder}/record && delivery unpack ${folder}/record.parcel ${folder}/record", returnStatus: true) != 0) {
                error("topologyDrift: what the look at ${environment} left is not what may come out; the reason stands above")
            }
        }
    }
}

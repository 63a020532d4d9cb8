// Looks for drift and keeps the issue about it; the `delivery` and `switchyard` commands decide.
// The Pod `drift` may read and nothing else. The state comes to it without secrets, made where they are.
// A Pod that cannot start is made anew for ever: `onAgent` ends that for each second agent.

def call(Map settings) {
    String environment = settings.environment
    String folder = ".switchyard/drift/${environment}"
    String prefix = settings.namespacePrefix ? "${settings.namespacePrefix}-" : ''
    int code = 1
    String record = ''
    node('delivery') {
        // The lock of deploys: what one is changing meanwhile is no drift. It is taken within the first agent: one that cannot
        // start waits alone, and holds nothing.
        lock('deploy') {
            stage('State') {
                onAgent('state', "${prefix}ci-deploy") {
                    timeout(time: 15, unit: 'MINUTES') {
                        container('state') {
                            if (trusted("switchyard withhold ${environment} --out ${folder}") != 0) {
                                error("topologyDrift: the state of ${environment} cannot be read; the reason stands above")
                            }
                        }
                        stash(name: 'given', includes: "${folder}/given/**")
                    }
                }
            }
            stage('Look') {
                onAgent('drift', "${prefix}ci-drift") {
                    timeout(time: 40, unit: 'MINUTES') {
                        unstash('given')
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
            }
        }
        if (code != 0) {
            error("topologyDrift: ${environment} could not be looked at; the reason stands above")
        }
        stage('Report') {
            writeFile(file: "${folder}/record.parcel", text: record, encoding: 'Base64')
            container('delivery') {
                if (sh(script: "delivery unpack ${folder}/record.parcel ${folder}/record", returnStatus: true) != 0) {
                    error("topologyDrift: what the look at ${environment} left is not what may come out; the reason stands above")
                }
                code = trusted("delivery drift-report --environment ${environment}")
            }
            archiveArtifacts(artifacts: "drift-${environment}.md", allowEmptyArchive: true)
        }
    }
    if (code == 5) {
        unstable("topologyDrift: ${environment} is not as it was applied; the issue says where")
    } else if (code != 0) {
        error('topologyDrift: the issue could not be kept; the reason stands above')
    }
}

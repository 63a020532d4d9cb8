// Looks for drift and keeps the issue about it; the `delivery` and `switchyard` commands decide.
// The Pod `drift` may read and nothing else. The state comes to it without secrets, made where they are.

def call(Map settings) {
    String environment = settings.environment
    String folder = ".switchyard/drift/${environment}"
    int code = 1
    // The lock of deploys: what one is changing meanwhile is no drift.
    lock('deploy') {
        stage('State') {
            node('deploy') {
                container('deploy') {
                    if (trusted("switchyard withhold ${environment} --out ${folder}") != 0) {
                        error("topologyDrift: the state of ${environment} cannot be read; the reason stands above")
                    }
                }
                stash(name: 'given', includes: "${folder}/given/**")
            }
        }
        stage('Look') {
            node('drift') {
                unstash('given')
                container('drift') {
                    timeout(time: 30, unit: 'MINUTES') {
                        code = sh(script: "delivery drift-run --environment ${environment}", returnStatus: true)
                    }
                }
                stash(name: 'record', includes: "${folder}/record/**", allowEmpty: true)
            }
        }
    }
    if (code != 0) {
        error("topologyDrift: ${environment} could not be looked at; the reason stands above")
    }
    stage('Report') {
        node('delivery') {
            unstash('record')
            container('delivery') {
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

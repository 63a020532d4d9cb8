// The one place that binds credentials, around one command and nothing else.

def call(String command) {
    int code = 1
    withCredentials([
        string(credentialsId: 'gitlab-bot-token', variable: 'GITLAB_TOKEN'),
        string(credentialsId: 'certificate-key', variable: 'SWITCHYARD_CERTIFICATE_KEY')
    ]) {
        code = sh(script: command, returnStatus: true)
    }
    return code
}

// The one place that binds credentials, around one command and nothing else.

// With a module's name, the login for the registry's repository of that module is among them.
def call(String command, String module = null) {
    int code = 1
    List bindings = [
        string(credentialsId: 'gitlab-bot-token', variable: 'GITLAB_TOKEN'),
        string(credentialsId: 'certificate-key', variable: 'SWITCHYARD_CERTIFICATE_KEY')
    ]
    if (module != null) {
        bindings.add(usernamePassword(credentialsId: "registry-${module}", usernameVariable: 'REGISTRY_USER', passwordVariable: 'REGISTRY_PASSWORD'))
    }
    withCredentials(bindings) {
        code = sh(script: command, returnStatus: true)
    }
    return code
}

// The one place that binds credentials, around one command and nothing else.

// With a module's name, the login for the registry's repository of that module is among them; for a rollout, what gives the
// secrets of that module's production and opens its part of the state stands in that login's place.
def call(String command, String module = null, Map rollout = null) {
    int code = 1
    List bindings = [string(credentialsId: 'gitlab-bot-token', variable: 'GITLAB_TOKEN')]
    // Only these sign and read certificates: a backup does not.
    if (command.startsWith('delivery ')) {
        bindings.add(string(credentialsId: 'certificate-key', variable: 'SWITCHYARD_CERTIFICATE_KEY'))
    }
    if (rollout != null) {
        bindings.add(string(credentialsId: "keys-${module}", variable: 'SWITCHYARD_SEED'))
        if (rollout.parts) {
            bindings.add(string(credentialsId: "part-${module}", variable: 'PULUMI_CONFIG_PASSPHRASE'))
        }
    } else if (module != null) {
        bindings.add(usernamePassword(credentialsId: "registry-${module}", usernameVariable: 'REGISTRY_USER', passwordVariable: 'REGISTRY_PASSWORD'))
    }
    withCredentials(bindings) {
        code = sh(script: command, returnStatus: true)
    }
    return code
}

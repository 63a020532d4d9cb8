// The one place that binds credentials, around one command and nothing else.

// With a module's name, the login for the registry's repository of that module is among them; for a rollout, what gives the
// secrets of that module's production and opens its part of the state stands in that login's place.
def call(String command, String module = null, Map rollout = null) {
    int code = 1
    List bindings = []
    String token = tokenFor(command)
    if (token != '') {
        bindings.add(string(credentialsId: token, variable: 'GITLAB_TOKEN'))
    }
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

// What writes to GitLab, and what has to know the bot's own notes from those of others.
List<String> asBot() {
    return ['delivery source', 'delivery queue-watch', 'delivery verdict', 'delivery report', 'delivery merge',
            'delivery deploy', 'delivery rollback', 'delivery progress', 'delivery undo', 'delivery unstarted', 'delivery rollout',
            'delivery preview-source', 'delivery preview-report', 'delivery preview-finish',
            'delivery apply-source', 'delivery apply-check', 'delivery apply-report', 'delivery apply-finish',
            'delivery drift-report']
}

// What only reads there.
List<String> asReader() {
    return ['switchyard up', 'switchyard judge', 'switchyard cut', 'switchyard withhold', 'switchyard scrub',
            'delivery preview-watch', 'delivery backup']
}

// What asks GitLab for nothing.
List<String> asNobody() {
    return ['delivery build-plan', 'delivery build', 'delivery test-pod']
}

// The credential with the token for a command, the most that one of its parts needs; empty where none does. What stands in no list
// is not run at all: nobody has said what it may.
String tokenFor(String command) {
    String token = ''
    String[] parts = command.split(' && ')
    for (int i = 0; i < parts.length; i++) {
        String name = nameOf(parts[i])
        if (asBot().contains(name)) {
            token = 'gitlab-bot-token'
        } else if (asReader().contains(name)) {
            token = token == '' ? 'gitlab-reader-token' : token
        } else if (!asNobody().contains(name)) {
            error("trusted: '${name}' stands in none of the lists of trusted.groovy, so it gets no credential and is not run")
        }
    }
    return token
}

// Program and command, behind the `timeout` that may stand before them.
String nameOf(String command) {
    String[] words = command.trim().split(' ')
    int at = words[0] == 'timeout' ? 2 : 0
    return words.length > at + 1 ? "${words[at]} ${words[at + 1]}".toString() : command
}

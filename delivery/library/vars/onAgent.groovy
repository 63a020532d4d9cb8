// Runs a body on a second agent, while the build holds its first one. Jenkins' Kubernetes plugin makes a Pod that cannot start
// anew for ever: here its build ends red after a quarter of an hour, whatever the body may take once it runs. Never call it under a
// lock: whoever else needs that would wait as long. Take it in the body.

def call(String label, String namespace, Closure body) {
    boolean started = false
    parallel(
        failFast: true,
        agent: {
            node(label) {
                started = true
                body.call()
            }
        },
        start: {
            int waited = 0
            while (!started && waited < 900) {
                int pause = Math.min(1 + waited.intdiv(5), 30)
                sleep(time: pause, unit: 'SECONDS')
                waited += pause
            }
            if (!started) {
                // Left for whatever tells people how the build ended. No credential is needed for it.
                container('delivery') {
                    String authority = 'NODE_EXTRA_CA_CERTS=/var/run/secrets/kubernetes.io/serviceaccount/ca.crt'
                    sh(script: "${authority} delivery agent-events --namespace ${namespace} --minutes 15", returnStatus: true)
                }
                error("onAgent: no agent for '${label}' started within 15 minutes; why, the events of its Pod say above, and for an hour: kubectl --namespace ${namespace} get events --sort-by=.lastTimestamp")
            }
        }
    )
}

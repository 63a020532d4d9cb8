// Runs a body on a second agent, while the build holds its first one and perhaps a lock. Jenkins' Kubernetes plugin makes a Pod
// that cannot start anew for ever: here its build ends red after a quarter of an hour, whatever the body may take once it runs.

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
                error("onAgent: no agent for '${label}' started within 15 minutes; why, its Pod's events say for an hour: kubectl --namespace ${namespace} get events --sort-by=.lastTimestamp")
            }
        }
    )
}

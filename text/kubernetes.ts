// Text in `env`, `command` and `args` of a container. Kubernetes replaces `$(NAME)` by a variable of the same container
// and reads `$$` as `$`; any other `$` is one (third_party/forked/golang/expansion/expand.go). So it is with a probe's
// command (pkg/kubelet/prober/prober.go), and not with what comes by `envFrom` (pkg/kubelet/kubelet_pods.go).

/** The text, whatever comes before or after it. */
export const containerText = (text: string): string => text.replace(/\$(?=[$(]|$)/g, '$$$$');

/** The value of another variable of the container, of one that stands before it. */
export const containerVariable = (name: string): string => `$(${name})`;

/** Seconds that a Pod which changes an environment has to come to its end: the engine finishes what is under way. */
export const ENDING_SECONDS = 120;

/**
 * What the container of such a Pod runs while it waits for steps. Kubernetes tells the first process only that the Pod
 * ends, and a plain `sleep` would not even take that in: a rollout was killed in its middle. This passes it on to
 * `switchyard`, which saves its state and gives back its claims, and waits for it. Its provider plug-ins are not told: the
 * engine ends them when it has done with them.
 * @param proc where the processes of the container are listed
 */
export const waitForSteps = (proc = '/proc'): string[] => [
  'sh',
  '-c',
  `end() {
  told=''
  for entry in ${proc}/[0-9]*; do
    line=$(tr '\\0' ' ' < "$entry/cmdline" 2> /dev/null) || continue
    case "$line" in
      *node*"/"switchyard.js" "*) kill -TERM "\${entry##*/}" && told="$told \${entry##*/}" ;;
    esac
  done
  for pid in $told; do
    while [ -d "${proc}/$pid" ] && kill -0 "$pid" 2> /dev/null; do sleep 1; done
  done
  exit 0
}
trap end TERM INT
sleep infinity &
wait`,
];

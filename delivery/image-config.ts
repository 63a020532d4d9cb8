import { z } from 'zod';
import { DIGEST } from './manifest';
import { parseOnce } from './once';

/** What the configuration of an image may weigh, in bytes: every node reads it whole. */
export const CONFIG_BYTES = 1 << 20;

/**
 * Signals as container runtimes know them (moby/sys/signal). One that they do not know is not replaced by another: kubelet's
 * requests to stop such a container fail, and nothing ends it (containerd, internal/cri/server/container_stop.go).
 */
const SIGNAL =
  /^(|[1-9]|[1-5]\d|6[0-4]|(SIG)?(ABRT|ALRM|BUS|CHLD|CLD|CONT|FPE|HUP|ILL|INT|IO|IOT|KILL|PIPE|POLL|PROF|PWR|QUIT|SEGV|STKFLT|STOP|SYS|TERM|TRAP|TSTP|TTIN|TTOU|URG|USR1|USR2|VTALRM|WINCH|XCPU|XFSZ|RTMIN(\+([1-9]|1[0-5]))?|RTMAX(-([1-9]|1[0-4]))?))$/i;

/** As Go compares the names of members: by letters, whatever their case, and a few that fold to them. */
const folded = (name: string): string => name.toUpperCase().toLowerCase();

/** An object that may have more members, but none that Go takes for one of these and JavaScript does not. */
function exactly<T extends z.ZodRawShape>(shape: T) {
  const names = new Map(Object.keys(shape).map((name) => [folded(name), name]));
  return z.looseObject(shape).superRefine((value, context) => {
    const other = Object.keys(value).find((name) => (names.get(folded(name)) ?? name) !== name);
    if (other !== undefined) context.addIssue({ code: 'custom', message: 'has a member in other letters' });
  });
}

const words = z.array(z.string()).nullish();
const marks = z.record(z.string(), z.unknown()).nullish();
/** Source: image-spec 1.1, config.md. Go writes null for what is empty. */
const schema = exactly({
  architecture: z.string().min(1),
  os: z.literal('linux'),
  rootfs: exactly({
    type: z.literal('layers'),
    diff_ids: z.array(z.string().regex(DIGEST)).nullish(),
  }),
  history: z.array(z.looseObject({})).nullish(),
  config: exactly({
    User: z.string().nullish(),
    ExposedPorts: marks,
    Env: words,
    Entrypoint: words,
    Cmd: words,
    Volumes: marks,
    WorkingDir: z.string().nullish(),
    Labels: z.record(z.string(), z.string()).nullish(),
    StopSignal: z.string().nullish(),
  }).nullish(),
});

/** Text of others, as a few plain letters. */
const shown = (text: string): string => JSON.stringify(text.replace(/[^ -~]/g, '?').slice(0, 100));

/**
 * Reads the configuration of an image that somebody else built. What a Pod's own declaration decides (user, root, command's
 * rights) is not looked at; what only the image decides is.
 * @param layers how many the manifest names
 * @returns what is wrong with it and what to do, or undefined
 */
export function whyNoConfig(
  bytes: Buffer,
  layers: number,
): { readonly what: string; readonly remedy: string } | undefined {
  const { data, error } = schema.safeParse(parseOnce(bytes.toString('utf8')));
  if (!data) {
    const issue = error.issues[0];
    const where = issue?.path.join('.') || 'the whole';
    return { what: `has a configuration that is none (${where}: ${issue?.message})`, remedy: '' };
  }
  const named = data.rootfs.diff_ids?.length ?? 0;
  if (named !== layers) {
    return { what: `has ${layers} layers, and a configuration for ${named}`, remedy: '' };
  }
  const [volume] = Object.keys(data.config?.Volumes ?? {});
  if (volume !== undefined) {
    return {
      what: `declares VOLUME ${shown(volume)}: a folder on the node's own disk, which no limit holds`,
      remedy:
        'Take VOLUME out of the Dockerfile; where its base brings it, end with `FROM scratch` and `COPY --from=<stage> / /`, and say ENV, WORKDIR, ENTRYPOINT and CMD again. What may be written to is /tmp.',
    };
  }
  const signal = data.config?.StopSignal ?? '';
  if (!SIGNAL.test(signal)) {
    return {
      what: `declares STOPSIGNAL ${shown(signal)}, which is none, so that nothing could stop it`,
      remedy: 'Write a signal of Linux, e.g. SIGTERM.',
    };
  }
  return undefined;
}

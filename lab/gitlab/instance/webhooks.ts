import { randomUUID } from 'node:crypto';
import { lookup } from 'node:dns/promises';
import http from 'node:http';
import https from 'node:https';
import { BlockList, isIP } from 'node:net';
import { matchesPattern } from './access';
import { GITLAB_VERSION, type Instance, now } from './instance';
import type { Hook, HookEvent, Project, Settings } from './model';
import { HOOK_EVENTS, type HookEventName, type Payload } from './parts';

/** GitLab's own numbers (app/models/concerns/web_hooks/auto_disabling.rb and `webhook_timeout`). */
const TIMEOUT_MS = 10_000;
const TEMPORARY_AFTER = 3;
const PERMANENT_AFTER = 39;
const INITIAL_BACKOFF_MS = 60_000;
const MAX_BACKOFF_MS = 86_400_000;
const BODY_LIMIT = 8 * 1024;
const EVENTS_KEPT_PER_HOOK = 500;

export type AlertStatus = 'executable' | 'temporarily_disabled' | 'disabled';

export function alertStatus(hook: Pick<Hook, 'recent_failures' | 'disabled_until'>, at: number): AlertStatus {
  if (hook.recent_failures > PERMANENT_AFTER) return 'disabled';
  const until = hook.disabled_until === null ? 0 : Date.parse(hook.disabled_until);
  return hook.recent_failures > TEMPORARY_AFTER && until >= at ? 'temporarily_disabled' : 'executable';
}

/** The counters after one more failure at `at`: from the fourth in a row on a pause, doubling up to a day. */
export function afterFailure(
  hook: Pick<Hook, 'recent_failures' | 'disabled_until'>,
  at: number,
): Pick<Hook, 'recent_failures' | 'disabled_until'> {
  if (alertStatus(hook, at) !== 'executable')
    return { recent_failures: hook.recent_failures, disabled_until: hook.disabled_until };
  const failures = Math.min(hook.recent_failures + 1, PERMANENT_AFTER + 1);
  if (failures <= TEMPORARY_AFTER) return { recent_failures: failures, disabled_until: hook.disabled_until };
  const backoff = Math.min(
    INITIAL_BACKOFF_MS * 2 ** (hook.recent_failures - TEMPORARY_AFTER),
    MAX_BACKOFF_MS,
  );
  return { recent_failures: failures, disabled_until: new Date(at + backoff).toISOString() };
}

const LOCALHOST = new BlockList();
LOCALHOST.addSubnet('127.0.0.0', 8);
LOCALHOST.addAddress('::1', 'ipv6');
LOCALHOST.addAddress('0.0.0.0');
LOCALHOST.addAddress('::', 'ipv6');
const LOCAL_NETWORK = new BlockList();
for (const [net, bits] of [
  ['10.0.0.0', 8],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['100.64.0.0', 10],
] as const)
  LOCAL_NETWORK.addSubnet(net, bits);
LOCAL_NETWORK.addSubnet('fc00::', 7, 'ipv6');
const LINK_LOCAL = new BlockList();
LINK_LOCAL.addSubnet('169.254.0.0', 16);
LINK_LOCAL.addSubnet('fe80::', 10, 'ipv6');

/** Entries are a name, an address or a network, the first two with a port if only that one is meant. */
function isListed(list: string, url: URL, host: string): boolean {
  const port = url.port || (url.protocol === 'https:' ? '443' : '80');
  const family = isIP(host);
  return list
    .split(/[;,\s]+/)
    .filter(Boolean)
    .some((entry) => {
      if (entry === host || entry === `${url.hostname}:${port}`) return true;
      const [net = '', bits] = entry.split('/');
      if (bits === undefined || family === 0 || isIP(net) !== family) return false;
      if (!/^\d+$/.test(bits) || Number(bits) > (family === 6 ? 128 : 32)) return false;
      const block = new BlockList();
      const kind = family === 6 ? 'ipv6' : 'ipv4';
      block.addSubnet(net, Number(bits), kind);
      return block.check(host, kind);
    });
}

/** Why GitLab does not send to this URL, or undefined. A host that does not resolve is let through, to fail later. */
export async function blockedReason(
  url: string,
  settings: Pick<
    Settings,
    'allow_local_requests_from_web_hooks_and_services' | 'outbound_local_requests_allowlist_raw'
  >,
): Promise<string | undefined> {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    return 'is blocked: URI is invalid';
  }
  if (!['http:', 'https:'].includes(parsed.protocol))
    return 'is blocked: Only allowed schemes are http, https';
  if (settings.allow_local_requests_from_web_hooks_and_services) return undefined;
  const host = parsed.hostname.replace(/^\[|\]$/g, '');
  if (isListed(settings.outbound_local_requests_allowlist_raw ?? '', parsed, host)) return undefined;
  const addresses = isIP(host)
    ? [{ address: host, family: isIP(host) }]
    : await lookup(host, { all: true }).catch(() => []);
  for (const { address, family } of addresses) {
    const kind = family === 6 ? 'ipv6' : 'ipv4';
    if (LOCALHOST.check(address, kind)) return 'is blocked: Requests to localhost are not allowed';
    if (LOCAL_NETWORK.check(address, kind))
      return 'is blocked: Requests to the local network are not allowed';
    if (LINK_LOCAL.check(address, kind))
      return 'is blocked: Requests to the link local network are not allowed';
  }
  return undefined;
}

interface Response {
  status: string;
  headers: Record<string, string>;
  body: string;
  error: string | null;
}

/** New with each request, also the one that is named after the hook (WebHookService#build_headers). */
const freshHeaders = (): Record<string, string> => ({
  'X-Gitlab-Webhook-UUID': randomUUID(),
  'X-Gitlab-Event-UUID': randomUUID(),
});

/** Sends hooks, keeps their log, and stops sending to receivers that keep failing. */
export class Webhooks {
  private readonly running = new Set<Promise<unknown>>();
  private readonly closing = new AbortController();

  constructor(private readonly app: Instance) {}

  /** Queues a delivery to each hook of the project that wants the event; written down before it is sent. */
  emit(project: Project, event: HookEventName, payload: Payload, branch?: string): void {
    for (const hook of this.app.tables.hooks.filter(
      (row) => row.project_id === project.id && row.events[event] === true,
    )) {
      if (event === 'push_events' && branch !== undefined && !wantsBranch(hook, branch)) continue;
      if (alertStatus(hook, Date.now()) !== 'executable') {
        this.app.log.warn(
          `hook ${hook.id} of ${this.app.projectPath(project)} is disabled after ${hook.recent_failures} failures: its ${event} is dropped`,
        );
        continue;
      }
      this.start(hook, this.record(hook, event, payload));
    }
  }

  /** Sends what a stopped server had not finished sending, with the same Idempotency-Key. */
  resume(): void {
    for (const event of this.app.tables.hookEvents.filter((row) => row.response_status === null)) {
      const hook = this.app.tables.hooks.get(event.hook_id);
      if (hook) this.start(hook, event);
      else this.app.tables.hookEvents.delete(event.id);
    }
  }

  /** Sends now, also to a disabled hook, and enables it again when the receiver accepts. */
  async test(hook: Hook, event: HookEventName, payload: Payload): Promise<HookEvent> {
    return this.deliver(hook, this.record(hook, event, payload));
  }

  async resend(hook: Hook, event: HookEvent): Promise<HookEvent> {
    const { id: _, ...copy } = event;
    const repeated = this.app.tables.hookEvents.insert({
      ...copy,
      url: hook.url,
      request_headers: { ...copy.request_headers, ...freshHeaders() },
      response_status: null,
      created_at: now(),
    });
    return this.deliver(hook, repeated);
  }

  /** Stops sending; unfinished deliveries stay written down for the next start. */
  async close(): Promise<void> {
    this.closing.abort();
    await Promise.allSettled(this.running);
  }

  /** Resolves when nothing is on its way. */
  async idle(): Promise<void> {
    while (this.running.size > 0) await Promise.allSettled([...this.running]);
  }

  private record(hook: Hook, event: HookEventName, payload: Payload): HookEvent {
    const key = randomUUID();
    const row = this.app.tables.hookEvents.insert({
      hook_id: hook.id,
      project_id: hook.project_id,
      trigger: HOOK_EVENTS[event].trigger,
      event: HOOK_EVENTS[event].header,
      url: hook.url,
      idempotency_key: key,
      request_headers: {
        ...Object.fromEntries(Object.keys(hook.custom_headers).map((name) => [name, '[REDACTED]'])),
        'Content-Type': 'application/json',
        'User-Agent': `GitLab/${GITLAB_VERSION}`,
        'Idempotency-Key': key,
        'X-Gitlab-Event': HOOK_EVENTS[event].header,
        'X-Gitlab-Instance': this.app.externalUrl,
        ...freshHeaders(),
        ...(hook.token ? { 'X-Gitlab-Token': '[REDACTED]' } : {}),
      },
      request_data: payload,
      response_headers: {},
      response_body: '',
      response_status: null,
      execution_duration: 0,
      error: null,
      created_at: now(),
    });
    const old = this.app.tables.hookEvents.filter(
      (candidate) => candidate.hook_id === hook.id && candidate.response_status !== null,
    );
    for (const event of old.slice(0, Math.max(0, old.length - EVENTS_KEPT_PER_HOOK)))
      this.app.tables.hookEvents.delete(event.id);
    return row;
  }

  private start(hook: Hook, event: HookEvent): void {
    const delivery = this.deliver(hook, event).catch((error: Error) =>
      this.app.log.warn(`hook ${hook.id}: ${error.message}`),
    );
    this.running.add(delivery);
    void delivery.finally(() => this.running.delete(delivery));
  }

  private async deliver(hook: Hook, event: HookEvent): Promise<HookEvent> {
    const started = performance.now();
    const reason = await blockedReason(hook.url, this.app.settings);
    const response: Response = reason
      ? { status: 'internal error', headers: {}, body: '', error: `URL ${reason}` }
      : await this.post(hook, event);
    if (this.closing.signal.aborted && response.error !== null) return event;
    const { hooks, hookEvents } = this.app.tables;
    // The hook can have been deleted meanwhile, and its log with it.
    if (!hooks.get(hook.id)) return event;
    hookEvents.update(event, {
      response_status: response.status,
      response_headers: response.headers,
      response_body: response.body,
      execution_duration: (performance.now() - started) / 1000,
      error: response.error,
    });
    const code = Number(response.status);
    if (code >= 200 && code < 400) {
      if (hook.recent_failures > 0 || hook.disabled_until)
        hooks.update(hook, { recent_failures: 0, disabled_until: null });
    } else {
      this.app.log.warn(
        `hook ${hook.id} (${event.event}) to ${hook.url}: ${response.error ?? `HTTP ${response.status}`}`,
      );
      // A test counts as any delivery does (WebHooks::LogExecutionService), but for a hook that is disabled: `backoff!`.
      hooks.update(hook, afterFailure(hook, Date.now()));
    }
    return event;
  }

  private post(hook: Hook, event: HookEvent): Promise<Response> {
    const url = new URL(hook.url);
    const body = Buffer.from(JSON.stringify(event.request_data));
    const headers: Record<string, string> = {
      ...event.request_headers,
      ...hook.custom_headers,
      'Content-Length': String(body.length),
    };
    if (hook.token) headers['X-Gitlab-Token'] = hook.token;
    const failed = (error: string): Response => ({ status: 'internal error', headers: {}, body: '', error });
    return new Promise((resolve) => {
      const { request } = url.protocol === 'https:' ? https : http;
      const call = request(
        url,
        {
          method: 'POST',
          headers,
          agent: false,
          signal: AbortSignal.any([this.closing.signal, AbortSignal.timeout(TIMEOUT_MS)]),
          ...(url.protocol === 'https:' ? { rejectUnauthorized: hook.enable_ssl_verification } : {}),
        },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.once('error', (error) => resolve(failed(error.message)));
          response.once('end', () =>
            resolve({
              status: String(response.statusCode),
              headers: Object.fromEntries(
                Object.entries(response.headers).map(([name, value]) => [
                  name.replace(/\b[a-z]/g, (c) => c.toUpperCase()),
                  String(value),
                ]),
              ),
              body: Buffer.concat(chunks).subarray(0, BODY_LIMIT).toString(),
              error: null,
            }),
          );
        },
      );
      call.once('error', (error) =>
        resolve(
          failed(
            error.name === 'AbortError' || error.name === 'TimeoutError'
              ? 'execution expired'
              : `Failed to open TCP connection: ${error.message}`,
          ),
        ),
      );
      call.end(body);
    });
  }
}

/** `push_events_branch_filter` read by the hook's strategy; an empty filter takes every branch. */
export function wantsBranch(
  hook: Pick<Hook, 'push_events_branch_filter' | 'branch_filter_strategy'>,
  branch: string,
): boolean {
  const filter = hook.push_events_branch_filter;
  if (!filter || hook.branch_filter_strategy === 'all_branches') return true;
  if (hook.branch_filter_strategy === 'regex') return new RegExp(filter).test(branch);
  return matchesPattern(filter, branch);
}

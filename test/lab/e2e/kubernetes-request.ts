/** A name that nothing has: who may would be told that it is not there. */
export const ABSENT = 'identities-absent';

const METHODS: Readonly<Record<string, string>> = {
  get: 'GET',
  list: 'GET',
  create: 'POST',
  update: 'PUT',
  delete: 'DELETE',
};

/** A request as it is sent to the API server. */
export interface KubernetesRequest {
  readonly method: string;
  readonly path: string;
  /** Beside the login. */
  readonly headers: Readonly<Record<string, string>>;
}

/** Asks as somebody else for what anyone may see: a 403 refuses to be that one. */
function impersonation(resource: string, namespace: string | undefined): KubernetesRequest {
  const users: Readonly<Record<string, string>> = {
    users: ABSENT,
    serviceaccounts: `system:serviceaccount:${namespace}:${ABSENT}`,
  };
  const user = users[resource];
  if (user === undefined) throw new Error(`nothing says how to impersonate ${resource}`);
  return { method: 'GET', path: '/version', headers: { 'impersonate-user': user } };
}

/**
 * What `verb resource[/part][.group] [namespace [name]]` asks of the API server; a dry run, should it be one that changes
 * something.
 * @throws when nothing says how that verb is asked
 */
export function requestOf(what: string): KubernetesRequest {
  const [verb = '', resource = '', namespace, name] = what.split(' ');
  if (verb === 'impersonate') return impersonation(resource, namespace);
  const method = METHODS[verb];
  if (method === undefined) throw new Error(`nothing says how to ask for "${what}"`);
  const [whole = '', ...group] = resource.split('.');
  const [kind, part] = whole.split('/');
  const api = group.length === 0 ? '/api/v1' : `/apis/${group.join('.')}/v1`;
  const place = `${api}${namespace ? `/namespaces/${namespace}` : ''}/${kind}`;
  const one = part !== undefined || ['get', 'update', 'delete'].includes(verb);
  const query = part === 'exec' ? '?command=true' : '?dryRun=All';
  return {
    method,
    path: `${place}${one ? `/${name ?? ABSENT}` : ''}${part ? `/${part}` : ''}${method === 'GET' ? '' : query}`,
    headers: {},
  };
}

/**
 * Who may ask the registry for what: a user, a method, an address as it is sent, and the status that comes back. 403 is
 * the proxy's; any other is the registry's own, which was asked then. Addresses are written as text: a URL would be
 * tidied up by the client.
 */
export type Right = readonly [user: string, method: string, path: string, status: number];

const BLOB = `sha256:${'0'.repeat(64)}`;

/** @param own a module with an image @param other another one, whose image has `tag` and a blob `blob` */
export function registryRights(
  own: string,
  other: { readonly module: string; readonly tag: string; readonly blob: string },
): Right[] {
  const push = `push-${own}`;
  const mine = `/v2/modules/${own}`;
  const theirs = `/v2/modules/${other.module}`;
  return [
    ['', 'GET', '/v2/', 401],
    ['', 'POST', `${mine}/blobs/uploads/`, 401],
    // Who pulls reads all, and writes nothing.
    ['pull', 'GET', '/v2/', 200],
    ['pull', 'GET', `${theirs}/manifests/${other.tag}`, 200],
    ...(['POST', 'PUT', 'PATCH', 'DELETE'] as const).map(
      (method): Right => ['pull', method, `${mine}/blobs/uploads/`, 403],
    ),
    // A module's user: its own repository.
    [push, 'GET', '/v2/', 200],
    [push, 'GET', `${mine}/tags/list`, 200],
    [push, 'GET', `${mine}/tags/list?n=5`, 200],
    [push, 'HEAD', `${mine}/blobs/${BLOB}`, 404],
    [push, 'POST', `${mine}/blobs/uploads/`, 202],
    [push, 'PUT', `${mine}/manifests/none`, 400],
    // It deletes nothing: a release stays.
    [push, 'DELETE', `${mine}/manifests/${BLOB}`, 403],
    // Another's: neither reading nor writing, nor learning that it is there.
    [push, 'GET', `${theirs}/manifests/${other.tag}`, 403],
    [push, 'HEAD', `${theirs}/manifests/${other.tag}`, 403],
    [push, 'GET', `${theirs}/blobs/${other.blob}`, 403],
    [push, 'GET', `${theirs}/tags/list`, 403],
    [push, 'POST', `${theirs}/blobs/uploads/`, 403],
    [push, 'PUT', `${theirs}/manifests/evil`, 403],
    [push, 'GET', '/v2/_catalog', 403],
    [push, 'GET', '/v2/switchyard/delivery/tags/list', 403],
    // A name that begins with the own one is another's.
    [push, 'GET', `${mine}-evil/tags/list`, 403],
    [push, 'POST', `${mine}-evil/blobs/uploads/`, 403],
    [push, 'GET', `${mine}/evil/tags/list`, 403],
    [push, 'GET', `/v2/modules/${own.slice(0, -1)}/tags/list`, 403],
    // Addresses that mean something else once they were tidied up.
    [push, 'GET', `${mine}/../${other.module}/tags/list`, 403],
    [push, 'GET', `${mine}/%2e%2e/${other.module}/tags/list`, 403],
    [push, 'GET', `${mine}%2f..%2f${other.module}/tags/list`, 403],
    [push, 'GET', `${mine}/manifests/..%2f..%2f${other.module}%2fmanifests%2f${other.tag}`, 403],
    [push, 'GET', `${mine}/manifests/../../${other.module}/manifests/${other.tag}`, 403],
    [push, 'GET', `//v2/modules/${other.module}/tags/list`, 403],
    [push, 'GET', `/v2//modules/${other.module}/tags/list`, 403],
    [push, 'GET', `/v2/modules/./${other.module}/tags/list`, 403],
    [push, 'GET', `${theirs}/tags/list?x=/v2/modules/${own}/tags/list`, 403],
    [push, 'GET', `${theirs}/tags/list;/v2/modules/${own}/tags/list`, 403],
    // A blob of another repository is not mounted, however it is written.
    [push, 'POST', `${mine}/blobs/uploads/?mount=${other.blob}&from=modules/${other.module}`, 403],
    [push, 'POST', `${mine}/blobs/uploads/?m%6funt=${other.blob}&fr%6fm=modules/${other.module}`, 403],
    [push, 'POST', `${mine}/blobs/uploads?mount=${other.blob}&from=modules/${other.module}`, 403],
    // What lies in another repository is not in the own one.
    [push, 'GET', `${mine}/blobs/${other.blob}`, 404],
    // A build's login reads base images, and nothing of a module.
    ['build', 'GET', '/v2/', 200],
    ['build', 'GET', '/v2/base/python/manifests/3.11', 404],
    ['build', 'GET', `${theirs}/manifests/${other.tag}`, 403],
    ['build', 'GET', `/v2/base/../modules/${other.module}/manifests/${other.tag}`, 403],
    ['build', 'GET', `/v2/base/%2e%2e/modules/${other.module}/manifests/${other.tag}`, 403],
    ['build', 'GET', `/v2/base%2f..%2fmodules%2f${other.module}/manifests/${other.tag}`, 403],
    ['build', 'POST', '/v2/base/python/blobs/uploads/', 403],
    ['build', 'GET', '/v2/_catalog', 403],
    // The topology's own user.
    ['push', 'POST', `${mine}/blobs/uploads/`, 202],
    ['push', 'GET', '/v2/_catalog', 200],
    // A name that is nobody's, whatever it looks like.
    [`${push} GET ${mine}/tags/list`, 'GET', `${theirs}/tags/list`, 403],
    ['push-', 'GET', '/v2/modules//tags/list', 403],
  ];
}

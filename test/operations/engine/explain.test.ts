import { explain } from '../../../operations/engine/explain';

test.each([
  [
    'the lab’s plug-in',
    'error: GitLab: POST /projects/7/hooks: 422 Invalid url given',
    /private address, and an administrator must allow hooks/,
  ],
  [
    'the official plug-in',
    '* POST https://gitlab.test/api/v4/projects/7/hooks: 422 {error: Invalid url given}',
    /private address, and an administrator must allow hooks/,
  ],
  [
    'a GitLab that says why',
    'POST /projects/7/hooks: 422 {message: {url: [is blocked: Requests to the local network are not allowed]}}',
    /private address/,
  ],
  [
    'a group that is there',
    'POST https://gitlab.test/api/v4/groups: 400 {message: Failed to save group {:path=>["has already been taken"]}}',
    /gitlab\.group: \{ existing/,
  ],
  [
    'a project that is there',
    'POST https://gitlab.test/api/v4/projects: 400 {message: {name: [has already been taken]}}',
    /gitlab\.projects: \{ <module>: \{ existing/,
  ],
  [
    'approvals on the free tier',
    'POST https://gitlab.test/api/v4/projects/7/approvals: 404 {error: 404 Not Found}',
    /need GitLab Premium/,
  ],
  [
    'a workload that somebody scaled',
    'error Deployment production-orders-workload: 1 error occurred: * the Kubernetes API server reported that "prod-orders/orders" failed to fully initialize or become live: Server-Side Apply field conflict detected. The resource managed by field manager "pulumi-kubernetes-203737cc" had an apply conflict: Apply failed with 1 conflict: conflict with "kubectl" with subresource "scale" using apps/v1: .spec.replicas',
    /drift <environment>.*--fix/,
  ],
])('%s: one remedy, and only that', (_who, printed, remedy) => {
  const remedies = explain([`Updating\n${printed}\nfailed`]);
  expect(remedies).toHaveLength(1);
  expect(remedies[0]).toMatch(remedy);
});

test('a failure that says what to do itself gets nothing added', () => {
  expect(explain(['kubernetes:apps/v1:Deployment: the image cannot be pulled'])).toEqual([]);
  expect(explain([''])).toEqual([]);
});

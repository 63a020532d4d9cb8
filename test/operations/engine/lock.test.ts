import { lockHolders } from '../../../operations/engine/lock';

const message = `error: the stack is currently locked by 1 lock(s). Either wait for the other process(es) to end or delete the lock file with 'pulumi cancel'.
  s3://switchyard-state/.pulumi/locks/organization/switchyard/lab/0a1b.json: created by root@deploy-x1 (pid 12) at 2026-11-24T11:00:00Z
`;

test('a held lock says by whom, where and since when, each holder once', () => {
  expect(lockHolders(message + message)).toEqual([
    { user: 'root', host: 'deploy-x1', pid: 12, since: '2026-11-24T11:00:00Z' },
  ]);
  expect(lockHolders('another error')).toEqual([]);
});

/** Who holds an environment's lock, as Pulumi's own backends (file, S3, GCS, Azure Blob) tell it. */
export interface LockHolder {
  readonly user: string;
  readonly host: string;
  readonly pid: number;
  /** As Pulumi writes it: RFC 3339. */
  readonly since: string;
}

/** Reads the holders out of Pulumi's message about a held lock. */
export function lockHolders(message: string): LockHolder[] {
  const holders = [...message.matchAll(/created by (\S*)@(\S+) \(pid (\d+)\) at (\S+)/g)].map(
    ([, user = '', host = '', pid, since = '']) => ({ user, host, pid: Number(pid), since }),
  );
  // The message stands twice in some errors.
  return [...new Map(holders.map((holder) => [`${holder.host}/${holder.pid}`, holder])).values()];
}

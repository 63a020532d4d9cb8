import { isTransient } from '../../clients/retry';

/** Time to get through a load balancer, DNS and a certificate that are being made, in milliseconds. */
const PATIENCE = 180_000;

/**
 * Waits until an address answers over HTTP. Any status is an answer, but for those that a proxy or an ingress gives while
 * what is behind it is not there.
 * @throws Error with the last reason after three minutes
 */
export async function untilReachable(url: string, patience = PATIENCE): Promise<void> {
  const end = Date.now() + patience;
  for (;;) {
    try {
      const response = await fetch(url, { signal: AbortSignal.timeout(10_000) });
      await response.body?.cancel();
      if (!isTransient(response.status)) return;
      throw new Error(`it answers ${response.status}`);
    } catch (error) {
      if (Date.now() >= end) {
        const cause = (error as { cause?: { code?: string } }).cause?.code ?? (error as Error).message;
        throw new Error(
          `${url} does not answer (${cause}). Check that this machine reaches it, and that its Service has Pods.`,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }
}

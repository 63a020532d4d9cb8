const SUFFIXES: Readonly<Record<string, number>> = {
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

/**
 * A Kubernetes quantity in its base unit; undefined for what is none, `[secret]` and unknown values among them.
 * https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
 */
export function quantity(value: unknown): number | undefined {
  if (typeof value === 'number') return Number.isFinite(value) && value >= 0 ? value : undefined;
  if (typeof value !== 'string') return undefined;
  const match = /^\+?(\d+(?:\.\d*)?|\.\d+)(?:([eE][+-]?\d+)|([numkMGTPE]|[KMGTPE]i)?)$/.exec(value.trim());
  if (!match) return undefined;
  const [, digits = '', exponent = '', suffix = ''] = match;
  const small = { n: 1e-9, u: 1e-6, m: 1e-3 }[suffix];
  const amount = Number(`${digits}${exponent}`) * (small ?? SUFFIXES[suffix] ?? 1);
  return Number.isFinite(amount) ? amount : undefined;
}

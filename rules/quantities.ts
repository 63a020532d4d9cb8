const CPU_UNITS: Readonly<Record<string, number>> = { '': 1000, m: 1 };
const MEMORY_UNITS: Readonly<Record<string, number>> = {
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
};

function parse(value: unknown, units: Readonly<Record<string, number>>): number | undefined {
  const match = /^([0-9]+(?:\.[0-9]+)?)([A-Za-z]*)$/.exec(String(value ?? ''));
  const unit = units[match?.[2] ?? ''];
  return match && unit !== undefined ? Number(match[1]) * unit : undefined;
}

/** A Kubernetes amount of CPU (`500m`, `2`, `0.5`) in millicores; undefined for anything else. */
export const millicores = (value: unknown): number | undefined => parse(value, CPU_UNITS);

/** A Kubernetes amount of memory or storage (`512Mi`, `2Gi`, `1G`) in bytes; undefined for anything else. */
export const bytes = (value: unknown): number | undefined => parse(value, MEMORY_UNITS);

/** Rounded up: what is asked for is never shown as less than it is. */
export const showMillicores = (amount: number): string => `${Math.ceil(amount)}m`;
export const showBytes = (amount: number): string => `${Math.ceil(amount / 2 ** 20)}Mi`;

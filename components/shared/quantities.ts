const UNITS = { Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30, Ti: 2 ** 40 } as const;

/** CPU as the catalog writes it ("500m", "2", "0.5"), in thousandths of a core. */
export const millicores = (cpu: string): number =>
  cpu.endsWith('m') ? Number(cpu.slice(0, -1)) : Math.ceil(Number(cpu) * 1000);

/** Memory as the catalog writes it ("256Mi", "2Gi"), in bytes. */
export const bytes = (memory: string): number =>
  Number(memory.slice(0, -2)) * UNITS[memory.slice(-2) as keyof typeof UNITS];

/** Whole cores that hold so many thousandths. */
export const wholeCores = (millis: number): string => String(Math.ceil(millis / 1000));

/** Whole gibibytes that hold so many bytes. */
export const wholeGibibytes = (size: number): string => `${Math.ceil(size / UNITS.Gi)}Gi`;

/**
 * Works on several items at once. After a fault nothing more is begun, and what was begun goes to its end: nothing works
 * on behind the caller's back.
 * @param width how many at a time
 * @throws the first fault
 */
export async function together<T>(
  items: readonly T[],
  width: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const faults: unknown[] = [];
  const waiting = items.values();
  const worker = async (): Promise<void> => {
    for (const item of waiting) {
      try {
        await work(item);
      } catch (error) {
        faults.push(error);
      }
      if (faults.length > 0) return;
    }
  };
  await Promise.all(Array.from({ length: width }, worker));
  if (faults.length > 0) throw faults[0];
}

import { Failure } from '../../clients/failure';

/** The failure by which something ended. @throws whatever else it ended by */
export async function ended(work: Promise<unknown>): Promise<Failure> {
  try {
    await work;
  } catch (error) {
    if (error instanceof Failure) return error;
    throw error;
  }
  throw new Error('expected a failure');
}

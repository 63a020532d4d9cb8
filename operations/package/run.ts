// `npm pack` runs this first.
import { product } from '../place';
import { buildPackage } from './build';

buildPackage(product).catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});

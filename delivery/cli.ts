// Entry of the bundle that the delivery image carries (operations/build/bundles.ts).
import { goOnWithoutReader } from '../text/arguments';
import { run } from './commands';

goOnWithoutReader();
run(process.argv.slice(2)).then((code) => {
  // What a watch still asks for when it has ended keeps nobody.
  process.exit(code);
});

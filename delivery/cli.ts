// Entry of the bundle that the delivery image carries (operations/build.ts).
import { run } from './commands';

run(process.argv.slice(2)).then((code) => {
  process.exitCode = code;
});

// Entry of the bundle that the delivery image carries (operations/build.ts).
import { run } from './commands';
import { keepNoLogs } from './pulumi-home';

// The home of a Pod, which goes with it.
if (process.env.PULUMI_HOME) keepNoLogs(process.env.PULUMI_HOME);

run(process.argv.slice(2)).then((code) => {
  process.exitCode = code;
});

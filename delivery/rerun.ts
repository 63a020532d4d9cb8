import { QUARANTINE_FILE } from '../catalog/quarantine';
import { shellWord } from '../text/shell';
import type { Certificate } from './certificate';
import { RESULTS } from './verdict';

// How a person runs what failed where they sit: in a clone of the module, against a module that runs.

/** Tests that are named in the command. */
const MOST_NAMED = 5;
/** Commands of more lines or characters stand in the catalog only. */
const LONGEST = 300;

/** A name as a pattern of Robot's that matches nothing else: its only signs are `*`, `?` and `[…]` (robot/utils/match.py). */
const pattern = (name: string): string => name.replace(/[*?[]/g, '[$&]');

/** A word of `ROBOT_OPTIONS`: Robot knows no escapes there, only quotes (robot/utils/argumentparser.py, `cmdline2list`). */
const word = (text: string): string => `'${text.replaceAll("'", `'"'"'`)}'`;

/** Lines for a shell, of which none has a line break: the merge result first, then the tests. */
export function rerunLines({
  module,
  baseSha,
  headSha,
  targetBranch,
  mergeRequest,
  ahead,
  tests,
}: Certificate): string[] {
  if (!tests?.run) return [];
  const { command, baseUrl } = tests.run;
  const before = ahead?.requests ?? [];
  const refs = [...before.map((one) => one.mergeRequest), mergeRequest];
  const heads = [...before.map((one) => one.headSha), headSha];
  const names = tests.failing
    .map(({ name }) => name)
    .filter((name) => name !== RESULTS && name !== QUARANTINE_FILE && !/[\0\r\n]/.test(name));
  const only = [...new Set(names)]
    .slice(0, MOST_NAMED)
    .map((name) => `--test ${word(pattern(name))}`)
    .join(' ');
  const options = /\b(?:robot|pabot)\b/.test(command) && only ? shellWord(only) : '';
  const fits = command.length <= LONGEST && !/[\r\n]/.test(command);
  return [
    `git fetch origin ${shellWord(`refs/heads/${targetBranch}`)} ${refs.map((iid) => `refs/merge-requests/${iid}/head`).join(' ')}`,
    `git checkout --detach ${ahead?.onto ?? baseSha} ${heads.map((head) => `&& git merge --no-edit ${head}`).join(' ')}`,
    // Exported, since a command may be several.
    `export BASE_URL=${shellWord(baseUrl)}`,
    ...(options ? [`export ROBOT_OPTIONS=${options}`] : []),
    fits ? command : `# then test.command of catalog/modules/${module}.yaml`,
  ];
}

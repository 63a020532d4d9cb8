import type { Command, Option } from 'commander';
import { shellWord } from '../../text/shell';

/** What a shell needs to know of a command, taken from the commander tree. */
export interface CompletionNode {
  readonly name: string;
  readonly description: string;
  readonly options: readonly CompletionOption[];
  /** What stands at each place after the command's name. */
  readonly values: readonly Values[];
  readonly commands: readonly CompletionNode[];
}

interface CompletionOption {
  readonly flag: string;
  readonly description: string;
  /** Set for an option that takes a value. */
  readonly values?: Values;
}

/** What fills a place: names of files that the shell looks up itself, files, folders, or fixed words. */
export type Values = 'environments' | 'modules' | 'files' | 'folders' | 'any' | readonly string[];

/** By the name of an argument, or of an option's value. */
const byName: Readonly<Record<string, Values>> = {
  environment: 'environments',
  module: 'modules',
  modules: 'modules',
  folder: 'folders',
  file: 'files',
};

const valuesOf = (name: string, choices: readonly string[] | undefined): Values =>
  choices ?? byName[name] ?? 'any';

function optionOf(option: Option): CompletionOption[] {
  if (!option.long || option.hidden) return [];
  const value = /[<[]([^\].>]+)/.exec(option.flags)?.[1];
  return [
    {
      flag: option.long,
      description: option.description,
      ...(value ? { values: valuesOf(value, option.argChoices) } : {}),
    },
  ];
}

/** The tree below a command. */
export function completionTree(command: Command): CompletionNode {
  return {
    name: command.name(),
    description: command.description(),
    options: [
      ...command.options.flatMap(optionOf),
      { flag: '--help', description: 'say what the command takes' },
    ],
    values: command.registeredArguments.map((argument) => valuesOf(argument.name(), argument.argChoices)),
    commands: command.commands.map(completionTree),
  };
}

/** Every command of a tree with the words that lead to it, the program itself first. */
function flatten(node: CompletionNode, path: readonly string[] = []): [string, CompletionNode][] {
  return [[path.join(' '), node], ...node.commands.flatMap((child) => flatten(child, [...path, child.name]))];
}

const functionName = (program: string): string => `_${program.replaceAll(/[^A-Za-z0-9]/g, '_')}`;

/** Names out of file names of the checkout: quick, never stale, and no process is started for them. */
function lookups(fn: string): string {
  return `${fn}_environments() {
  local file folder="\${SWITCHYARD_STACKS:-stacks}"
  for file in "$folder"/Pulumi.*.yaml; do
    [ -e "$file" ] || continue
    file="\${file##*/Pulumi.}"
    printf '%s\\n' "\${file%.yaml}"
  done
}
${fn}_modules() {
  local file folder="\${SWITCHYARD_CATALOG:-catalog}"
  for file in "$folder"/modules/*.yaml; do
    [ -e "$file" ] || continue
    file="\${file##*/}"
    printf '%s\\n' "\${file%.yaml}"
  done
}`;
}

function bashWords(fn: string, values: Values): string {
  if (values === 'environments' || values === 'modules') {
    return `mapfile -t COMPREPLY < <(compgen -W "$(${fn}_${values})" -- "$current")`;
  }
  if (values === 'files') return 'mapfile -t COMPREPLY < <(compgen -f -- "$current")';
  if (values === 'folders') return 'mapfile -t COMPREPLY < <(compgen -d -- "$current")';
  if (values === 'any') return ':';
  return `mapfile -t COMPREPLY < <(compgen -W ${shellWord(values.join(' '))} -- "$current")`;
}

/** A bash completion script, to be sourced. */
export function bashCompletion(tree: CompletionNode): string {
  const fn = functionName(tree.name);
  const nodes = flatten(tree);
  const subcommands = nodes.flatMap(([path, node]) =>
    node.commands.map((child) => [path, child.name, [path, child.name].filter(Boolean).join(' ')] as const),
  );
  const cases = nodes.flatMap(([path, node]) => [
    ...node.options
      .filter(({ values }) => values !== undefined)
      .map(
        ({ flag, values }) =>
          `    ${shellWord(`${path} ${flag}`)}) ${bashWords(fn, values ?? 'any')}; return ;;`,
      ),
  ]);
  const places = nodes.flatMap(([path, node]) => {
    const names = node.commands.map(({ name }) => name);
    const first = names.length > 0 ? [names] : node.values;
    return first.map((values, index) => `    ${shellWord(`${path}/${index}`)}) ${bashWords(fn, values)} ;;`);
  });
  const flags = nodes.map(
    ([path, node]) =>
      `      ${shellWord(path)}) mapfile -t COMPREPLY < <(compgen -W ${shellWord(node.options.map(({ flag }) => flag).join(' '))} -- "$current") ;;`,
  );
  const taking = [
    ...new Set(
      nodes.flatMap(([path, node]) =>
        node.options
          .filter(({ values }) => values !== undefined)
          .map(({ flag }) => shellWord(`${path} ${flag}`)),
      ),
    ),
  ];
  return `# bash completion for ${tree.name}: ${tree.name} completion bash > file; source file
${lookups(fn)}
${fn}() {
  local current="\${COMP_WORDS[COMP_CWORD]}" before="\${COMP_WORDS[COMP_CWORD-1]}" path='' place=0 index word
  COMPREPLY=()
  for ((index = 1; index < COMP_CWORD; index++)); do
    word="\${COMP_WORDS[index]}"
    case "$path/$word" in
${subcommands.map(([path, name, to]) => `      ${shellWord(`${path}/${name}`)}) path=${shellWord(to)}; place=0; continue ;;`).join('\n')}
    esac
    case "$path $word" in
      ${taking.join('|') || "''"}) ((index++)) ;;
      *' -'*) ;;
      *) ((place++)) ;;
    esac
  done
  case "$path $before" in
${cases.join('\n')}
  esac
  if [[ "$current" == -* ]]; then
    case "$path" in
${flags.join('\n')}
    esac
    return
  fi
  case "$path/$place" in
${places.join('\n')}
  esac
}
complete -F ${fn} ${tree.name}
`;
}

const zshText = (text: string): string =>
  text
    .replaceAll(/[\\'`$"]/g, '')
    .replaceAll('[', '(')
    .replaceAll(']', ')')
    .replaceAll(':', '\\:');

function zshAction(fn: string, values: Values): string {
  if (values === 'environments' || values === 'modules') return `{compadd -- \${(f)"$(${fn}_${values})"}}`;
  if (values === 'files') return '_files';
  if (values === 'folders') return '_files -/';
  if (values === 'any') return ' ';
  return `(${values.join(' ')})`;
}

/** A zsh completion script: a file \`_<program>\` in \`fpath\`, or to be sourced after \`compinit\`. */
export function zshCompletion(tree: CompletionNode): string {
  const fn = functionName(tree.name);
  const functions = flatten(tree).map(([path, node]) => {
    const name = path === '' ? fn : `${fn}_${path.replaceAll(/[^A-Za-z0-9]/g, '_')}_command`;
    const options = node.options.map(({ flag, description, values }) => {
      const action = values === undefined ? '' : `:value:${zshAction(fn, values)}`;
      return `    '${flag}[${zshText(description)}]${action}'`;
    });
    if (node.commands.length === 0) {
      const places = node.values.map((values, index) => `    '${index + 1}:value:${zshAction(fn, values)}'`);
      return `${name}() {\n  _arguments -s \\\n${[...options, ...places].join(' \\\n')}\n}`;
    }
    const described = node.commands.map((child) => `        '${child.name}:${zshText(child.description)}'`);
    const routes = node.commands.map((child) => {
      const to = [path, child.name]
        .filter(Boolean)
        .join(' ')
        .replaceAll(/[^A-Za-z0-9]/g, '_');
      return `        ${child.name}) ${fn}_${to}_command ;;`;
    });
    return `${name}() {
  local context state state_descr line
  typeset -A opt_args
  _arguments -C \\
${options.join(' \\\n')} \\
    '1: :->command' \\
    '*:: :->rest'
  case $state in
    command)
      local -a commands=(
${described.join('\n')}
      )
      _describe command commands ;;
    rest)
      case $line[1] in
${routes.join('\n')}
      esac ;;
  esac
}`;
  });
  return `#compdef ${tree.name}
# zsh completion for ${tree.name}
${lookups(fn)}
${functions.join('\n')}
if [ "$funcstack[1]" = ${fn} ]; then ${fn} "$@"; else compdef ${fn} ${tree.name}; fi
`;
}

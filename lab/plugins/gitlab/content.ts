import { setTimeout as sleep } from 'node:timers/promises';
import type { CheckFailure } from '../shared/server';
import type { Props } from '../shared/values';
import { type Client, GitLabError } from './client';
import { bodyOf, type Kind, segment, splitId } from './kind';

const MESSAGES = {
  create: 'createCommitMessage',
  update: 'updateCommitMessage',
  delete: 'deleteCommitMessage',
};

const messageFor = (action: keyof typeof MESSAGES, inputs: Props): string =>
  String(inputs[MESSAGES[action]] ?? inputs.commitMessage);

/** One commit at a time on each branch: GitLab refuses a commit whose branch moved meanwhile. */
const turns = new Map<string, Promise<unknown>>();

async function commit<T>(project: unknown, branch: unknown, work: () => Promise<T>): Promise<T> {
  const key = `${String(project)}:${String(branch)}`;
  const previous = turns.get(key) ?? Promise.resolve();
  const turn = previous.catch(() => undefined).then(() => retryWhenMoved(work));
  turns.set(key, turn);
  try {
    return await turn;
  } finally {
    if (turns.get(key) === turn) turns.delete(key);
  }
}

/** Someone else's commit may still come between. */
async function retryWhenMoved<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      const moved =
        error instanceof GitLabError && /refresh and try again|could not update refs/i.test(error.reason);
      if (!moved || attempt === 5) throw error;
      await sleep(200 * 2 ** attempt);
    }
  }
}

function fileParts(id: string): { project: string; branch: string; file: string; path: string } {
  const [project, rest] = splitId(id);
  const [branch, file] = splitId(rest);
  return { project, branch, file, path: filePath(project, file) };
}

const filePath = (project: unknown, file: unknown): string =>
  `projects/${segment(project)}/repository/files/${segment(file)}`;

const plainBase64 = (text: string): string => Buffer.from(text, 'base64').toString('base64');

/** The commit and the file of one write. */
const write = (inputs: Props, action: 'create' | 'update'): Props => ({
  branch: inputs.branch,
  content: inputs.content,
  encoding: inputs.encoding,
  commit_message: messageFor(action, inputs),
  ...(inputs.authorName === undefined ? {} : { author_name: inputs.authorName }),
  ...(inputs.authorEmail === undefined ? {} : { author_email: inputs.authorEmail }),
  ...(inputs.startBranch === undefined ? {} : { start_branch: inputs.startBranch }),
  ...(inputs.executeFilemode === undefined ? {} : { execute_filemode: inputs.executeFilemode }),
});

async function exists(client: Client, path: string, branch: unknown): Promise<boolean> {
  return (await client.lookUp(path, { ref: branch })) !== undefined;
}

export const repositoryFile: Kind = {
  covered: ['project', 'branch', 'filePath', 'content', 'encoding', 'executeFilemode'],
  local: [
    'commitMessage',
    ...Object.values(MESSAGES),
    'authorName',
    'authorEmail',
    'startBranch',
    'overwriteOnCreate',
  ],
  values: { encoding: ['base64', 'text'] },
  reset: { executeFilemode: false },
  moving: ['blobId', 'commitId', 'contentSha256', 'lastCommitId', 'size'],
  validate(inputs) {
    const failures: CheckFailure[] = [];
    const missing = Object.values(MESSAGES).filter((name) => inputs[name] === undefined);
    if (inputs.commitMessage === undefined && missing.length > 0) {
      failures.push({
        property: 'commitMessage',
        reason: `is required, unless ${missing.join(', ')} are given`,
      });
    }
    if (inputs.encoding === 'base64' && typeof inputs.content === 'string') {
      const text = inputs.content.replace(/\s/g, '');
      if (plainBase64(text) !== text)
        failures.push({ property: 'content', reason: 'is not base64, as encoding says' });
    }
    return failures;
  },
  async create(client, inputs) {
    const path = filePath(inputs.project, inputs.filePath);
    await commit(inputs.project, inputs.branch, async () => {
      const adopt = inputs.overwriteOnCreate === true && (await exists(client, path, inputs.branch));
      if (adopt) await client.put(path, write(inputs, 'update'));
      else await client.post(path, write(inputs, 'create'));
    });
    return { id: [inputs.project, inputs.branch, inputs.filePath].map(String).join(':') };
  },
  async read(client, id, state) {
    const { project, branch, file, path } = fileParts(id);
    const found = await client.lookUp(path, { ref: branch });
    if (!found) return undefined;
    const encoded = plainBase64(String(found.content));
    const encoding = state.encoding ?? 'base64';
    const same = state.blobId === found.blob_id && state.lastCommitId === found.last_commit_id;
    return {
      ...found,
      project,
      branch,
      file_path: file,
      encoding,
      content: encoding === 'text' ? Buffer.from(encoded, 'base64').toString('utf8') : encoded,
      content_sha256: found.content_sha256,
      // The head of the branch moves with every commit; what matters here is the last one that touched the file.
      commit_id: same && state.commitId !== undefined ? state.commitId : found.commit_id,
    };
  },
  async update(client, id, _changed, inputs) {
    const { project, branch, path } = fileParts(id);
    await commit(project, branch, () => client.put(path, write(inputs, 'update')));
    return undefined;
  },
  async delete(client, id, state) {
    const { project, branch, path } = fileParts(id);
    await commit(project, branch, async () => {
      if (!(await exists(client, path, branch))) return;
      await client.delete(path, {
        branch,
        commit_message: messageFor('delete', state),
        ...(state.authorName === undefined ? {} : { author_name: state.authorName }),
        ...(state.authorEmail === undefined ? {} : { author_email: state.authorEmail }),
      });
    });
  },
};

export const projectVariable: Kind = {
  covered: [
    'project',
    'key',
    'value',
    'variableType',
    'protected',
    'masked',
    'hidden',
    'raw',
    'environmentScope',
    'description',
  ],
  replace: ['project', 'key', 'environmentScope', 'hidden'],
  deleteBeforeReplace: true,
  values: { variableType: ['env_var', 'file'] },
  reset: { description: '', protected: false, masked: false, raw: false, variableType: 'env_var' },
  async create(client, inputs) {
    const { hidden, ...rest } = bodyOf(projectVariable, inputs, ['project']);
    await client.post(`projects/${segment(inputs.project)}/variables`, {
      ...rest,
      ...(hidden === true ? { masked_and_hidden: true } : {}),
    });
    return { id: [inputs.project, inputs.key, inputs.environmentScope ?? '*'].map(String).join(':') };
  },
  async read(client, id) {
    const { project, path, scope } = variableParts(id);
    const found = await client.lookUp(path, { 'filter[environment_scope]': scope });
    if (!found) return undefined;
    const { value, ...shown } = found;
    return { ...shown, project, ...(found.hidden === true ? {} : { value }) };
  },
  async update(client, id, changed, inputs) {
    const { path, scope } = variableParts(id);
    const body = bodyOf(projectVariable, { value: inputs.value, ...changed }, [
      'project',
      'key',
      'environmentScope',
      'hidden',
    ]);
    await client.put(`${path}?${new URLSearchParams({ 'filter[environment_scope]': scope })}`, body);
    return undefined;
  },
  async delete(client, id) {
    const { path, scope } = variableParts(id);
    await client.delete(path, { 'filter[environment_scope]': scope });
  },
};

function variableParts(id: string): { project: string; path: string; scope: string } {
  const [project, rest] = splitId(id);
  const [key, scope] = splitId(rest);
  return { project, scope, path: `projects/${segment(project)}/variables/${segment(key)}` };
}

export const projectLabel: Kind = {
  covered: ['project', 'name', 'color', 'description', 'priority'],
  rename: { labelId: 'id', project: 'project', colorHex: 'color_hex' },
  replace: ['project'],
  autoname: true,
  reset: { description: '', priority: null },
  imported: ['name', 'description', 'priority'],
  async create(client, inputs) {
    const made = await client.post(
      `projects/${segment(inputs.project)}/labels`,
      bodyOf(projectLabel, inputs, ['project']),
    );
    return { id: `${String(inputs.project)}:${String(made.id)}` };
  },
  async read(client, id, state) {
    const [project, label] = splitId(id);
    const found = await client.lookUp(`projects/${segment(project)}/labels/${segment(label)}`);
    if (!found) return undefined;
    const { color, ...shown } = found;
    const given = state.color;
    // GitLab answers in hexadecimal to a colour given by its CSS name: then what it said at first is what counts.
    const same =
      typeof given === 'string' &&
      (given.toLowerCase() === String(color).toLowerCase() ||
        (!given.startsWith('#') && [undefined, color].includes(state.colorHex)));
    return { ...shown, project, color: same ? given : color, color_hex: color };
  },
  async update(client, id, changed) {
    const [project, label] = splitId(id);
    const { name, ...rest } = bodyOf(projectLabel, changed, ['project']);
    await client.put(`projects/${segment(project)}/labels/${segment(label)}`, {
      ...rest,
      ...(name === undefined ? {} : { new_name: name }),
    });
    return undefined;
  },
  async delete(client, id) {
    const [project, label] = splitId(id);
    await client.delete(`projects/${segment(project)}/labels/${segment(label)}`);
  },
};

import { parse } from 'yaml';
import { readBack, type Template } from '../../components/shared/references';
import type { Item } from './item';
import { at, fields, isTextual, list, text, textual, UNKNOWN } from './read';

/** One Jenkins job, from its Job DSL. */
export interface Job {
  /** `folder/name`. */
  readonly path: string;
  readonly script: string;
  /** Variable in which the job finds the hook's token. */
  readonly tokenVariable?: string;
  /** The configuration that declares it. */
  readonly declaredBy: Item;
}

/** A Pod template of Jenkins' Kubernetes cloud. */
export interface AgentTemplate {
  readonly name: string;
  readonly namespace: string;
  readonly pod: unknown;
  readonly declaredBy: Item;
}

/** What Jenkins' configuration as code says about jobs and agents. */
export interface JenkinsFacts {
  /** False while the configuration waits for a value that only the engine knows: nothing can be said about jobs. */
  readonly known: boolean;
  /** Address at which GitLab reaches Jenkins, without a slash at its end. */
  readonly url?: string;
  readonly jobs: readonly Job[];
  readonly templates: readonly AgentTemplate[];
}

const PIPELINE = /\b(?:pipelineJob|multibranchPipelineJob|freeStyleJob|job)\(\s*(['"])((?:\\.|(?!\1).)+)\1/g;

/** The jobs of one Job DSL script: each from its own call to the next one's. */
function jobsOf(script: string, declaredBy: Item): Job[] {
  const starts = [...script.matchAll(PIPELINE)];
  return starts.map((match, index): Job => {
    const own = script.slice(match.index, starts[index + 1]?.index ?? script.length);
    return {
      path: (match[2] ?? '').replace(/\\(.)/g, '$1'),
      script: own,
      tokenVariable: /secretToken\((['"])\$\{([A-Za-z0-9_]+)\}\1\)/.exec(own)?.[2],
      declaredBy,
    };
  });
}

/** The yaml library's own look for keys that stand twice takes the square of their number. */
const ofYaml = (plain: string): unknown => parse(plain, { maxAliasCount: 100, uniqueKeys: false });

function parsed(value: string | Template): unknown {
  try {
    return readBack(value, ofYaml);
  } catch {
    return undefined;
  }
}

/** What was read of a text with references, which is an object: the configuration is the longest of all. */
const known = new WeakMap<Template, unknown>();
function remembered(value: string | Template): unknown {
  if (typeof value === 'string') return parsed(value);
  if (!known.has(value)) known.set(value, parsed(value));
  return known.get(value);
}

const isCasc = (document: unknown): boolean =>
  at(document, 'jenkins') !== undefined || at(document, 'jobs') !== undefined;

/** Reads every ConfigMap of the box `jenkins` that holds configuration as code. */
export function readJenkins(byType: ReadonlyMap<string, readonly Item[]>): JenkinsFacts {
  const jobs: Job[] = [];
  const templates: AgentTemplate[] = [];
  let known = true;
  let url: string | undefined;
  // Files of the catalog are among them, each in several namespaces: each is read once.
  const read = new Map<string | Template, unknown>();
  const documentOf = (content: string | Template): unknown => {
    if (!read.has(content)) read.set(content, remembered(content));
    return read.get(content);
  };
  for (const item of byType.get('kubernetes:core/v1:ConfigMap') ?? []) {
    if (text(item.args, 'metadata', 'labels', 'app.kubernetes.io/component') !== 'jenkins') continue;
    if (at(item.args, 'data') === UNKNOWN) known = false;
    for (const [file, content] of Object.entries(fields(item.args, 'data'))) {
      if (!/\.ya?ml$/.test(file) || !isTextual(content)) continue;
      if (content === UNKNOWN) {
        known = false;
        continue;
      }
      const document = documentOf(content);
      if (!isCasc(document)) continue;
      url ??= text(document, 'unclassified', 'location', 'url')?.replace(/\/+$/, '');
      for (const job of list(document, 'jobs')) jobs.push(...jobsOf(text(job, 'script') ?? '', item));
      for (const cloud of list(document, 'jenkins', 'clouds')) {
        const home = text(cloud, 'kubernetes', 'namespace') ?? '';
        for (const template of list(cloud, 'kubernetes', 'templates')) {
          const yaml = textual(template, 'yaml');
          templates.push({
            name: text(template, 'name') ?? '',
            namespace: text(template, 'namespace') ?? home,
            pod: yaml ? parsed(yaml) : undefined,
            declaredBy: item,
          });
        }
      }
    }
  }
  return { known, url, jobs, templates };
}

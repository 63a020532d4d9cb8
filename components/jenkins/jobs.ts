import type { Module } from '../../catalog/load';
import { jobFolder } from '../../stacks/gitlab';
import type { Model } from '../model';
import { cascSecrets } from './names';

const quote = (text: string): string => `'${text.replace(/[\\']/g, (character) => `\\${character}`)}'`;

/** Job DSL of the folder that holds all modules' jobs. */
export const folderScript = (model: Model): string =>
  `folder(${quote(jobFolder(model.settings.gitlab))}) { description('Modules') }\n`;

/**
 * A job that GitLab starts. Its whole pipeline is one call of the shared library, and stands here: a Jenkinsfile in the
 * repository would let a merge request choose its Pods and credentials (docs/decisions/0007). The triggers stand here
 * as well: they must hold before the job's first run.
 */
const gitlabJob = (
  model: Model,
  job: {
    readonly name: string;
    readonly description: string;
    readonly drafts: boolean;
    readonly pipeline: string;
  },
): string => `pipelineJob(${quote(`${jobFolder(model.settings.gitlab)}/${job.name}`)}) {
  description(${quote(job.description)})
  logRotator { numToKeep(100) }
  properties {
    gitLabConnection { gitLabConnection('gitlab') }
  }
  triggers {
    gitlab {
      triggerOnPush(true)
      triggerOnMergeRequest(true)
      triggerOpenMergeRequestOnPush('never')
      branchFilterType('NameBasedFilter')
      includeBranchesSpec('main')
      ciSkip(false)
      skipWorkInProgressMergeRequest(${!job.drafts})
      setBuildDescription(true)
      secretToken("\${${cascSecrets.hookToken(job.name)}}")
    }
  }
  definition {
    cps {
      script('''@Library('switchyard') _

${job.pipeline}
''')
      sandbox(true)
    }
  }
}
`;

/** Job of this repository's own project. */
export const topologyJobScript = (
  model: Model,
  { path, apply }: { readonly path: string; readonly apply: string },
): string =>
  gitlabJob(model, {
    name: path,
    description: 'Previews and applies merge requests on the topology itself',
    drafts: true,
    pipeline: `topologyPipeline(apply: '${apply}', own: '${model.settings.environment}')`,
  });

/** Job DSL of one module's pipeline. */
export const jobScript = (model: Model, module: Module): string =>
  gitlabJob(model, {
    name: module.name,
    description: module.description,
    drafts: false,
    pipeline: `modulePipeline(module: '${module.name}')`,
  });

import type { Module } from '../../catalog/load';
import { jobFolder, projectPath } from '../../stacks/gitlab';
import type { Model } from '../model';
import { cascSecrets, credentialIds } from './names';

const quote = (text: string): string => `'${text.replace(/[\\']/g, (character) => `\\${character}`)}'`;

/** Job DSL of the folder that holds all modules' jobs. */
export const folderScript = (model: Model): string =>
  `folder(${quote(jobFolder(model.settings.gitlab))}) { description('Modules') }\n`;

/** What every job that GitLab starts has: builds kept, connection, trigger with the hook's token, drafts or not. */
const gitlabJob = (
  name: string,
  { drafts }: { readonly drafts: boolean },
): string => `  logRotator { numToKeep(100) }
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
      skipWorkInProgressMergeRequest(${!drafts})
      setBuildDescription(true)
      secretToken("\${${cascSecrets.hookToken(name)}}")
    }
  }
`;

/**
 * Job of this repository's own project. Its pipeline stands here and not in a Jenkinsfile: nothing of a merge request
 * runs where the credentials are.
 */
export function topologyJobScript(
  { settings: { gitlab } }: Model,
  { path, apply }: { readonly path: string; readonly apply: string },
): string {
  return `pipelineJob(${quote(`${jobFolder(gitlab)}/${path}`)}) {
  description('Previews and applies merge requests on the topology itself')
${gitlabJob(path, { drafts: true })}  definition {
    cps {
      script('''@Library('switchyard') _

topologyPipeline(apply: '${apply}')
''')
      sandbox(true)
    }
  }
}
`;
}

/** Job DSL of one module's pipeline. Triggers stand here, not in the Jenkinsfile: they must hold before its first run. */
export function jobScript(model: Model, module: Module): string {
  const { gitlab } = model.settings;
  return `pipelineJob(${quote(`${jobFolder(gitlab)}/${module.name}`)}) {
  description(${quote(module.description)})
${gitlabJob(module.name, { drafts: false })}  definition {
    cpsScm {
      scm {
        git {
          remote {
            url(${quote(`${gitlab.url}/${projectPath(gitlab, module.name)}.git`)})
            credentials(${quote(credentialIds.botLogin)})
          }
          branch('^\${gitlabSourceBranch}')
        }
      }
      scriptPath('Jenkinsfile')
      lightweight(false)
    }
  }
}
`;
}

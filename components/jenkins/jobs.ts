import type { Module } from '../../catalog/load';
import type { Model } from '../model';
import { cascSecrets, credentialIds } from './names';

const quote = (text: string): string => `'${text.replace(/[\\']/g, (character) => `\\${character}`)}'`;

/** Job DSL of the folder that holds all modules' jobs. */
export const folderScript = (model: Model): string =>
  `folder(${quote(model.settings.gitlab.group)}) { description('Modules') }\n`;

/** Job DSL of one module's pipeline. Triggers stand here, not in the Jenkinsfile: they must hold before its first run. */
export function jobScript(model: Model, module: Module): string {
  const { gitlab } = model.settings;
  return `pipelineJob(${quote(`${gitlab.group}/${module.name}`)}) {
  description(${quote(module.description)})
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
      skipWorkInProgressMergeRequest(true)
      setBuildDescription(true)
      secretToken("\${${cascSecrets.hookToken(module.name)}}")
    }
  }
  definition {
    cpsScm {
      scm {
        git {
          remote {
            url(${quote(`${gitlab.url}/${gitlab.group}/${module.name}.git`)})
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

import { jobFolder } from '../../stacks/gitlab';
import { groovyBlock, groovyString } from '../../text/groovy';
import { type JcascScalar, jcasc, jcascVariable } from '../../text/jcasc';
import type { FullSpec } from './defaults';
import { cascSecrets, cloudName } from './names';

/** Job DSL of the folder that holds all modules' jobs. */
export const folderScript = (spec: FullSpec): string =>
  `folder(${groovyString(jobFolder(spec.gitlab))}) { description('Modules') }\n`;

/**
 * A job that GitLab starts. Its whole pipeline is one call of the shared library, and stands here: a Jenkinsfile in the
 * repository would let a merge request choose its Pods and credentials (docs/decisions/0007). The triggers stand here
 * as well: they must hold before the job's first run. `'source'` is what builds a second push and a merge request that
 * leaves draft, and the setting about new commits is what keeps an edited title or label from building again: the
 * plugin's own memory of built commits needs a checkout by `scm`, which this job has not.
 */
const gitlabJob = (
  spec: FullSpec,
  job: {
    readonly name: string;
    readonly description: string;
    readonly drafts: boolean;
    /** An approval starts it: what waited for one is merged then. */
    readonly approvals: boolean;
    readonly pipeline: string;
  },
): JcascScalar => jcasc`pipelineJob(${groovyString(`${jobFolder(spec.gitlab)}/${job.name}`)}) {
  description(${groovyString(job.description)})
  logRotator { numToKeep(100) }
  quietPeriod(0)
  properties {
    gitLabConnection { gitLabConnection('gitlab') }
    pipelineTriggers {
      triggers {
        gitlab {
          triggerOnPush(true)
          triggerOnMergeRequest(true)
          triggerOpenMergeRequestOnPush('source')
          triggerOnlyIfNewCommitsPushed(true)
          branchFilterType('NameBasedFilter')
          includeBranchesSpec('main')
          ciSkip(false)
          triggerOnApprovedMergeRequest(${String(job.approvals)})
          skipWorkInProgressMergeRequest(${String(!job.drafts)})
          setBuildDescription(true)
          secretToken("${jcascVariable(cascSecrets.hookToken(job.name))}")
        }
      }
    }
  }
  definition {
    cps {
      script(${groovyBlock(`@Library('switchyard') _\n\n${job.pipeline}\n`)})
      sandbox(true)
    }
  }
}
`;

/** Job of this repository's own project. */
export const topologyJobScript = (
  spec: FullSpec,
  { path, apply }: { readonly path: string; readonly apply: string },
): JcascScalar =>
  gitlabJob(spec, {
    name: path,
    description: 'Previews and applies merge requests on the topology itself',
    drafts: true,
    approvals: false,
    pipeline: `topologyPipeline(apply: ${groovyString(apply)}, own: ${groovyString(spec.environment)}${namespaces(spec)}${
      apply === 'automatic' ? `, modules: ${moduleList(spec)}` : ''
    })`,
  });

/** Name of the job that looks for drift, beside that of the topology's own project. */
export const driftJob = (path: string): string => `${path}-drift`;

/** A job that the clock starts: nobody waits for it, and a second one beside it would look at the same. */
export const driftJobScript = (
  spec: FullSpec,
  { path, drift }: { readonly path: string; readonly drift: string },
): string => `pipelineJob(${groovyString(`${jobFolder(spec.gitlab)}/${driftJob(path)}`)}) {
  description('Compares what is there with what was applied, and keeps an issue about it')
  logRotator { numToKeep(100) }
  properties {
    disableConcurrentBuilds()
    pipelineTriggers {
      triggers {
        cron { spec(${groovyString(`TZ=UTC\n${drift}`)}) }
      }
    }
  }
  definition {
    cps {
      script(${groovyBlock(
        `@Library('switchyard') _\n\ntopologyDrift(environment: ${groovyString(spec.environment)}${namespaces(spec)}${parts(spec)})\n`,
      )})
      sandbox(true)
    }
  }
}
`;

/** Name of the job by which people go back to an earlier release. No module is called so: its name has no "_". */
export const ROLLBACK_JOB = 'module_rollback';

/** A job that people start. What they write is looked at by the library and by `delivery rollback`. */
export const rollbackJobScript = (
  spec: FullSpec,
): string => `pipelineJob(${groovyString(`${jobFolder(spec.gitlab)}/${ROLLBACK_JOB}`)}) {
  description('Puts an earlier release of a module back, in the ledger and in production')
  logRotator { numToKeep(100) }
  parameters {
    choiceParam('MODULE', ${moduleList(spec)}, 'The module')
    stringParam('TO', '', 'Commit of a release, or at least 7 digits of it; empty: the one before what runs')
    booleanParam('HOLD', false, 'Keep it until a rollback without this: nothing merged takes its place')
  }
  definition {
    cps {
      script(${groovyBlock(
        `@Library('switchyard') _\n\nmodulePipeline(module: params.MODULE, rollback: [to: params.TO, hold: params.HOLD]${places(spec)})\n`,
      )})
      sandbox(true)
    }
  }
}
`;

/** What a pipeline is told where its namespaces do not have their usual names. */
const namespaces = ({ namespacePrefix }: FullSpec): string =>
  namespacePrefix === undefined ? '' : `, namespacePrefix: ${groovyString(namespacePrefix)}`;

/** What a module's pipeline is told of where its Pods run, where that is not the usual, and whether its rollouts have parts. */
function places(spec: FullSpec): string {
  const cloud = cloudName(spec);
  return [
    ...(cloud === 'kubernetes' ? [] : [`, cloud: ${groovyString(cloud)}`]),
    namespaces(spec),
    parts(spec),
  ].join('');
}

/** Whether deploys of several modules can go on side by side, each on its part of the state. */
const parts = ({ parts: kept }: FullSpec): string => (kept ? ', parts: true' : '');

const moduleList = ({ modules }: FullSpec): string =>
  `[${modules.map(({ name }) => groovyString(name)).join(', ')}]`;

/** Job DSL of one module's pipeline. */
export const jobScript = (spec: FullSpec, module: FullSpec['modules'][number]): JcascScalar =>
  gitlabJob(spec, {
    name: module.name,
    description: module.description,
    drafts: false,
    approvals: module.merge === 'reviewed',
    pipeline: `modulePipeline(module: ${groovyString(module.name)}${places(spec)}${
      spec.releaseBackup ? ', backup: true' : ''
    })`,
  });

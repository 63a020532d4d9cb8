import { podsAdmitted } from './admission';
import { privilegedAlone } from './builds';
import { hostsUnique, namesUnique, nodePortsUnique } from './claims';
import { hookHasJob, hookTokenAgrees, jobHasHook, pipelineInConfiguration, statusRequired } from './delivery';
import { diskBounded, rootReadOnly } from './disk';
import { driftOnlyReads } from './drift';
import type { Facts } from './facts';
import type { Violation } from './facts/violation';
import { imagesPinned, releasesByDigest, releasesOwn, serviceVersionsAgree } from './images';
import { ingressWithin } from './ingress';
import { namespaceDeny, namespaceLimits, namespaceQuota, noWayToMetadata, podSecurity } from './namespaces';
import { explicitProvider } from './providers';
import { quotaFits } from './quota';
import { gitlabTakes, kubernetesTakes, tokensLive } from './refusals';
import type { Rule } from './rule';
import { noPlainSecretVariables, secretsByReference } from './secrets';
import {
  backupsApart,
  backupsComplete,
  databasesAskLogin,
  dumpsPossible,
  servicesDumped,
  servicesExist,
} from './services';
import { testPodPossible } from './testing';

/** Every rule, in the order of a commit's way: the hook first, production last. */
export const rules: readonly Rule[] = [
  hookHasJob,
  jobHasHook,
  hookTokenAgrees,
  pipelineInConfiguration,
  statusRequired,
  gitlabTakes,
  tokensLive,
  driftOnlyReads,
  testPodPossible,
  namespaceQuota,
  namespaceLimits,
  namespaceDeny,
  noWayToMetadata,
  ingressWithin,
  podSecurity,
  podsAdmitted,
  privilegedAlone,
  rootReadOnly,
  diskBounded,
  quotaFits,
  imagesPinned,
  releasesByDigest,
  releasesOwn,
  serviceVersionsAgree,
  servicesExist,
  databasesAskLogin,
  backupsComplete,
  servicesDumped,
  dumpsPossible,
  backupsApart,
  namesUnique,
  nodePortsUnique,
  hostsUnique,
  explicitProvider,
  kubernetesTakes,
  secretsByReference,
  noPlainSecretVariables,
];

export interface Broken extends Violation {
  /** Id of the rule. */
  readonly rule: string;
}

/** Runs rules over indexed resources. */
export function check(facts: Facts, wanted: readonly Rule[] = rules): Broken[] {
  return wanted.flatMap((rule) => rule.check(facts).map((broken) => ({ ...broken, rule: rule.id })));
}

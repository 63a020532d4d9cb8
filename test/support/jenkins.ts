import { casc as cascOf, cascYaml as cascYamlOf } from '../../components/jenkins/casc';
import { withDefaults } from '../../components/jenkins/defaults';
import { queueing as queueingOf } from '../../components/jenkins/names';
import {
  reconcilerResources as reconcilerOf,
  watchedProjects as watchedOf,
} from '../../components/jenkins/reconciler';
import { jenkinsDeclarations } from '../../components/jenkins/resources';
import type { Model } from '../../components/model';
import type { Declaration } from '../../components/shared/declaration';
import { jenkinsSpec } from '../../components/specs';

// What the box of Jenkins makes of a whole model.

export const casc = (model: Model) => cascOf(withDefaults(jenkinsSpec(model)));
/** Of each model once: it is the longest text of all. */
const written = new WeakMap<Model, string>();
export function cascYaml(model: Model): string {
  const yaml = written.get(model) ?? cascYamlOf(jenkinsSpec(model));
  written.set(model, yaml);
  return yaml;
}
export const jenkinsResources = (model: Model): Declaration[] => jenkinsDeclarations(jenkinsSpec(model));
export const reconcilerResources = (model: Model): Declaration[] =>
  reconcilerOf(withDefaults(jenkinsSpec(model)));
export const watchedProjects = (model: Model) => watchedOf(jenkinsSpec(model));
export const queueing = (model: Model) => queueingOf(jenkinsSpec(model));

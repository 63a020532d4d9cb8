// Environment variables that files of this repository may not choose as a password or a key: whoever runs `up` has them
// for the topology's own sake, and what names one would carry its value into a Secret that Pods read.

/** The seed, the passphrase, the GitLab token, and whatever else the program, the CLI and Pulumi itself are told. */
export const isOwnVariable = (name: string): boolean =>
  name === 'GITLAB_TOKEN' || /^(SWITCHYARD|PULUMI)_/.test(name);

/** What opens the clusters and the state backends (https://www.pulumi.com/docs/iac/concepts/state-and-backends/). */
const opensTheTopology = (name: string): boolean =>
  name === 'KUBECONFIG' || /^(AWS|AZURE|ARM|GOOGLE)_/.test(name);

/** What no module may name, whatever the stack calls its own. */
export const isClosedToModules = (name: string): boolean => isOwnVariable(name) || opensTheTopology(name);

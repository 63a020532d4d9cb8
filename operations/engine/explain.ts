interface Explanation {
  /** What the provider prints. */
  readonly seen: RegExp;
  readonly remedy: string;
}

/** Answers of GitLab and of Kubernetes that do not say what to do about them. */
const explanations: readonly Explanation[] = [
  {
    // The API of hooks says only that the URL is invalid; other versions name the reason.
    seen: /\/hooks\S*:? [^\n]*(?:invalid url given|requests to (?:the local (?:network|host)|localhost|the shared address))/i,
    remedy:
      "GitLab refuses the hook's URL. If jenkins.url is right, it is a private address, and an administrator must allow " +
      'hooks to those: Admin, Settings, Network, Outbound requests, "Allow requests to the local network from webhooks ' +
      'and integrations", or list the address there.',
  },
  {
    seen: /Failed to save group[^\n]*has already been taken/i,
    remedy:
      'The group is there already. Adopt it with "gitlab.group: { existing: <full path> }" in the stack file, or choose ' +
      'another path. Adopted, it stays when this stack is destroyed.',
  },
  {
    seen: /\/projects:? [^\n]*has already been taken/i,
    remedy:
      'The project is there already. Adopt it with "gitlab.projects: { <module>: { existing: <full path> } }" in the ' +
      'stack file, or rename the module.',
  },
  {
    seen: /\/(?:approvals|approval_rules)\S*:? (?:403|404)/,
    remedy: 'Approvals need GitLab Premium: leave gitlab.approvals out, or correct gitlab.tier.',
  },
  {
    seen: /\/access_tokens\S*:? (?:400|403)[^\n]*/,
    remedy:
      'The bot is a group access token: the token in GITLAB_TOKEN must be of an owner of the group, and on gitlab.com the ' +
      'group needs Premium.',
  },
  {
    // Server-side apply, where somebody else owns a field with another value: `kubectl scale`, an operator, an admission webhook.
    seen: /Apply failed with \d+ conflicts?:/,
    remedy:
      'Somebody else set what this run would change: the lines above name who, and which field. "switchyard drift ' +
      '<environment>" shows what it is now, and "--fix" puts it back; to keep it, write the same value into the code.',
  },
];

/** What to do about the faults of a run; one line each, none for a failure that says it itself. */
export const explain = (faults: readonly string[]): string[] =>
  explanations.filter(({ seen }) => faults.some((fault) => seen.test(fault))).map(({ remedy }) => remedy);

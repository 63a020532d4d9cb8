interface Explanation {
  /** What the provider prints. */
  readonly seen: RegExp;
  readonly remedy: string;
}

/** Answers of GitLab that do not say what to do about them. */
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
];

/** What to do about failures that the engine printed; one line each, none for a failure that says it itself. */
export const explain = (printed: string): string[] =>
  explanations.filter(({ seen }) => seen.test(printed)).map(({ remedy }) => remedy);

import type { Site } from '../facts';
import { html, type Markup, type Part } from '../markup';
import { code } from './parts';

interface Step {
  readonly title: string;
  readonly what: Part;
  /** Namespace, project or address. */
  readonly where: Part;
}

/** What happens to a release of any module that another environment tested. */
const promoted = (site: Site, from: string): Step[] => [
  {
    title: from.charAt(0).toUpperCase() + from.slice(1),
    what: 'What is merged is tested and released there, under a certificate in its merge request.',
    where: `Environment ${from}`,
  },
  {
    title: 'Promotion',
    what: html`${code(`switchyard promote ${site.environment} ‹module›`)} takes what runs there, if its certificate covers it.`,
    where: 'Whoever promotes',
  },
  {
    title: 'Image',
    what: 'It is copied by its digest: the same bytes.',
    where: code(site.registry.url),
  },
  {
    title: 'Ledger',
    what: 'The digest is written down, at once or by a merge request that people look at. A rollback is a revert here.',
    where: code(site.ledger),
  },
  {
    title: 'Production',
    what: 'The same digest rolls out: one Pod more, none missing. What does not hold is undone.',
    where: code(site.namespaces.production('‹module›')),
  },
];

/** What happens to a commit of any module, by the places of this environment. */
function steps(site: Site): Step[] {
  const { gitlab, jenkins, namespaces, modules } = site;
  const byHand = modules.filter(({ merge }) => merge === 'manual').length;
  const reviewed = modules.filter(({ merge }) => merge === 'reviewed').length;
  const approval =
    reviewed === 0
      ? ''
      : reviewed === modules.length
        ? ' It waits for an approval by someone else.'
        : ` For ${reviewed} of ${modules.length} modules it waits for an approval by someone else.`;
  const merging =
    byHand === 0
      ? 'The bot merges'
      : byHand === modules.length
        ? 'A person merges'
        : `The bot merges, or for ${byHand} of ${modules.length} modules a person,`;
  return [
    {
      title: 'Push',
      what: 'A developer pushes a branch and opens a merge request. Nobody pushes to main.',
      where: code(`${gitlab.url}/${gitlab.group}/‹module›`),
    },
    {
      title: 'Hook',
      what: "GitLab calls Jenkins, with a token of that module's own.",
      where: code(`${jenkins.url}/project/${jenkins.folder}/‹module›`),
    },
    {
      title: 'Job',
      what: html`Jenkins takes the merge result: the branch as it would be on main. The status ${code(site.status)} turns to running.`,
      where: html`Pods in ${code(namespaces.agents)}; the pipeline is the topology's, not the repository's`,
    },
    {
      title: 'Build',
      what: 'BuildKit builds the image without root and pushes it. From here on its digest is its name.',
      where: html`${code(namespaces.build)} → ${code(site.registry.url)}`,
    },
    {
      title: 'Test Pod',
      what: 'One Pod holds the module by that digest, each service it needs, and Robot Framework.',
      where: code(namespaces.test('‹module›')),
    },
    {
      title: 'Verdict',
      what: 'The results decide. They go to the commit as a status, to the merge request as a note.',
      where: 'GitLab and Jenkins',
    },
    {
      title: 'Merge',
      what: html`${merging} by sha, only if that gives the very tree that was tested. If main moved, and it does not, they run again.${approval}`,
      where: 'GitLab',
    },
    {
      title: 'Ledger',
      what: 'The tested digest is written down: module, image, commit, build. A rollback is a revert here.',
      where: code(site.ledger),
    },
    {
      title: 'Deploy',
      what: html`${code(`switchyard up ${site.environment} --only ‹module›`)}, by an account that may change nothing else.`,
      where: code(namespaces.deploy),
    },
    {
      title: 'Production',
      what: 'The same digest rolls out: one Pod more, none missing. The status of the commit says how it ended.',
      where: code(namespaces.production('‹module›')),
    },
    ...(site.backup?.afterReleases
      ? [
          {
            title: 'Backup',
            what: 'Repository and image of the release are copied at once; all else on its schedule.',
            where: code(site.backup.repository),
          },
        ]
      : []),
  ];
}

export const wayOf = (site: Site): Markup =>
  html`<ol class="way">${(site.promotedFrom ? promoted(site, site.promotedFrom) : steps(site)).map(
    ({ title, what, where }) => html`<li><h3>${title}</h3><p>${what}</p><p class="where">${where}</p></li>`,
  )}</ol>`;

import type { BoxDeclaration } from '../../../components/boxes';
import { previewPaths } from '../../../delivery/preview/session';
import { writePreviewInputs } from '../../../operations/preview/prepare';

/** Gives a preview Pod of the environment `test` what it has where nothing was made yet but GitLab's provider. */
export function writeFirstInputs(workspace: string, boxes: readonly BoxDeclaration[]): void {
  const resources = {
    version: 3,
    deployment: {
      manifest: { time: '2026-01-01T00:00:00Z', magic: '', version: '' },
      resources: [
        {
          urn: 'urn:pulumi:test::switchyard::switchyard:index:Topology$pulumi:providers:gitlab::gitlab',
          custom: true,
          id: 'of-the-first-up',
          type: 'pulumi:providers:gitlab',
          inputs: { baseUrl: 'https://gitlab.test/api/v4/' },
        },
      ],
    },
  };
  writePreviewInputs(
    {
      environment: 'test',
      deployment: resources,
      boxes,
      secrets: {
        environment: 'test',
        seed: 'the real seed of the test, long enough to be one',
        gitlabToken: 'glpat-real',
        given: {},
      },
      ledger: 'modules: {}\n',
      basis: 'b'.repeat(64),
      found: {},
      clusters: { ci: 'one', production: 'two' },
      nodes: {},
    },
    previewPaths(workspace, 'test').folder,
  );
}

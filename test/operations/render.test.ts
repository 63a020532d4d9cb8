import { parseAllDocuments } from 'yaml';
import { renderTopology } from '../../operations/render';
import { testModel } from '../support/model';

test('rendering twice gives the same bytes', () => {
  expect([...renderTopology(testModel())]).toEqual([...renderTopology(testModel())]);
});

test('manifests are complete Kubernetes objects', () => {
  let objects = 0;
  for (const [path, text] of renderTopology(testModel())) {
    if (!path.startsWith('kubernetes/')) continue;
    for (const document of parseAllDocuments(text)) {
      objects += 1;
      expect(document.toJS()).toMatchObject({
        apiVersion: expect.stringMatching(/^([a-z0-9.]+\/)?v1$/),
        kind: expect.stringMatching(/^[A-Z]/),
        metadata: { name: expect.any(String) },
      });
    }
  }
  expect(objects).toBeGreaterThan(60);
});

test('one module renders its own boxes only', () => {
  expect([...renderTopology(testModel(), 'shop').keys()].sort()).toEqual([
    'gitlab/gitlab-module-shop.yaml',
    'kubernetes/production-shop.yaml',
    'kubernetes/testing-shop.yaml',
    'resources.md',
  ]);
});

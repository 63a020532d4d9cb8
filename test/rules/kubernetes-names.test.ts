import { parseCatalog } from '../../catalog/load';
import { type Problem, ProblemsError } from '../../catalog/problems';
import { assertRules } from '../../rules/assert';
import { type Example, moduleWith, NARROWER, REFUSED, TAKEN } from '../support/kubernetes-names';
import { catalogTexts, testModel } from '../support/model';

// No narrower and no wider than Kubernetes: `test/lab/programs/refusals.test.ts` asks an API server the same.

/** What `check` says against a module with this ingress. */
function problemsOf(example: Example): readonly Problem[] {
  const texts = { ...catalogTexts, modules: { 'shop.yaml': moduleWith(example) } };
  try {
    const catalog = parseCatalog(texts);
    const files = { ...texts, stacks: testModel().files?.stacks ?? {} };
    assertRules(testModel({ catalog, modules: catalog.modules, files }));
    return [];
  } catch (error) {
    if (error instanceof ProblemsError) return error.problems;
    throw error;
  }
}

test.each(TAKEN)('takes %s', (_what, example) => {
  expect(problemsOf(example)).toEqual([]);
});

test.each([...REFUSED, ...NARROWER])('refuses %s, with file and line', (_what, example) => {
  const problems = problemsOf(example);
  expect(problems.length).toBeGreaterThan(0);
  for (const problem of problems)
    expect(problem).toMatchObject({ file: 'catalog/modules/shop.yaml', line: expect.any(Number) });
});

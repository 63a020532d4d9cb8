import { z } from 'zod';
import type { App } from '../instance/app';
import { approvalSettings, DEFAULT_SETTINGS } from '../instance/approvals';
import { forbidden, messageError, notFound } from '../instance/errors';
import { type Api, bool, type Context, int, nonEmpty } from '../instance/http';
import { type ApprovalRule, LEVEL, type Project } from '../instance/model';

const ruleView = (row: ApprovalRule): Record<string, unknown> => ({
  id: row.id,
  name: row.name,
  rule_type: row.rule_type,
  report_type: null,
  eligible_approvers: [],
  approvals_required: row.approvals_required,
  users: [],
  groups: [],
  contains_hidden_groups: false,
  protected_branches: [],
  applies_to_all_protected_branches: false,
});

/** A project's approval settings and rules: Premium. Without a licence they are forbidden. */
export function approvalRoutes(api: Api, app: App): void {
  const { approvalRules, approvalSettings: table } = app.tables;
  const projectOf = (c: Context): Project => {
    const project = c.project(LEVEL.maintainer);
    if (app.tier === 'free') throw forbidden();
    return project;
  };
  const settingsView = (project: Project): Record<string, unknown> => ({
    approvals_before_merge: 0,
    ...approvalSettings(app, project),
    selective_code_owner_removals: false,
    require_password_to_approve: false,
    require_reauthentication_to_approve: false,
  });

  api.route('GET', '/projects/:id/approvals', {}, (c) => settingsView(projectOf(c)));
  const flags = {
    reset_approvals_on_push: bool.optional(),
    disable_overriding_approvers_per_merge_request: bool.optional(),
    merge_requests_author_approval: bool.optional(),
    merge_requests_disable_committers_approval: bool.optional(),
  };
  api.route('POST', '/projects/:id/approvals', flags, (c, p) => {
    const project = projectOf(c);
    const given = Object.fromEntries(Object.entries(p).filter(([, value]) => value !== undefined));
    const settings = { ...approvalSettings(app, project), ...given };
    const known = table.find((row) => row.project_id === project.id);
    if (known) table.update(known, { settings });
    else table.insert({ project_id: project.id, settings: { ...DEFAULT_SETTINGS, ...settings } });
    return c.created(settingsView(project));
  });

  const find = (c: Context): ApprovalRule => {
    const project = projectOf(c);
    const id = c.number('rule_id');
    const rule = approvalRules.find((row) => row.project_id === project.id && row.id === id);
    if (!rule) throw notFound();
    return rule;
  };
  const rules = '/projects/:id/approval_rules';
  api.route('GET', rules, {}, (c) => {
    const project = projectOf(c);
    return c.page(
      approvalRules.filter((row) => row.project_id === project.id),
      ruleView,
    );
  });
  api.route('GET', `${rules}/:rule_id`, {}, (c) => ruleView(find(c)));
  // Rules with approvers of their own need what this stand-in has not: they are refused by name.
  api.route(
    'POST',
    rules,
    { name: nonEmpty, approvals_required: int(0), rule_type: z.literal('any_approver') },
    (c, p) => {
      const project = projectOf(c);
      if (approvalRules.find((row) => row.project_id === project.id))
        throw messageError(400, { rule_type: ['any-approver for the project already exists'] });
      return c.created(ruleView(approvalRules.insert({ project_id: project.id, ...p })));
    },
  );
  api.route('PUT', `${rules}/:rule_id`, { name: nonEmpty.optional(), approvals_required: int(0) }, (c, p) => {
    const rule = find(c);
    return ruleView(
      approvalRules.update(rule, { approvals_required: p.approvals_required, name: p.name ?? rule.name }),
    );
  });
  api.route('DELETE', `${rules}/:rule_id`, {}, (c) => {
    approvalRules.delete(find(c).id);
    return c.noContent();
  });
}

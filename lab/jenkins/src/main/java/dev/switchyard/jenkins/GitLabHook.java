package dev.switchyard.jenkins;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;

/** The gitlab-plugin's dispatch (1.9.x): which hook starts a build, and with which variables. */
final class GitLabHook {
  private static final String NOTHING = "0000000000000000000000000000000000000000";

  /** What a hook leads to: a build with variables, or the reason for none. */
  record Decision(Map<String, String> env, String cause, String description, String reason) {
    static Decision none(String reason) {
      return new Decision(null, null, null, reason);
    }
  }

  /** The trigger's settings and the plugin's defaults. */
  static Map<String, Object> defaults() {
    Map<String, Object> d = new LinkedHashMap<>();
    d.put("triggerOnPush", true);
    d.put("triggerOnMergeRequest", true);
    // Unset is none of 'never', 'source' and 'both' in the plugin, and updates are not rejected then.
    d.put("triggerOpenMergeRequestOnPush", "");
    d.put("triggerOnlyIfNewCommitsPushed", false);
    d.put("triggerOnAcceptedMergeRequest", false);
    d.put("triggerOnClosedMergeRequest", false);
    d.put("triggerOnApprovedMergeRequest", false);
    d.put("triggerToBranchDeleteRequest", false);
    d.put("ciSkip", true);
    d.put("skipWorkInProgressMergeRequest", false);
    d.put("setBuildDescription", true);
    d.put("branchFilterType", "All");
    d.put("includeBranchesSpec", "");
    d.put("excludeBranchesSpec", "");
    d.put("sourceBranchRegex", "");
    d.put("targetBranchRegex", "");
    d.put("secretToken", "");
    return d;
  }

  static String check(Map<String, Object> t) {
    if (!String.valueOf(t.get("triggerOpenMergeRequestOnPush")).matches("|never|source"))
      return "triggerOpenMergeRequestOnPush: only 'never' and 'source' are covered ('both' asks GitLab for its open merge requests)";
    if (!String.valueOf(t.get("branchFilterType")).matches("All|NameBasedFilter|RegexBasedFilter"))
      return "branchFilterType '" + t.get("branchFilterType") + "' is not one of All, NameBasedFilter, RegexBasedFilter";
    for (String key : new String[] {"sourceBranchRegex", "targetBranchRegex"}) {
      try {
        Pattern.compile((String) t.get(key));
      } catch (PatternSyntaxException e) {
        return key + " is not a regular expression";
      }
    }
    return null;
  }

  private static boolean on(Map<String, Object> trigger, String key) {
    return Boolean.TRUE.equals(trigger.get(key));
  }

  static Decision push(Map<String, Object> trigger, JsonNode hook) {
    String ref = hook.path("ref").asText();
    if (!ref.startsWith("refs/heads/")) return Decision.none("ref '" + ref + "' is no branch");
    String branch = ref.substring("refs/heads/".length());
    boolean removed = hook.path("after").asText().equals(NOTHING);
    if (!on(trigger, "triggerOnPush")) return Decision.none("push events do not trigger this job");
    if (removed && !on(trigger, "triggerToBranchDeleteRequest")) return Decision.none("branch " + branch + " was removed");
    JsonNode commits = hook.path("commits");
    JsonNode last = commits.size() > 0 ? commits.get(commits.size() - 1) : null;
    if (on(trigger, "ciSkip") && last != null && last.path("message").asText().contains("[ci-skip]")) return Decision.none("[ci-skip] in the last commit");
    if (!allowed(trigger, branch, branch)) return Decision.none("branch " + branch + " is filtered out");
    needs(hook, "object_kind", "project_id", "user_name", "repository/name", "project/namespace", "repository/git_ssh_url", "repository/git_http_url");
    Map<String, String> env = new TreeMap<>();
    JsonNode project = hook.path("project");
    put(env, "gitlabActionType", "PUSH");
    put(env, "gitlabBranch", branch);
    put(env, "gitlabSourceBranch", branch);
    put(env, "gitlabTargetBranch", branch);
    put(env, "gitlabBefore", hook.path("before").asText());
    put(env, "gitlabAfter", hook.path("after").asText());
    put(env, "gitlabMergeRequestLastCommit", hook.path("after").asText());
    put(env, "gitlabUserName", hook.path("user_name").asText());
    put(env, "gitlabUserUsername", hook.path("user_username").asText());
    put(env, "gitlabUserEmail", hook.path("user_email").asText());
    repository(env, "Source", project);
    repository(env, "Target", project);
    put(env, "gitlabSourceNamespace", project.path("namespace").asText());
    put(env, "gitlabTargetNamespace", project.path("namespace").asText());
    String who = last != null ? last.path("author").path("name").asText() : hook.path("user_name").asText();
    return new Decision(env, "Started by GitLab push by " + who, "Started by GitLab push by " + who, null);
  }

  /** The plugin's memory of built commits: the number of the build of this commit, for this state and target branch. */
  interface Built {
    Integer number(String sha, String state, String targetBranch);
  }

  private static final Pattern DRAFT = Pattern.compile("\\s*(Draft:|\\[Draft\\]|\\(Draft\\)).*");
  /** What the plugin's enum of actions has: every other one (`unapproved`, `approval` …) reads as null there. */
  private static final Set<String> ACTIONS = Set.of("open", "update", "approved", "merge", "close", "reopen");

  /** TriggerConfigChain as MergeRequestHookTriggerHandlerFactory fills it: first what rejects, then what accepts. */
  private static boolean byConfig(Map<String, Object> trigger, String state, String given) {
    String action = ACTIONS.contains(given) ? given : null;
    String onPush = (String) trigger.get("triggerOpenMergeRequestOnPush");
    boolean approved = on(trigger, "triggerOnApprovedMergeRequest");
    boolean opened = state.equals("opened") || state.equals("reopened");
    if (onPush.equals("never") && (state.equals("opened") || state.equals("updated")) && is(action, "update")) return false;
    if (!approved && is(action, "approved")) return false;
    return !onPush.equals("never") && state.equals("updated") && is(action, "update")
        || onPush.equals("source") && state.equals("opened") && is(action, "update")
        || approved && is(action, "approved")
        || on(trigger, "triggerOnMergeRequest") && opened
        || on(trigger, "triggerOnAcceptedMergeRequest") && is(action, "merge")
        || on(trigger, "triggerOnClosedMergeRequest") && (is(action, "close") || state.equals("closed"));
  }

  /** An action that the plugin could not read passes every rule, those that reject first. */
  private static boolean is(String action, String rule) {
    return action == null || action.equals(rule);
  }

  private static boolean draft(String title) {
    return DRAFT.matcher(title).matches();
  }

  private static boolean leftDraft(JsonNode hook) {
    JsonNode title = hook.path("changes").path("title");
    String before = title.path("previous").asText(), now = title.path("current").asText();
    return draft(before) && !draft(now) || before.contains("WIP") && !now.contains("WIP");
  }

  static Decision mergeRequest(Map<String, Object> trigger, JsonNode hook, Built built) {
    JsonNode mr = hook.path("object_attributes");
    String state = mr.path("state").asText();
    String action = mr.path("action").asText();
    String source = mr.path("source_branch").asText();
    String target = mr.path("target_branch").asText();
    JsonNode last = mr.path("last_commit");
    String sha = last.path("id").asText();
    String which = "merge request !" + mr.path("iid").asText();
    if (!byConfig(trigger, state, action)) return Decision.none(which + ": state '" + state + "' with action '" + action + "' does not trigger this job");
    boolean draft = mr.path("draft").asBoolean() || mr.path("work_in_progress").asBoolean();
    if (on(trigger, "skipWorkInProgressMergeRequest") && draft) return Decision.none(which + " is a draft");
    if (!Set.of("open", "approved", "merge").contains(action)) {
      Integer number = built.number(sha, state, target);
      if (number != null) return Decision.none(which + ": last commit has already been built in build #" + number);
    }
    // The plugin asks a null for its name there: HTTP 500, and no build.
    if (on(trigger, "triggerOnlyIfNewCommitsPushed") && !ACTIONS.contains(action))
      return Decision.none(which + ": the plugin fails by the action '" + action + "', which it does not know");
    if (on(trigger, "triggerOnlyIfNewCommitsPushed") && action.equals("update") && mr.path("oldrev").asText().isEmpty() && !leftDraft(hook))
      return Decision.none(which + ": updated without new commits, and it did not leave draft");
    if (on(trigger, "ciSkip") && (mr.path("description").asText().contains("[ci-skip]") || last.path("message").asText().contains("[ci-skip]")))
      return Decision.none(which + ": [ci-skip]");
    if (!allowed(trigger, target, source)) return Decision.none(which + ": " + source + " to " + target + " is filtered out");
    needs(mr, "source_project_id", "target_project_id", "source_branch", "target_branch", "title", "last_commit/author/name",
        "source/name", "source/namespace", "source/ssh_url", "source/http_url", "target/name", "target/namespace", "target/ssh_url", "target/http_url");
    Map<String, String> env = new TreeMap<>();
    put(env, "gitlabActionType", "MERGE");
    put(env, "gitlabBranch", source);
    put(env, "gitlabSourceBranch", source);
    put(env, "gitlabTargetBranch", target);
    put(env, "gitlabMergeRequestTitle", mr.path("title").asText());
    put(env, "gitlabMergeRequestDescription", mr.path("description").asText());
    put(env, "gitlabMergeRequestId", mr.path("id").asText());
    put(env, "gitlabMergeRequestIid", mr.path("iid").asText());
    put(env, "gitlabMergeRequestState", state);
    put(env, "gitlabMergeRequestAction", action);
    put(env, "gitlabMergedByUser", mr.path("state").asText().equals("merged") ? hook.path("user").path("username").asText() : "");
    put(env, "gitlabMergeRequestAssignee", hook.path("assignees").path(0).path("username").asText());
    put(env, "gitlabMergeRequestLastCommit", sha);
    put(env, "gitlabMergeRequestTargetProjectId", mr.path("target_project_id").asText());
    put(env, "gitlabMergeCommitSha", mr.path("merge_commit_sha").isTextual() ? mr.path("merge_commit_sha").asText() : "");
    put(env, "gitlabUserName", hook.path("user").path("name").asText());
    put(env, "gitlabUserUsername", hook.path("user").path("username").asText());
    put(env, "gitlabUserEmail", hook.path("user").path("email").asText());
    repository(env, "Source", mr.path("source"));
    repository(env, "Target", mr.path("target"));
    put(env, "gitlabSourceNamespace", mr.path("source").path("namespace").asText());
    put(env, "gitlabTargetNamespace", mr.path("target").path("namespace").asText());
    String line = "GitLab Merge Request #" + mr.path("iid").asText() + " : " + source + " => " + target;
    return new Decision(env, "Triggered by " + line, line, null);
  }

  /**
   * What the plugin's CauseData takes no null for; a hook without it ends in an exception, which Jenkins answers with 500.
   */
  private static void needs(JsonNode hook, String... paths) {
    for (String path : paths) {
      JsonNode at = hook.at("/" + path);
      if (at.isMissingNode() || at.isNull()) throw new NullPointerException(path + " must not be null.");
    }
  }

  /** What the plugin exports of the cause (CauseData), from the variables of the build; null for a build that no hook started. */
  static Map<String, Object> causeData(Map<String, String> env) {
    if (!env.containsKey("gitlabActionType")) return null;
    Map<String, Object> data = new LinkedHashMap<>();
    data.put("_class", "com.dabsquared.gitlabjenkins.cause.CauseData");
    data.put("actionType", env.get("gitlabActionType"));
    data.put("after", env.get("gitlabAfter"));
    data.put("before", env.get("gitlabBefore"));
    data.put("branch", env.get("gitlabBranch"));
    data.put("lastCommit", env.get("gitlabMergeRequestLastCommit"));
    data.put("mergeRequestIid", env.containsKey("gitlabMergeRequestIid") ? Integer.valueOf(env.get("gitlabMergeRequestIid")) : null);
    data.put("sourceBranch", env.get("gitlabSourceBranch"));
    data.put("targetBranch", env.get("gitlabTargetBranch"));
    return data;
  }

  private static void repository(Map<String, String> env, String side, JsonNode project) {
    put(env, "gitlab" + side + "RepoName", project.path("name").asText());
    put(env, "gitlab" + side + "RepoHomepage", project.path("web_url").asText(project.path("homepage").asText()));
    put(env, "gitlab" + side + "RepoURL", project.path("git_ssh_url").asText());
    put(env, "gitlab" + side + "RepoSshUrl", project.path("git_ssh_url").asText());
    put(env, "gitlab" + side + "RepoHttpUrl", project.path("git_http_url").asText());
  }

  private static void put(Map<String, String> env, String key, String value) {
    if (value != null && !value.isEmpty() && !value.equals("null")) env.put(key, value);
  }

  private static boolean allowed(Map<String, Object> trigger, String target, String source) {
    return switch ((String) trigger.get("branchFilterType")) {
      case "NameBasedFilter" -> {
        String include = (String) trigger.get("includeBranchesSpec");
        String exclude = (String) trigger.get("excludeBranchesSpec");
        yield !matches(exclude, target, false) && matches(include, target, true);
      }
      case "RegexBasedFilter" -> regex(trigger, "targetBranchRegex", target) && regex(trigger, "sourceBranchRegex", source);
      default -> true;
    };
  }

  private static boolean regex(Map<String, Object> trigger, String key, String branch) {
    String regex = (String) trigger.get(key);
    return regex.isEmpty() || branch.matches(regex);
  }

  /** Comma-separated Ant patterns: `*` within a path part, `**` across parts, `?` one character. */
  private static boolean matches(String spec, String branch, boolean whenEmpty) {
    if (spec.isBlank()) return whenEmpty;
    for (String one : spec.split(",")) {
      if (branch.matches(antPattern(one.trim()))) return true;
    }
    return false;
  }

  static String antPattern(String glob) {
    StringBuilder out = new StringBuilder();
    for (int i = 0; i < glob.length(); i++) {
      char c = glob.charAt(i);
      if (glob.startsWith("**/", i)) {
        out.append("(?:.*/)?");
        i += 2;
      } else if (glob.startsWith("**", i)) {
        out.append(".*");
        i++;
      } else if (c == '*') out.append("[^/]*");
      else if (c == '?') out.append("[^/]");
      else out.append(Pattern.quote(String.valueOf(c)));
    }
    return out.toString();
  }

  private GitLabHook() {}
}

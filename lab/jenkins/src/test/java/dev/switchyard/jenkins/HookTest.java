package dev.switchyard.jenkins;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.Map;
import org.junit.jupiter.api.Test;

/**
 * Which hook starts a build, as jenkinsci/gitlab-plugin 1.9.182144 decides it: MergeRequestHookTriggerHandlerFactory,
 * TriggerConfigChain, MergeRequestHookTriggerHandlerImpl (merge requests), BuildUtil (what was built), PushHookTriggerHandlerImpl.
 */
class HookTest {
  private static JsonNode json(String text) throws Exception {
    return Build.JSON.readTree(text);
  }

  private static JsonNode merge(String state, String action, boolean draft) throws Exception {
    return json("""
        {"user":{"username":"u"},"object_attributes":{"iid":7,"id":70,"state":"%s","action":"%s","draft":%s,"source_branch":"feature","target_branch":"main",
         "title":"T","description":null,"last_commit":{"id":"abc","message":"m"},"source":{"git_http_url":"http://g/o.git"},"target":{"git_http_url":"http://g/o.git"}}}
        """.formatted(state, action, draft));
  }

  private static GitLabHook.Decision decide(JsonNode hook) {
    return GitLabHook.mergeRequest(GitLabHook.defaults(), hook, (sha, state, target) -> null);
  }

  @Test
  void anOpenedMergeRequestBuildsWithThePluginsVariables() throws Exception {
    Map<String, String> env = decide(merge("opened", "open", false)).env();
    assertEquals("MERGE", env.get("gitlabActionType"));
    assertEquals("feature", env.get("gitlabSourceBranch"));
    assertEquals("main", env.get("gitlabTargetBranch"));
    assertEquals("7", env.get("gitlabMergeRequestIid"));
    assertEquals("abc", env.get("gitlabMergeRequestLastCommit"));
    assertEquals("http://g/o.git", env.get("gitlabTargetRepoHttpUrl"));
  }

  @Test
  void closedMergedAndDraftMergeRequestsDoNotBuild() throws Exception {
    assertNull(decide(merge("closed", "close", false)).env());
    assertNull(decide(merge("merged", "merge", false)).env());
    Map<String, Object> trigger = GitLabHook.defaults();
    assertEquals("MERGE", decide(merge("opened", "open", true)).env().get("gitlabActionType"), "drafts build unless the job says otherwise");
    trigger.put("skipWorkInProgressMergeRequest", true);
    assertTrue(GitLabHook.mergeRequest(trigger, merge("opened", "open", true), NEVER_BUILT).reason().contains("draft"));
  }

  private static final GitLabHook.Built NEVER_BUILT = (sha, state, target) -> null;

  /** An update as GitLab sends it: `oldrev` only for a push, `changes` with what else was edited. */
  private static JsonNode update(String oldrev, String changes) throws Exception {
    ObjectNode hook = (ObjectNode) merge("opened", "update", false);
    if (oldrev != null) ((ObjectNode) hook.path("object_attributes")).put("oldrev", oldrev);
    hook.set("changes", json(changes));
    return hook;
  }

  private static boolean builds(String onPush, boolean onlyNewCommits, JsonNode hook) {
    Map<String, Object> trigger = GitLabHook.defaults();
    trigger.put("triggerOpenMergeRequestOnPush", onPush);
    trigger.put("triggerOnlyIfNewCommitsPushed", onlyNewCommits);
    trigger.put("skipWorkInProgressMergeRequest", true);
    return GitLabHook.mergeRequest(trigger, hook, NEVER_BUILT).env() != null;
  }

  @Test
  void neverRejectsEveryUpdateASecondPushIncluded() throws Exception {
    assertFalse(builds("never", false, update("old", "{}")));
    assertFalse(builds("never", true, update("old", "{}")));
    assertFalse(builds("never", false, update(null, "{\"title\":{\"previous\":\"Draft: T\",\"current\":\"T\"}}")));
    assertTrue(builds("never", false, merge("opened", "open", false)));
    assertTrue(builds("never", false, merge("opened", "reopen", false)));
  }

  @Test
  void sourceBuildsASecondPushAndLeavingDraftAndNoOtherEditWithTheNewCommitsSetting() throws Exception {
    assertTrue(builds("source", true, update("old", "{}")));
    for (String draft : new String[] {"Draft: T", "[Draft] T", "(Draft) T"})
      assertTrue(builds("source", true, update(null, "{\"title\":{\"previous\":\"" + draft + "\",\"current\":\"T\"}}")), draft);
    assertFalse(builds("source", true, update(null, "{\"title\":{\"previous\":\"T\",\"current\":\"Other\"}}")));
    assertFalse(builds("source", true, update(null, "{\"labels\":{\"previous\":[],\"current\":[{\"title\":\"l\"}]}}")));
    assertFalse(builds("source", true, update(null, "{\"target_branch\":{\"previous\":\"main\",\"current\":\"release\"}}")));
  }

  @Test
  void withoutTheNewCommitsSettingEveryEditBuildsAgain() throws Exception {
    assertTrue(builds("source", false, update(null, "{\"title\":{\"previous\":\"T\",\"current\":\"Other\"}}")));
    assertTrue(builds("", false, update(null, "{}")), "unset is not 'never'");
  }

  @Test
  void anApprovalAndAnActionThatThePluginDoesNotKnowBuildNothing() throws Exception {
    for (String action : new String[] {"approved", "unapproved", "approval", "unapproval"})
      assertFalse(builds("source", true, merge("opened", action, false)), action);
  }

  @Test
  void aLastCommitThatWasBuiltIsNotBuiltAgain() throws Exception {
    GitLabHook.Decision decision = GitLabHook.mergeRequest(GitLabHook.defaults(), merge("opened", "update", false), (sha, state, target) -> 4);
    assertNull(decision.env());
    assertTrue(decision.reason().contains("#4"));
  }

  @Test
  void aPushPassesTheNameFilterOrDoesNotBuild() throws Exception {
    Map<String, Object> trigger = GitLabHook.defaults();
    trigger.put("branchFilterType", "NameBasedFilter");
    trigger.put("includeBranchesSpec", "main, release/*");
    assertEquals("main", GitLabHook.push(trigger, json("{\"ref\":\"refs/heads/main\",\"after\":\"1\"}")).env().get("gitlabBranch"));
    assertNull(GitLabHook.push(trigger, json("{\"ref\":\"refs/heads/feature\",\"after\":\"1\"}")).env());
    assertNull(GitLabHook.push(trigger, json("{\"ref\":\"refs/tags/v1\",\"after\":\"1\"}")).env());
  }

  @Test
  void aRemovedBranchDoesNotBuild() throws Exception {
    assertNull(GitLabHook.push(GitLabHook.defaults(), json("{\"ref\":\"refs/heads/x\",\"after\":\"0000000000000000000000000000000000000000\"}")).env());
  }
}

package dev.switchyard.jenkins;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.Map;
import org.junit.jupiter.api.Test;

/**
 * Which hook starts a build. Sources, of jenkinsci/gitlab-plugin 1.9.182144: MergeRequestHookTriggerHandlerFactory,
 * TriggerConfigChain, MergeRequestHookTriggerHandlerImpl (merge requests), BuildUtil (what was built), PushHookTriggerHandlerImpl.
 */
class HookTest {
  private static JsonNode json(String text) throws Exception {
    return Build.JSON.readTree(text);
  }

  private static JsonNode merge(String state, String action, boolean draft) throws Exception {
    return json("""
        {"user":{"username":"u"},"object_attributes":{"iid":7,"id":70,"state":"%s","action":"%s","draft":%s,"source_branch":"feature","target_branch":"main",
         "source_project_id":1,"target_project_id":1,"title":"T","description":null,
         "last_commit":{"id":"abc","message":"m","author":{"name":"Ann","email":"ann@g"}},
         "source":{"name":"o","namespace":"n","git_http_url":"http://g/o.git","http_url":"http://g/o.git","ssh_url":"git@g:o.git"},
         "target":{"name":"o","namespace":"n","git_http_url":"http://g/o.git","http_url":"http://g/o.git","ssh_url":"git@g:o.git"}}}
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

  /** Of a module whose merge requests wait for an approval. MergeRequestHookTriggerHandlerImpl#isNewCommitPushed asks `unapproved`, which it has not, for its name. */
  @Test
  void anApprovalBuildsWhereTheJobSaysSo_andOneTakenBackDoesNot() throws Exception {
    Map<String, Object> trigger = GitLabHook.defaults();
    trigger.put("triggerOpenMergeRequestOnPush", "source");
    trigger.put("triggerOnlyIfNewCommitsPushed", true);
    assertNull(GitLabHook.mergeRequest(trigger, merge("opened", "approved", false), NEVER_BUILT).env());
    trigger.put("triggerOnApprovedMergeRequest", true);
    assertEquals("MERGE", GitLabHook.mergeRequest(trigger, merge("opened", "approved", false), (sha, state, target) -> 3).env().get("gitlabActionType"));
    assertTrue(GitLabHook.mergeRequest(trigger, merge("opened", "unapproved", false), NEVER_BUILT).reason().contains("the plugin fails"));
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
    assertEquals("main", GitLabHook.push(trigger, pushed()).env().get("gitlabBranch"));
    assertNull(GitLabHook.push(trigger, json("{\"ref\":\"refs/heads/feature\",\"after\":\"1\"}")).env());
    assertNull(GitLabHook.push(trigger, json("{\"ref\":\"refs/tags/v1\",\"after\":\"1\"}")).env());
  }

  private static JsonNode pushed() throws Exception {
    return json("""
        {"object_kind":"push","ref":"refs/heads/main","before":"0","after":"1","project_id":1,"user_name":"Ann","project":{"namespace":"n"},
         "repository":{"name":"o","git_ssh_url":"git@g:o.git","git_http_url":"http://g/o.git"},"commits":[]}
        """);
  }

  /** CauseData's constructor takes no null for these; what is missing ends in an exception (`requireNonNull`). */
  @Test
  void aHookWithoutWhatTheCauseNeedsIsAFault() throws Exception {
    for (String path : new String[] {"project_id", "user_name", "repository/git_ssh_url", "repository/git_http_url", "project/namespace"}) {
      ObjectNode hook = (ObjectNode) pushed();
      remove(hook, path);
      assertTrue(assertThrows(NullPointerException.class, () -> GitLabHook.push(GitLabHook.defaults(), hook)).getMessage().contains(path), path);
    }
    for (String path : new String[] {"title", "source_project_id", "last_commit/author/name", "source/namespace", "target/ssh_url"}) {
      ObjectNode hook = (ObjectNode) merge("opened", "open", false);
      remove((ObjectNode) hook.path("object_attributes"), path);
      assertThrows(NullPointerException.class, () -> decide(hook), path);
    }
  }

  private static void remove(ObjectNode from, String path) {
    int slash = path.lastIndexOf('/');
    ((ObjectNode) (slash < 0 ? from : from.at("/" + path.substring(0, slash)))).remove(path.substring(slash + 1));
  }

  /** GitLabWebHookCause exports `data`, CauseData its fields; mergeRequestIid is a number, and null for a push. */
  @Test
  void aCauseTellsOfWhichCommitItIs() throws Exception {
    Map<String, Object> merge = GitLabHook.causeData(decide(merge("opened", "open", false)).env());
    assertEquals("MERGE", merge.get("actionType"));
    assertEquals(7, merge.get("mergeRequestIid"));
    assertEquals("abc", merge.get("lastCommit"));
    assertEquals("feature", merge.get("sourceBranch"));
    Map<String, Object> push = GitLabHook.causeData(GitLabHook.push(GitLabHook.defaults(), pushed()).env());
    assertEquals("PUSH", push.get("actionType"));
    assertNull(push.get("mergeRequestIid"));
    assertEquals("1", push.get("lastCommit"));
    assertEquals("1", push.get("after"));
    assertEquals("main", push.get("sourceBranch"));
    assertNull(GitLabHook.causeData(Map.of()));
  }

  @Test
  void aRemovedBranchDoesNotBuild() throws Exception {
    assertNull(GitLabHook.push(GitLabHook.defaults(), json("{\"ref\":\"refs/heads/x\",\"after\":\"0000000000000000000000000000000000000000\"}")).env());
  }
}

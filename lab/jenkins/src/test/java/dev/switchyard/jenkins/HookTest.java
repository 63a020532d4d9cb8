package dev.switchyard.jenkins;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.Map;
import org.junit.jupiter.api.Test;

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
    return GitLabHook.mergeRequest(GitLabHook.defaults(), hook, (sha, target) -> null);
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
    assertTrue(decide(merge("opened", "open", true)).reason().contains("draft"));
  }

  @Test
  void aLastCommitThatWasBuiltIsNotBuiltAgain() throws Exception {
    GitLabHook.Decision decision = GitLabHook.mergeRequest(GitLabHook.defaults(), merge("opened", "update", false), (sha, target) -> 4);
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

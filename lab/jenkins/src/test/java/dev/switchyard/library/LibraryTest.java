package dev.switchyard.library;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.switchyard.library.Engine.Run;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;

/**
 * The shared library under the continuation engine that Jenkins runs it by, com.cloudbees:groovy-cps 1.31, written and
 * read again at every suspension. The steps' names and parameters are those of the plug-ins in plugins.lock.
 */
class LibraryTest {
  private static final Map<String, String> MERGE = Map.of("gitlabActionType", "MERGE", "gitlabBranch", "change");
  private static final Map<String, String> MAIN = Map.of("gitlabActionType", "PUSH", "gitlabBranch", "main");
  /** Of a rollout: the agent with the account of its module. */
  private static final String POD = "deploy as deployer-orders/deploy ";
  private static final String MODULE = "modulePipeline(module: 'orders', parts: true, backup: true)";
  private static final String SOURCE = "delivery source --module orders";
  private static final String REPORT = "delivery report --module orders";
  private static final String WATCH = "NODE_EXTRA_CA_CERTS=/var/run/secrets/kubernetes.io/serviceaccount/ca.crt";
  private static final String ROLLOUT = "switchyard up \"$SWITCHYARD_ENVIRONMENT\" --only orders --yes";
  private static final String JUDGE = "switchyard judge \"$SWITCHYARD_ENVIRONMENT\" orders";
  private static final String WORDS = ".switchyard/rollout/unsteady.json";

  private static Run merge(World world) throws Exception {
    return Engine.run(MODULE, MERGE, world, 1);
  }

  private static Run main(World world) throws Exception {
    return Engine.run(MODULE, MAIN, world, 1);
  }

  private static void red(String reason, Run run) {
    assertEquals("FAILURE", run.result(), String.join("\n", run.trace()));
    assertTrue(run.error().getMessage().contains(reason), run.error().getMessage());
  }

  private static void green(Run run) {
    assertNull(run.error(), () -> run.error() + "\n" + String.join("\n", run.trace()));
    assertEquals("SUCCESS", run.result());
  }

  // A module's merge request.

  @Test
  void aGreenMergeRequestIsBuiltTestedReportedAndMerged() throws Exception {
    Run run = merge(new Scenario());
    green(run);
    String bot = "[gitlab-bot-token, certificate-key]";
    assertEquals(List.of(
        "delivery/delivery " + bot + "$ " + SOURCE,
        "delivery/delivery " + bot + "$ delivery build-plan",
        "stash build .switchyard/build/**",
        "delivery/delivery [gitlab-bot-token, certificate-key, registry-orders]$ delivery build && delivery test-pod",
        "build unstashes build",
        "build/buildkitd$ sh .switchyard/build/run.sh",
        "delivery writes .switchyard/build/ended",
        "stash given .switchyard/given/**",
        "delivery/delivery$ " + WATCH + " timeout 2100 delivery test-pod-watch --namespace test-orders",
        "test-pod unstashes given",
        "test-pod/robot$ sh .switchyard/given/run.sh",
        "archiveArtifacts",
        "junit",
        "robot",
        "delivery writes .switchyard/start/ended",
        "delivery writes .switchyard/carried/output.xml.gz",
        "delivery writes .switchyard/carried/xunit.xml.gz",
        "delivery/delivery " + bot + "$ delivery verdict",
        "delivery/delivery " + bot + "$ " + REPORT,
        "lock merge-orders",
        "delivery/delivery " + bot + "$ delivery merge",
        "unlock merge-orders"), run.trace());
  }

  @Test
  void everyOrderOfTheBuildAndItsGateIsTheSame() throws Exception {
    Set<List<String>> orders = new HashSet<>();
    for (long seed = 0; seed < 12; seed++) {
      Run run = Engine.run(MODULE, MERGE, new Scenario(), seed);
      green(run);
      assertEquals(List.of("delivery", "build", "test-pod"), run.agents());
      orders.add(run.trace());
    }
    assertTrue(orders.size() > 1, "the branches took turns in one order only");
  }

  @Test
  void aSourceThatIsRedIsReportedAndNeitherBuiltNorMerged() throws Exception {
    Run run = merge(new Scenario().exits(SOURCE, 1));
    red("orders is red", run);
    assertEquals(List.of(SOURCE, REPORT), run.commands());
  }

  @Test
  void whereThereIsNothingToDoNothingIsReported() throws Exception {
    Run run = merge(new Scenario().exits(SOURCE, 4));
    green(run);
    assertEquals(List.of(SOURCE), run.commands());
  }

  @Test
  void whatAnEarlierBuildTestedIsMergedByItsCertificate() throws Exception {
    Run run = merge(new Scenario().exits(SOURCE, 6));
    green(run);
    assertEquals(List.of(SOURCE, "delivery merge --tested orders"), run.commands());
  }

  @Test
  void aBuildThatFailsStillLetsItsGateEndAndIsReported() throws Exception {
    Run run = merge(new Scenario().exits("sh .switchyard/build/run.sh", 1).exits("delivery build &&", 1));
    red("orders is red", run);
    assertTrue(run.trace().contains("delivery writes .switchyard/build/ended"));
    assertEquals(REPORT, run.commands().get(run.commands().size() - 1));
    assertFalse(run.agents().contains("test-pod"));
  }

  @Test
  void aBuildPodThatNeverStartsTellsTheGateAndIsReported() throws Exception {
    Run run = merge(new Scenario().neverStarts("build").exits("delivery build &&", 1));
    red("no agent for 'build' started within 15 minutes", run);
    assertEquals(900, run.seconds(), 30);
    assertTrue(run.trace().contains("delivery writes .switchyard/build/ended"));
    assertTrue(run.commands().contains(REPORT));
    assertFalse(run.commands().contains("delivery merge"));
  }

  @Test
  void aTestPodThatNeverStartsIsEndedByItsWatchAndJudgedAndReported() throws Exception {
    for (long seed = 0; seed < 8; seed++) {
      Run run = Engine.run(MODULE, MERGE, new Scenario().neverStarts("test-pod").exits(WATCH, 9).exits("delivery verdict", 1), seed);
      red("orders is red", run);
      assertEquals(0, run.seconds(), 2);
      assertEquals(List.of("delivery verdict", REPORT), run.commands().subList(run.commands().size() - 2, run.commands().size()));
      assertFalse(String.join("\n", run.trace()).contains("carried"));
    }
  }

  @Test
  void aTestPodThatNeverStartsAndIsNotWatchedIsEndedByItsTimeOutAndReported() throws Exception {
    for (int code : List.of(1, 2, 124, 137)) {
      Run run = merge(new Scenario().neverStarts("test-pod").exits(WATCH, code));
      assertEquals("ABORTED", run.result());
      assertEquals(40 * 60, run.seconds(), 2);
      assertTrue(run.commands().contains(REPORT));
      assertFalse(run.commands().contains("delivery merge"));
    }
  }

  @Test
  void aTestPodThatStartsLateIsTested() throws Exception {
    Run run = merge(new Scenario().startsAfter("test-pod", 1500));
    green(run);
    assertEquals(1500, run.seconds(), 2);
    assertTrue(run.commands().contains("delivery merge"));
  }

  @Test
  void aWatchThatBreaksOffMakesNoGoodTestRed() throws Exception {
    for (int code : List.of(1, 2, 124, 137)) {
      Run run = merge(new Scenario().exits(WATCH, code));
      green(run);
      assertTrue(run.commands().contains("delivery merge"));
      assertTrue(run.trace().contains("echo modulePipeline: whether the test Pod starts is not watched any more (exit code " + code + ")"));
    }
  }

  @Test
  void whereTestsEndAsTheirPodIsGivenUpTheVerdictDecides() throws Exception {
    Set<Boolean> carried = new HashSet<>();
    for (long seed = 0; seed < 16; seed++) {
      Run run = Engine.run(MODULE, MERGE, new Scenario().exits(WATCH, 9), seed);
      assertNull(run.error(), () -> run.error() + "\n" + String.join("\n", run.trace()));
      carried.add(String.join("\n", run.trace()).contains("carried"));
      assertEquals(1, count(run, "delivery verdict"));
    }
    assertTrue(carried.contains(false), "the watch was never first");
  }

  @Test
  void workMayTakeLongerThanAnAgentMayToStart() throws Exception {
    Run build = merge(new Scenario().startsAfter("build", 600).exits("sh .switchyard/build/run.sh", Scenario.HANGS).exits("delivery build &&", 1));
    assertEquals("ABORTED", build.result());
    assertEquals(600 + 120 * 60, build.seconds());
    Run late = main(new Scenario().startsAfter("deploy as deployer-orders", 600).startsAfter("backup", 600));
    green(late);
    assertEquals(1200, late.seconds(), 240);
  }

  @Test
  void testsThatNeverEndAreReported() throws Exception {
    Run run = merge(new Scenario().exits("sh .switchyard/given/run.sh", Scenario.HANGS));
    assertEquals("ABORTED", run.result());
    assertTrue(run.commands().contains(REPORT));
    assertFalse(run.commands().contains("delivery verdict"));
    assertFalse(run.commands().contains("delivery merge"));
  }

  @Test
  void theVerdictDecidesAndNotTheExitCodeOfTheTests() throws Exception {
    green(merge(new Scenario().exits("sh .switchyard/given/run.sh", 1)));
    Run run = merge(new Scenario().exits("delivery verdict", 1));
    red("orders is red", run);
    assertTrue(run.commands().contains(REPORT));
    assertFalse(run.commands().contains("delivery merge"));
  }

  @Test
  void testsThatLeftNothingCarryNothing() throws Exception {
    Run run = merge(new Scenario().without(".switchyard/out/output.xml.gz").without(".switchyard/out/xunit.xml.gz").exits("delivery verdict", 1));
    red("orders is red", run);
    assertFalse(String.join("\n", run.trace()).contains("carried"));
  }

  @Test
  void whatJenkinsCannotShowKeepsNobodyFromTheVerdict() throws Exception {
    Run run = merge(new Scenario().cannot("junit", "no such file").cannot("robot", "not well formed"));
    assertEquals("FAILURE", run.result());
    assertNull(run.error());
    assertEquals("delivery merge", run.commands().get(run.commands().size() - 1));
  }

  @Test
  void aReportThatFailsIsRedAndNotMerged() throws Exception {
    Run run = merge(new Scenario().exits(REPORT, 2));
    red("orders is red", run);
    assertFalse(run.commands().contains("delivery merge"));
  }

  @Test
  void whereTheTargetMovedAllIsDoneAgainForAsLongAsItMoves() throws Exception {
    for (int moves : List.of(1, 9)) {
      Integer[] codes = new Integer[moves + 1];
      Arrays.fill(codes, 3);
      codes[moves] = 0;
      Run run = merge(new Scenario().exits("delivery merge", codes));
      green(run);
      for (String each : List.of(SOURCE, REPORT, "delivery merge"))
        assertEquals(moves + 1, run.commands().stream().filter(each::equals).count());
      assertEquals(moves + 1, run.trace().stream().filter("unlock merge-orders"::equals).count());
    }
    Run red = merge(new Scenario().exits("delivery merge", 3, 3, 1));
    red("orders is red", red);
    assertEquals(3, red.commands().stream().filter(SOURCE::equals).count());
  }

  @Test
  void whatWaitsInTheMergeQueueEndsItsBuildAndHoldsNothing() throws Exception {
    Run atOnce = merge(new Scenario().exits(SOURCE, 8));
    assertNull(atOnce.error());
    assertEquals("NOT_BUILT", atOnce.result());
    assertEquals(List.of(SOURCE), atOnce.commands());
    Run tested = merge(new Scenario().exits("delivery merge", 8));
    assertNull(tested.error());
    assertEquals("NOT_BUILT", tested.result());
    assertEquals(List.of("lock merge-orders", "unlock merge-orders"), tested.trace().stream().filter(line -> line.endsWith("lock merge-orders")).toList());
    Run behind = merge(new Scenario().exits("delivery merge", 3, 8));
    assertEquals("NOT_BUILT", behind.result());
    assertEquals(2, behind.commands().stream().filter(SOURCE::equals).count());
  }

  @Test
  void whatIsRedInTheMergeQueueIsDecidedThere() throws Exception {
    for (Scenario scenario : List.of(
        new Scenario().exits("delivery verdict", 1).exits(REPORT, 8),
        new Scenario().exits("delivery build &&", 1).exits(REPORT, 8))) {
      Run waits = merge(scenario.exits("delivery merge", 8));
      assertNull(waits.error());
      assertEquals("NOT_BUILT", waits.result());
      assertEquals("delivery merge", waits.commands().get(waits.commands().size() - 1));
    }
    red("orders is red", merge(new Scenario().exits("delivery verdict", 1).exits(REPORT, 8).exits("delivery merge", 1)));
    Run again = merge(new Scenario().exits("delivery verdict", 1, 0).exits(REPORT, 8, 0).exits("delivery merge", 3, 0));
    green(again);
    // Without a place in the queue, red is red.
    Run red = merge(new Scenario().exits("delivery verdict", 1).exits(REPORT, 1));
    assertFalse(red.commands().contains("delivery merge"));
  }

  // A push to a module's main branch.

  @Test
  void whatIsMergedIsRecordedRolledOutAndBackedUp() throws Exception {
    Run run = main(new Scenario());
    green(run);
    assertEquals(List.of(
        "lock deploy",
        "delivery/delivery [gitlab-bot-token, certificate-key, registry-orders]$ delivery deploy --module orders",
        POD + "[gitlab-bot-token, keys-orders, part-orders]$ " + ROLLOUT,
        POD + "[gitlab-bot-token]$ " + JUDGE,
        "delivery/delivery [gitlab-bot-token, certificate-key]$ delivery rollout --exit-code 0",
        "unlock deploy",
        "backup/backup [gitlab-bot-token, certificate-key]$ timeout 300 delivery backup --kind repositories --kind registry --module orders"), run.trace());
  }

  @Test
  void whatIsNoReleaseIsNotRolledOut() throws Exception {
    Run run = main(new Scenario().exits("delivery deploy", 4));
    green(run);
    assertEquals(1, run.commands().size());
    red("orders was not deployed", main(new Scenario().exits("delivery deploy", 1)));
  }

  @Test
  void aRolloutThatFailsOrHangsOrNeverStartsHasAnOutcome() throws Exception {
    Run failed = main(new Scenario().exits("switchyard up", 1).exits("delivery rollout", 1));
    red("orders was not deployed", failed);
    // What stopped it was over, or was not: production is as it should be only where `up` says so.
    assertEquals(List.of("delivery deploy --module orders", ROLLOUT, JUDGE, ROLLOUT, "delivery rollout --exit-code 1"), failed.commands());
    Run settled = main(new Scenario().exits("switchyard up", 1, 0));
    green(settled);
    assertTrue(settled.commands().contains("delivery rollout --exit-code 0"));
    Run unknown = main(new Scenario().exits("switchyard up", 1).exits("switchyard judge", 1).exits("delivery rollout", 1));
    assertEquals(List.of("delivery deploy --module orders", ROLLOUT, JUDGE, "delivery rollout --exit-code 1"), unknown.commands());
    for (Scenario late : List.of(new Scenario().exits("switchyard up", Scenario.HANGS), new Scenario().neverStarts("deploy as deployer-orders"))) {
      Run run = main(late.exits("delivery rollout", 1));
      assertTrue(run.commands().contains("delivery rollout --exit-code 1"));
      assertTrue(run.trace().contains("unlock deploy"));
      assertFalse(String.join("\n", run.commands()).contains("backup"));
      assertFalse(run.result().equals("SUCCESS"));
    }
    Run absent = main(new Scenario().neverStarts("deploy as deployer-orders").exits("delivery rollout", 1));
    assertEquals(900, absent.seconds(), 30);
    Run named = Engine.run("modulePipeline(module: 'orders', namespacePrefix: 'guest')", MAIN, new Scenario().neverStarts("deploy as deployer-orders"), 1);
    red("kubectl --namespace guest-ci-deploy get events", named);
  }

  @Test
  void whatWasChangedAndNotCutIsCutByThePodOfTheStateAndRolledOut() throws Exception {
    String cut = "switchyard cut \"$SWITCHYARD_ENVIRONMENT\"";
    Run run = main(new Scenario().exits("switchyard up", 8, 0));
    green(run);
    assertEquals(List.of(
        "lock deploy",
        "delivery/delivery [gitlab-bot-token, certificate-key, registry-orders]$ delivery deploy --module orders",
        POD + "[gitlab-bot-token, keys-orders, part-orders]$ " + ROLLOUT,
        "state/state [gitlab-bot-token]$ " + cut,
        POD + "[gitlab-bot-token, keys-orders, part-orders]$ " + ROLLOUT,
        POD + "[gitlab-bot-token]$ " + JUDGE,
        "delivery/delivery [gitlab-bot-token, certificate-key]$ delivery rollout --exit-code 0",
        "unlock deploy"), run.trace().subList(0, 8));
    // Once: what cannot be cut, or whose Pod never starts, is told.
    for (Scenario vain : List.of(new Scenario().exits("switchyard up", 8), new Scenario().exits("switchyard up", 8).neverStarts("state"))) {
      Run red = main(vain.exits("delivery rollout", 1));
      assertFalse(red.result().equals("SUCCESS"));
      assertTrue(red.commands().stream().filter(ROLLOUT::equals).count() <= 2);
      assertTrue(red.commands().stream().anyMatch(command -> command.startsWith("delivery rollout --exit-code")), red.trace().toString());
      assertTrue(red.trace().contains("unlock deploy"));
    }
  }

  @Test
  void whatDoesNotHoldIsUndoneInTheLedgerThenInProductionAndTold() throws Exception {
    for (Integer up : List.of(0, 1)) {
      Run run = main(new Scenario().file(WORDS, "{}").exits("switchyard up", up, 0).exits("switchyard judge", 7, 0).exits("delivery rollout", 1));
      red("orders was not deployed", run);
      String bot = "[gitlab-bot-token, certificate-key]$ ";
      assertEquals(List.of(
          "lock deploy",
          "delivery/delivery [gitlab-bot-token, certificate-key, registry-orders]$ delivery deploy --module orders",
          POD + "[gitlab-bot-token, keys-orders, part-orders]$ " + ROLLOUT,
          POD + "[gitlab-bot-token]$ " + JUDGE,
          "delivery writes " + WORDS,
          "delivery/delivery " + bot + "delivery undo",
          POD + "[gitlab-bot-token, keys-orders, part-orders]$ " + ROLLOUT,
          POD + "[gitlab-bot-token]$ " + JUDGE,
          "delivery/delivery " + bot + "delivery rollout --exit-code 0",
          "unlock deploy"), run.trace());
    }
  }

  @Test
  void whatCannotBeUndoneOrIsUndoneInVainIsTold() throws Exception {
    Run kept = main(new Scenario().exits("switchyard judge", 7).exits("delivery undo", 1).exits("delivery rollout", 1));
    red("orders was not deployed", kept);
    assertEquals("delivery rollout --exit-code 7", kept.commands().get(kept.commands().size() - 1));
    assertEquals(1, kept.commands().stream().filter(ROLLOUT::equals).count());
    // What was before does not hold either: it is undone once, and not all the way back.
    Run vain = main(new Scenario().exits("switchyard judge", 7).exits("delivery rollout", 1));
    assertEquals(1, vain.commands().stream().filter("delivery undo"::equals).count());
    assertEquals("delivery rollout --exit-code 7", vain.commands().get(vain.commands().size() - 1));
    Run hung = main(new Scenario().exits("switchyard judge", 7).exits("switchyard up", 1, Scenario.HANGS).exits("delivery rollout", 1));
    assertEquals("delivery rollout --exit-code 1", hung.commands().get(hung.commands().size() - 1));
    assertTrue(hung.trace().contains("unlock deploy"));
  }

  @Test
  void whatAnEarlierBuildUndidIsBroughtToItsEnd() throws Exception {
    Run run = main(new Scenario().exits("delivery deploy", 7).exits("delivery rollout", 1));
    red("orders was not deployed", run);
    assertEquals(List.of("delivery deploy --module orders", ROLLOUT, JUDGE, "delivery rollout --exit-code 0"), run.commands());
    Run again = main(new Scenario().exits("delivery deploy", 7).exits("switchyard judge", 7).exits("delivery rollout", 1));
    assertFalse(again.commands().contains("delivery undo"));
  }

  @Test
  void aPersonGoesBackByTheSameWayAndNothingOfTheirTextBecomesACommand() throws Exception {
    Run run = Engine.run("modulePipeline(module: 'orders', rollback: [to: ' abcdef0 ', hold: true])", Map.of(), new Scenario(), 1);
    green(run);
    assertEquals(List.of("delivery rollback --module orders --to abcdef0 --hold", ROLLOUT, JUDGE, "delivery rollout --exit-code 0"), run.commands());
    Run before = Engine.run("modulePipeline(module: 'orders', rollback: [to: '', hold: false])", Map.of(), new Scenario(), 1);
    assertEquals("delivery rollback --module orders", before.commands().get(0));
    for (String text : List.of("main", "abcdef", "abcdef0; env", "--hold", "$(env)1234567", "ABCDEF0")) {
      Run refused = Engine.run("modulePipeline(module: 'orders', rollback: [to: '" + text.replace("$", "\\$") + "', hold: false])", Map.of(), new Scenario(), 1);
      red("is no commit", refused);
      assertEquals(List.of(), refused.agents());
    }
    red("orders was not deployed", Engine.run("modulePipeline(module: 'orders', rollback: [to: 'abcdef0'])", Map.of(), new Scenario().exits("delivery rollback", 2), 1));
  }

  @Test
  void aReleaseThatIsNotBackedUpStandsAndIsUnstable() throws Exception {
    for (Scenario scenario : List.of(
        new Scenario().exits("timeout 300 delivery backup", 1),
        new Scenario().exits("timeout 300 delivery backup", Scenario.HANGS),
        new Scenario().neverStarts("backup"))) {
      Run run = main(scenario);
      assertEquals("UNSTABLE", run.result());
      assertNull(run.error());
      assertTrue(String.join("\n", run.trace()).contains("unstable modulePipeline: orders was released, but not backed up"));
    }
  }

  @Test
  void anotherEventOrAnotherNameDoesNothing() throws Exception {
    Run run = Engine.run(MODULE, Map.of("gitlabActionType", "PUSH", "gitlabBranch", "feature"), new Scenario(), 1);
    green(run);
    assertEquals(List.of("echo modulePipeline: nothing to do for PUSH of feature; merge requests are tested, main is deployed"), run.trace());
    Run named = Engine.run("modulePipeline(module: 'a; rm -rf /')", MERGE, new Scenario(), 1);
    red("is not the name of a module", named);
    assertEquals(List.of(), named.agents());
  }

  // The topology's own repository.

  private static final String TOPOLOGY = "topologyPipeline(own: 'lab', apply: 'automatic')";

  @Test
  void aChangeOfTheTopologyIsPreviewedForEachEnvironmentAndFinished() throws Exception {
    Run run = Engine.run(TOPOLOGY, MERGE, new Scenario(), 1);
    green(run);
    List<String> commands = run.commands().stream().filter(command -> !command.startsWith("delivery preview-watch")).toList();
    assertEquals("delivery preview-source", commands.get(0));
    assertEquals("delivery preview-finish", commands.get(commands.size() - 1));
    for (String environment : List.of("lab", "second")) {
      String folder = ".switchyard/preview/" + environment;
      assertEquals(List.of(
          "switchyard withhold " + environment + " --out " + folder,
          "tar -xf .switchyard/given/source.tar && delivery preview-run --environment " + environment,
          "delivery pack " + folder + "/record " + folder + "/record.parcel",
          "delivery unpack " + folder + "/record.parcel " + folder + "/record",
          "switchyard scrub " + environment + " " + folder + "/record",
          "delivery preview-report --environment " + environment),
          commands.stream().filter(command -> command.contains(folder) || command.endsWith("--environment " + environment)).toList());
    }
    assertEquals(List.of("delivery", "state", "preview", "state", "state-second", "preview-second", "state-second"), run.agents());
  }

  @Test
  void aNewerCommitEndsThePreview() throws Exception {
    for (long seed = 0; seed < 8; seed++) {
      Run run = Engine.run(TOPOLOGY, MERGE, new Scenario().exits("delivery preview-watch", 4).exits("delivery preview-finish", 4), seed);
      assertNull(run.error(), () -> String.valueOf(run.error()));
      assertEquals("NOT_BUILT", run.result());
      assertEquals("delivery preview-finish", run.commands().get(run.commands().size() - 1));
    }
  }

  @Test
  void aPreviewThatFailsInAnyPlaceIsFinishedAndRed() throws Exception {
    for (Scenario scenario : List.of(
        new Scenario().exits("switchyard withhold", 1),
        new Scenario().exits("delivery unpack", 1),
        new Scenario().exits("switchyard scrub", 1),
        new Scenario().exits("tar -xf", Scenario.HANGS),
        new Scenario().neverStarts("preview"),
        new Scenario().neverStarts("state-second"),
        new Scenario().cannot("archiveArtifacts", "no space left"))) {
      Run run = Engine.run(TOPOLOGY, MERGE, scenario.exits("delivery preview-finish", 1), 3);
      assertFalse(run.result().equals("SUCCESS"));
      assertEquals("delivery preview-finish", run.commands().get(run.commands().size() - 1));
    }
  }

  @Test
  void whatAPreviewLeftIsNotShownBeforeItIsScrubbed() throws Exception {
    Run run = Engine.run(TOPOLOGY, MERGE, new Scenario().exits("switchyard scrub", 1).exits("delivery preview-finish", 1), 1);
    assertFalse(String.join("\n", run.commands()).contains("preview-report"));
  }

  @Test
  void whatIsMergedIsAppliedInOrderAndTheFirstThatStopsStopsAllAfterIt() throws Exception {
    Run all = Engine.run(TOPOLOGY, MAIN, new Scenario(), 1);
    green(all);
    List<String> applied = all.commands().stream().filter(command -> command.contains("--operation up")).toList();
    assertEquals(2, applied.size());
    assertTrue(applied.get(0).contains("--environment lab"));
    Run moved = Engine.run(TOPOLOGY, MAIN, new Scenario().exits("delivery apply-check", 1), 1);
    red("not all was applied", moved);
    assertFalse(String.join("\n", moved.commands()).contains("--operation up"));
    assertFalse(String.join("\n", moved.commands()).contains("second"));
    Run failed = Engine.run(TOPOLOGY, MAIN, new Scenario().exits("delivery apply-report", 1), 1);
    assertFalse(String.join("\n", failed.commands()).contains("second"));
    Run late = Engine.run(TOPOLOGY, MAIN, new Scenario().neverStarts("apply"), 1);
    for (Run run : List.of(all, moved, failed, late)) {
      assertEquals("delivery apply-finish", run.commands().get(run.commands().size() - 1));
      assertTrue(run.trace().contains("unlock deploy"));
    }
  }

  @Test
  void anApplyThatHangsHasAnOutcome() throws Exception {
    Run run = Engine.run(TOPOLOGY, MAIN, new Scenario().exits("tar -xf .switchyard/given/source.tar && delivery apply-run --environment lab --operation up", Scenario.HANGS).exits("delivery apply-report", 1), 1);
    assertTrue(run.commands().contains("delivery apply-report --environment lab --exit-code 1"));
    assertEquals("delivery apply-finish", run.commands().get(run.commands().size() - 1));
  }

  @Test
  void applyingIsLeftToPeopleWhereTheStackSaysSo() throws Exception {
    Run run = Engine.run("topologyPipeline(own: 'lab', apply: 'manual')", MAIN, new Scenario(), 1);
    green(run);
    assertEquals(List.of(), run.agents());
  }

  // The look for drift.

  private static Run drift(Scenario scenario) throws Exception {
    return Engine.run("topologyDrift(environment: 'lab')", Map.of(), scenario, 1);
  }

  @Test
  void driftIsLookedForWithoutCredentialsAndReported() throws Exception {
    Run run = drift(new Scenario());
    green(run);
    assertEquals(List.of(
        "switchyard withhold lab --out .switchyard/drift/lab",
        "delivery drift-run --environment lab",
        "delivery pack .switchyard/drift/lab/record .switchyard/drift/lab/record.parcel",
        "delivery unpack .switchyard/drift/lab/record.parcel .switchyard/drift/lab/record",
        "delivery drift-report --environment lab"), run.commands());
    assertEquals("UNSTABLE", drift(new Scenario().exits("delivery drift-report", 5)).result());
    red("the issue could not be kept", drift(new Scenario().exits("delivery drift-report", 1)));
    red("cannot be read", drift(new Scenario().exits("switchyard withhold", 1)));
    red("could not be looked at", drift(new Scenario().exits("delivery drift-run", 1)));
    red("not what may come out", drift(new Scenario().exits("delivery unpack", 1)));
    for (String agent : List.of("state", "drift")) {
      Run absent = drift(new Scenario().neverStarts(agent));
      red("no agent for '" + agent + "' started within 15 minutes", absent);
      assertTrue(absent.trace().contains("unlock deploy"));
    }
    assertEquals("ABORTED", drift(new Scenario().exits("delivery drift-run", Scenario.HANGS)).result());
  }

  // What holds whatever happens.

  /** Answers at random: exit codes, agents that never start, commands that never end, files that are not there. */
  private static final class Chance implements World {
    private final Random random;
    private final List<String> wrong = new ArrayList<>();
    /** Sources after which someone waits for a status. */
    private long announced;

    Chance(long seed) {
      random = new Random(seed);
    }

    private static boolean isForeign(Place place) {
      return place.agent().startsWith("preview") || place.agent().equals("test-pod") || place.agent().equals("build") || place.agent().startsWith("drift");
    }

    @Override
    public int command(Place place, String script) {
      if (script.startsWith(WATCH)) return List.of(0, 0, 1, 9, 137).get(random.nextInt(5));
      if (isForeign(place) && !place.credentials().isEmpty()) wrong.add("credentials where foreign code runs: " + script);
      if (place.agent().equals("test-pod") || place.agent().equals("build") || script.contains("preview-run") || script.contains("apply-run") || script.contains("switchyard up"))
        return random.nextInt(8) == 0 ? Scenario.HANGS : random.nextInt(3) == 0 ? 1 : 0;
      if (script.startsWith("switchyard judge")) return List.of(0, 0, 1, 7, Scenario.HANGS).get(random.nextInt(5));
      int chance = random.nextInt(24);
      int code = chance < 8 ? chance : 0;
      if (script.startsWith("delivery source") && code != 4 && code != 6) announced++;
      return code;
    }

    @Override
    public long startsAfter(String agent) {
      return random.nextInt(12) > 0 ? 0 : List.of(-1L, 20L, 600L, 1000L).get(random.nextInt(4));
    }

    @Override
    public String file(Place place, String path) {
      if (path.equals(".switchyard/timeout-minutes")) return "10";
      if (path.equals(".switchyard/preview/environments")) return List.of("", "lab", "lab\nsecond").get(random.nextInt(3));
      return random.nextInt(8) == 0 && (path.contains("/out/") || path.contains("record")) ? null : "text";
    }

    @Override
    public String publishing(String step) {
      return random.nextInt(10) == 0 ? "cannot" : null;
    }
  }

  private static long count(Run run, String command) {
    return run.commands().stream().filter(one -> one.startsWith(command)).count();
  }

  @Test
  void whateverHappensEveryRunEndsEveryStatusDoesAndForeignCodeSeesNoCredential() throws Exception {
    int merged = 0;
    int rolledOut = 0;
    int applied = 0;
    int undone = 0;
    List<String> scripts = List.of(MODULE, TOPOLOGY, "topologyDrift(environment: 'lab')");
    for (long seed = 0; seed < 150; seed++) {
      Chance chance = new Chance(seed);
      String script = scripts.get((int) (seed % 3));
      Map<String, String> event = seed % 2 == 0 ? MERGE : MAIN;
      Run run = Engine.run(script, event, chance, seed);
      String told = "seed " + seed + ": " + run.error() + "\n" + String.join("\n", run.trace());
      assertEquals(List.of(), chance.wrong, told);
      // An agent is waited for with neither a credential bound around it nor, the first one, a lock held.
      if (!run.agents().isEmpty()) assertFalse(run.agents().get(0).contains(" "), told);
      for (String agent : run.agents()) assertFalse(agent.contains("with"), told);
      assertEquals(chance.announced, count(run, "delivery report"), told);
      if (count(run, "delivery merge") > 0 && count(run, "delivery merge --tested") == 0) {
        assertTrue(count(run, "delivery verdict") >= count(run, "delivery merge"), told);
        merged++;
      }
      if (count(run, "switchyard up") > 0) assertEquals(1, count(run, "delivery rollout"), told);
      rolledOut += (int) count(run, "switchyard up");
      undone += (int) count(run, "delivery undo");
      assertTrue(count(run, "delivery undo") <= 1 && count(run, "switchyard up") <= 4, told);
      if (count(run, "delivery preview-source") > 0 && count(run, "switchyard withhold") > 0) assertEquals(1, count(run, "delivery preview-finish"), told);
      if (count(run, "delivery apply-source") > 0 && count(run, "switchyard withhold") > 0) assertEquals(1, count(run, "delivery apply-finish"), told);
      applied += (int) run.commands().stream().filter(command -> command.contains("--operation up")).count();
      assertTrue(count(run, "delivery apply-report") >= run.commands().stream().filter(command -> command.contains("--operation up")).count(), told);
    }
    // Otherwise nothing was tried.
    assertTrue(merged > 0 && rolledOut > 0 && undone > 0 && applied > 0, merged + " merged, " + rolledOut + " rolled out, " + applied + " applied");
  }
}

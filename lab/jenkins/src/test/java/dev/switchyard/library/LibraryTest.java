package dev.switchyard.library;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.switchyard.library.Engine.Run;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
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
  private static final String STOPS = "delivery queue-watch";
  private static final String ROLLOUT = "switchyard up \"$SWITCHYARD_ENVIRONMENT\" --only orders --yes";
  private static final String JUDGE = "switchyard judge \"$SWITCHYARD_ENVIRONMENT\" orders";
  private static final String WORDS = ".switchyard/rollout/unsteady.json";
  private static final String TOLD = ".switchyard/rollout/progress.json";
  private static final String PROGRESS = "delivery progress --module orders";

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
        "delivery/delivery [certificate-key]$ delivery build-plan",
        "stash build .switchyard/build/**",
        "build unstashes build",
        "build/buildkitd$ sh .switchyard/build/run.sh",
        "delivery/delivery [certificate-key, registry-orders]$ delivery build && delivery test-pod",
        "delivery writes .switchyard/build/ended",
        "stash given .switchyard/given/**",
        "test-pod unstashes given",
        "delivery/delivery$ " + WATCH + " timeout 2100 delivery test-pod-watch --namespace test-orders",
        "test-pod/robot$ sh .switchyard/given/run.sh",
        "test-pod writes /carried/from",
        "archiveArtifacts",
        "junit",
        "robot",
        "delivery writes .switchyard/start/ended",
        "delivery writes .switchyard/carried/output.xml.gz",
        "delivery writes .switchyard/carried/xunit.xml.gz",
        "delivery/delivery " + bot + "$ delivery verdict",
        "delivery writes .switchyard/queue/ended",
        "delivery/delivery " + bot + "$ " + REPORT,
        "lock merge-orders",
        "delivery/delivery " + bot + "$ delivery merge",
        "unlock merge-orders"), run.trace().stream().filter(line -> !line.endsWith(STOPS)).toList());
    assertEquals(List.of("delivery/delivery " + bot + "$ " + STOPS), run.trace().stream().filter(line -> line.endsWith(STOPS)).toList());
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
  void whatTheRegistryLostIsBuiltOnceMore() throws Exception {
    Run run = merge(new Scenario().exits("delivery build &&", 10, 0));
    green(run);
    for (String each : List.of("delivery build-plan", "delivery build && delivery test-pod")) assertEquals(2, count(run, each));
    assertEquals(List.of("delivery", "build", "build", "test-pod"), run.agents());
    assertEquals("delivery merge", run.commands().get(run.commands().size() - 1));
    Run red = merge(new Scenario().exits("delivery build &&", 10));
    red("orders is red", red);
    assertEquals(2, count(red, "delivery build && delivery test-pod"));
    assertEquals(REPORT, red.commands().get(red.commands().size() - 1));
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
      assertFalse(String.join("\n", run.trace()).contains(".switchyard/carried"));
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
      carried.add(String.join("\n", run.trace()).contains(".switchyard/carried"));
      assertEquals(1, count(run, "delivery verdict"));
    }
    assertTrue(carried.contains(false), "the watch was never first");
  }

  @Test
  void aTestPodThatGoesDuringItsTestsHasTheLastWordOfItsWatchAndNobodyIsRed() throws Exception {
    for (long seed = 0; seed < 8; seed++) {
      Scenario scenario = new Scenario().exits("sh .switchyard/given/run.sh", Scenario.DIES).exits(WATCH, 9).exits("delivery verdict", 1).exits(REPORT, 11);
      Run run = Engine.run(MODULE, MERGE, scenario, seed);
      assertNull(run.error(), () -> run.error() + "\n" + String.join("\n", run.trace()));
      assertEquals("NOT_BUILT", run.result());
      assertEquals(List.of("delivery verdict", REPORT), run.commands().subList(run.commands().size() - 2, run.commands().size()));
      assertTrue(run.trace().contains("echo modulePipeline: nothing was found out, and nobody is red for it; the reconciler starts it again"));
    }
    // Where it breaks off too, what broke the tests off is told.
    for (int code : List.of(0, 1, 137)) {
      Run run = merge(new Scenario().exits("sh .switchyard/given/run.sh", Scenario.DIES).exits(WATCH, code));
      red("the agent test-pod was removed", run);
      assertEquals(REPORT, run.commands().get(run.commands().size() - 1));
      assertFalse(run.commands().contains("delivery verdict"));
    }
  }

  @Test
  void theWatchIsToldWhetherTheTestsEndedOrTheirAgentWent() throws Exception {
    String ended = ".switchyard/start/ended";
    Map<Integer, String> how = Map.of(0, "over", 1, "over", Scenario.HANGS, "over", Scenario.DIES, "broke off");
    for (Map.Entry<Integer, String> each : how.entrySet()) {
      Scenario scenario = new Scenario().exits("sh .switchyard/given/run.sh", each.getKey());
      merge(scenario);
      assertEquals(each.getValue(), scenario.written.get(ended));
    }
    Scenario stopped = new Scenario().exits("sh .switchyard/given/run.sh", Scenario.HANGS).exits(WATCH, Scenario.HANGS).exits(STOPS, 4);
    merge(stopped);
    assertTrue(List.of("over", "").contains(stopped.written.getOrDefault(ended, "")));
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
    Run run = merge(new Scenario().without("/carried/output.xml.gz").without("/carried/xunit.xml.gz").exits("delivery verdict", 1));
    red("orders is red", run);
    assertFalse(String.join("\n", run.trace()).contains(".switchyard/carried"));
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

  // A test that nobody waits for any more.

  @Test
  void aTestOfWhatIsNotWantedStopsAndItsBuildGoesOnWithWhatIs() throws Exception {
    Set<String> reached = new HashSet<>();
    for (long seed = 0; seed < 24; seed++) {
      Run run = Engine.run(MODULE, MERGE, new Scenario().exits(STOPS, 3, 0), seed);
      green(run);
      assertEquals(2, count(run, SOURCE));
      // The first round is neither reported, for its status has ended, nor merged.
      assertEquals(1, count(run, REPORT));
      assertEquals(1, count(run, "delivery merge"));
      assertTrue(run.trace().contains("echo modulePipeline: stopped (exit code 3)"));
      // Not one agent more than without the watch: small caps would stand still.
      assertEquals(2, run.agents().stream().filter("delivery"::equals).count());
      assertTrue(run.agents().stream().filter("build"::equals).count() <= 2 && run.agents().stream().filter("test-pod"::equals).count() <= 2);
      reached.add(String.valueOf(count(run, "delivery verdict")));
    }
    assertTrue(reached.contains("1"), "none was stopped before its verdict");
  }

  @Test
  void whatNeverEndsOrNeverStartsStopsAtOnceToo() throws Exception {
    for (Scenario scenario : List.of(
        new Scenario().exits("sh .switchyard/build/run.sh", Scenario.HANGS).exits("delivery build &&", Scenario.HANGS),
        new Scenario().exits("sh .switchyard/given/run.sh", Scenario.HANGS).exits(WATCH, Scenario.HANGS),
        new Scenario().neverStarts("build").exits("delivery build &&", Scenario.HANGS),
        new Scenario().neverStarts("test-pod").exits(WATCH, Scenario.HANGS)))
      for (long seed = 0; seed < 6; seed++) {
        Run run = Engine.run(MODULE, MERGE, scenario.exits(STOPS, 4), seed);
        assertNull(run.error(), () -> run.error() + "\n" + String.join("\n", run.trace()));
        assertEquals("NOT_BUILT", run.result());
        assertEquals(0, run.seconds(), 2);
        assertEquals(1, count(run, SOURCE));
        assertEquals(0, count(run, "delivery report") + count(run, "delivery merge"));
      }
  }

  @Test
  void aWatchOfWhatIsWantedThatBreaksOffStopsNothing() throws Exception {
    for (int code : List.of(1, 2, 137)) {
      Run run = merge(new Scenario().exits(STOPS, code));
      green(run);
      assertEquals(1, count(run, SOURCE));
      assertEquals(1, count(run, "delivery merge"));
      assertTrue(run.trace().contains("echo modulePipeline: whether the test is still wanted is not watched any more (exit code " + code + ")"));
    }
  }

  @Test
  void whereNothingIsTestedNothingIsWatched() throws Exception {
    for (int code : List.of(1, 4, 6, 8)) assertEquals(0, count(merge(new Scenario().exits(SOURCE, code)), STOPS));
  }

  // A push to a module's main branch.

  @Test
  void whatIsMergedIsRecordedRolledOutAndBackedUp() throws Exception {
    Run run = main(new Scenario());
    green(run);
    assertEquals(List.of(
        "lock deploy-orders",
        "unlock deploy-orders",
        "lock deploy-orders",
        "delivery/delivery [gitlab-bot-token, certificate-key, registry-orders]$ delivery deploy --module orders",
        POD + "[gitlab-reader-token, keys-orders, part-orders]$ " + ROLLOUT,
        POD + "[gitlab-reader-token]$ " + JUDGE,
        "delivery/delivery [gitlab-bot-token, certificate-key]$ delivery rollout --exit-code 0",
        "unlock deploy-orders",
        "backup/backup [gitlab-reader-token]$ timeout 300 delivery backup --kind repositories --kind registry --module orders"), run.trace());
  }

  @Test
  void whatIsNoReleaseIsNotRolledOut() throws Exception {
    Run run = main(new Scenario().exits("delivery deploy", 4));
    green(run);
    assertEquals(1, run.commands().size());
    red("orders was not deployed", main(new Scenario().exits("delivery deploy", 1)));
  }

  @Test
  void aRolloutThatFailsOrHangsOrDiesHasAnOutcome() throws Exception {
    Run failed = main(new Scenario().exits("switchyard up", 1).exits("delivery rollout", 1));
    red("orders was not deployed", failed);
    // What stopped it was over, or was not: production is as it should be only where `up` says so.
    assertEquals(List.of("delivery deploy --module orders", ROLLOUT, JUDGE, ROLLOUT, "delivery rollout --exit-code 1"), failed.commands());
    Run settled = main(new Scenario().exits("switchyard up", 1, 0));
    green(settled);
    assertTrue(settled.commands().contains("delivery rollout --exit-code 0"));
    Run unknown = main(new Scenario().exits("switchyard up", 1).exits("switchyard judge", 1).exits("delivery rollout", 1));
    assertEquals(List.of("delivery deploy --module orders", ROLLOUT, JUDGE, "delivery rollout --exit-code 1"), unknown.commands());
    for (int end : List.of(Scenario.HANGS, Scenario.DIES))
      for (String command : List.of("switchyard up", "switchyard judge"))
        for (long seed = 0; seed < 4; seed++) {
          Run run = Engine.run(MODULE, MAIN, new Scenario().exits(command, end).exits("delivery rollout", 1), seed);
          assertFalse(run.result().equals("SUCCESS"));
          // Who ends it tells so before the next deploy begins.
          int last = run.trace().size() - 1;
          assertEquals("unlock deploy-orders", run.trace().get(last), run.trace().toString());
          assertTrue(run.trace().get(last - 1).endsWith("$ delivery rollout --exit-code 1"), run.trace().toString());
        }
    Run dead = main(new Scenario().exits("switchyard judge", Scenario.DIES).exits("delivery rollout", 1));
    red("the agent deploy as deployer-orders was removed", dead);
  }

  @Test
  void aRolloutWhosePodNeverStartsHoldsNothingAndLeavesTheLedgerAsItIs() throws Exception {
    for (long seed = 0; seed < 6; seed++) {
      Run absent = Engine.run(MODULE, MAIN, new Scenario().neverStarts("deploy as deployer-orders"), seed);
      red("no agent for 'deploy as deployer-orders' started within 15 minutes", absent);
      assertEquals(900, absent.seconds(), 30);
      // Its turn had come, and went by.
      assertEquals(List.of("lock deploy-orders", "unlock deploy-orders", "waits for an agent deploy as deployer-orders"), absent.trace().subList(0, 3));
      assertEquals(List.of(PROGRESS, WATCH + " delivery agent-events --namespace ci-deploy --minutes 15", "delivery unstarted --module orders"), absent.commands());
    }
    Run back = Engine.run("modulePipeline(module: 'orders', rollback: [to: ''])", Map.of(), new Scenario().neverStarts("deploy as deployer-orders"), 1);
    assertEquals(1, back.commands().size());
    Run named = Engine.run("modulePipeline(module: 'orders', namespacePrefix: 'guest')", MAIN, new Scenario().neverStarts("deploy as deployer-orders"), 1);
    red("kubectl --namespace guest-ci-deploy get events", named);
  }

  @Test
  void aDeployWaitsForTheOneBeforeItWithoutAPod() throws Exception {
    Run run = main(new Scenario().locked("deploy-orders", 0, 2400));
    green(run);
    assertEquals(List.of(
        "skips deploy-orders",
        "delivery writes " + TOLD,
        "delivery/delivery [gitlab-bot-token, certificate-key]$ " + PROGRESS,
        "waits for the lock deploy-orders",
        "lock deploy-orders",
        "unlock deploy-orders",
        "lock deploy-orders"), run.trace().subList(0, 7));
    assertEquals(List.of("delivery", "deploy as deployer-orders", "backup"), run.agents());
    assertEquals(2400, run.seconds(), 30);
    // A Pod has the catalog as it was when it started: who came in between may have applied another.
    Run between = main(new Scenario().startsAfter("deploy as deployer-orders", 20).locked("deploy-orders", 5, 100));
    green(between);
    assertEquals(List.of("delivery", "deploy as deployer-orders", "deploy as deployer-orders", "backup"), between.agents());
    assertTrue(between.trace().contains("skips deploy-orders"));
    assertEquals(1, count(between, "delivery deploy"));
    assertEquals(120, between.seconds(), 30);
  }

  @Test
  void aPodStartsBeforeTheLedgerSaysAnything() throws Exception {
    for (long seed = 0; seed < 6; seed++) {
      Run run = Engine.run(MODULE, MAIN, new Scenario().startsAfter("deploy as deployer-orders", 600), seed);
      green(run);
      int waits = run.trace().indexOf("waits for an agent deploy as deployer-orders");
      assertTrue(waits >= 0 && waits < run.trace().lastIndexOf("lock deploy-orders"));
      assertEquals(600, run.seconds(), 60);
    }
  }

  /** What a scenario's rollout tells, by the text that the first agent was given. */
  private static List<String> told(Scenario scenario, String... progress) throws Exception {
    List<String> told = new ArrayList<>();
    Run run = Engine.run(MODULE, MAIN, new Told(scenario.changes(TOLD, progress), told), 1);
    green(run);
    // By the first agent alone, and with its credentials: the rollout's Pod has no token that writes.
    assertTrue(run.trace().stream().filter(line -> line.endsWith("$ " + PROGRESS)).allMatch(("delivery/delivery [gitlab-bot-token, certificate-key]$ " + PROGRESS)::equals));
    assertEquals(told.size(), count(run, PROGRESS));
    return told;
  }

  /** Notes what is written for whoever tells how far it is. */
  private record Told(Scenario scenario, List<String> told) implements World {
    @Override
    public int command(Place place, String script) {
      return scenario.command(place, script);
    }

    @Override
    public long takes(String script) {
      return scenario.takes(script);
    }

    @Override
    public long startsAfter(String agent) {
      return scenario.startsAfter(agent);
    }

    @Override
    public String file(Place place, String path) {
      return path.equals(TOLD) && !place.agent().startsWith("deploy") ? null : scenario.file(place, path);
    }

    @Override
    public void wrote(String path, String text) {
      if (path.equals(TOLD)) told.add(text);
    }
  }

  @Test
  void howFarARolloutIsIsToldWhenThatChangesAndNotMoreOftenThanEachTenSeconds() throws Exception {
    assertEquals(List.of(), told(new Scenario().takes("switchyard up", 5), "one"));
    assertEquals(List.of("one"), told(new Scenario().takes("switchyard up", 300), "one"));
    List<String> all = java.util.stream.IntStream.range(0, 100).mapToObj(Integer::toString).toList();
    List<String> some = told(new Scenario().takes("switchyard up", 100), all.toArray(String[]::new));
    assertTrue(some.size() >= 5 && some.size() <= 10, some.toString());
    // Nobody is told twice, and what is told is how far it is by then.
    assertEquals(some.stream().distinct().sorted(java.util.Comparator.comparing(Integer::valueOf)).toList(), some);
  }

  @Test
  void aGitLabThatDoesNotAnswerIsAskedAgainAfterAMinuteAndKeepsNobody() throws Exception {
    Run away = main(new Scenario().file(TOLD, "one").takes("switchyard up", 150).exits(PROGRESS, 1));
    green(away);
    assertEquals(3, count(away, PROGRESS), 1);
    Run gone = main(new Scenario().file(TOLD, "one").takes("switchyard up", 150).exits(PROGRESS, Scenario.DIES));
    green(gone);
    assertTrue(gone.trace().stream().anyMatch(line -> line.startsWith("echo modulePipeline: how far it is could not be told: ")));
  }

  @Test
  void nobodyWaitsForTheLastLookAtHowFarItIs() throws Exception {
    for (long seed = 0; seed < 8; seed++) {
      Scenario undone = new Scenario().file(TOLD, "one").file(WORDS, "{}").takes("switchyard up", 61).takes("switchyard judge", 61)
          .exits("switchyard judge", 7, 0).exits("delivery rollout", 1);
      Run run = Engine.run(MODULE, MAIN, undone, seed);
      // Each of the two turns is served once, though the second is asked for before the first has done all.
      assertEquals(2, run.commands().stream().filter(ROLLOUT::equals).count(), run.trace().toString());
      assertEquals(2, run.commands().stream().filter(JUDGE::equals).count(), run.trace().toString());
      assertEquals(4 * 61, run.seconds(), 25);
    }
  }

  @Test
  void whoWaitsForAPodOrAPersonsRollbackIsToldNothingThatIsNotSo() throws Exception {
    assertEquals(List.of("{\"step\":\"agent\"}"), told(new Scenario().startsAfter("deploy as deployer-orders", 60), "one"));
    assertEquals(List.of(), told(new Scenario().startsAfter("deploy as deployer-orders", 5), "one"));
    Scenario scenario = new Scenario().startsAfter("deploy as deployer-orders", 60).locked("deploy-orders", 0, 100);
    Run back = Engine.run("modulePipeline(module: 'orders', rollback: [to: ''])", Map.of(), scenario, 1);
    assertEquals(0, count(back, PROGRESS));
  }

  @Test
  void whatWasChangedAndNotCutIsCutByThePodOfTheStateAndRolledOut() throws Exception {
    String cut = "switchyard cut \"$SWITCHYARD_ENVIRONMENT\"";
    Run run = main(new Scenario().exits("switchyard up", 8, 0));
    green(run);
    String recorded = "delivery/delivery [gitlab-bot-token, certificate-key, registry-orders]$ delivery deploy --module orders";
    assertEquals(List.of(
        "lock deploy-orders",
        "unlock deploy-orders",
        "lock deploy-orders",
        recorded,
        POD + "[gitlab-reader-token, keys-orders, part-orders]$ " + ROLLOUT,
        "unlock deploy-orders",
        "state/state [gitlab-reader-token]$ " + cut,
        "lock deploy-orders",
        "unlock deploy-orders",
        "lock deploy-orders",
        // Said again: meanwhile another may have gone out.
        recorded,
        POD + "[gitlab-reader-token, keys-orders, part-orders]$ " + ROLLOUT,
        POD + "[gitlab-reader-token]$ " + JUDGE,
        "delivery/delivery [gitlab-bot-token, certificate-key]$ delivery rollout --exit-code 0",
        "unlock deploy-orders"), run.trace().subList(0, 15));
    assertEquals(List.of("delivery", "deploy as deployer-orders", "state", "deploy as deployer-orders", "backup"), run.agents());
    Run overtaken = main(new Scenario().exits("switchyard up", 8).exits("delivery deploy", 0, 4));
    green(overtaken);
    assertEquals(List.of("delivery deploy --module orders", ROLLOUT, cut, "delivery deploy --module orders"), overtaken.commands());
    // Once: what cannot be cut, or whose Pod never starts, is told.
    for (Scenario vain : List.of(new Scenario().exits("switchyard up", 8), new Scenario().exits("switchyard up", 8).neverStarts("state"))) {
      Run red = main(vain.exits("delivery rollout", 1));
      assertFalse(red.result().equals("SUCCESS"));
      assertTrue(red.commands().stream().filter(ROLLOUT::equals).count() <= 2);
      assertEquals(1, count(red, "delivery rollout --exit-code"), red.trace().toString());
      assertTrue(red.trace().contains("unlock deploy-orders"));
    }
  }

  @Test
  void whatDoesNotHoldIsUndoneInTheLedgerThenInProductionAndTold() throws Exception {
    for (Integer up : List.of(0, 1)) {
      Run run = main(new Scenario().file(WORDS, "{}").exits("switchyard up", up, 0).exits("switchyard judge", 7, 0).exits("delivery rollout", 1));
      red("orders was not deployed", run);
      String bot = "[gitlab-bot-token, certificate-key]$ ";
      assertEquals(List.of(
          "lock deploy-orders",
          "unlock deploy-orders",
          "lock deploy-orders",
          "delivery/delivery [gitlab-bot-token, certificate-key, registry-orders]$ delivery deploy --module orders",
          POD + "[gitlab-reader-token, keys-orders, part-orders]$ " + ROLLOUT,
          POD + "[gitlab-reader-token]$ " + JUDGE,
          "delivery writes " + WORDS,
          "delivery/delivery " + bot + "delivery undo",
          POD + "[gitlab-reader-token, keys-orders, part-orders]$ " + ROLLOUT,
          POD + "[gitlab-reader-token]$ " + JUDGE,
          "delivery/delivery " + bot + "delivery rollout --exit-code 0",
          "unlock deploy-orders"), run.trace());
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
    assertTrue(hung.trace().contains("unlock deploy-orders"));
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

  private static final String TOPOLOGY = "topologyPipeline(own: 'lab', apply: 'automatic', modules: ['orders', 'billing'])";

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
          "switchyard withhold " + environment + " --lock-timeout 10 --out " + folder,
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
    List<String> applied = all.commands().stream().filter(command -> command.contains("apply-run")).toList();
    assertEquals(2, applied.size());
    assertTrue(applied.get(0).contains("--environment lab"));
    // What is compared is made as what reviewers saw was: in the Pod without secrets, on the state without them.
    assertEquals(List.of("delivery", "state", "preview", "apply", "state-second", "preview-second", "apply-second"), all.agents().stream().map(agent -> agent.split(" ")[0]).toList());
    String folder = ".switchyard/preview/lab";
    assertEquals(List.of(
        "switchyard withhold lab --lock-timeout 10 --out " + folder,
        "tar -xf .switchyard/given/source.tar && delivery preview-run --environment lab",
        "delivery pack " + folder + "/record " + folder + "/record.parcel",
        "delivery unpack " + folder + "/record.parcel " + folder + "/record",
        "delivery apply-check --environment lab",
        "tar -xf .switchyard/given/source.tar && delivery apply-run --environment lab",
        "delivery apply-report --environment lab --exit-code 0"),
        all.commands().stream().filter(command -> command.contains(folder) || command.contains("--environment lab")).toList());
    Run moved = Engine.run(TOPOLOGY, MAIN, new Scenario().exits("delivery apply-check", 1), 1);
    red("not all was applied", moved);
    assertFalse(String.join("\n", moved.commands()).contains("apply-run"));
    assertFalse(String.join("\n", moved.commands()).contains("second"));
    Run failed = Engine.run(TOPOLOGY, MAIN, new Scenario().exits("delivery apply-report", 1), 1);
    assertFalse(String.join("\n", failed.commands()).contains("second"));
    Run late = Engine.run(TOPOLOGY, MAIN, new Scenario().neverStarts("apply"), 1);
    for (Run run : List.of(all, moved, failed, late)) {
      assertEquals("delivery apply-finish", run.commands().get(run.commands().size() - 1));
      // Nothing is released while it is applied, and nothing waits before that.
      List<String> trace = run.trace().stream().map(line -> line.substring(line.indexOf("$ ") + 1).trim()).toList();
      for (int i = 0; i < trace.size(); i++)
        if (trace.get(i).contains("apply-run")) assertEquals(List.of(LOCKS, "un" + LOCKS), List.of(trace.get(i - 1), trace.get(i + 1)));
      assertEquals(trace.stream().filter(line -> line.contains("apply-run")).count(), trace.stream().filter(LOCKS::equals).count());
    }
    red("no agent for 'apply' started within 15 minutes", Engine.run(TOPOLOGY, MAIN, new Scenario().neverStarts("apply").exits("delivery apply-report", 1).exits("delivery apply-finish", 1), 1));
  }

  private static final String LOCKS = "lock deploy deploy-orders deploy-billing";

  @Test
  void whatMovedSinceItWasComparedIsComparedAgain() throws Exception {
    String run = "tar -xf .switchyard/given/source.tar && delivery apply-run --environment lab";
    Run once = Engine.run(TOPOLOGY, MAIN, new Scenario().exits(run, 3, 0), 1);
    green(once);
    assertEquals(2, count(once, run));
    assertEquals(2, count(once, "switchyard withhold lab"));
    assertEquals(2, count(once, "delivery apply-check --environment lab"));
    assertEquals(List.of("delivery apply-report --environment lab --exit-code 0"), once.commands().stream().filter(one -> one.startsWith("delivery apply-report --environment lab")).toList());
    // What it would do by now is not what reviewers saw.
    Run other = Engine.run(TOPOLOGY, MAIN, new Scenario().exits(run, 3, 0).exits("delivery apply-check", 0, 1), 1);
    red("not all was applied", other);
    assertEquals(1, count(other, run));
    Run restless = Engine.run(TOPOLOGY, MAIN, new Scenario().exits(run, 3).exits("delivery apply-report", 1), 1);
    red("not all was applied", restless);
    assertEquals(5, count(restless, run));
    assertTrue(restless.commands().contains("delivery apply-report --environment lab --exit-code 3"));
    assertFalse(String.join("\n", restless.commands()).contains("second"));
  }

  @Test
  void applyingWaitsForDeploysThatAreUnderWay() throws Exception {
    Run run = Engine.run(TOPOLOGY, MAIN, new Scenario().locked("deploy-billing", 0, 4000), 1);
    green(run);
    assertTrue(run.trace().contains("waits for the lock deploy deploy-orders deploy-billing"));
    assertEquals(4000, run.seconds(), 30);
  }

  @Test
  void anApplyThatHangsHasAnOutcome() throws Exception {
    Run run = Engine.run(TOPOLOGY, MAIN, new Scenario().exits("tar -xf .switchyard/given/source.tar && delivery apply-run --environment lab", Scenario.HANGS).exits("delivery apply-report", 1), 1);
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

  private static final String DRIFT = "topologyDrift(environment: 'lab', parts: true)";
  private static final String FOLDER = ".switchyard/drift/lab";
  private static final List<String> LOOK = List.of(
      "switchyard withhold lab --lock-timeout 20 --out " + FOLDER + "/before",
      "delivery drift-run --environment lab",
      "delivery pack " + FOLDER + "/record " + FOLDER + "/record.parcel",
      "rm -rf " + FOLDER + "/record && delivery unpack " + FOLDER + "/record.parcel " + FOLDER + "/record",
      "delivery drift-found --environment lab");
  private static final List<String> AGAIN = List.of(
      "switchyard withhold lab --lock-timeout 20 --out " + FOLDER + "/after",
      "cmp -s " + FOLDER + "/before/about.json " + FOLDER + "/after/about.json");
  private static final String DRIFT_REPORT = "delivery drift-report --environment lab";

  private static Run drift(Scenario scenario) throws Exception {
    return Engine.run(DRIFT, Map.of(), scenario, 1);
  }

  @SafeVarargs
  private static List<String> all(List<String>... parts) {
    return Arrays.stream(parts).flatMap(List::stream).toList();
  }

  @Test
  void driftIsLookedForWithoutCredentialsAndReported() throws Exception {
    Run run = drift(new Scenario());
    green(run);
    assertEquals(all(LOOK, List.of(DRIFT_REPORT)), run.commands());
    assertTrue(run.trace().stream().noneMatch(line -> line.startsWith("lock ")));
    assertEquals(List.of("delivery", "state", "drift"), run.agents());
    assertEquals("UNSTABLE", drift(new Scenario().exits("delivery drift-report", 5)).result());
    red("the issue could not be kept", drift(new Scenario().exits("delivery drift-report", 1)));
    assertEquals("ABORTED", drift(new Scenario().exits("delivery drift-run", Scenario.HANGS)).result());
  }

  @Test
  void whatAReleaseIsChangingMeanwhileIsNoDrift() throws Exception {
    Run still = drift(new Scenario().exits("delivery drift-found", 5));
    assertEquals(all(LOOK, AGAIN, List.of(DRIFT_REPORT)), still.commands());
    Run moved = drift(new Scenario().exits("delivery drift-found", 5, 0).exits("cmp -s", 1));
    green(moved);
    assertEquals(all(LOOK, AGAIN, LOOK, List.of(DRIFT_REPORT)), moved.commands());
    Run restless = drift(new Scenario().exits("delivery drift-found", 5).exits("cmp -s", 1));
    red("was changed during each of three looks", restless);
    assertEquals(all(LOOK, AGAIN, LOOK, AGAIN, LOOK, AGAIN, List.of(DRIFT_REPORT + " --unseen")), restless.commands());
  }

  @Test
  void whatCouldNotBeLookedAtIsToldWithTheEventsOfItsPod() throws Exception {
    for (Map.Entry<String, Scenario> wrong : Map.of(
        "cannot be read", new Scenario().exits("switchyard withhold", 1),
        "could not be looked at", new Scenario().exits("delivery drift-run", 1),
        "not what may come out", new Scenario().exits("rm -rf", 1),
        "is no report", new Scenario().exits("delivery drift-found", 1)).entrySet()) {
      Run run = drift(wrong.getValue());
      red(wrong.getKey(), run);
      assertEquals(DRIFT_REPORT + " --unseen", run.commands().get(run.commands().size() - 1));
    }
    for (Map.Entry<String, String> agent : Map.of("state", "ci-deploy", "drift", "ci-drift").entrySet()) {
      Run absent = drift(new Scenario().neverStarts(agent.getKey()));
      red("no agent for '" + agent.getKey() + "' started within 15 minutes", absent);
      int last = absent.commands().size() - 1;
      assertEquals(List.of(WATCH + " delivery agent-events --namespace " + agent.getValue() + " --minutes 15", DRIFT_REPORT + " --unseen"), absent.commands().subList(last - 1, last + 1));
    }
  }

  @Test
  void whereAllDeploysWorkOnOneStateTheyWaitForEachOtherAndForTheLook() throws Exception {
    Run run = Engine.run("topologyDrift(environment: 'lab')", Map.of(), new Scenario(), 1);
    green(run);
    assertEquals(List.of("lock deploy", "state/state [gitlab-reader-token]$ " + LOOK.get(0), "unlock deploy"), run.trace().subList(0, 3));
    assertTrue(Engine.run("modulePipeline(module: 'orders')", MAIN, new Scenario(), 1).trace().contains("lock deploy"));
  }

  // Credentials.

  @Test
  void aCommandThatStandsInNoListIsNotRun() throws Exception {
    List<String> unlisted = List.of("delivery reap", "delivery sources", "switchyard destroy lab", "sh -c 'delivery source'",
        "timeout 300 delivery reap", "timeout 300 env delivery source", "delivery build && delivery unheard", "delivery", "");
    for (String command : unlisted) {
      Run run = Engine.run("node('delivery') { container('delivery') { trusted(\"" + command + "\") } }", Map.of(), new Scenario(), 1);
      red("stands in none of the lists", run);
      assertEquals(List.of(), run.commands());
    }
  }

  @Test
  void ofTwoCommandsTheTokenIsWhatTheMoreOfThemNeeds() throws Exception {
    for (String command : List.of("delivery build && delivery source", "delivery source && delivery backup", "delivery backup && delivery source")) {
      Run run = Engine.run("node('delivery') { container('delivery') { trusted('" + command + "') } }", Map.of(), new Scenario(), 1);
      green(run);
      assertEquals(List.of("delivery/delivery [gitlab-bot-token, certificate-key]$ " + command), run.trace());
    }
  }

  @Test
  void whatReadsTheStateOrOnlyLooksHasTheTokenThatReads() throws Exception {
    List<String> all = new ArrayList<>();
    for (Run run : List.of(Engine.run(TOPOLOGY, MERGE, new Scenario(), 1), Engine.run(TOPOLOGY, MAIN, new Scenario(), 1), drift(new Scenario()))) {
      green(run);
      all.addAll(run.trace());
    }
    List<String> reading = all.stream().filter(line -> line.contains("$ switchyard ") || line.endsWith("$ delivery preview-watch")).toList();
    // Another environment's Pod has a token of its own.
    Set<String> credentials = new HashSet<>(reading.stream().map(line -> line.substring(0, line.indexOf('$'))).toList());
    assertEquals(Set.of("state/state [gitlab-reader-token]", "state-second/state", "delivery/delivery [gitlab-reader-token, certificate-key]"), credentials);
  }

  // What holds whatever happens.

  /** Answers at random: exit codes, agents that never start, commands that never end, files that are not there. */
  private static final class Chance implements World {
    private final Random random;
    private final List<String> wrong = new ArrayList<>();
    /** Sources after which someone waits for a status. */
    private long announced;
    private final Map<String, Long> locked = new HashMap<>();

    Chance(long seed) {
      random = new Random(seed);
    }

    private static boolean isForeign(Place place) {
      return place.agent().startsWith("preview") || place.agent().equals("test-pod") || place.agent().equals("build") || place.agent().startsWith("drift");
    }

    @Override
    public int command(Place place, String script) {
      if (script.contains("delivery test-pod-watch")) return List.of(0, 0, 1, 9, 137).get(random.nextInt(5));
      if (script.equals(STOPS)) return List.of(0, 0, 0, 0, 1, 3, 4, 137).get(random.nextInt(8));
      if (isForeign(place) && !place.credentials().isEmpty()) wrong.add("credentials where foreign code runs: " + script);
      if (place.agent().equals("test-pod") || place.agent().equals("build") || script.contains("preview-run") || script.contains("apply-run") || script.contains("switchyard up"))
        return List.of(Scenario.HANGS, Scenario.DIES, script.contains("apply-run") ? 3 : 8, 1, 1, 1, 1).get(random.nextInt(7)) * (random.nextInt(2));
      if (script.startsWith("switchyard judge")) return List.of(0, 0, 1, 7, Scenario.HANGS).get(random.nextInt(5));
      int chance = random.nextInt(24);
      int code = chance < 8 ? chance : chance == 8 && script.equals(REPORT) ? 11 : 0;
      if (script.startsWith("delivery source") && code != 4 && code != 6) announced++;
      return code;
    }

    @Override
    public long startsAfter(String agent) {
      return random.nextInt(12) > 0 ? 0 : List.of(-1L, 20L, 600L, 1000L).get(random.nextInt(4));
    }

    @Override
    public long lockedUntil(String resource, long now) {
      if (locked.getOrDefault(resource, 0L) <= now && random.nextInt(8) == 0) locked.put(resource, now + List.of(2L, 50L, 3000L).get(random.nextInt(3)));
      return locked.getOrDefault(resource, 0L);
    }

    @Override
    public String file(Place place, String path) {
      if (path.equals(".switchyard/timeout-minutes")) return "10";
      if (path.equals(".switchyard/preview/environments")) return List.of("", "lab", "lab\nsecond").get(random.nextInt(3));
      return random.nextInt(8) == 0 && (path.startsWith("/carried/") || path.contains("record")) ? null : "text";
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
    int stops = 0;
    int again = 0;
    int skipped = 0;
    List<String> scripts = List.of(MODULE, TOPOLOGY, DRIFT);
    for (long seed = 0; seed < 150; seed++) {
      Chance chance = new Chance(seed);
      // Each tenth on a state without parts.
      String script = scripts.get((int) (seed % 3)).replace("parts: true", "parts: " + (seed % 10 != 0));
      Map<String, String> event = seed % 2 == 0 ? MERGE : MAIN;
      Run run = Engine.run(script, event, chance, seed);
      String told = "seed " + seed + ": " + run.error() + "\n" + String.join("\n", run.trace());
      assertEquals(List.of(), chance.wrong, told);
      // An agent is waited for with no credential bound around it, and with no lock held: the engine ends where one is.
      for (String agent : run.agents()) assertFalse(agent.contains("with"), told);
      // What is stopped has its end by the watch that stops it.
      long stopped = run.trace().stream().filter(line -> line.startsWith("echo modulePipeline: stopped")).count();
      stops += (int) stopped;
      assertEquals(chance.announced, count(run, "delivery report") + stopped, told);
      if (count(run, "delivery merge") > 0 && count(run, "delivery merge --tested") == 0) {
        assertTrue(count(run, "delivery verdict") >= count(run, "delivery merge"), told);
        merged++;
      }
      // The ledger says what is told, or that nothing was to be done.
      if (count(run, "switchyard up") > 0) assertTrue(count(run, "delivery rollout") == 1 || count(run, "switchyard cut") == 1 && count(run, "delivery deploy") == 2, told);
      assertTrue(count(run, "delivery rollout") <= 1, told);
      again += (int) count(run, "switchyard cut");
      skipped += (int) run.trace().stream().filter(line -> line.startsWith("skips ")).count();
      rolledOut += (int) count(run, "switchyard up");
      undone += (int) count(run, "delivery undo");
      assertTrue(count(run, "delivery undo") <= 2 && count(run, "switchyard up") <= 6, told);
      if (count(run, "delivery preview-source") > 0 && count(run, "switchyard withhold") > 0) assertEquals(1, count(run, "delivery preview-finish"), told);
      if (count(run, "delivery apply-source") > 0 && count(run, "switchyard withhold") > 0) assertEquals(1, count(run, "delivery apply-finish"), told);
      if (count(run, "delivery drift-run") > 0 || script.startsWith("topologyDrift") && count(run, "switchyard withhold") > 0) assertEquals(1, count(run, "delivery drift-report"), told);
      // Whoever tells the end finds why no agent started.
      if (run.error() != null && String.valueOf(run.error().getMessage()).startsWith("onAgent:")) assertTrue(count(run, WATCH + " delivery agent-events") > 0, told);
      applied += (int) run.commands().stream().filter(command -> command.contains("apply-run")).count();
      long moved = run.trace().stream().filter(line -> line.contains("since it was compared (round ")).count();
      assertTrue(count(run, "delivery apply-report") + moved >= run.commands().stream().filter(command -> command.contains("apply-run")).count(), told);
    }
    // Otherwise nothing was tried.
    assertTrue(again > 0 && skipped > 0, again + " cut, " + skipped + " skipped");
    assertTrue(stops > 0 && merged > 0 && rolledOut > 0 && undone > 0 && applied > 0, stops + " stopped, " + merged + " merged, " + rolledOut + " rolled out, " + applied + " applied");
  }
}

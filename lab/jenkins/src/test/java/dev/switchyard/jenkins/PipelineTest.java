package dev.switchyard.jenkins;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jenkinsci.plugins.workflow.steps.FlowInterruptedException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * What a pipeline's steps do. Sources: CatchErrorStep, TimeoutStepExecution and RetryStepExecution of
 * workflow-basic-steps-plugin; ParallelStep of workflow-cps-plugin; LockStepExecution and LockableResourcesManager of
 * lockable-resources-plugin; RobotPublisher of robot-plugin. Not so here: a build that ran at a restart goes on there, and is
 * run again here.
 */
class PipelineTest {
  @TempDir Path home;

  private Controller controller(String script) {
    Controller controller = new Controller(home, ConfigurationTest.ALL);
    Map<String, Object> tree = new LinkedHashMap<>();
    tree.put("jobs", List.of(Map.of("script", "pipelineJob('p') { definition { cps { script('''" + script.replace("\\", "\\\\") + "\n''') } } }")));
    controller.configure(tree);
    return controller;
  }

  private Build finished(Controller controller, int number) throws Exception {
    for (int i = 0; i < 1000; i++) {
      Build build = controller.build("p", number);
      // Its thread writes for a moment longer.
      if (build != null && !build.building && build.run == null) return build;
      Thread.sleep(20);
    }
    throw new AssertionError("build " + number + " did not end");
  }

  private Build run(String script) throws Exception {
    Controller controller = controller(script);
    controller.enqueue(controller.jobs.get("p"), Map.of("gitlabActionType", "PUSH"), Map.of(), "test", null, 0);
    return finished(controller, 1);
  }

  private static String log(Build build) throws Exception {
    return Files.readString(build.log());
  }

  @Test
  void errorThrowsAndFailsTheBuild() throws Exception {
    Build build = run("error 'boom'\necho 'not reached'");
    assertEquals("FAILURE", build.result);
    assertTrue(log(build).contains("ERROR: boom"));
    assertFalse(log(build).contains("not reached"));
  }

  @Test
  void anUnknownStepFailsTheBuildByName() throws Exception {
    Build build = run("frobnicate 1");
    assertEquals("FAILURE", build.result);
    assertTrue(log(build).contains("No such DSL method 'frobnicate' found among steps ["));
  }

  @Test
  void anUnknownParameterFailsTheBuildByName() throws Exception {
    assertTrue(log(run("retry(count: 1, often: true) { }")).contains("Step 'retry': unknown parameter(s) often"));
  }

  @Test
  void aStepThatIsRefusedSaysWhy() throws Exception {
    assertTrue(log(run("acceptGitLabMR()")).contains("it sends no sha"));
  }

  @Test
  void parallelBranchesRunAtTheSameTime() throws Exception {
    // Each branch waits for the other: one after the other they would never meet.
    Build build = run("def met = new java.util.concurrent.CyclicBarrier(2)\n"
        + "parallel a: { met.await(5, java.util.concurrent.TimeUnit.SECONDS) }, b: { met.await(5, java.util.concurrent.TimeUnit.SECONDS) }");
    assertEquals("SUCCESS", build.result, log(build));
  }

  @Test
  void failFastEndsTheOtherBranches() throws Exception {
    long start = System.nanoTime();
    Build build = run("parallel a: { sleep 60 }, b: { error 'no' }, failFast: true");
    assertEquals("FAILURE", build.result);
    assertTrue(log(build).contains("ERROR: no"));
    assertTrue(System.nanoTime() - start < 20_000_000_000L);
  }

  /** lockable-resources-plugin: LockStepExecution.start, LockableResourcesManager.getNextQueuedContext. */
  @Test
  void aLockTakesAllItsResourcesOrNoneAndTheOldestThatCanGoOnDoes() throws Exception {
    Build build = run("def order = Collections.synchronizedList([])\n"
        + "parallel a: { lock('x') { order << 'a'; sleep 2 } },\n"
        + "  all: { sleep 1; lock(resource: 'x', extra: [[resource: 'y'], [resource: 'z']]) { order << 'all'; sleep 1; order << 'all done' } },\n"
        // Free while the one before it waits for another one too, and it goes on.
        + "  b: { sleep(time: 1500, unit: 'MILLISECONDS'); lock('y') { order << 'b'; sleep 2 } },\n"
        + "  c: { sleep 3; lock('z') { order << 'c'; sleep 3 } }\n"
        + "echo \"order $order\"");
    assertEquals("SUCCESS", build.result, log(build));
    assertTrue(log(build).contains("order [a, b, c, all, all done]"), log(build));
    assertTrue(log(build).contains("Trying to acquire lock on [Resource: x, Resource: y, Resource: z]"));
  }

  @Test
  void aLockThatIsTakenIsSkippedWhereItsStepSaysSo() throws Exception {
    Build build = run("def order = Collections.synchronizedList([])\n"
        + "parallel a: { lock('x') { order << 'a'; sleep 2; order << 'a done' } },\n"
        + "  b: { sleep 1; lock(resource: 'x', skipIfLocked: true) { order << 'b' }; order << 'without' }\n"
        + "lock(resource: 'x', skipIfLocked: true) { order << 'free' }\n"
        + "echo \"order $order\"");
    assertEquals("SUCCESS", build.result, log(build));
    assertTrue(log(build).contains("order [a, without, a done, free]"), log(build));
  }

  @Test
  void whatALockCannotTakeHereIsRefused() throws Exception {
    assertTrue(log(run("lock(resource: 'x', extra: [[label: 'y']]) { }")).contains("extra takes [resource: name] here"));
  }

  @Test
  void timeoutEndsItsBodyAndAnAbortIsItsResult() throws Exception {
    assertEquals("ABORTED", run("timeout(time: 200, unit: 'MILLISECONDS') { sleep 60 }").result);
  }

  @Test
  void catchErrorGoesOnWithTheGivenResult() throws Exception {
    Build build = run("catchError(buildResult: 'UNSTABLE') { error 'x' }\necho \"then ${currentBuild.currentResult}\"");
    assertEquals("UNSTABLE", build.result);
    assertTrue(log(build).contains("then UNSTABLE"));
  }

  @Test
  void retryRunsUntilItSucceeds() throws Exception {
    Build build = run("int n = 0\nretry(3) { n++; if (n < 3) error(\"try $n\") }\necho \"after $n\"");
    assertEquals("SUCCESS", build.result);
    assertTrue(log(build).contains("after 3"));
  }

  @Test
  void environmentComesFromHookAssignmentAndWithEnv() throws Exception {
    String log = log(run("env.A = 'a'\nwithEnv(['B=${A}b']) { echo \"${env.gitlabActionType} ${A} ${B} ${JOB_NAME}\" }"));
    assertTrue(log.contains("PUSH a ab p"), log);
  }

  @Test
  void aNodeThatNobodyOffersFailsAtOnce() throws Exception {
    assertTrue(log(run("node('nowhere') { }")).contains("There are no nodes with the label 'nowhere'"));
  }

  @Test
  void anAbortEndsTheBuildAsAborted() throws Exception {
    Controller controller = controller("sleep 60");
    controller.enqueue(controller.jobs.get("p"), Map.of(), Map.of(), "test", null, 0);
    Build build = controller.build("p", 1);
    build.run.interrupt(new FlowInterruptedException("ABORTED", "Aborted by me"));
    assertEquals("ABORTED", finished(controller, 1).result);
    assertTrue(log(build).contains("Aborted by me"));
  }

  @Test
  void aBuildThatRanAtARestartIsAbortedAndRunAgainOnce() throws Exception {
    Controller first = controller("echo 'hello'");
    first.enqueue(first.jobs.get("p"), Map.of("gitlabActionType", "MERGE"), Map.of(), "test", null, 0);
    Build build = finished(first, 1);
    // As a kill leaves it.
    build.building = true;
    build.result = null;
    build.save();
    Controller second = controller("echo 'hello'");
    second.recover();
    assertEquals("ABORTED", second.build("p", 1).result);
    assertTrue(log(build).contains("aborted, to be run again"));
    assertEquals(1, second.queue().size());
    Controller third = controller("echo 'hello'");
    third.recover();
    assertEquals(1, third.queue().size(), "a restart before it started does not queue it twice");
    third.schedule();
    Build again = finished(third, 2);
    assertEquals("MERGE", again.env.get("gitlabActionType"));
    assertEquals("SUCCESS", again.result);
  }

  @Test
  void junitAndRobotFilesAreCounted() throws Exception {
    Build build = run("echo 'x'");
    Map<String, Integer> counts = Reports.add(build, Reports.junit("r.xml", ("<testsuites><testsuite name='s'><testcase classname='c' name='a' time='1.5'/>"
        + "<testcase classname='c' name='b'><failure message='no'>why</failure></testcase><testcase name='d'><skipped/></testcase></testsuite></testsuites>").getBytes()));
    assertEquals(Map.of("totalCount", 3, "failCount", 1, "skipCount", 1, "passCount", 1), counts);
    Map<String, Object> robot = Reports.robot("output.xml", ("<robot><suite name='S'><test name='a'><status status='PASS'/></test>"
        + "<test name='b'><status status='FAIL'>no</status></test></suite></robot>").getBytes());
    assertEquals(50.0, robot.get("passPercentage"));
  }
}

package dev.switchyard.jenkins;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneId;
import java.time.ZoneOffset;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * When a job starts by the clock. Sources, of core: hudson.scheduler.CronTabList and CronTab (lines, TZ, all five fields),
 * hudson.triggers.Trigger.Cron (each minute once, those slept through too), hudson.triggers.TimerTrigger (the cause).
 */
class TimerTest {
  @TempDir Path home;

  private static boolean at(String spec, String moment) {
    return Cron.parse("TZ=UTC\n" + spec).at(Instant.parse(moment));
  }

  private static String fault(String spec) {
    return assertThrows(IllegalArgumentException.class, () -> Cron.parse(spec)).getMessage();
  }

  private Controller controller(String... jobs) {
    Controller controller = new Controller(home, ConfigurationTest.ALL);
    controller.configure(Map.of("jobs", Stream.of(jobs).map(job -> Map.<String, Object>of("script", job)).toList()));
    return controller;
  }

  private static String job(String name, String spec, String more) {
    return "pipelineJob('" + name + "') { " + more + "\n properties { pipelineTriggers { triggers { cron { spec('''" + spec
        + "''') } } } }\n definition { cps { script('echo 1') } } }";
  }

  /** A clock that stands still until it is moved. */
  private static final class Hand extends Clock {
    Instant now;

    Hand(String now) {
      this.now = Instant.parse(now);
    }

    @Override
    public ZoneId getZone() {
      return ZoneOffset.UTC;
    }

    @Override
    public Clock withZone(ZoneId zone) {
      return this;
    }

    @Override
    public Instant instant() {
      return now;
    }
  }

  private static List<Build> ended(Controller controller, String job, int count) throws Exception {
    for (int i = 0; i < 400; i++) {
      List<Build> builds = controller.builds(job);
      if (builds.size() >= count && builds.stream().noneMatch(b -> b.building || b.run != null)) return builds;
      Thread.sleep(20);
    }
    throw new AssertionError(job + " has " + controller.builds(job).size() + " builds, not " + count);
  }

  @Test
  void aScheduleHoldsInItsMinutesAndInNoOthers() {
    assertTrue(at("17 3 * * *", "2026-11-24T03:17:00Z"));
    assertTrue(at("17 3 * * *", "2026-11-24T03:17:59Z"));
    assertFalse(at("17 3 * * *", "2026-11-24T03:18:00Z"));
    assertFalse(at("17 3 * * *", "2026-11-24T15:17:00Z"));
    assertTrue(at("*/15 8-18/2 1,24 * *", "2026-11-24T10:45:00Z"));
    assertFalse(at("*/15 8-18/2 1,24 * *", "2026-11-24T11:45:00Z"));
    assertTrue(at("0 0 * * 7", "2026-11-22T00:00:00Z"), "Sunday is 7");
    assertTrue(at("0 0 * * 0", "2026-11-22T00:00:00Z"), "and 0");
    assertFalse(at("0 0 24 * 1", "2026-11-24T00:00:00Z"), "a day of the month and one of the week are both demanded");
    assertTrue(at("# nights\n\n0 1 * * *\n0 2 * * *", "2026-11-24T02:00:00Z"), "any line");
  }

  @Test
  void aTimeZoneIsThatOfAllItsLines() {
    Cron paris = Cron.parse("TZ=Europe/Paris\n0 3 * * *");
    assertTrue(paris.at(Instant.parse("2026-11-24T02:00:00Z")));
    assertFalse(paris.at(Instant.parse("2026-11-24T03:00:00Z")));
  }

  @Test
  void aBadScheduleIsRefusedByWhatIsWrongWithIt() {
    assertTrue(fault("17 3 * *").contains("has 4 fields, not five"));
    assertTrue(fault("60 3 * * *").contains("'60' is no minute (0-59)"));
    assertTrue(fault("0 24 * * *").contains("'24' is no hour (0-23)"));
    assertTrue(fault("0 0 0 * *").contains("is no day of month (1-31)"));
    assertTrue(fault("0 9-5 * * *").contains("'9-5' is no hour"));
    assertTrue(fault("*/0 * * * *").contains("'*/0' is no minute"));
    assertTrue(fault("5/10 * * * *").contains("a step needs * or a range"));
    assertTrue(fault("0 0 * * MON").contains("'MON' is no day of week"));
    assertTrue(fault("1,,2 0 * * *").contains("'' is no minute"));
    assertTrue(fault("H 3 * * *").contains("H and @names are not covered"));
    assertTrue(fault("@daily").contains("H and @names are not covered"));
    assertTrue(fault("TZ=Mars/Olympus\n0 0 * * *").contains("is not a time zone"));
    assertTrue(fault("TZ=+02:00\n0 0 * * *").contains("is not a time zone"));
    assertTrue(fault("0 0 * * *\nTZ=UTC").contains("stands in the first line"));
    assertTrue(fault("# nights\nTZ=UTC\n0 0 * * *").contains("stands in the first line"));
    assertEquals("the schedule is empty", fault("# nothing\n"));
  }

  @Test
  void aJobWithABadScheduleStopsTheBootByName() {
    BootError fault = assertThrows(BootError.class, () -> controller(job("nightly", "61 * * * *", "")));
    assertTrue(fault.getMessage().contains("pipelineJob 'nightly': cron: '61 * * * *': '61' is no minute"), fault.getMessage());
    assertThrows(BootError.class, () -> controller("pipelineJob('p') { properties { pipelineTriggers { triggers { cron { } } } }\n definition { cps { script('') } } }"));
    assertThrows(BootError.class, () -> controller("pipelineJob('p') { triggers { cron('* * * * *') }\n definition { cps { script('') } } }"));
  }

  @Test
  void aJobStartsInItsMinuteOnceAndSaysWhy() throws Exception {
    Controller controller = controller(job("nightly", "TZ=UTC\n17 3 * * *", ""), job("off", "TZ=UTC\n17 3 * * *", "disabled()"), job("other", "TZ=UTC\n18 3 * * *", ""));
    Hand hand = new Hand("2026-11-24T03:16:40Z");
    Timer timer = new Timer(controller, hand);
    timer.look();
    assertEquals(List.of(), controller.builds("nightly"), "not before its time");
    hand.now = Instant.parse("2026-11-24T03:17:01Z");
    timer.look();
    hand.now = Instant.parse("2026-11-24T03:17:59Z");
    timer.look();
    List<Build> builds = ended(controller, "nightly", 1);
    assertEquals(1, builds.size());
    assertEquals("SUCCESS", builds.get(0).result);
    assertEquals(List.of("Started by timer"), builds.get(0).causes);
    assertEquals(Map.of(), builds.get(0).env, "GitLab has no part in it");
    assertEquals(List.of(), controller.builds("off"));
    assertEquals(List.of(), controller.builds("other"));
  }

  @Test
  void aMinuteThatWasSleptThroughIsMadeUpForAndTheTimeBeforeTheBootIsNot() throws Exception {
    Controller controller = controller(job("often", "TZ=UTC\n0 3 * * *", ""), job("before", "TZ=UTC\n55 2 * * *", ""));
    Hand hand = new Hand("2026-11-24T02:58:00Z");
    Timer timer = new Timer(controller, hand);
    hand.now = Instant.parse("2026-11-24T03:02:30Z");
    timer.look();
    assertEquals(1, ended(controller, "often", 1).size());
    assertEquals(List.of(), controller.builds("before"));
  }

  @Test
  void aReloadChangesTheSchedule() {
    Controller controller = controller(job("nightly", "0 3 * * *", ""));
    assertTrue(controller.jobs.get("nightly").schedule != null);
    controller.configure(Map.of("jobs", List.of(Map.<String, Object>of("script", "pipelineJob('nightly') { definition { cps { script('echo 1') } } }"))));
    assertNull(controller.jobs.get("nightly").schedule);
  }

  @Test
  void theClockItselfStartsAJobWhenItsMinuteComes() throws Exception {
    Controller controller = controller(job("everyMinute", "* * * * *", ""));
    // The machine's clock, set so that a minute ends in half a second.
    Instant now = Instant.now();
    Clock clock = Clock.offset(Clock.systemUTC(), Duration.ofMillis(59_500 - now.toEpochMilli() % 60_000));
    new Timer(controller, clock).start();
    assertEquals(List.of(), controller.builds("everyMinute"));
    assertEquals(List.of("Started by timer"), ended(controller, "everyMinute", 1).get(0).causes);
    controller.stopping = true;
  }
}

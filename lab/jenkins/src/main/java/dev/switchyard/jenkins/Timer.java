package dev.switchyard.jenkins;

import java.time.Clock;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.logging.Level;
import java.util.logging.Logger;

/** Looks once a minute which jobs are due. What became due while Jenkins was down is not made up for, as in Jenkins. */
final class Timer {
  private static final Logger LOG = Logger.getLogger("jenkins");
  static final String CAUSE = "Started by timer";

  private final Controller controller;
  private final Clock clock;
  /** The first minute that was not looked at yet. */
  private Instant next;

  Timer(Controller controller, Clock clock) {
    this.controller = controller;
    this.clock = clock;
    next = clock.instant().truncatedTo(ChronoUnit.MINUTES).plus(1, ChronoUnit.MINUTES);
  }

  /** Looks at every minute since the last look: one that a busy machine slept through is not lost. */
  synchronized void look() {
    for (Instant now = clock.instant(); !next.isAfter(now); next = next.plus(1, ChronoUnit.MINUTES)) controller.due(next);
  }

  /** Looks for as long as the process lives. */
  Thread start() {
    Thread thread = new Thread(() -> {
      while (!controller.stopping) {
        try {
          Thread.sleep(Math.max(1, Math.min(1000, clock.instant().until(next, ChronoUnit.MILLIS))));
          look();
        } catch (InterruptedException e) {
          return;
        } catch (RuntimeException e) {
          LOG.log(Level.SEVERE, "timer", e);
        }
      }
    }, "timer");
    thread.setDaemon(true);
    thread.start();
    return thread;
  }
}

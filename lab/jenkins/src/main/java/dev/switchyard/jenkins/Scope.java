package dev.switchyard.jenkins;

import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.jenkinsci.plugins.workflow.steps.FlowInterruptedException;

/** A part of a build that can be ended from outside: the build, a timeout, a parallel branch. */
final class Scope {
  private final Scope parent;
  private final Set<Thread> threads = ConcurrentHashMap.newKeySet();
  private volatile FlowInterruptedException cause;

  Scope(Scope parent) {
    this.parent = parent;
  }

  void enter(Thread thread) {
    for (Scope s = this; s != null; s = s.parent) s.threads.add(thread);
  }

  /** Takes the thread out of this scope only. */
  void leave(Thread thread) {
    threads.remove(thread);
  }

  /** Takes an ending thread out of every scope. */
  void end(Thread thread) {
    for (Scope s = this; s != null; s = s.parent) s.threads.remove(thread);
  }

  void cancel(FlowInterruptedException why) {
    synchronized (this) {
      if (cause != null) return;
      cause = why;
    }
    threads.forEach(Thread::interrupt);
  }

  FlowInterruptedException cause() {
    // The outermost one decides: an abort of the build beats a timeout within it.
    FlowInterruptedException outer = parent == null ? null : parent.cause();
    return outer != null ? outer : cause;
  }

  boolean isCancelled() {
    return cause != null;
  }

  void check() throws FlowInterruptedException {
    FlowInterruptedException found = cause();
    if (found != null) throw found;
  }
}

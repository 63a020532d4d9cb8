package dev.switchyard.library;

import java.util.Map;

/** What a run of the library meets: agents, commands and what they leave. */
interface World {
  /** The exit code of a command; negative when it does not end by itself, or its agent dies. */
  int command(Place place, String script);

  /** Seconds that a command takes. */
  default long takes(String script) {
    return 0;
  }

  /** Seconds after which an agent of this kind starts; negative when it never does. */
  default long startsAfter(String agent) {
    return 0;
  }

  /** The second at which another build lets go of a lock; one that is past when none has it. */
  default long lockedUntil(String resource, long now) {
    return 0;
  }

  /** What a command, or nobody, has left in the workspace; null when there is no such file. */
  String file(Place place, String path);

  /** Is told what is written into a workspace. */
  default void wrote(String path, String text) {}

  /** What `junit`, `robot` or `archiveArtifacts` answers: an error's text, or null. */
  default String publishing(String step) {
    return null;
  }

  /** Where a command runs. */
  record Place(String agent, String container, java.util.Set<String> credentials, Map<String, String> variables) {}
}

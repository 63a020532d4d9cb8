package dev.switchyard.jenkins;

import java.util.LinkedHashMap;
import java.util.LinkedList;
import java.util.List;
import java.util.Map;

/**
 * How many agents there may be: of a cloud (`containerCap`), and of a template (`instanceCap`), each counted from before its
 * Pod is made until it is gone. Who finds no room waits, the first of a template first. After KubernetesProvisioningLimits of
 * the kubernetes plugin; a cap that is not set is none.
 */
final class Caps {
  /** Room for one agent; given back once. */
  final class Room implements AutoCloseable {
    private final String cloud;
    private final String template;
    private boolean taken = true;

    private Room(String cloud, String template) {
      this.cloud = cloud;
      this.template = template;
    }

    @Override
    public void close() {
      synchronized (Caps.this) {
        if (!taken) return;
        taken = false;
        used.merge("cloud " + cloud, -1, Integer::sum);
        used.merge("template " + template, -1, Integer::sum);
        Caps.this.notifyAll();
      }
    }
  }

  private final Map<String, Integer> used = new LinkedHashMap<>();
  private final Map<String, List<Object>> waiting = new LinkedHashMap<>();

  /** Waits until there is room for one more. @param full told once, when there is none at first */
  synchronized Room take(String cloud, int cloudCap, String template, int templateCap, Runnable full) throws InterruptedException {
    List<Object> line = waiting.computeIfAbsent(template, t -> new LinkedList<>());
    Object ticket = new Object();
    line.add(ticket);
    try {
      boolean told = false;
      while (line.get(0) != ticket || count("cloud " + cloud) >= cloudCap || count("template " + template) >= templateCap) {
        if (!told) full.run();
        told = true;
        wait();
      }
      used.merge("cloud " + cloud, 1, Integer::sum);
      used.merge("template " + template, 1, Integer::sum);
      return new Room(cloud, template);
    } finally {
      line.remove(ticket);
      if (line.isEmpty()) waiting.remove(template);
      // The next in line looks again.
      notifyAll();
    }
  }

  private int count(String key) {
    return used.getOrDefault(key, 0);
  }

  /** `containerCap` and `instanceCap` are numbers, `containerCapStr` and `instanceCapStr` texts of them; empty: none. */
  static int of(Map<String, Object> settings, String key) {
    if (settings.get(key + "Str") instanceof String text && !text.isBlank()) return Integer.parseInt(text.trim());
    return settings.get(key) instanceof Integer cap ? cap : Integer.MAX_VALUE;
  }
}

package dev.switchyard.library;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** A world in which all goes well, but for what is said otherwise. */
final class Scenario implements World {
  /** An exit code for a command that never ends. */
  static final int HANGS = -1;
  /** One for a command whose agent goes in the middle of it. */
  static final int DIES = -2;

  private record Locked(String resource, long from, long to) {}

  private final Map<String, Deque<Integer>> codes = new LinkedHashMap<>();
  private final Map<String, String> files = new LinkedHashMap<>(Map.of(
      ".switchyard/timeout-minutes", "10\n",
      ".switchyard/test-pod.yaml", "kind: Pod\n",
      "/carried/done", "",
      "/carried/output.xml.gz", "cmVzdWx0cw==",
      "/carried/xunit.xml.gz", "eHVuaXQ=",
      ".switchyard/preview/environments", "lab\nsecond\n"));
  private final Map<String, Deque<String>> changing = new LinkedHashMap<>();
  private final Map<String, Long> takes = new LinkedHashMap<>();
  private final Map<String, Long> late = new LinkedHashMap<>();
  private final List<Locked> locked = new ArrayList<>();
  private final Map<String, String> publishing = new LinkedHashMap<>();
  /** What was written last, by its path. */
  final Map<String, String> written = new LinkedHashMap<>();

  /** The exit codes of commands that begin so, one after the other; the last one stays. */
  Scenario exits(String command, Integer... codes) {
    this.codes.put(command, new ArrayDeque<>(List.of(codes)));
    return this;
  }

  Scenario file(String path, String text) {
    files.put(path, text);
    return this;
  }

  /** A file with another text each time that it is read; the last one stays. */
  Scenario changes(String path, String... texts) {
    changing.put(path, new ArrayDeque<>(List.of(texts)));
    return file(path, texts[0]);
  }

  /** Seconds that commands take which begin so. */
  Scenario takes(String command, long seconds) {
    takes.put(command, seconds);
    return this;
  }

  Scenario without(String path) {
    files.remove(path);
    return this;
  }

  Scenario neverStarts(String agent) {
    return startsAfter(agent, HANGS);
  }

  Scenario startsAfter(String agent, long seconds) {
    late.put(agent, seconds);
    return this;
  }

  /** Another build has a lock between two seconds. */
  Scenario locked(String resource, long from, long to) {
    locked.add(new Locked(resource, from, to));
    return this;
  }

  Scenario cannot(String step, String why) {
    publishing.put(step, why);
    return this;
  }

  @Override
  public int command(Place place, String script) {
    for (Map.Entry<String, Deque<Integer>> entry : codes.entrySet()) {
      if (!script.startsWith(entry.getKey())) continue;
      Deque<Integer> left = entry.getValue();
      return left.size() > 1 ? left.poll() : left.peek();
    }
    return 0;
  }

  @Override
  public long takes(String script) {
    return takes.entrySet().stream().filter(entry -> script.startsWith(entry.getKey())).mapToLong(Map.Entry::getValue).findFirst().orElse(0);
  }

  @Override
  public long startsAfter(String agent) {
    return late.getOrDefault(agent, 0L);
  }

  @Override
  public long lockedUntil(String resource, long now) {
    return locked.stream().filter(one -> one.resource.equals(resource) && one.from <= now).mapToLong(Locked::to).max().orElse(0);
  }

  @Override
  public String file(Place place, String path) {
    Deque<String> texts = changing.get(path);
    if (texts != null) return texts.size() > 1 ? texts.poll() : texts.peek();
    return path.endsWith("/record.parcel") ? files.getOrDefault(path, "cGFyY2Vs") : files.get(path);
  }

  @Override
  public void wrote(String path, String text) {
    written.put(path, text);
  }

  @Override
  public String publishing(String step) {
    return publishing.get(step);
  }
}

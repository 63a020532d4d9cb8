package dev.switchyard.jenkins;

import com.fasterxml.jackson.annotation.JsonAutoDetect;
import com.fasterxml.jackson.annotation.JsonIgnore;
import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;

/** One build and its folder: build.json, log, archive/, stashes/, robot-plugin/. */
@JsonAutoDetect(fieldVisibility = JsonAutoDetect.Visibility.PUBLIC_ONLY, getterVisibility = JsonAutoDetect.Visibility.NONE,
    isGetterVisibility = JsonAutoDetect.Visibility.NONE)
@JsonInclude(JsonInclude.Include.NON_NULL)
public final class Build {
  static final ObjectMapper JSON = new ObjectMapper().enable(SerializationFeature.INDENT_OUTPUT).enable(SerializationFeature.ORDER_MAP_ENTRIES_BY_KEYS);

  public String job;
  public int number;
  public long queueId;
  public boolean building;
  /** SUCCESS, UNSTABLE, FAILURE, NOT_BUILT, ABORTED; null while nothing has set it. */
  public volatile String result;
  /** Milliseconds since the epoch, and milliseconds. */
  public long timestamp;
  public long duration;
  public Map<String, String> env = new TreeMap<>();
  public Map<String, Object> params = new TreeMap<>();
  public List<String> causes = new ArrayList<>();
  public String displayName;
  public String description;
  public Map<String, Object> testReport;
  public Map<String, Object> robotReport;
  /** `namespace/name` of agent Pods that may still exist. */
  public List<String> pods = new CopyOnWriteArrayList<>();

  /** Agents that it has, by the names of their Pods. */
  @JsonIgnore final Set<String> agents = ConcurrentHashMap.newKeySet();

  @JsonIgnore Path folder;
  @JsonIgnore volatile PipelineRun run;
  /** Each line of the log begins with its time, as the timestamper plugin writes it into pipelines' logs. */
  @JsonIgnore volatile boolean timestamped;
  private boolean withinLine;

  static Build read(Path folder) throws IOException {
    Build build = JSON.readValue(folder.resolve("build.json").toFile(), Build.class);
    build.pods = new CopyOnWriteArrayList<>(build.pods);
    build.folder = folder;
    return build;
  }

  /** Replaces build.json in one move, so that a kill leaves the old or the new one. */
  synchronized void save() {
    try {
      Files.createDirectories(folder);
      write(folder.resolve("build.json"), JSON.writeValueAsBytes(this));
    } catch (IOException e) {
      throw new IllegalStateException(folder + ": cannot be written: " + e.getMessage(), e);
    }
  }

  static void write(Path file, byte[] bytes) throws IOException {
    Path next = file.resolveSibling(file.getFileName() + ".next");
    Files.write(next, bytes);
    Files.move(next, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
  }

  Path log() {
    return folder.resolve("log");
  }

  synchronized void append(String text) {
    try {
      Files.write(log(), (timestamped ? stamp(text) : text).getBytes(StandardCharsets.UTF_8), StandardOpenOption.CREATE, StandardOpenOption.APPEND);
    } catch (IOException e) {
      throw new IllegalStateException(log() + ": cannot be written: " + e.getMessage(), e);
    }
  }

  private String stamp(String text) {
    String time = "[" + Instant.now().truncatedTo(ChronoUnit.MILLIS) + "] ";
    StringBuilder out = new StringBuilder();
    for (char character : text.toCharArray()) {
      if (!withinLine) out.append(time);
      withinLine = character != '\n';
      out.append(character);
    }
    return out.toString();
  }

  private static final List<String> ORDER = List.of("SUCCESS", "UNSTABLE", "FAILURE", "NOT_BUILT", "ABORTED");

  static boolean knownResult(String result) {
    return ORDER.contains(result);
  }

  /** A result only gets worse, as in Jenkins. */
  synchronized void worsen(String next) {
    if (result == null || ORDER.indexOf(next) > ORDER.indexOf(result)) result = next;
  }

  String title() {
    return displayName == null ? "#" + number : displayName;
  }

  Map<String, Object> failedTests() {
    Map<String, Object> counts = new LinkedHashMap<>();
    for (String key : List.of("failCount", "skipCount", "passCount")) counts.put(key, testReport.get(key));
    return counts;
  }
}

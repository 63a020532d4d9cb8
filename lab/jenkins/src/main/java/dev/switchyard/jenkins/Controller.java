package dev.switchyard.jenkins;

import com.fasterxml.jackson.core.type.TypeReference;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientBuilder;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.SecureRandom;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;
import java.util.logging.Logger;
import java.util.stream.Stream;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import org.jenkinsci.plugins.workflow.steps.FlowInterruptedException;

/** Jobs, queue and builds, kept in JENKINS_HOME. */
final class Controller {
  private static final Logger LOG = Logger.getLogger("jenkins");

  /** A waiting build. `rerunOf` is the number of the aborted build that it repeats, or 0. */
  public static final class Item {
    public long id;
    public String job;
    public Map<String, String> env = new TreeMap<>();
    public Map<String, Object> params = new TreeMap<>();
    public List<String> causes = new ArrayList<>();
    public String description;
    public long since;
    /** Milliseconds since 1970 at which its quiet period ends. */
    public long notBefore;
    public int rerunOf;
  }

  final Path home;
  final Plugins plugins;
  volatile Map<String, Object> casc;
  volatile Map<String, Job> jobs = Map.of();
  private final Map<String, TreeMap<Integer, Build>> builds = new ConcurrentHashMap<>();
  private final List<Item> queue = new ArrayList<>();
  private final Map<Long, Build> started = new ConcurrentHashMap<>();
  final Map<String, ReentrantLock> locks = new ConcurrentHashMap<>();
  private long nextQueueId = 1;
  private KubernetesClient kubernetes;
  volatile boolean stopping;

  Controller(Path home, Plugins plugins) {
    this(home, plugins, null);
  }

  /** @param kubernetes null: the one that the Pod's own account or KUBECONFIG names */
  Controller(Path home, Plugins plugins, KubernetesClient kubernetes) {
    this.home = home;
    this.plugins = plugins;
    this.kubernetes = kubernetes;
  }

  // ---- configuration ----

  /**
   * Takes over a checked configuration, all of it or nothing. As in Jenkins, a reload adds and changes jobs and removes
   * none: one that is no longer declared stays as it was. Unlike there, it is gone after a restart.
   */
  synchronized void configure(Map<String, Object> tree) {
    List<String> scripts = Casc.listAt(tree, "jobs").stream().map(j -> (String) j.get("script")).toList();
    Map<String, Job> declared = JobDsl.run(scripts, plugins);
    for (Job job : declared.values())
      if (job.gitLabConnection != null && connections(tree).stream().noneMatch(c -> c.get("name").equals(job.gitLabConnection)))
        throw new BootError("pipelineJob '" + job.fullName + "': the GitLab connection '" + job.gitLabConnection + "' is not configured");
    for (Job job : declared.values()) if (!job.folder) builds.computeIfAbsent(job.fullName, this::loadBuilds);
    Map<String, Job> all = new LinkedHashMap<>(jobs);
    all.putAll(declared);
    casc = tree;
    jobs = all;
  }

  static List<Map<String, Object>> connections(Map<String, Object> tree) {
    List<Map<String, Object>> all = new ArrayList<>(Casc.listAt(Casc.at(tree, "unclassified.gitLabConnectionConfig"), "connections"));
    all.addAll(Casc.listAt(Casc.at(tree, "unclassified.gitlabconnectionconfig"), "connections"));
    return all;
  }

  /** Ends with a slash. */
  String rootUrl() {
    String url = (String) Casc.at(casc, "unclassified.location").getOrDefault("url", "http://localhost:8080/");
    return url.endsWith("/") ? url : url + "/";
  }

  // ---- agents ----

  private byte[] agentKey;

  /**
   * By what an agent proves its name: an HMAC of it (core: JnlpAgentReceiver.SLAVE_SECRET), whose key stays in the home. It
   * is nobody's password and no API token.
   */
  synchronized String agentSecret(String name) {
    try {
      if (agentKey == null) {
        Path file = home.resolve("secrets/jenkins.slaves.JnlpSlaveAgentProtocol.secret");
        if (!Files.exists(file)) {
          byte[] made = new byte[32];
          new SecureRandom().nextBytes(made);
          Files.createDirectories(file.getParent());
          Build.write(file, made);
        }
        agentKey = Files.readAllBytes(file);
      }
      Mac mac = Mac.getInstance("HmacSHA256");
      mac.init(new SecretKeySpec(agentKey, "HmacSHA256"));
      return HexFormat.of().formatHex(mac.doFinal(name.getBytes(StandardCharsets.UTF_8)));
    } catch (IOException | GeneralSecurityException e) {
      throw new IllegalStateException(e);
    }
  }

  /** Is that an agent of a build that runs? */
  boolean hasAgent(String name) {
    return jobs.keySet().stream().flatMap(job -> builds(job).stream()).anyMatch(build -> build.building && build.agents.contains(name));
  }

  /** Agents that there are, of all builds. */
  final Caps caps = new Caps();

  synchronized KubernetesClient kubernetes() {
    if (kubernetes == null) kubernetes = new KubernetesClientBuilder().build();
    return kubernetes;
  }

  /** The namespace that Jenkins itself runs in: its credentials' Secrets live there. */
  String ownNamespace() {
    String namespace = kubernetes().getConfiguration().getNamespace();
    return namespace == null ? "default" : namespace;
  }

  // ---- builds on disk ----

  Path jobFolder(String fullName) {
    return home.resolve("jobs/" + fullName.replace("/", "/jobs/"));
  }

  private TreeMap<Integer, Build> loadBuilds(String job) {
    TreeMap<Integer, Build> found = new TreeMap<>();
    Path folder = jobFolder(job).resolve("builds");
    if (!Files.isDirectory(folder)) return found;
    try (Stream<Path> list = Files.list(folder)) {
      for (Path one : list.filter(p -> Files.exists(p.resolve("build.json"))).toList()) {
        Build build = Build.read(one);
        found.put(build.number, build);
      }
    } catch (IOException e) {
      throw new BootError(folder + ": cannot be read: " + e.getMessage());
    }
    return found;
  }

  synchronized List<Build> builds(String job) {
    return new ArrayList<>(builds.getOrDefault(job, new TreeMap<>()).descendingMap().values());
  }

  synchronized Build build(String job, int number) {
    return builds.getOrDefault(job, new TreeMap<>()).get(number);
  }

  Build startedAs(long queueId) {
    return started.get(queueId);
  }

  private Path queueFile() {
    return home.resolve("queue.json");
  }

  private void saveQueue() {
    try {
      Build.write(queueFile(), Build.JSON.writeValueAsBytes(Map.of("next", nextQueueId, "items", queue)));
    } catch (IOException e) {
      throw new IllegalStateException(queueFile() + ": cannot be written: " + e.getMessage(), e);
    }
  }

  /** Reads the queue, ends what a former process left running and queues it again, once. */
  synchronized void recover() throws IOException {
    if (Files.exists(queueFile())) {
      var tree = Build.JSON.readTree(queueFile().toFile());
      nextQueueId = tree.path("next").asLong(1);
      queue.addAll(Build.JSON.convertValue(tree.path("items"), new TypeReference<List<Item>>() {}));
    }
    for (TreeMap<Integer, Build> of : builds.values())
      for (Build build : of.values()) {
        // The move from queue to build is two files: the build is written first.
        queue.removeIf(item -> item.id == build.queueId);
        started.put(build.queueId, build);
        nextQueueId = Math.max(nextQueueId, build.queueId + 1);
      }
    queue.removeIf(item -> !jobs.containsKey(item.job));
    List<Build> broken = builds.values().stream().flatMap(m -> m.values().stream()).filter(b -> b.building)
        .sorted(Comparator.comparingLong(b -> b.queueId)).toList();
    for (Build build : broken) {
      if (queue.stream().noneMatch(i -> i.job.equals(build.job) && i.rerunOf == build.number)) {
        Item item = new Item();
        item.id = nextQueueId++;
        item.job = build.job;
        item.env.putAll(build.env);
        item.params.putAll(build.params);
        item.causes.addAll(build.causes);
        item.causes.add("Run again: build #" + build.number + " was aborted by a restart of Jenkins");
        item.description = build.description;
        item.since = System.currentTimeMillis();
        item.rerunOf = build.number;
        queue.add(item);
      }
    }
    saveQueue();
    for (Build build : broken) {
      build.append("\nJenkins restarted: aborted, to be run again\nFinished: ABORTED\n");
      build.building = false;
      build.result = "ABORTED";
      build.duration = Math.max(0, System.currentTimeMillis() - build.timestamp);
      build.save();
      LOG.info(build.job + " #" + build.number + ": aborted, to be run again");
    }
    List<Build> leaky = builds.values().stream().flatMap(m -> m.values().stream()).filter(b -> !b.pods.isEmpty()).toList();
    if (!leaky.isEmpty()) new Thread(() -> leaky.forEach(b -> Pods.collect(this, b)), "pod-collector").start();
  }

  // ---- queue ----

  /** Seconds: the job's own, else Jenkins', else core's 5. The clock's builds do not wait (TimerTrigger). */
  int quietPeriod(Job job) {
    return job.quietPeriod != null ? job.quietPeriod : ((Number) Casc.at(casc, "jenkins").getOrDefault("quietPeriod", 5)).intValue();
  }

  /**
   * Whether a new build joins a waiting one, whose variables it then has: core's Queue asks the actions of both. Of the
   * gitlab-plugin's builds BranchQueueAction finds the same source branch, RevisionParameterAction (git) the same commit.
   */
  private static boolean joins(Item waiting, Map<String, String> env, Map<String, Object> params) {
    if (waiting.env.isEmpty() || env.isEmpty()) return waiting.env.equals(env) && waiting.params.equals(params);
    return Stream.of("gitlabSourceBranch", "gitlabMergeRequestLastCommit").allMatch(key -> Objects.equals(waiting.env.get(key), env.get(key)));
  }

  /**
   * Queues a build; one that asks for the same as a waiting one joins it.
   *
   * @param quietPeriod seconds that it waits at least
   */
  synchronized Item enqueue(Job job, Map<String, String> env, Map<String, Object> params, String cause, String description, int quietPeriod) {
    for (Item waiting : queue)
      if (waiting.job.equals(job.fullName) && joins(waiting, env, params)) {
        if (!waiting.causes.contains(cause)) waiting.causes.add(cause);
        saveQueue();
        return waiting;
      }
    Item item = new Item();
    item.id = nextQueueId++;
    item.job = job.fullName;
    item.env.putAll(env);
    item.params.putAll(params);
    item.causes.add(cause);
    item.description = description;
    item.since = System.currentTimeMillis();
    item.notBefore = item.since + quietPeriod * 1000L;
    queue.add(item);
    saveQueue();
    schedule();
    return item;
  }

  synchronized List<Item> queue() {
    return List.copyOf(queue);
  }

  synchronized boolean cancel(long id) {
    boolean removed = queue.removeIf(i -> i.id == id);
    if (removed) saveQueue();
    return removed;
  }

  String why(Item item) {
    Job job = jobs.get(item.job);
    if (job != null && job.disabled) return item.job + " is disabled";
    Build running = builds(item.job).stream().filter(b -> b.building).findFirst().orElse(null);
    return running == null ? "In the quiet period" : "Build #" + running.number + " is already in progress";
  }

  /** Queues the jobs whose schedule has this minute. */
  void due(Instant minute) {
    for (Job job : jobs.values())
      if (job.schedule != null && !job.disabled && job.schedule.at(minute)) {
        Map<String, Object> params = new TreeMap<>();
        for (Job.Parameter parameter : job.parameters) params.put(parameter.name(), parameter.defaultValue());
        enqueue(job, Map.of(), params, Timer.CAUSE, null, 0);
      }
  }

  /** Starts whatever may start. */
  synchronized void schedule() {
    if (stopping) return;
    for (Item item : List.copyOf(queue)) {
      Job job = jobs.get(item.job);
      if (job == null || job.disabled) continue;
      long wait = item.notBefore - System.currentTimeMillis();
      if (wait > 0) {
        CompletableFuture.delayedExecutor(wait, TimeUnit.MILLISECONDS).execute(this::schedule);
        continue;
      }
      List<Build> running = builds(item.job).stream().filter(b -> b.building).toList();
      if (job.disableConcurrent && !running.isEmpty()) {
        if (job.abortPrevious)
          running.forEach(b -> {
            PipelineRun run = b.run;
            if (run != null) run.interrupt(new FlowInterruptedException("NOT_BUILT", "Superseded by a newer build"));
          });
        continue;
      }
      start(job, item);
    }
  }

  private void start(Job job, Item item) {
    TreeMap<Integer, Build> of = builds.computeIfAbsent(job.fullName, this::loadBuilds);
    Build build = new Build();
    build.job = job.fullName;
    build.number = nextNumber(job, of);
    build.folder = jobFolder(job.fullName).resolve("builds/" + build.number);
    build.queueId = item.id;
    build.building = true;
    build.timestamped = Boolean.TRUE.equals(Casc.at(casc, "unclassified.timestamper").get("allPipelines"));
    build.timestamp = System.currentTimeMillis();
    build.env.putAll(item.env);
    build.params.putAll(item.params);
    build.causes.addAll(item.causes);
    build.description = item.description;
    build.save();
    of.put(build.number, build);
    started.put(item.id, build);
    queue.remove(item);
    saveQueue();
    build.run = new PipelineRun(this, job, build);
    Thread thread = new Thread(() -> {
      try {
        build.run.execute();
      } finally {
        rotate(job);
        build.run = null;
        schedule();
      }
    }, job.fullName + " #" + build.number);
    build.run.owner(thread);
    thread.start();
  }

  /** Numbers are never used twice, even after a build was rotated away. */
  private int nextNumber(Job job, TreeMap<Integer, Build> of) {
    Path file = jobFolder(job.fullName).resolve("nextBuildNumber");
    try {
      Files.createDirectories(file.getParent());
      int next = of.isEmpty() ? 1 : of.lastKey() + 1;
      if (Files.exists(file)) next = Math.max(next, Integer.parseInt(Files.readString(file).trim()));
      Build.write(file, (next + 1 + "\n").getBytes());
      return next;
    } catch (IOException | NumberFormatException e) {
      throw new IllegalStateException(file + ": " + e.getMessage(), e);
    }
  }

  private synchronized void rotate(Job job) {
    TreeMap<Integer, Build> of = builds.get(job.fullName);
    Build lastGood = of.descendingMap().values().stream().filter(b -> "SUCCESS".equals(b.result)).findFirst().orElse(null);
    long oldest = daysAgo(job.daysToKeep);
    long oldestArtifact = daysAgo(job.artifactDaysToKeep);
    List<Build> done = of.descendingMap().values().stream().filter(b -> !b.building).toList();
    for (int i = 0; i < done.size(); i++) {
      Build build = done.get(i);
      if (build == lastGood) continue;
      if (job.artifactNumToKeep > 0 && i >= job.artifactNumToKeep || build.timestamp < oldestArtifact) deleteTree(build.folder.resolve("archive"));
      boolean tooMany = job.numToKeep > 0 && i >= job.numToKeep;
      if (!(tooMany || build.timestamp < oldest)) continue;
      of.remove(build.number);
      started.remove(build.queueId);
      deleteTree(build.folder);
    }
  }

  private static long daysAgo(int days) {
    return days > 0 ? System.currentTimeMillis() - days * 86_400_000L : Long.MIN_VALUE;
  }

  static void deleteTree(Path folder) {
    if (!Files.exists(folder)) return;
    try (Stream<Path> walk = Files.walk(folder)) {
      for (Path path : walk.sorted(Comparator.reverseOrder()).toList()) Files.deleteIfExists(path);
    } catch (IOException e) {
      LOG.warning(folder + ": cannot be removed: " + e.getMessage());
    }
  }

  /**
   * The number of the last build of this commit, for this state of a merge request and this target branch; null when
   * there is none. The plugin looks for it in the git plugin's BuildData (BuildUtil): a job whose pipeline stands in its
   * definition checks out no source by `scm`, has none of the commit's, and so every commit of its is new.
   */
  Integer builtMergeRequest(Job job, String sha, String state, String target) {
    if (job.definition.remote() == null) return null;
    Map<String, String> wanted = new LinkedHashMap<>();
    wanted.put("gitlabMergeRequestLastCommit", sha);
    wanted.put("gitlabMergeRequestState", state);
    wanted.put("gitlabTargetBranch", target);
    wanted.put("gitlabActionType", "MERGE");
    for (Build build : builds(job.fullName)) if (build.env.entrySet().containsAll(wanted.entrySet())) return build.number;
    return null;
  }
}

package dev.switchyard.jenkins;

import dev.switchyard.jenkins.Pods.Agent;
import groovy.lang.Binding;
import groovy.lang.Closure;
import groovy.lang.GroovyObjectSupport;
import groovy.lang.MissingPropertyException;
import hudson.AbortException;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.codehaus.groovy.runtime.InvokerHelper;
import org.jenkinsci.plugins.workflow.steps.FlowInterruptedException;

/** The pipeline steps of one build. Each branch of `parallel` runs in its own thread with its own context. */
final class Steps {
  private static final ScheduledExecutorService CLOCK = new ScheduledThreadPoolExecutor(1, r -> {
    Thread thread = new Thread(r, "timeouts");
    thread.setDaemon(true);
    return thread;
  });
  /** Resources that are locked, and what others wait for, the oldest first; both under the first one's monitor. */
  private static final Set<String> LOCKED = new HashSet<>();
  private static final List<Set<String>> WAITING = new ArrayList<>();
  private static final String NO_NODE = "Required context class hudson.FilePath is missing\nPerhaps you forgot to surround the step with a step that provides this, such as: node";

  /** Parameters by step; the first one may be given alone. A trailing `!` is required. */
  private static final Map<String, List<String>> PARAMETERS = new HashMap<>();
  /** What is known to exist and refused on purpose. */
  private static final Map<String, String> REFUSED = Map.of(
      "gitlabCommitStatus", "the `delivery` CLI posts the statuses",
      "updateGitlabCommitStatus", "the `delivery` CLI posts the statuses",
      "acceptGitLabMR", "it sends no sha, so it can merge what was not tested; the `delivery` CLI merges by sha",
      "addGitLabMRComment", "the `delivery` CLI writes the note",
      "properties", "declare properties and triggers in Job DSL",
      "pipeline", "declarative pipelines are not covered; write a scripted one",
      "checkout", "not covered; clone with sh",
      "git", "not covered; clone with sh",
      "input", "not covered: nobody is there to answer",
      "build", "not covered: starting other jobs");

  static {
    String[] specs = {"echo message!", "error message!", "sh script! returnStdout returnStatus label encoding", "dir path!", "deleteDir", "pwd tmp",
        "readFile file! encoding", "writeFile file! text! encoding", "fileExists file!", "stash name! includes excludes allowEmpty useDefaultExcludes",
        "unstash name!", "archiveArtifacts artifacts! allowEmptyArchive fingerprint onlyIfSuccessful excludes defaultExcludes caseSensitive followSymlinks",
        "junit testResults! allowEmptyResults skipPublishingChecks skipMarkingBuildUnstable keepLongStdio checksName",
        "robot outputPath! outputFileName reportFileName logFileName passThreshold unstableThreshold onlyCritical otherFiles disableArchiveOutput countSkippedTests archiveDirName enableCache",
        "lock resource extra skipIfLocked", "timeout time! unit", "retry count!", "withCredentials bindings!", "withEnv overrides!", "stage name!",
        "catchError message buildResult stageResult catchInterruptions", "unstable message!", "warnError message! catchInterruptions",
        "milestone ordinal label", "sleep time! unit", "isUnix", "waitUntil initialRecurrencePeriod quiet", "timestamps", "library identifier!",
        "libraryResource resource! encoding", "node label", "container name!", "containerLog name! returnLog tailingLines sinceSeconds limitBytes",
        "podTemplate label name namespace cloud serviceAccount yaml yamls yamlMergeStrategy inheritFrom containers volumes envVars imagePullSecrets"
            + " podRetention showRawYaml idleMinutes instanceCap slaveConnectTimeout activeDeadlineSeconds nodeUsageMode nodeSelector runAsUser"
            + " runAsGroup annotations hostNetwork workingDir agentContainer agentInjection workspaceVolume",
        "string credentialsId! variable!", "usernamePassword credentialsId! usernameVariable! passwordVariable!",
        "usernameColonPassword credentialsId! variable!",
        "containerTemplate name! image! command args ttyEnabled alwaysPullImage workingDir envVars resourceRequestCpu resourceRequestMemory"
            + " resourceRequestEphemeralStorage resourceLimitCpu resourceLimitMemory resourceLimitEphemeralStorage runAsUser runAsGroup",
        "envVar key! value!", "emptyDirVolume mountPath! memory", "secretVolume mountPath! secretName! optional defaultMode",
        "configMapVolume mountPath! configMapName! optional"};
    for (String spec : specs) {
      String[] words = spec.split(" ");
      PARAMETERS.put(words[0], List.of(words).subList(1, words.length));
    }
  }

  /** What a body adds for the steps inside it. */
  private static final class Context {
    Scope scope;
    Agent agent;
    String container = "jnlp";
    String cwd;
    String prefix = "";
    List<String> env = List.of();
    Map<String, Object> template;
    String[] stage = {null};

    Context copy() {
      Context next = new Context();
      next.scope = scope;
      next.agent = agent;
      next.container = container;
      next.cwd = cwd;
      next.prefix = prefix;
      next.env = env;
      next.template = template;
      next.stage = stage;
      return next;
    }
  }

  private final Controller controller;
  private final Job job;
  private final Build build;
  private final PipelineRun run;
  private final ThreadLocal<Context> current = new ThreadLocal<>();
  private final List<String> secrets = new CopyOnWriteArrayList<>();
  private final Map<String, String> assigned = new ConcurrentHashMap<>();
  final List<Path> libraryRoots = new CopyOnWriteArrayList<>();
  private final Object env = new Env();
  private final Object currentBuild = new CurrentBuild();
  private final PipelineScript.Dsl dsl = new PipelineScript.Dsl(this);
  private Binding binding;
  private int milestone;

  Steps(Controller controller, Job job, Build build, Scope scope, PipelineRun run) {
    this.controller = controller;
    this.job = job;
    this.build = build;
    this.run = run;
    Context root = new Context();
    root.scope = scope;
    current.set(root);
  }

  void binding(Binding given) {
    binding = given;
  }

  /** The build is over: its stashes and libraries go, as in Jenkins. */
  void end() {
    Controller.deleteTree(build.folder.resolve("stashes"));
    Controller.deleteTree(build.folder.resolve("libs"));
  }

  @SuppressWarnings("unchecked")
  static <T extends Throwable> RuntimeException sneak(Throwable t) throws T {
    throw (T) t;
  }

  // ---- log ----

  void plain(String line) {
    String text = line;
    for (String secret : secrets) text = text.replace(secret, "****");
    build.append(text + "\n");
  }

  void log(String text) {
    Context context = current.get();
    String prefix = context == null ? "" : context.prefix;
    for (String line : text.split("\n", -1)) plain(prefix + line);
  }

  /** Masks and writes whole lines; a prompt without an end of line comes at close. */
  private final class LineLog extends OutputStream {
    private final ByteArrayOutputStream line = new ByteArrayOutputStream();
    private final String prefix = current.get().prefix;

    @Override
    public synchronized void write(int b) {
      if (b == '\n') {
        plain(prefix + line.toString(StandardCharsets.UTF_8));
        line.reset();
      } else line.write(b);
    }

    @Override
    public synchronized void write(byte[] bytes, int from, int length) {
      for (int i = from; i < from + length; i++) write(bytes[i]);
    }

    @Override
    public synchronized void close() {
      if (line.size() > 0) write('\n');
    }
  }

  // ---- calls ----

  /** What a bare name means when the script has no such variable. */
  Object global(String name) {
    switch (name) {
      case "env":
        return env;
      case "params":
        return new TreeMap<>(build.params);
      case "currentBuild":
        return currentBuild;
      case "steps":
        return dsl;
      default:
        Object var = run.vars().get(name);
        if (var != null) return var;
        String value = environment().get(name);
        if (value != null) return value;
        throw new MissingPropertyException("No such property: " + name + " for class: groovy.lang.Binding");
    }
  }

  Object call(String name, Object[] args) {
    Object var = run.vars().get(name);
    try {
      if (var != null) return InvokerHelper.invokeMethod(var, "call", args);
      if (binding != null && binding.hasVariable(name) && binding.getVariable(name) instanceof Closure<?> closure) return closure.call(args);
      current.get().scope.check();
      return step(name, args);
    } catch (Throwable t) {
      Throwable cause = PipelineRun.unwrap(t);
      if (cause instanceof InterruptedException && !(cause instanceof FlowInterruptedException)) {
        FlowInterruptedException why = current.get().scope.cause();
        if (why != null) cause = why;
      }
      throw sneak(cause);
    }
  }

  private Object step(String name, Object[] args) throws Exception {
    if (name.equals("parallel")) return parallel(args);
    if (REFUSED.containsKey(name)) throw new AbortException("Step '" + name + "' is refused by the stand-in: " + REFUSED.get(name));
    if (List.of("never", "always", "onFailure", "merge", "override").contains(name) && args.length == 0) return name;
    List<String> known = PARAMETERS.get(name);
    List<String> available = controller.plugins.availableSteps();
    if (known == null || !available.contains(name)) {
      String plugin = Plugins.STEPS.get(name);
      throw new NoSuchMethodError("No such DSL method '" + name + "' found among steps " + available
          + (plugin == null ? "" : " (it needs the plugin '" + plugin + "')"));
    }
    Map<String, Object> a = arguments(name, known, args);
    Closure<?> body = args.length > 0 && args[args.length - 1] instanceof Closure<?> c ? c : null;
    boolean takesBody = Set.of("dir", "lock", "timeout", "retry", "withCredentials", "withEnv", "stage", "catchError", "warnError", "waitUntil",
        "timestamps", "node", "container", "podTemplate").contains(name);
    if (takesBody && body == null) throw new AbortException("Step '" + name + "' needs a body");
    if (!takesBody && body != null) throw new AbortException("Step '" + name + "' takes no body");
    boolean quiet = Set.of("string", "usernamePassword", "usernameColonPassword", "containerTemplate", "envVar", "emptyDirVolume", "secretVolume",
        "configMapVolume").contains(name);
    if (!quiet) log("[Pipeline] " + name + (name.equals("stage") ? " ({ (" + a.get("name") + "))".replace("))", ")") : body == null ? "" : " {"));
    try {
      return execute(name, a, body);
    } finally {
      if (body != null) log("[Pipeline] // " + name);
    }
  }

  private static Map<String, Object> arguments(String name, List<String> known, Object[] args) throws AbortException {
    List<Object> given = new ArrayList<>(Arrays.asList(args));
    if (!given.isEmpty() && given.get(given.size() - 1) instanceof Closure) given.remove(given.size() - 1);
    if (given.size() > 1) throw new AbortException("Step '" + name + "' takes named parameters or one value, got " + given.size() + " values");
    Map<String, Object> out = new LinkedHashMap<>();
    if (given.size() == 1) {
      if (given.get(0) instanceof Map<?, ?> map) map.forEach((k, v) -> out.put(String.valueOf(k), v));
      else if (known.isEmpty()) throw new AbortException("Step '" + name + "' takes no parameter");
      else out.put(known.get(0).replace("!", ""), given.get(0));
    }
    Set<String> names = new TreeSet<>(known.stream().map(k -> k.replace("!", "")).toList());
    List<String> unknown = out.keySet().stream().filter(k -> !names.contains(k)).toList();
    if (!unknown.isEmpty()) throw new AbortException("Step '" + name + "': unknown parameter(s) " + String.join(", ", unknown) + "; known: " + String.join(", ", names));
    for (String each : known)
      if (each.endsWith("!") && out.get(each.replace("!", "")) == null) throw new AbortException("Step '" + name + "': parameter '" + each.replace("!", "") + "' is missing");
    out.replaceAll((k, v) -> v instanceof groovy.lang.GString g ? g.toString() : v);
    return out;
  }

  private static String text(Map<String, Object> a, String key) {
    Object value = a.get(key);
    return value == null ? null : String.valueOf(value);
  }

  private static boolean flag(Map<String, Object> a, String key, boolean otherwise) throws AbortException {
    Object value = a.get(key);
    if (value == null) return otherwise;
    if (value instanceof Boolean b) return b;
    throw new AbortException("parameter '" + key + "' takes true or false, got '" + value + "'");
  }

  private static double number(Map<String, Object> a, String key, double otherwise) throws AbortException {
    Object value = a.get(key);
    if (value == null) return otherwise;
    if (value instanceof Number n) return n.doubleValue();
    throw new AbortException("parameter '" + key + "' takes a number, got '" + value + "'");
  }

  private interface Change {
    void to(Context context);
  }

  private Object within(Change change, Closure<?> body, Object... args) {
    Context outer = current.get();
    Context inner = outer.copy();
    change.to(inner);
    current.set(inner);
    try {
      return body.call(args);
    } catch (Throwable t) {
      throw sneak(PipelineRun.unwrap(t));
    } finally {
      current.set(outer);
    }
  }

  private Object execute(String name, Map<String, Object> a, Closure<?> body) throws Exception {
    switch (name) {
      case "echo":
        log(text(a, "message"));
        return null;
      case "error":
        throw new AbortException(text(a, "message"));
      case "unstable":
        log("WARNING: " + text(a, "message"));
        build.worsen("UNSTABLE");
        return null;
      case "stage":
        return within(c -> c.stage = new String[] {text(a, "name")}, body);
      case "timestamps":
        return within(c -> { }, body);
      case "isUnix":
        agent();
        return true;
      case "sleep":
        sleep((long) (number(a, "time", 0) * unit(a, TimeUnit.SECONDS).toMillis(1)));
        return null;
      case "timeout":
        return timeout(a, body);
      case "retry":
        return retry((int) number(a, "count", 1), body);
      case "catchError":
        return catching(a, body, orDefault(text(a, "buildResult"), "FAILURE"), orDefault(text(a, "stageResult"), "FAILURE"));
      case "warnError":
        return catching(a, body, "UNSTABLE", "UNSTABLE");
      case "waitUntil":
        return waitUntil(a, body);
      case "lock":
        return lock(a, body);
      case "milestone":
        return milestone(a);
      case "withEnv":
        return withEnv(a, body);
      case "string", "usernamePassword", "usernameColonPassword", "envVar", "emptyDirVolume", "secretVolume", "configMapVolume":
        return Map.of(name, a);
      case "containerTemplate":
        return a;
      case "withCredentials":
        return withCredentials(a, body);
      case "podTemplate":
        return podTemplate(a, body);
      case "node":
        return node(text(a, "label"), body);
      case "container":
        return container(text(a, "name"), body);
      case "containerLog": {
        Agent on = agent();
        String logs = on.client().pods().inNamespace(on.namespace()).withName(on.pod()).inContainer(text(a, "name")).getLog();
        if (flag(a, "returnLog", false)) return logs;
        log(logs);
        return null;
      }
      case "dir": {
        agent();
        String path = resolve(text(a, "path"));
        return within(c -> c.cwd = path, body);
      }
      case "pwd":
        agent();
        return flag(a, "tmp", false) ? current.get().cwd + "@tmp" : current.get().cwd;
      case "deleteDir":
        file("rm -rf -- \"$1\"", null, current.get().cwd);
        return null;
      case "sh":
        return sh(a);
      case "readFile":
        return decode(read(resolve(text(a, "file"))), text(a, "encoding"));
      case "writeFile":
        write(resolve(text(a, "file")), encode(text(a, "text"), text(a, "encoding")));
        return null;
      case "fileExists":
        return file("[ -e \"$1\" ] && echo yes || echo no", null, resolve(text(a, "file"))).startsWith("yes");
      case "stash":
        return stash(a);
      case "unstash":
        return unstash(text(a, "name"));
      case "archiveArtifacts":
        return archive(a);
      case "junit":
        return junit(a);
      case "robot":
        return robot(a);
      case "library":
        run.loadLibrary(text(a, "identifier"), binding);
        return null;
      case "libraryResource":
        for (Path root : libraryRoots) {
          Path file = root.resolve("resources").resolve(text(a, "resource")).normalize();
          if (file.startsWith(root.resolve("resources")) && Files.isRegularFile(file)) return decode(Files.readAllBytes(file), text(a, "encoding"));
        }
        throw new AbortException("No such library resource " + text(a, "resource") + " could be found.");
      default:
        throw new IllegalStateException("step " + name + " has no implementation");
    }
  }

  private static String orDefault(String value, String otherwise) {
    return value == null ? otherwise : value;
  }

  // ---- flow ----

  private static TimeUnit unit(Map<String, Object> a, TimeUnit otherwise) throws AbortException {
    if (a.get("unit") == null) return otherwise;
    try {
      return TimeUnit.valueOf(text(a, "unit"));
    } catch (IllegalArgumentException e) {
      throw new AbortException("unit '" + a.get("unit") + "' is not one of " + Arrays.toString(TimeUnit.values()));
    }
  }

  private void sleep(long millis) throws InterruptedException {
    log("Sleeping for " + (millis % 1000 == 0 ? millis / 1000 + " sec" : millis + " ms"));
    Thread.sleep(millis);
  }

  private Object timeout(Map<String, Object> a, Closure<?> body) throws Exception {
    long millis = (long) (number(a, "time", 0) * unit(a, TimeUnit.MINUTES).toMillis(1));
    Scope scope = new Scope(current.get().scope);
    String prefix = current.get().prefix;
    Thread thread = Thread.currentThread();
    scope.enter(thread);
    log("Timeout set to expire in " + (millis % 1000 == 0 ? millis / 1000 + " sec" : millis + " ms"));
    ScheduledFuture<?> alarm = CLOCK.schedule(() -> {
      plain(prefix + "Cancelling nested steps due to timeout");
      scope.cancel(new FlowInterruptedException("ABORTED", "Timeout has been exceeded"));
    }, millis, TimeUnit.MILLISECONDS);
    try {
      Object value = within(c -> c.scope = scope, body);
      scope.check();
      return value;
    } finally {
      alarm.cancel(false);
      scope.leave(thread);
      if (scope.isCancelled() && current.get().scope.cause() == null) Thread.interrupted();
    }
  }

  private Object retry(int count, Closure<?> body) throws Exception {
    for (int left = count; ; left--) {
      try {
        return within(c -> { }, body);
      } catch (Throwable t) {
        // An abort ends the build; an inner timeout is a failure like any other.
        FlowInterruptedException outer = current.get().scope.cause();
        if (outer != null || left <= 1 || t instanceof FlowInterruptedException f && !f.getMessage().startsWith("Timeout")) throw sneak(t);
        log("ERROR: " + t.getMessage());
        log("Retrying");
      }
    }
  }

  private Object catching(Map<String, Object> a, Closure<?> body, String buildResult, String stageResult) throws Exception {
    for (String result : new String[] {buildResult, stageResult})
      if (!Build.knownResult(result)) throw new AbortException("'" + result + "' is no result");
    try {
      return within(c -> { }, body);
    } catch (Throwable t) {
      if (current.get().scope.cause() != null || t instanceof FlowInterruptedException && !flag(a, "catchInterruptions", true)) throw sneak(t);
      if (a.get("message") != null) log(text(a, "message"));
      log("ERROR: " + (t instanceof AbortException || t instanceof FlowInterruptedException ? t.getMessage() : t.toString()));
      if (!buildResult.equals("SUCCESS")) build.worsen(buildResult);
      return null;
    }
  }

  private Object waitUntil(Map<String, Object> a, Closure<?> body) throws Exception {
    long pause = (long) number(a, "initialRecurrencePeriod", 250);
    while (true) {
      Object value = within(c -> { }, body);
      if (!(value instanceof Boolean done)) throw new AbortException("body return value " + value + " is not boolean");
      if (done) return null;
      Thread.sleep(pause);
      pause = Math.min(pause * 6 / 5 + 1, 15_000);
    }
  }

  /**
   * All resources at once or none, made where they are not known; of those that wait, the oldest that can go on does. With
   * `skipIfLocked` nobody waits: the body is left out (lockable-resources-plugin, LockStepExecution.start and LockableResourcesManager.getNextQueuedContext).
   */
  private Object lock(Map<String, Object> a, Closure<?> body) throws Exception {
    Set<String> wanted = new LinkedHashSet<>();
    if (a.get("resource") != null) wanted.add(text(a, "resource"));
    for (Object extra : a.get("extra") instanceof List<?> list ? list : List.of()) {
      if (!(extra instanceof Map<?, ?> one) || !one.keySet().equals(Set.of("resource"))) throw new AbortException("lock: extra takes [resource: name] here, not " + extra);
      wanted.add(String.valueOf(one.get("resource")));
    }
    if (wanted.isEmpty()) throw new AbortException("lock: resource or extra must be given");
    String told = "[" + wanted.stream().map(name -> "Resource: " + name).collect(Collectors.joining(", ")) + "]";
    log("Trying to acquire lock on " + told);
    synchronized (LOCKED) {
      WAITING.add(wanted);
      try {
        if (!isNext(wanted)) {
          boolean skips = flag(a, "skipIfLocked", false);
          log(told + " is locked, " + (skips ? "skipping execution..." : "waiting..."));
          if (skips) return null;
        }
        while (!isNext(wanted)) LOCKED.wait();
        LOCKED.addAll(wanted);
      } finally {
        WAITING.removeIf(one -> one == wanted);
        LOCKED.notifyAll();
      }
    }
    try {
      log("Lock acquired on " + told);
      return within(c -> { }, body);
    } finally {
      synchronized (LOCKED) {
        LOCKED.removeAll(wanted);
        LOCKED.notifyAll();
      }
      log("Lock released on resource " + told);
    }
  }

  private static boolean isNext(Set<String> wanted) {
    for (Set<String> older : WAITING) {
      if (older == wanted) return Collections.disjoint(LOCKED, wanted);
      if (Collections.disjoint(LOCKED, older) && !Collections.disjoint(older, wanted)) return false;
    }
    return false;
  }

  /** The highest milestone passed, by job: an older build that comes later is superseded. */
  private static final Map<String, TreeMap<Integer, Integer>> MILESTONES = new HashMap<>();

  private Object milestone(Map<String, Object> a) throws Exception {
    milestone = a.get("ordinal") == null ? milestone + 1 : (int) number(a, "ordinal", 0);
    synchronized (MILESTONES) {
      TreeMap<Integer, Integer> passed = MILESTONES.computeIfAbsent(job.fullName, k -> new TreeMap<>());
      int newest = passed.tailMap(milestone).values().stream().mapToInt(Integer::intValue).max().orElse(0);
      if (newest > build.number) throw new FlowInterruptedException("NOT_BUILT", "Superseded by " + job.fullName + " #" + newest);
      passed.merge(milestone, build.number, Math::max);
    }
    log("Passed milestone " + milestone);
    return null;
  }

  private Object parallel(Object[] args) throws Exception {
    if (args.length != 1 || !(args[0] instanceof Map<?, ?> given)) throw new AbortException("parallel takes a map of named closures");
    boolean failFast = false;
    Map<String, Closure<?>> branches = new LinkedHashMap<>();
    for (var entry : given.entrySet()) {
      String name = String.valueOf(entry.getKey());
      if (name.equals("failFast") && entry.getValue() instanceof Boolean b) failFast = b;
      else if (entry.getValue() instanceof Closure<?> closure) branches.put(name, closure);
      else throw new AbortException("parallel: branch '" + name + "' is no closure");
    }
    log("[Pipeline] parallel");
    Context outer = current.get();
    Map<String, Object> results = new ConcurrentHashMap<>();
    Map<String, Throwable> failures = new LinkedHashMap<>();
    Map<String, Scope> scopes = new LinkedHashMap<>();
    List<Thread> threads = new ArrayList<>();
    boolean stopOthers = failFast;
    branches.keySet().forEach(name -> scopes.put(name, new Scope(outer.scope)));
    branches.forEach((name, body) -> {
      Thread thread = new Thread(() -> {
        Context inner = outer.copy();
        inner.scope = scopes.get(name);
        inner.prefix = "[" + name + "] ";
        current.set(inner);
        try {
          inner.scope.check();
          Object value = body.call();
          if (value != null) results.put(name, value);
        } catch (Throwable t) {
          Throwable cause = PipelineRun.unwrap(t);
          synchronized (failures) {
            failures.putIfAbsent(name, cause);
          }
          log("Failed in branch " + name);
          if (stopOthers) scopes.forEach((other, scope) -> {
            if (!other.equals(name)) scope.cancel(new FlowInterruptedException("ABORTED", "Failed in branch " + name));
          });
        } finally {
          inner.scope.end(Thread.currentThread());
          current.remove();
        }
      }, Thread.currentThread().getName() + " [" + name + "]");
      scopes.get(name).enter(thread);
      threads.add(thread);
    });
    threads.forEach(Thread::start);
    // An abort reaches every branch through its scope, so waiting for them is enough.
    boolean interrupted = false;
    for (Thread thread : threads) {
      while (thread.isAlive()) {
        try {
          thread.join();
        } catch (InterruptedException e) {
          interrupted = true;
        }
      }
    }
    if (interrupted) outer.scope.check();
    log("[Pipeline] // parallel");
    if (!failures.isEmpty()) {
      // The first real failure, not one that failFast caused.
      Throwable first = failures.values().stream().filter(t -> !(t instanceof FlowInterruptedException)).findFirst()
          .orElse(failures.values().iterator().next());
      throw sneak(first);
    }
    Map<String, Object> ordered = new LinkedHashMap<>();
    branches.keySet().forEach(name -> ordered.put(name, results.get(name)));
    return ordered;
  }

  // ---- environment ----

  /** Jenkins's variables, the hook's, the job's, the parameters, `env.X = …`, then `withEnv`. */
  private Map<String, String> environment() {
    Map<String, String> e = new TreeMap<>();
    for (Map<String, Object> property : Casc.listAt(Casc.at(controller.casc, "jenkins"), "globalNodeProperties"))
      for (Map<String, Object> pair : Casc.listAt(Casc.at(property, "envVars"), "env")) e.put((String) pair.get("key"), (String) pair.get("value"));
    String root = controller.rootUrl();
    e.put("CI", "true");
    e.put("JENKINS_URL", root);
    e.put("HUDSON_URL", root);
    e.put("JENKINS_HOME", controller.home.toString());
    e.put("BUILD_NUMBER", String.valueOf(build.number));
    e.put("BUILD_ID", String.valueOf(build.number));
    e.put("BUILD_DISPLAY_NAME", build.title());
    e.put("BUILD_TAG", "jenkins-" + job.fullName.replace('/', '-') + "-" + build.number);
    e.put("BUILD_URL", root + job.urlPath() + build.number + "/");
    e.put("JOB_NAME", job.fullName);
    e.put("JOB_BASE_NAME", job.name());
    e.put("JOB_URL", root + job.urlPath());
    e.put("JOB_DISPLAY_URL", root + job.urlPath());
    e.put("RUN_DISPLAY_URL", root + job.urlPath() + build.number + "/");
    e.putAll(job.environment);
    e.putAll(build.env);
    build.params.forEach((k, v) -> e.put(k, String.valueOf(v)));
    e.putAll(assigned);
    Context context = current.get();
    if (context == null) return e;
    if (context.agent != null) {
      e.put("WORKSPACE", workspace());
      e.put("WORKSPACE_TMP", workspace() + "@tmp");
      e.put("NODE_NAME", context.agent.pod());
      e.put("NODE_LABELS", context.agent.nodeLabels() + " " + context.agent.pod());
      e.put("EXECUTOR_NUMBER", "0");
    }
    for (String pair : context.env) {
      String key = pair.substring(0, pair.indexOf('='));
      String value = pair.substring(pair.indexOf('=') + 1);
      e.put(key, value);
    }
    return e;
  }

  private static final Pattern REFERENCE = Pattern.compile("\\$\\{([A-Za-z_][A-Za-z0-9_]*)}|\\$([A-Za-z_][A-Za-z0-9_]*)");

  static String expand(String text, Map<String, String> env) {
    Matcher matcher = REFERENCE.matcher(text);
    StringBuilder out = new StringBuilder();
    while (matcher.find()) {
      String name = matcher.group(1) != null ? matcher.group(1) : matcher.group(2);
      matcher.appendReplacement(out, Matcher.quoteReplacement(env.getOrDefault(name, matcher.group())));
    }
    return matcher.appendTail(out).toString();
  }

  private Object withEnv(Map<String, Object> a, Closure<?> body) throws Exception {
    if (!(a.get("overrides") instanceof List<?> list)) throw new AbortException("withEnv takes a list of NAME=value");
    Map<String, String> env = environment();
    List<String> next = new ArrayList<>(current.get().env);
    for (Object each : list) {
      String pair = String.valueOf(each);
      if (pair.indexOf('=') < 1) throw new AbortException("withEnv: '" + pair + "' is not NAME=value");
      next.add(pair.substring(0, pair.indexOf('=') + 1) + expand(pair.substring(pair.indexOf('=') + 1), env));
    }
    return within(c -> c.env = next, body);
  }

  @SuppressWarnings("unchecked")
  private Object withCredentials(Map<String, Object> a, Closure<?> body) throws Exception {
    if (!(a.get("bindings") instanceof List<?> bindings)) throw new AbortException("withCredentials takes a list of bindings");
    Credentials credentials = new Credentials(controller);
    List<String> next = new ArrayList<>(current.get().env);
    List<String> hidden = new ArrayList<>();
    List<String> variables = new ArrayList<>();
    for (Object each : bindings) {
      if (!(each instanceof Map<?, ?> one) || one.size() != 1) throw new AbortException("withCredentials: '" + each + "' is no binding");
      var entry = ((Map<String, Map<String, Object>>) one).entrySet().iterator().next();
      Map<String, Object> b = entry.getValue();
      String id = text(b, "credentialsId");
      switch (entry.getKey()) {
        case "string" -> bind(next, hidden, variables, text(b, "variable"), credentials.text(id));
        case "usernamePassword" -> {
          Credentials.Pair pair = credentials.usernamePassword(id);
          next.add(text(b, "usernameVariable") + "=" + pair.username());
          variables.add("$" + text(b, "usernameVariable"));
          bind(next, hidden, variables, text(b, "passwordVariable"), pair.password());
        }
        case "usernameColonPassword" -> {
          Credentials.Pair pair = credentials.usernamePassword(id);
          hidden.add(pair.password());
          bind(next, hidden, variables, text(b, "variable"), pair.username() + ":" + pair.password());
        }
        default -> throw new AbortException("withCredentials: binding '" + entry.getKey() + "' is not covered");
      }
    }
    log("Masking supported pattern matches of " + String.join(" or ", variables));
    // Masked to the end of the build: another branch may still print it.
    for (String value : hidden) {
      if (value.isEmpty()) continue;
      secrets.add(value);
      value.lines().filter(l -> l.length() > 3).forEach(secrets::add);
      secrets.add(Base64.getEncoder().withoutPadding().encodeToString(value.getBytes(StandardCharsets.UTF_8)));
    }
    secrets.sort((x, y) -> y.length() - x.length());
    return within(c -> c.env = next, body);
  }

  private static void bind(List<String> env, List<String> hidden, List<String> variables, String variable, String value) {
    env.add(variable + "=" + value);
    hidden.add(value);
    variables.add("$" + variable);
  }

  // ---- agents ----

  private Map<String, Object> cloud(String name) throws AbortException {
    List<Map<String, Object>> clouds = Casc.listAt(Casc.at(controller.casc, "jenkins"), "clouds").stream().map(c -> Casc.at(c, "kubernetes")).toList();
    for (Map<String, Object> cloud : clouds) if (name == null || name.equals(cloud.get("name"))) return cloud;
    throw new AbortException(name == null ? "No Kubernetes cloud was found." : "Cloud does not exist: " + name);
  }

  private Map<String, Object> configured(Map<String, Object> cloud, String name) throws AbortException {
    for (Map<String, Object> template : Casc.listAt(cloud, "templates"))
      if (name.equals(template.get("name")) || List.of(orDefault((String) template.get("label"), "").split("\\s+")).contains(name)) return template;
    throw new AbortException("podTemplate inheritFrom: no template '" + name + "'");
  }

  private Object podTemplate(Map<String, Object> a, Closure<?> body) throws Exception {
    Map<String, Object> cloud = cloud(text(a, "cloud"));
    Map<String, Object> template = new LinkedHashMap<>(a);
    template.put("cloud", cloud.get("name"));
    if (a.get("imagePullSecrets") instanceof List<?> list) template.put("imagePullSecrets", list.stream().map(s -> Map.of("name", String.valueOf(s))).toList());
    if (a.get("yamls") instanceof List<?> list) template.put("yamls", list.stream().map(String::valueOf).toList());
    template.replaceAll((key, value) -> deepStrings(value));
    String inherit = text(a, "inheritFrom");
    Map<String, Object> parent = current.get().template != null && inherit == null ? current.get().template : Map.of();
    if (inherit != null) for (String name : inherit.trim().split("\\s+")) if (!name.isEmpty()) parent = Pods.inherit(parent, configured(cloud, name));
    Map<String, Object> merged = Pods.inherit(parent, template);
    merged.remove("inheritFrom");
    String label = orDefault(text(a, "label"), Pods.labelValue(job.fullName.replace('/', '_') + "_" + build.number) + "-" + Pods.random(5));
    merged.put("label", label);
    if (a.get("name") == null) merged.put("name", label.replaceAll("[^A-Za-z0-9-]", "-").toLowerCase());
    return within(c -> {
      c.template = merged;
      c.env = new ArrayList<>(c.env);
      c.env.add("POD_LABEL=" + label);
    }, body);
  }

  private static Object deepStrings(Object value) {
    if (value instanceof groovy.lang.GString g) return g.toString();
    if (value instanceof List<?> list) return list.stream().map(Steps::deepStrings).toList();
    if (value instanceof Map<?, ?> map) {
      Map<String, Object> out = new LinkedHashMap<>();
      map.forEach((k, v) -> out.put(String.valueOf(k), deepStrings(v)));
      return out;
    }
    return value;
  }

  /** Before another Pod is made for one that could not be; NodeProvisioner looks every ten seconds. */
  static long retryMillis = 5000;

  private Object node(String label, Closure<?> body) throws Exception {
    Map<String, Object> inner = current.get().template;
    Map<String, Object> template = null;
    Map<String, Object> cloud = null;
    if (inner != null && label != null && label.equals(inner.get("label"))) {
      template = inner;
      cloud = cloud((String) inner.get("cloud"));
    } else if (label != null && !label.isEmpty()) {
      for (Map<String, Object> each : Casc.listAt(Casc.at(controller.casc, "jenkins"), "clouds")) {
        Map<String, Object> candidate = Casc.at(each, "kubernetes");
        for (Map<String, Object> one : Casc.listAt(candidate, "templates"))
          if (List.of(orDefault((String) one.get("label"), "").split("\\s+")).contains(label) && template == null) {
            template = Pods.inherit(Map.of(), one);
            for (String parent : orDefault((String) one.get("inheritFrom"), "").trim().split("\\s+"))
              if (!parent.isEmpty()) template = Pods.inherit(configured(candidate, parent), template);
            cloud = candidate;
          }
      }
    }
    if (template == null)
      throw new AbortException(label == null || label.isEmpty()
          ? "node without a label: the controller has no executors, so Jenkins would wait for ever; name the label of a Pod template"
          : "There are no nodes with the label '" + label + "', so Jenkins would wait for ever");
    String prefix = orDefault((String) template.get("name"), "agent").toLowerCase().replaceAll("[^a-z0-9-]", "-").replaceAll("^-+|-+$", "");
    if (prefix.length() > 57) prefix = prefix.substring(0, 57).replaceAll("-+$", "");
    String namespace = orDefault(nonEmpty(template.get("namespace")), orDefault(nonEmpty(cloud.get("namespace")), controller.ownNamespace()));
    String runUrl = job.urlPath() + build.number + "/";
    int timeout = template.get("slaveConnectTimeout") instanceof Integer seconds && seconds > 0 ? seconds : 1000;
    String retention = orDefault((String) template.get("podRetention"), "default");
    if (retention.equals("default")) retention = orDefault((String) cloud.get("podRetention"), "never");
    String identity = orDefault((String) template.get("id"), label);
    boolean told = false;
    while (true) {
      try (Caps.Room room = controller.caps.take(orDefault((String) cloud.get("name"), ""), Caps.of(cloud, "containerCap"), identity,
          Caps.of(template, "instanceCap"), () -> log("Still waiting to schedule task: all agents that there may be are in use"))) {
        current.get().scope.check();
        String name = prefix + "-" + Pods.random(5);
        Map<String, Object> pod = Pods.pod(cloud, template, name, label, inner == template ? runUrl : null, controller.rootUrl());
        if (!Boolean.FALSE.equals(template.get("showRawYaml"))) log(new org.yaml.snakeyaml.Yaml(blockStyle()).dump(pod).stripTrailing());
        // After its yaml was shown: the plugin masks it there.
        Pods.give(pod, "JENKINS_SECRET", controller.agentSecret(name));
        boolean reaped = namespace.equals(orDefault(nonEmpty(cloud.get("namespace")), controller.ownNamespace()));
        return onAgent(Pods.start(controller.kubernetes(), namespace, pod, label, timeout, reaped, retention, build, this::log), body);
      } catch (Pods.Anew e) {
        log(e.getMessage());
      } catch (Pods.Later e) {
        // Once: each has another name in it.
        if (!told) log(e.getMessage());
        told = true;
      }
      Thread.sleep(retryMillis);
    }
  }

  /** Runs a body on an agent, whose Pod goes after it as its retention says. */
  private Object onAgent(Agent agent, Closure<?> body) throws Exception {
    boolean failed = true;
    build.agents.add(agent.pod());
    try {
      log("Running on " + agent.pod() + " in " + workspace());
      Object value = within(c -> {
        c.agent = agent;
        c.container = "jnlp";
        c.cwd = workspace();
      }, new Closure<Object>(this) {
        @Override
        public Object call(Object... args) {
          try {
            file("mkdir -p -- \"$1\" \"$1@tmp\"", null, workspace());
          } catch (Exception e) {
            throw sneak(e);
          }
          return body.call();
        }
      });
      failed = false;
      return value;
    } finally {
      build.agents.remove(agent.pod());
      boolean interrupted = Thread.interrupted();
      if (!controller.stopping && !agent.keep() && !(agent.keepOnFailure() && failed)) Pods.delete(agent.client(), agent.namespace(), agent.pod(), build);
      else if (!controller.stopping) {
        build.pods.remove(agent.namespace() + "/" + agent.pod());
        build.save();
      }
      if (interrupted) Thread.currentThread().interrupt();
    }
  }

  private static String nonEmpty(Object value) {
    return value instanceof String s && !s.isEmpty() ? s : null;
  }

  private static org.yaml.snakeyaml.DumperOptions blockStyle() {
    var options = new org.yaml.snakeyaml.DumperOptions();
    options.setDefaultFlowStyle(org.yaml.snakeyaml.DumperOptions.FlowStyle.BLOCK);
    return options;
  }

  private Object container(String name, Closure<?> body) throws Exception {
    Agent agent = agent();
    if (agent.sidecars().contains(name))
      throw new AbortException("container [" + name + "] is an init container of pod [" + agent.pod() + "]: container() cannot enter native sidecars");
    if (!agent.containers().contains(name)) throw new AbortException("container [" + name + "] does not exist in pod [" + agent.pod() + "]");
    return within(c -> c.container = name, body);
  }

  private Agent agent() throws AbortException {
    Agent agent = current.get().agent;
    if (agent == null) throw new AbortException(NO_NODE);
    return agent;
  }

  private String workspace() {
    return Pods.WORKING_DIR + "/workspace/" + job.fullName;
  }

  // ---- sh and files ----

  private String resolve(String path) throws AbortException {
    agent();
    return path.startsWith("/") ? path : current.get().cwd + "/" + path;
  }

  static String quote(String text) {
    return "'" + text.replace("'", "'\\''") + "'";
  }

  private Object sh(Map<String, Object> a) throws Exception {
    Agent agent = agent();
    boolean stdout = flag(a, "returnStdout", false);
    boolean status = flag(a, "returnStatus", false);
    if (stdout && status) throw new AbortException("You can't use both returnStdout and returnStatus");
    if (a.get("label") != null) log(text(a, "label"));
    Context context = current.get();
    String work = workspace() + "@tmp/durable-" + Pods.random(8);
    StringBuilder run = new StringBuilder("mkdir -p -- " + quote(work) + " " + quote(context.cwd) + " || exit 1\n");
    // The process leads its own group (runc starts it so): its id is what an abort kills.
    run.append("echo $$ > ").append(quote(work + "/pid")).append("\ncd -- ").append(quote(context.cwd)).append(" || exit 1\n");
    environment().forEach((key, value) -> {
      if (key.matches("[A-Za-z_][A-Za-z0-9_]*")) run.append("export ").append(key).append('=').append(quote(value)).append('\n');
      else if (key.matches("PATH\\+[A-Za-z0-9_]*")) run.append("export PATH=").append(quote(value)).append(":\"$PATH\"\n");
    });
    String script = text(a, "script");
    String delimiter = "EOF_" + Pods.random(12);
    run.append("cat > ").append(quote(work + "/script.sh")).append(" <<'").append(delimiter).append("'\n").append(script)
        .append(script.endsWith("\n") ? "" : "\n").append(delimiter).append("\n");
    String start = script.startsWith("#!") ? "chmod +x " + quote(work + "/script.sh") + "\nexec " + quote(work + "/script.sh")
        : "exec sh -xe " + quote(work + "/script.sh");
    run.append(start).append(" < /dev/null").append(stdout ? "" : " 2>&1").append("\n");
    byte[] bytes = run.toString().getBytes(StandardCharsets.UTF_8);
    // The text goes by standard input: an argument would be part of the request's URL, which is short and logged.
    String[] command = {"sh", "-c", "d=$(head -c " + bytes.length + "; printf x) && eval \"${d%x}\""};
    LineLog log = new LineLog();
    ByteArrayOutputStream captured = new ByteArrayOutputStream();
    int code;
    try {
      code = Pods.exec(agent, context.container, bytes, stdout ? captured : log, log, command);
    } catch (InterruptedException e) {
      kill(agent, context.container, work);
      throw e;
    } finally {
      log.close();
    }
    if (status) return code;
    if (code != 0) throw new AbortException("script returned exit code " + code);
    return stdout ? captured.toString(StandardCharsets.UTF_8) : null;
  }

  private void kill(Agent agent, String container, String work) throws IOException {
    Thread.interrupted();
    log("Sending interrupt signal to process");
    try {
      Pods.exec(agent, container, null, OutputStream.nullOutputStream(), OutputStream.nullOutputStream(), "sh", "-c",
          "p=$(cat \"$1\") && kill -TERM -- -$p; for i in 1 2 3 4 5 6 7 8 9 10; do kill -0 -- -$p 2>/dev/null || exit 0; sleep 0.5; done; kill -KILL -- -$p",
          "sh", work + "/pid");
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** File work goes through jnlp, as in the plugin: it is the agent's own view of the workspace. */
  private byte[] bytes(String script, byte[] input, String... args) throws IOException, InterruptedException {
    Agent agent = agent();
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    ByteArrayOutputStream err = new ByteArrayOutputStream();
    List<String> command = new ArrayList<>(List.of("sh", "-c", script, "sh"));
    command.addAll(List.of(args));
    int code = Pods.exec(agent, "jnlp", input, out, err, command.toArray(String[]::new));
    if (code != 0) {
      String reason = err.toString(StandardCharsets.UTF_8).strip();
      throw new AbortException(reason.isEmpty() ? "file operation failed with exit code " + code : reason);
    }
    return out.toByteArray();
  }

  private String file(String script, byte[] input, String... args) throws IOException, InterruptedException {
    return new String(bytes(script, input, args), StandardCharsets.UTF_8);
  }

  private byte[] read(String path) throws IOException, InterruptedException {
    return bytes("cat -- \"$1\"", null, path);
  }

  private void write(String path, byte[] content) throws IOException, InterruptedException {
    bytes("mkdir -p -- \"$(dirname \"$1\")\" && head -c " + content.length + " > \"$1\"", content, path);
  }

  private static Charset charset(String encoding) throws AbortException {
    if (encoding == null) return StandardCharsets.UTF_8;
    if (!Charset.isSupported(encoding)) throw new AbortException("encoding '" + encoding + "' is not known");
    return Charset.forName(encoding);
  }

  private static Object decode(byte[] content, String encoding) throws AbortException {
    if ("Base64".equals(encoding)) return Base64.getEncoder().encodeToString(content);
    return new String(content, charset(encoding));
  }

  private static byte[] encode(String text, String encoding) throws AbortException {
    return "Base64".equals(encoding) ? Base64.getDecoder().decode(text) : text.getBytes(charset(encoding));
  }

  private static final List<String> DEFAULT_EXCLUDES = List.of("**/*~", "**/.git", "**/.git/**", "**/.gitattributes", "**/.gitignore", "**/.gitmodules",
      "**/.svn", "**/.svn/**", "**/.DS_Store");

  /** Files of the current folder by comma-separated Ant patterns, relative, sorted. */
  private List<String> files(String includes, String excludes, boolean defaultExcludes) throws IOException, InterruptedException {
    List<String> included = Arrays.stream((includes == null || includes.isBlank() ? "**" : includes).split(",")).map(String::trim)
        .filter(i -> !i.isEmpty()).map(i -> i.replaceFirst("^\\./", "")).toList();
    String listing = file("[ -d \"$1\" ] || exit 0; cd -- \"$1\" && " + Stash.listing(included), null, current.get().cwd);
    List<Pattern> wanted = patterns(includes == null || includes.isBlank() ? "**" : includes);
    List<Pattern> unwanted = new ArrayList<>(patterns(excludes == null ? "" : excludes));
    if (defaultExcludes) DEFAULT_EXCLUDES.forEach(e -> unwanted.addAll(patterns(e)));
    return Arrays.stream(listing.split("\0")).filter(f -> !f.isEmpty()).map(f -> f.substring(2))
        .filter(f -> wanted.stream().anyMatch(p -> p.matcher(f).matches()) && unwanted.stream().noneMatch(p -> p.matcher(f).matches())).sorted().toList();
  }

  private static List<Pattern> patterns(String spec) {
    return Arrays.stream(spec.split(",")).map(String::trim).filter(s -> !s.isEmpty())
        .map(s -> Pattern.compile(GitLabHook.antPattern((s.endsWith("/") ? s + "**" : s).replaceFirst("^\\./", "")))).toList();
  }

  private byte[] tar(List<String> files) throws IOException, InterruptedException {
    byte[] list = String.join("\0", files).getBytes(StandardCharsets.UTF_8);
    return bytes("cd -- \"$1\" && head -c " + list.length + " | tar -cf - --null --no-recursion -T -", list, current.get().cwd);
  }

  private Path stashFile(String name) throws AbortException {
    if (!name.matches("[A-Za-z0-9._ -]+")) throw new AbortException("stash name '" + name + "' is not safe");
    return build.folder.resolve("stashes/" + name + ".tar");
  }

  private Object stash(Map<String, Object> a) throws Exception {
    List<String> files = files(text(a, "includes"), text(a, "excludes"), flag(a, "useDefaultExcludes", true));
    if (files.isEmpty() && !flag(a, "allowEmpty", false)) throw new AbortException("No files included in stash ‘" + text(a, "name") + "’");
    Path target = stashFile(text(a, "name"));
    Files.createDirectories(target.getParent());
    Files.write(target, files.isEmpty() ? new byte[0] : tar(files));
    log("Stashed " + files.size() + " file(s)");
    return null;
  }

  private Object unstash(String name) throws Exception {
    Path source = stashFile(name);
    if (!Files.exists(source)) throw new AbortException("No such saved stash ‘" + name + "’");
    byte[] content = Files.readAllBytes(source);
    if (content.length == 0) return null;
    Stash.Extraction extraction = Stash.extraction(name, content);
    byte[] script = extraction.script().getBytes(StandardCharsets.UTF_8);
    ByteArrayOutputStream input = new ByteArrayOutputStream();
    input.writeBytes(script);
    input.writeBytes(extraction.contents());
    // The text goes by standard input, and the contents after it.
    bytes("mkdir -p -- \"$1\" && cd -- \"$1\" && d=$(head -c " + script.length + "; printf x) && eval \"${d%x}\"", input.toByteArray(), current.get().cwd);
    return null;
  }

  private Object archive(Map<String, Object> a) throws Exception {
    log("Archiving artifacts");
    if (flag(a, "onlyIfSuccessful", false) && build.result != null && !build.result.equals("SUCCESS")) return null;
    List<String> files = files(text(a, "artifacts"), text(a, "excludes"), flag(a, "defaultExcludes", true));
    if (files.isEmpty()) {
      String message = "No artifacts found that match the file pattern \"" + text(a, "artifacts") + "\". Configuration error?";
      if (!flag(a, "allowEmptyArchive", false)) throw new AbortException(message);
      log(message);
      return null;
    }
    Path archive = build.folder.resolve("archive");
    for (String file : files) {
      Path target = archive.resolve(file).normalize();
      if (!target.startsWith(archive)) throw new AbortException("artifact '" + file + "' leaves the workspace");
      Files.createDirectories(target.getParent());
      Files.write(target, read(current.get().cwd + "/" + file));
    }
    return null;
  }

  // ---- reports ----

  private Object junit(Map<String, Object> a) throws Exception {
    log("Recording test results");
    List<String> files = files(text(a, "testResults"), null, true);
    if (files.isEmpty()) {
      String message = "No test report files were found. Configuration error?";
      if (!flag(a, "allowEmptyResults", false)) throw new AbortException(message);
      log("None of the test reports contained any result");
      return Map.of("totalCount", 0, "failCount", 0, "skipCount", 0, "passCount", 0);
    }
    List<Map<String, Object>> suites = new ArrayList<>();
    for (String file : files) suites.addAll(Reports.junit(file, read(current.get().cwd + "/" + file)));
    Map<String, Integer> counts = Reports.add(build, suites);
    if (counts.get("totalCount") == 0 && !flag(a, "allowEmptyResults", false)) throw new AbortException("None of the test reports contained any result");
    if (counts.get("failCount") > 0 && !flag(a, "skipMarkingBuildUnstable", false)) build.worsen("UNSTABLE");
    return counts;
  }

  private Object robot(Map<String, Object> a) throws Exception {
    log("Robot results publisher started...");
    String folder = resolve(text(a, "outputPath"));
    String output = orDefault(text(a, "outputFileName"), "output.xml");
    if (output.matches(".*[*?,].*")) throw new AbortException("robot: wildcards in outputFileName are not covered");
    if (!file("[ -f \"$1\" ] && echo yes || echo no", null, folder + "/" + output).startsWith("yes"))
      throw new AbortException("Robot: no output file " + output + " in " + text(a, "outputPath"));
    byte[] xml = read(folder + "/" + output);
    log("-Parsing output xml:");
    Map<String, Object> report = Reports.robot(output, xml);
    Path target = build.folder.resolve("robot-plugin");
    Files.createDirectories(target);
    for (String name : List.of(output, orDefault(text(a, "reportFileName"), "report.html"), orDefault(text(a, "logFileName"), "log.html")))
      if (file("[ -f \"$1\" ] && echo yes || echo no", null, folder + "/" + name).startsWith("yes")) Files.write(target.resolve(name), read(folder + "/" + name));
    log("-Copying log files to build dir:");
    synchronized (build) {
      build.robotReport = report;
      build.save();
    }
    log("-Assigning results to build:");
    int passed = (Integer) report.get("overallPassed");
    int of = passed + (Integer) report.get("overallFailed") + (flag(a, "countSkippedTests", false) ? (Integer) report.get("overallSkipped") : 0);
    double percentage = Reports.percentage(passed, of);
    if (percentage < number(a, "unstableThreshold", 0)) build.worsen("FAILURE");
    else if (percentage < number(a, "passThreshold", 0)) build.worsen("UNSTABLE");
    log("Done publishing Robot results.");
    return null;
  }

  // ---- globals ----

  /** `env`: reads what a step would see; an assignment holds for the rest of the build. */
  public final class Env extends GroovyObjectSupport {
    @Override
    public Object getProperty(String name) {
      return environment().get(name);
    }

    @Override
    public void setProperty(String name, Object value) {
      assigned.put(name, String.valueOf(value));
    }

    public Object getAt(String name) {
      return getProperty(name);
    }

    public void putAt(String name, Object value) {
      setProperty(name, value);
    }

    public Map<String, String> getEnvironment() {
      return environment();
    }
  }

  /** `currentBuild`. */
  public final class CurrentBuild extends GroovyObjectSupport {
    @Override
    public Object getProperty(String name) {
      return switch (name) {
        case "result" -> build.result;
        case "currentResult" -> build.result == null ? "SUCCESS" : build.result;
        case "number" -> build.number;
        case "id" -> String.valueOf(build.number);
        case "displayName" -> build.title();
        case "fullDisplayName" -> job.fullName.replace("/", " » ") + " " + build.title();
        case "description" -> build.description;
        case "projectName" -> job.name();
        case "fullProjectName" -> job.fullName;
        case "absoluteUrl" -> controller.rootUrl() + job.urlPath() + build.number + "/";
        case "timeInMillis", "startTimeInMillis" -> build.timestamp;
        case "duration" -> System.currentTimeMillis() - build.timestamp;
        case "durationString" -> (System.currentTimeMillis() - build.timestamp) / 1000 + " sec and counting";
        default -> throw new MissingPropertyException("No such property: " + name + " for class: currentBuild");
      };
    }

    @Override
    public void setProperty(String name, Object value) {
      switch (name) {
        case "result" -> {
          if (!Build.knownResult(String.valueOf(value))) throw sneak(new AbortException("'" + value + "' is no result"));
          build.worsen(String.valueOf(value));
        }
        case "displayName" -> build.displayName = String.valueOf(value);
        case "description" -> build.description = value == null ? null : String.valueOf(value);
        default -> throw new MissingPropertyException("No such property: " + name + " for class: currentBuild");
      }
      build.save();
    }

    public boolean resultIsBetterOrEqualTo(String other) {
      return !worse(other, false);
    }

    public boolean resultIsWorseOrEqualTo(String other) {
      return worse(other, true);
    }

    private boolean worse(String other, boolean orEqual) {
      List<String> order = List.of("SUCCESS", "UNSTABLE", "FAILURE", "NOT_BUILT", "ABORTED");
      int mine = order.indexOf(build.result == null ? "SUCCESS" : build.result);
      return orEqual ? mine >= order.indexOf(other) : mine > order.indexOf(other);
    }
  }
}

package dev.switchyard.library;

import com.cloudbees.groovy.cps.Continuable;
import com.cloudbees.groovy.cps.Continuation;
import com.cloudbees.groovy.cps.CpsTransformer;
import com.cloudbees.groovy.cps.Envs;
import com.cloudbees.groovy.cps.Outcome;
import com.cloudbees.groovy.cps.impl.CpsCallableInvocation;
import com.cloudbees.groovy.cps.impl.CpsClosure;
import groovy.lang.Binding;
import groovy.lang.GroovyClassLoader;
import groovy.lang.GroovyCodeSource;
import groovy.lang.GroovyObjectSupport;
import groovy.lang.Script;
import hudson.AbortException;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.ObjectInputStream;
import java.io.ObjectOutputStream;
import java.io.ObjectStreamClass;
import java.io.Serializable;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.codehaus.groovy.control.CompilerConfiguration;
import org.codehaus.groovy.runtime.InvokerHelper;
import org.jenkinsci.plugins.workflow.steps.FlowInterruptedException;

/**
 * Runs the shared library as Jenkins does: transformed by groovy-cps, suspended at every step, and at every suspension
 * written and read again, as before a restart of Jenkins. Branches of `parallel` take turns by a seed.
 *
 * Steps only note what they were asked for; what they answer is the {@link World}'s.
 */
final class Engine {
  private static final long NEVER = Long.MAX_VALUE;
  private static final Path VARS = Path.of("..", "..", "delivery", "library", "vars");
  private static final ThreadLocal<Engine> RUNNING = new ThreadLocal<>();

  static Engine running() {
    return RUNNING.get();
  }

  /** A body that runs inside a step, or the job's script itself. */
  private static final class Frame implements Serializable {
    private static final long serialVersionUID = 1;
    final Continuable program;
    final Step step;
    /** Of a time-out: the second at which it ends its body. */
    long deadline = NEVER;
    /** Files of a node, by their paths. */
    final Map<String, String> files = new LinkedHashMap<>();

    Frame(Continuable program, Step step) {
      this.program = program;
      this.step = step;
    }
  }

  /** The script, or a branch of `parallel`. */
  private static final class Strand implements Serializable {
    private static final long serialVersionUID = 1;
    final Deque<Frame> frames = new ArrayDeque<>();
    final Strand parent;
    final List<Strand> branches = new ArrayList<>();
    boolean failFast;
    /** What the next turn begins with; null while it waits for its branches or a lock. */
    Outcome next = new Outcome(null, null);
    Step waiting;
    /** What it waits for with time: an agent, a pause, a command that does not end. */
    Step asleep;
    /** The second at which that is there. */
    long wakes = NEVER;
    Throwable failure;
    boolean ended;

    Strand(Strand parent) {
      this.parent = parent;
    }

    /** Frames from the innermost outwards, its parents' too. */
    Stream<Frame> inside() {
      return Stream.concat(frames.stream(), parent == null ? Stream.empty() : parent.inside());
    }
  }

  private static final class State implements Serializable {
    private static final long serialVersionUID = 1;
    final List<Strand> strands = new ArrayList<>();
    final Set<String> locks = new HashSet<>();
    final Map<String, Map<String, String>> stashes = new LinkedHashMap<>();
    final Map<String, Script> vars = new LinkedHashMap<>();
    String result = "SUCCESS";
    /** Seconds since the beginning. Only waiting takes time. */
    long now;
  }

  private final World world;
  private final Random turns;
  private final Map<String, String> environment;
  /** Compiles each script once. */
  private static final GroovyClassLoader LOADER = transforming();
  private final List<String> trace = new ArrayList<>();
  private final List<String> agents = new ArrayList<>();
  private State state = new State();
  private Strand current;
  private int suspensions;

  private Engine(World world, long seed, Map<String, String> environment) {
    this.world = world;
    this.turns = new Random(seed);
    this.environment = environment;
  }

  private static GroovyClassLoader transforming() {
    CompilerConfiguration configuration = new CompilerConfiguration();
    configuration.setScriptBaseClass(VarScript.class.getName());
    configuration.addCompilationCustomizers(new CpsTransformer());
    return new GroovyClassLoader(Engine.class.getClassLoader(), configuration);
  }

  /** How a run ended, and all that it did. */
  record Run(String result, Throwable error, List<String> trace, List<String> agents, int suspensions, long seconds) {
    /** Commands in their order, without where they ran. */
    List<String> commands() {
      return trace.stream().filter(line -> line.contains("$ ")).map(line -> line.substring(line.indexOf("$ ") + 2)).toList();
    }
  }

  static Run run(String script, Map<String, String> environment, World world, long seed) throws Exception {
    Engine engine = new Engine(world, seed, environment);
    RUNNING.set(engine);
    try {
      return engine.run(script);
    } finally {
      RUNNING.remove();
    }
  }

  private Run run(String text) throws Exception {
    Script script = script(text, "Job" + Integer.toHexString(text.hashCode()));
    Strand main = new Strand(null);
    main.frames.push(new Frame(new Continuable(script), null));
    state.strands.add(main);
    while (true) {
      List<Strand> ready = state.strands.stream().filter(strand -> strand.next != null).toList();
      if (ready.isEmpty()) {
        if (pass()) continue;
        break;
      }
      current = ready.get(turns.nextInt(ready.size()));
      turn(current);
      restart();
    }
    Strand ended = state.strands.get(0);
    if (!ended.ended) throw new AssertionError("stands still: " + String.join("\n", trace));
    if (!state.locks.isEmpty()) throw new AssertionError("kept: " + state.locks);
    String result = ended.failure == null ? state.result : ended.failure instanceof FlowInterruptedException aborted ? aborted.getResult() : "FAILURE";
    return new Run(result, ended.failure, trace, agents, suspensions, state.now);
  }

  private Script script(String text, String name) throws Exception {
    Class<?> type = LOADER.parseClass(new GroovyCodeSource(text, name + ".groovy", "/library"), true);
    return InvokerHelper.createScript(type, new Binding());
  }

  /** As after a restart of Jenkins: nothing is left but what was written. */
  private void restart() throws IOException, ClassNotFoundException {
    suspensions++;
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (ObjectOutputStream out = new ObjectOutputStream(bytes)) {
      out.writeObject(state);
    }
    try (ObjectInputStream in = new ObjectInputStream(new ByteArrayInputStream(bytes.toByteArray())) {
      @Override
      protected Class<?> resolveClass(ObjectStreamClass type) throws ClassNotFoundException {
        return Class.forName(type.getName(), false, LOADER);
      }
    }) {
      state = (State) in.readObject();
    }
  }

  /** Time goes by until somebody can go on, or a time-out ends something. @return false when nobody waits for that */
  private boolean pass() throws Exception {
    List<Strand> asleep = state.strands.stream().filter(strand -> strand.asleep != null).toList();
    if (asleep.isEmpty()) return false;
    long next = Stream.concat(asleep.stream().map(strand -> strand.wakes),
        state.strands.stream().flatMap(strand -> strand.frames.stream()).map(frame -> frame.deadline)).min(Long::compare).orElse(NEVER);
    if (next == NEVER) {
      Strand stuck = asleep.get(0);
      // For ever, and with it its first agent; an outermost one that cannot start waits alone.
      if (stuck.inside().anyMatch(frame -> frame.step != null && Set.of("node", "lock").contains(frame.step.name)))
        throw new AssertionError("waits for ever for " + stuck.asleep.name + ": " + String.join("\n", trace));
      interrupt(stuck, new FlowInterruptedException("ABORTED", "Aborted by a person"));
      return true;
    }
    state.now = Math.max(state.now, next);
    for (Strand strand : asleep) {
      if (strand.wakes > next) continue;
      Step step = strand.asleep;
      strand.asleep = null;
      if (step.name.equals("node")) enter(strand, step);
      else if (step.name.equals("lock")) perform(strand, step);
      else if (step.name.equals("sh")) end(strand, step);
      else strand.next = new Outcome(null, null);
      return true;
    }
    for (Strand strand : state.strands)
      for (Frame frame : strand.frames) {
        if (frame.deadline > next) continue;
        frame.deadline = NEVER;
        interrupt(strand, new FlowInterruptedException("ABORTED", "Timeout has been exceeded"));
        return true;
      }
    throw new AssertionError("nobody is next");
  }

  private void sleep(Strand strand, Step step, long seconds) {
    strand.asleep = step;
    strand.wakes = seconds < 0 ? NEVER : state.now + seconds;
  }

  /** Goes on until the next step, or the end of a body. */
  private void turn(Strand strand) {
    Outcome with = strand.next;
    strand.next = null;
    Frame top = strand.frames.peek();
    Outcome outcome = top.program.run0(with);
    if (!top.program.isResumable()) {
      strand.frames.pop();
      finish(strand, top, outcome);
      return;
    }
    Step step = (Step) outcome.getNormal();
    try {
      perform(strand, step);
    } catch (Exception refused) {
      strand.next = new Outcome(null, refused);
    }
  }

  private void finish(Strand strand, Frame frame, Outcome outcome) {
    Outcome after = frame.step == null ? outcome : left(frame.step, outcome);
    if (!strand.frames.isEmpty()) {
      strand.next = after;
      return;
    }
    strand.ended = true;
    strand.failure = after.getAbnormal();
    Strand parent = strand.parent;
    if (parent == null) return;
    if (strand.failure != null && parent.failure == null) {
      parent.failure = strand.failure;
      if (parent.failFast) parent.branches.forEach(other -> interrupt(other, new FlowInterruptedException("ABORTED", "Failed in branch")));
    }
    if (parent.branches.stream().allMatch(branch -> branch.ended)) {
      state.strands.removeAll(parent.branches);
      parent.branches.clear();
      parent.next = new Outcome(null, parent.failure);
      parent.failure = null;
    }
  }

  /** Ends what a strand waits for, and what its branches do. */
  private static void interrupt(Strand strand, Throwable why) {
    if (strand.ended) return;
    if (!strand.branches.isEmpty()) {
      strand.branches.forEach(branch -> interrupt(branch, why));
      return;
    }
    strand.waiting = null;
    strand.asleep = null;
    strand.next = new Outcome(null, why);
  }

  /** What becomes of a body's end. */
  private Outcome left(Step step, Outcome outcome) {
    if (step.name.equals("lock")) {
      step.resources().forEach(state.locks::remove);
      trace.add("unlock " + String.join(" ", step.resources()));
      for (Strand other : state.strands) {
        if (other.waiting == null) continue;
        Step wanted = other.waiting;
        if (acquires(wanted)) {
          other.waiting = null;
          enter(other, wanted);
        }
      }
    }
    if (step.name.equals("catchError") && outcome.isFailure()) {
      state.result = step.text("buildResult");
      trace.add("caught: " + outcome.getAbnormal().getMessage());
      return new Outcome(null, null);
    }
    return outcome;
  }

  private void enter(Strand strand, Step step) {
    Frame frame = new Frame(bodyOf(step.body), step);
    if (step.name.equals("timeout")) frame.deadline = state.now + step.seconds("MINUTES");
    strand.frames.push(frame);
    strand.next = new Outcome(null, null);
  }

  private static Continuable bodyOf(CpsClosure body) {
    try {
      body.call();
    } catch (CpsCallableInvocation invocation) {
      return new Continuable(invocation.invoke(Envs.empty(), null, Continuation.HALT));
    }
    throw new AssertionError("the body of a step is not transformed");
  }

  private static final Set<String> BLOCKS = Set.of("node", "stage", "container", "timeout", "lock", "withEnv", "withCredentials", "podTemplate", "catchError", "dir");
  private static final Set<String> ON_A_NODE = Set.of("sh", "readFile", "writeFile", "fileExists", "stash", "unstash", "archiveArtifacts", "junit", "robot", "container", "dir", "pwd");

  private void perform(Strand strand, Step step) throws Exception {
    if (BLOCKS.contains(step.name) != (step.body != null) && !step.name.equals("parallel"))
      throw new IllegalArgumentException("Step '" + step.name + "' " + (step.body == null ? "needs a body" : "has no body"));
    if (ON_A_NODE.contains(step.name) && nodeOf(strand) == null)
      throw new IllegalStateException("Required context class hudson.FilePath is missing: " + step.name);
    if (step.name.equals("parallel")) branch(strand, step);
    else if (step.name.equals("node")) agent(strand, step);
    else if (step.name.equals("lock") && !acquires(step)) refuse(strand, step);
    else if (step.body != null) {
      if (step.name.equals("lock")) trace.add("lock " + String.join(" ", step.resources()));
      enter(strand, step);
    } else if (step.name.equals("sleep")) sleep(strand, step, step.seconds("SECONDS"));
    else if (step.name.equals("sh")) command(strand, step);
    else strand.next = new Outcome(answer(strand, step), null);
  }

  private boolean acquires(Step lock) {
    if (lock.resources().stream().anyMatch(name -> state.locks.contains(name) || world.lockedUntil(name, state.now) > state.now)) return false;
    state.strands.stream().map(strand -> strand.asleep).filter(step -> step != null && step.name.equals("node")).forEach(this::holdsWhileWaiting);
    state.locks.addAll(lock.resources());
    return true;
  }

  /** Whoever has the lock is waited for, unless the step says to go on without its body (lockable-resources, LockStepExecution). */
  private void refuse(Strand strand, Step lock) {
    if (lock.is("skipIfLocked")) {
      trace.add("skips " + String.join(" ", lock.resources()));
      strand.next = new Outcome(null, null);
      return;
    }
    trace.add("waits for the lock " + String.join(" ", lock.resources()));
    long free = lock.resources().stream().mapToLong(name -> world.lockedUntil(name, state.now)).max().orElse(0);
    if (free > state.now) sleep(strand, lock, free - state.now);
    else strand.waiting = lock;
  }

  /** Others would wait for as long as a Pod cannot start. */
  private void holdsWhileWaiting(Step agent) {
    throw new AssertionError("holds a lock while it waits for the agent " + agent.text("label") + ": " + String.join("\n", trace));
  }

  private void branch(Strand strand, Step step) {
    strand.failFast = step.is("failFast");
    step.parameters.forEach((name, body) -> {
      if (!(body instanceof CpsClosure closure)) return;
      Strand branch = new Strand(strand);
      branch.frames.push(new Frame(bodyOf(closure), null));
      strand.branches.add(branch);
      state.strands.add(branch);
    });
  }

  /** An agent that never starts is waited for until somebody ends that. */
  private void agent(Strand strand, Step step) {
    String label = step.text("label");
    if (!state.locks.isEmpty()) holdsWhileWaiting(step);
    agents.add(label + (credentialsOf(strand).isEmpty() ? "" : " with " + credentialsOf(strand)));
    long after = world.startsAfter(label);
    if (after == 0) {
      enter(strand, step);
      return;
    }
    trace.add("waits for an agent " + label);
    sleep(strand, step, after);
  }

  private void command(Strand strand, Step step) {
    World.Place place = placeOf(strand);
    String script = step.text("script");
    trace.add(place.agent() + "/" + place.container() + (place.credentials().isEmpty() ? "" : " " + place.credentials()) + "$ " + script);
    long takes = world.takes(script);
    if (takes > 0) sleep(strand, step, takes);
    else end(strand, step);
  }

  /** What comes of a command when its time is over. */
  private void end(Strand strand, Step step) {
    World.Place place = placeOf(strand);
    String script = step.text("script");
    int code = world.command(place, script);
    if (code == Scenario.DIES) strand.next = new Outcome(null, new AbortException("the agent " + place.agent() + " was removed"));
    else if (code < 0) {
      trace.add("waits for " + script);
      sleep(strand, step, -1);
    } else if (step.is("returnStatus")) strand.next = new Outcome(code, null);
    else if (code != 0) strand.next = new Outcome(null, new AbortException("script returned exit code " + code));
    else strand.next = new Outcome(null, null);
  }

  private Frame nodeOf(Strand strand) {
    return strand.inside().filter(frame -> frame.step != null && frame.step.name.equals("node")).findFirst().orElse(null);
  }

  private Set<String> credentialsOf(Strand strand) {
    return strand.inside()
        .filter(frame -> frame.step != null && frame.step.name.equals("withCredentials"))
        .flatMap(frame -> ((List<?>) frame.step.parameters.get("bindings")).stream())
        .map(binding -> String.valueOf(((Map<?, ?>) binding).get("credentialsId")))
        .collect(Collectors.toCollection(LinkedHashSet::new));
  }

  private World.Place placeOf(Strand strand) {
    Frame node = nodeOf(strand);
    String container = strand.inside().takeWhile(frame -> frame != node)
        .filter(frame -> frame.step != null && frame.step.name.equals("container")).map(frame -> frame.step.text("name")).findFirst().orElse("");
    Map<String, String> variables = new LinkedHashMap<>();
    strand.inside().filter(frame -> frame.step != null && frame.step.name.equals("withEnv"))
        .flatMap(frame -> ((List<?>) frame.step.parameters.get("overrides")).stream())
        .forEach(pair -> variables.putIfAbsent(pair.toString().split("=", 2)[0], pair.toString().split("=", 2)[1]));
    return new World.Place(node.step.text("label"), container, credentialsOf(strand), variables);
  }

  private String read(Strand strand, String path) {
    String own = nodeOf(strand).files.get(path);
    return own != null ? own : world.file(placeOf(strand), path);
  }

  private Object answer(Strand strand, Step step) throws Exception {
    switch (step.name) {
      case "echo" -> trace.add("echo " + step.text("message"));
      case "error" -> throw new AbortException(step.text("message"));
      case "unstable" -> {
        state.result = "UNSTABLE";
        trace.add("unstable " + step.text("message"));
      }
      case "fileExists" -> {
        return read(strand, step.text("file")) != null;
      }
      case "pwd" -> {
        return "/home/jenkins/agent/workspace/job";
      }
      case "readFile" -> {
        String text = read(strand, step.text("file"));
        if (text == null) throw new java.nio.file.NoSuchFileException(step.text("file"));
        return text;
      }
      case "writeFile" -> {
        nodeOf(strand).files.put(step.text("file"), step.text("text"));
        world.wrote(step.text("file"), step.text("text"));
        trace.add(nodeOf(strand).step.text("label") + " writes " + step.text("file"));
      }
      case "stash" -> {
        if (state.stashes.put(step.text("name"), new LinkedHashMap<>(nodeOf(strand).files)) != null && !REPLACED.contains(step.text("name")))
          throw new AssertionError("stashed twice: " + step.text("name"));
        trace.add("stash " + step.text("name") + " " + step.text("includes"));
      }
      case "unstash" -> {
        if (!state.stashes.containsKey(step.text("name"))) throw new AbortException("No such saved stash '" + step.text("name") + "'");
        trace.add(nodeOf(strand).step.text("label") + " unstashes " + step.text("name"));
      }
      case "archiveArtifacts", "junit", "robot" -> {
        trace.add(step.name);
        String fault = world.publishing(step.name);
        if (fault != null) throw new AbortException(fault);
      }
      default -> throw new AssertionError("no answer for " + step.name);
    }
    return null;
  }

  /** A second round of one build makes these anew. */
  private static final Set<String> REPLACED = Set.of("given", "build");

  /** A file of the library; null when there is none of that name. */
  private Script library(String name) throws Exception {
    Path file = VARS.resolve(name + ".groovy");
    if (!Files.exists(file)) return null;
    if (!state.vars.containsKey(name)) state.vars.put(name, script(Files.readString(file), name));
    return state.vars.get(name);
  }

  /** What a script calls and does not define. */
  Object call(String name, Object[] arguments) {
    try {
      Script var = library(name);
      if (var != null) return InvokerHelper.getMetaClass(var).invokeMethod(var, "call", arguments);
      if (Step.isBinding(name)) return Step.binding(name, arguments);
      return Continuable.suspend(Step.of(name, arguments));
    } catch (RuntimeException | Error thrown) {
      throw thrown;
    } catch (Exception broken) {
      throw new IllegalStateException(broken);
    }
  }

  /** A global variable, or one of the build's environment. */
  Object global(String name, RuntimeException missing) {
    if (name.equals("env")) return new Variables();
    if (name.equals("currentBuild")) return new CurrentBuild();
    try {
      Script var = library(name);
      if (var != null) return var;
    } catch (Exception broken) {
      throw new IllegalStateException(broken);
    }
    if (!name.equals("POD_LABEL")) throw missing;
    Step template = current.inside().map(frame -> frame.step).filter(step -> step != null && step.name.equals("podTemplate")).findFirst().orElseThrow(() -> missing);
    return template.text("inheritFrom").isEmpty() ? "test-pod" : template.text("inheritFrom") + " as " + template.text("serviceAccount");
  }

  private static final class Variables extends GroovyObjectSupport implements Serializable {
    private static final long serialVersionUID = 1;

    @Override
    public Object getProperty(String name) {
      return running().environment.get(name);
    }
  }

  private static final class CurrentBuild extends GroovyObjectSupport implements Serializable {
    private static final long serialVersionUID = 1;

    @Override
    public void setProperty(String name, Object value) {
      if (!name.equals("result")) throw new groovy.lang.ReadOnlyPropertyException(name, CurrentBuild.class);
      running().state.result = value.toString();
    }
  }
}

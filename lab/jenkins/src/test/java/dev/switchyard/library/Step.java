package dev.switchyard.library;

import com.cloudbees.groovy.cps.impl.CpsClosure;
import groovy.lang.GString;
import java.io.Serializable;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;

/** One call of a step, by the names of its parameters. Of a step that no plug-in of the image has, or with a parameter that it has not, none can be made. */
final class Step implements Serializable {
  private static final long serialVersionUID = 1;

  /** The parameter that may stand alone, then all others. Read in the `@DataBoundConstructor`s and `@DataBoundSetter`s of the steps. */
  private static final Map<String, List<String>> KNOWN = Map.ofEntries(
      // workflow-basic-steps
      Map.entry("echo", List.of("message")),
      Map.entry("error", List.of("message")),
      Map.entry("unstable", List.of("message")),
      Map.entry("catchError", List.of("", "buildResult", "catchInterruptions", "message", "stageResult")),
      Map.entry("fileExists", List.of("file")),
      Map.entry("readFile", List.of("file", "encoding")),
      Map.entry("writeFile", List.of("", "file", "text", "encoding")),
      Map.entry("stash", List.of("name", "allowEmpty", "excludes", "includes", "useDefaultExcludes")),
      Map.entry("unstash", List.of("name")),
      Map.entry("pwd", List.of("tmp")),
      Map.entry("dir", List.of("path")),
      Map.entry("sleep", List.of("time", "unit")),
      Map.entry("timeout", List.of("time", "activity", "unit")),
      Map.entry("withEnv", List.of("overrides")),
      Map.entry("archiveArtifacts", List.of("artifacts", "allowEmptyArchive", "caseSensitive", "defaultExcludes", "excludes", "fingerprint", "followSymlinks", "onlyIfSuccessful")),
      // workflow-durable-task-step, pipeline-stage-step, lockable-resources, credentials-binding
      Map.entry("node", List.of("label")),
      Map.entry("sh", List.of("script", "encoding", "label", "returnStatus", "returnStdout")),
      Map.entry("stage", List.of("name")),
      Map.entry("lock", List.of("resource", "extra", "inversePrecedence", "label", "quantity", "resourceSelectStrategy", "skipIfLocked", "variable")),
      Map.entry("withCredentials", List.of("bindings")),
      // kubernetes
      Map.entry("container", List.of("name", "shell")),
      Map.entry("podTemplate", List.of("", "cloud", "inheritFrom", "label", "name", "namespace", "serviceAccount", "showRawYaml", "yaml")),
      // junit, robot
      Map.entry("junit", List.of("testResults", "allowEmptyResults", "keepLongStdio", "skipMarkingBuildUnstable", "skipPublishingChecks")),
      Map.entry("robot", List.of("outputPath", "passThreshold", "unstableThreshold", "outputFileName", "reportFileName", "logFileName")));

  /** What `withCredentials` takes: no steps, so they do not suspend (credentials-binding, by their symbols). */
  private static final Map<String, Set<String>> BINDINGS = Map.of(
      "string", Set.of("credentialsId", "variable"),
      "usernamePassword", Set.of("credentialsId", "passwordVariable", "usernameVariable"));

  final String name;
  final Map<String, Object> parameters = new LinkedHashMap<>();
  CpsClosure body;

  private Step(String name) {
    this.name = name;
  }

  static boolean isBinding(String name) {
    return BINDINGS.containsKey(name);
  }

  static Map<String, Object> binding(String name, Object[] arguments) {
    Map<String, Object> binding = new LinkedHashMap<>();
    ((Map<?, ?>) arguments[0]).forEach((key, value) -> binding.put(key.toString(), plain(value)));
    if (!binding.keySet().equals(BINDINGS.get(name))) throw new IllegalArgumentException(name + " takes " + BINDINGS.get(name) + ", not " + binding.keySet());
    return binding;
  }

  static Step of(String name, Object[] arguments) {
    Step step = new Step(name);
    List<Object> given = new ArrayList<>(List.of(arguments));
    if (!given.isEmpty() && given.get(given.size() - 1) instanceof CpsClosure body) {
      step.body = body;
      given.remove(given.size() - 1);
    }
    if (given.size() > 1) throw new IllegalArgumentException("Step '" + name + "': expected named arguments, got " + given);
    Object only = given.isEmpty() ? null : given.get(0);
    if (name.equals("parallel")) {
      ((Map<?, ?>) only).forEach((key, value) -> step.parameters.put(key.toString(), value));
      return step;
    }
    List<String> known = KNOWN.get(name);
    if (known == null) throw new IllegalArgumentException("No such DSL method '" + name + "' found among steps " + KNOWN.keySet());
    if (only instanceof Map<?, ?> named) named.forEach((key, value) -> step.parameters.put(key.toString(), plain(value)));
    else if (only != null && known.get(0).isEmpty()) throw new IllegalArgumentException("Step '" + name + "': expected named arguments");
    else if (only != null) step.parameters.put(known.get(0), plain(only));
    for (String parameter : step.parameters.keySet())
      if (!known.contains(parameter)) throw new IllegalArgumentException("Step '" + name + "': unknown parameter(s) " + parameter);
    return step;
  }

  /** A text with values in it becomes a text, as Jenkins' steps coerce it. */
  private static Object plain(Object value) {
    if (value instanceof GString) return value.toString();
    if (value instanceof List<?> list) return new ArrayList<>(list.stream().map(Step::plain).toList());
    return value;
  }

  /** Resources of a lock: all at once, or none (lockable-resources, LockStep.getResources). */
  List<String> resources() {
    List<String> names = new ArrayList<>();
    if (parameters.containsKey("resource")) names.add(text("resource"));
    if (parameters.get("extra") instanceof List<?> extra)
      for (Object one : extra) {
        if (!(one instanceof Map<?, ?> resource) || !resource.keySet().equals(Set.of("resource"))) throw new IllegalArgumentException("lock: extra takes [resource: name], not " + one);
        names.add(resource.get("resource").toString());
      }
    return names;
  }

  String text(String parameter) {
    Object value = parameters.get(parameter);
    return value == null ? "" : value.toString();
  }

  /** Of `time` and `unit`. */
  long seconds(String unit) {
    Object given = parameters.get("unit");
    return TimeUnit.valueOf(given == null ? unit : given.toString()).toSeconds(((Number) parameters.get("time")).longValue());
  }

  boolean is(String parameter) {
    return Boolean.TRUE.equals(parameters.get(parameter));
  }
}

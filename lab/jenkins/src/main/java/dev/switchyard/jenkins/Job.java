package dev.switchyard.jenkins;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** A folder or a pipelineJob as Job DSL declared it. */
final class Job {
  /** A parameter; type is string, boolean, choice or text. */
  record Parameter(String type, String name, Object defaultValue, List<String> choices, String description) {
    Map<String, Object> json() {
      String kind = switch (type) {
        case "boolean" -> "BooleanParameterDefinition";
        case "choice" -> "ChoiceParameterDefinition";
        case "text" -> "TextParameterDefinition";
        default -> "StringParameterDefinition";
      };
      Map<String, Object> json = new LinkedHashMap<>();
      json.put("_class", "hudson.model." + kind);
      json.put("defaultParameterValue", Map.of("name", name, "value", defaultValue));
      json.put("description", description);
      json.put("name", name);
      json.put("type", kind);
      if (!choices.isEmpty()) json.put("choices", choices);
      return json;
    }
  }

  /** Where the Jenkinsfile comes from: a script, or a path in a git repository. */
  record Definition(String script, String remote, String credentialsId, String branch, String scriptPath) {}

  final String fullName;
  final boolean folder;
  String displayName;
  String description = "";
  boolean disabled;
  boolean disableConcurrent;
  boolean abortPrevious;
  int numToKeep = -1;
  int artifactNumToKeep = -1;
  int artifactDaysToKeep = -1;
  int daysToKeep = -1;
  /** Seconds that a build waits for others of the same kind; null: as Jenkins itself says. */
  Integer quietPeriod;
  String gitLabConnection;
  Map<String, Object> gitLabTrigger;
  /** When it starts by itself; null: never. */
  Cron schedule;
  Definition definition;
  final Map<String, String> environment = new LinkedHashMap<>();
  final List<Parameter> parameters = new ArrayList<>();

  Job(String fullName, boolean folder) {
    this.fullName = fullName;
    this.folder = folder;
  }

  String name() {
    return fullName.substring(fullName.lastIndexOf('/') + 1);
  }

  /** Empty for a top-level one. */
  String parent() {
    int slash = fullName.lastIndexOf('/');
    return slash < 0 ? "" : fullName.substring(0, slash);
  }

  /** `job/switchyard/job/orders/` */
  String urlPath() {
    return "job/" + fullName.replace("/", "/job/") + "/";
  }
}

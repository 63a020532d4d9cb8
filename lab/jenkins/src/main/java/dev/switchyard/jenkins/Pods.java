package dev.switchyard.jenkins;

import hudson.AbortException;
import io.fabric8.kubernetes.api.model.ContainerStatus;
import io.fabric8.kubernetes.api.model.Event;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.PodCondition;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientException;
import io.fabric8.kubernetes.client.dsl.ExecWatch;
import java.io.IOException;
import java.io.OutputStream;
import java.security.MessageDigest;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.function.Consumer;
import java.util.logging.Logger;
import java.util.stream.Stream;
import org.yaml.snakeyaml.LoaderOptions;
import org.yaml.snakeyaml.constructor.SafeConstructor;
import org.yaml.snakeyaml.error.YAMLException;

/** Agent Pods after the kubernetes plugin: template to Pod, waiting, exec, removal. */
final class Pods {
  static final String WORKING_DIR = "/home/jenkins/agent";
  /** The annotation by which the plugin finds the build of a Pod. */
  private static final String RUN_URL = "runUrl";
  private static final String LETTERS = "bcdfghjklmnpqrstvwxz0123456789";
  private static final SecureRandom RANDOM = new SecureRandom();
  private static final Logger LOG = Logger.getLogger("kubernetes");
  /** What the jnlp container runs in place of the remoting agent: it stays, and leaves at once on TERM. */
  private static final List<String> STAY = List.of("sh", "-c", "trap 'exit 0' TERM INT; while :; do sleep 3600 & wait $!; done");

  private Pods() {}

  /** A running agent Pod. */
  record Agent(KubernetesClient client, String namespace, String pod, String nodeLabels, Set<String> containers, Set<String> sidecars, boolean keep,
      boolean keepOnFailure) {}

  static String random(int length) {
    StringBuilder out = new StringBuilder();
    for (int i = 0; i < length; i++) out.append(LETTERS.charAt(RANDOM.nextInt(LETTERS.length())));
    return out.toString();
  }

  // ---- template to Pod ----

  @SuppressWarnings("unchecked")
  static Map<String, Object> parseYaml(String text, String where) throws AbortException {
    try {
      LoaderOptions options = new LoaderOptions();
      options.setAllowDuplicateKeys(false);
      Object parsed = new org.yaml.snakeyaml.Yaml(new SafeConstructor(options)).load(text);
      if (parsed == null) return new LinkedHashMap<>();
      if (parsed instanceof Map<?, ?> map) return (Map<String, Object>) map;
    } catch (YAMLException e) {
      throw new AbortException(where + ": broken YAML: " + e.getMessage().lines().findFirst().orElse(""));
    }
    throw new AbortException(where + ": is not a mapping");
  }

  /** Deep merge, `over` wins; lists of named things join by name (volumeMounts by mountPath), other lists are replaced. */
  @SuppressWarnings("unchecked")
  static Object combine(Object base, Object over) {
    if (base instanceof Map<?, ?> a && over instanceof Map<?, ?> b) {
      Map<String, Object> out = new LinkedHashMap<>((Map<String, Object>) a);
      ((Map<String, Object>) b).forEach((key, value) -> out.merge(key, value, Pods::combine));
      return out;
    }
    if (base instanceof List<?> a && over instanceof List<?> b) {
      String id = Stream.concat(a.stream(), b.stream()).allMatch(i -> i instanceof Map<?, ?> m && m.containsKey("mountPath")) ? "mountPath" : "name";
      if (!Stream.concat(a.stream(), b.stream()).allMatch(i -> i instanceof Map<?, ?> m && m.containsKey(id))) return over;
      Map<Object, Object> out = new LinkedHashMap<>();
      for (Object item : a) out.put(((Map<?, ?>) item).get(id), item);
      for (Object item : b) out.merge(((Map<?, ?>) item).get(id), item, Pods::combine);
      return new ArrayList<>(out.values());
    }
    return over;
  }

  /** A template over its parent: what it does not set it inherits; yaml replaces or joins by its strategy. */
  @SuppressWarnings("unchecked")
  static Map<String, Object> inherit(Map<String, Object> parent, Map<String, Object> template) {
    Map<String, Object> out = new LinkedHashMap<>(parent);
    List<String> yamls = new ArrayList<>();
    if ("merge".equals(template.get("yamlMergeStrategy")) || yamls(template).isEmpty()) yamls.addAll(yamls(parent));
    yamls.addAll(yamls(template));
    template.forEach((key, value) -> out.merge(key, value, (a, b) -> a instanceof List && b instanceof List ? combine(a, b) : b));
    out.remove("yaml");
    out.put("yamls", yamls);
    return out;
  }

  @SuppressWarnings("unchecked")
  private static List<String> yamls(Map<String, Object> template) {
    List<String> all = new ArrayList<>((List<String>) template.getOrDefault("yamls", List.of()));
    if (template.get("yaml") instanceof String one && !one.isBlank()) all.add(one);
    return all;
  }

  @SuppressWarnings("unchecked")
  private static Map<String, Object> child(Map<String, Object> map, String key) {
    return (Map<String, Object>) map.computeIfAbsent(key, k -> new LinkedHashMap<String, Object>());
  }

  @SuppressWarnings("unchecked")
  private static List<Map<String, Object>> maps(Object list) {
    return list == null ? List.of() : (List<Map<String, Object>>) list;
  }

  /**
   * The Pod of a template as a plain tree, complete with the plugin's own parts.
   *
   * @param runUrl of the build, for a template of the step `podTemplate`; others do not say which build they are for
   */
  @SuppressWarnings("unchecked")
  static Map<String, Object> pod(Map<String, Object> cloud, Map<String, Object> template, String name, String label, String runUrl, String jenkinsUrl)
      throws AbortException {
    Map<String, Object> pod = new LinkedHashMap<>();
    for (String text : yamls(template)) pod = (Map<String, Object>) combine(pod, parseYaml(text, "podTemplate yaml"));
    if (pod.containsKey("kind") && !"Pod".equals(pod.get("kind"))) throw new AbortException("podTemplate yaml: kind is " + pod.get("kind") + ", not Pod");
    pod = (Map<String, Object>) combine(pod, fields(template));
    pod.put("apiVersion", "v1");
    pod.put("kind", "Pod");
    Map<String, Object> metadata = child(pod, "metadata");
    metadata.put("name", name);
    Map<String, Object> labels = new LinkedHashMap<>();
    for (Map<String, Object> pair : maps(cloud.get("podLabels"))) labels.put((String) pair.get("key"), pair.get("value"));
    labels.putAll((Map<String, Object>) metadata.getOrDefault("labels", Map.of()));
    labels.put("jenkins", "slave");
    labels.put("jenkins/label", labelValue(label));
    labels.put("jenkins/label-digest", sha1(label));
    labels.put("kubernetes.jenkins.io/controller", labelValue(jenkinsUrl));
    metadata.put("labels", labels);
    Map<String, Object> annotations = new LinkedHashMap<>((Map<String, Object>) metadata.getOrDefault("annotations", Map.of()));
    if (runUrl != null) {
      annotations.put("buildUrl", jenkinsUrl + runUrl);
      annotations.put(RUN_URL, runUrl);
    }
    metadata.put("annotations", annotations);
    Map<String, Object> spec = child(pod, "spec");
    spec.putIfAbsent("restartPolicy", "Never");
    spec.putIfAbsent("nodeSelector", new LinkedHashMap<>(Map.of("kubernetes.io/os", "linux")));
    List<Object> containers = new ArrayList<>(maps(spec.get("containers")));
    if (containers.stream().noneMatch(c -> "jnlp".equals(((Map<?, ?>) c).get("name")))) {
      Map<String, Object> jnlp = new LinkedHashMap<>();
      jnlp.put("name", "jnlp");
      jnlp.put("image", "jenkins/inbound-agent:3385.vf1123fb_515da_-1");
      jnlp.put("resources", Map.of("requests", Map.of("cpu", "100m", "memory", "256Mi")));
      containers.add(jnlp);
    }
    boolean memory = template.get("workspaceVolume") instanceof Map<?, ?> w && w.get("emptyDirWorkspaceVolume") instanceof Map<?, ?> e
        && Boolean.TRUE.equals(e.get("memory"));
    List<Object> volumes = new ArrayList<>(maps(spec.get("volumes")));
    if (volumes.stream().noneMatch(v -> "workspace-volume".equals(((Map<?, ?>) v).get("name"))))
      volumes.add(Map.of("name", "workspace-volume", "emptyDir", memory ? Map.of("medium", "Memory") : Map.of()));
    spec.put("volumes", volumes);
    List<Object> finished = new ArrayList<>();
    for (Object each : containers) {
      Map<String, Object> container = new LinkedHashMap<>((Map<String, Object>) each);
      List<Object> mounts = new ArrayList<>(maps(container.get("volumeMounts")));
      if (mounts.stream().noneMatch(m -> WORKING_DIR.equals(((Map<?, ?>) m).get("mountPath"))))
        mounts.add(Map.of("name", "workspace-volume", "mountPath", WORKING_DIR, "readOnly", false));
      container.put("volumeMounts", mounts);
      if ("jnlp".equals(container.get("name"))) {
        List<Object> env = new ArrayList<>(maps(container.get("env")));
        env.add(Map.of("name", "JENKINS_URL", "value", (String) cloud.getOrDefault("jenkinsUrl", jenkinsUrl)));
        env.add(Map.of("name", "JENKINS_AGENT_NAME", "value", name));
        env.add(Map.of("name", "JENKINS_AGENT_WORKDIR", "value", WORKING_DIR));
        container.put("env", env);
        if (!container.containsKey("command")) {
          container.put("command", STAY);
          container.remove("args");
        }
        if (Boolean.TRUE.equals(cloud.get("restrictedPssSecurityContext"))) {
          Map<String, Object> security = new LinkedHashMap<>((Map<String, Object>) container.getOrDefault("securityContext", Map.of()));
          security.put("allowPrivilegeEscalation", false);
          security.put("capabilities", Map.of("drop", List.of("ALL")));
          security.put("runAsNonRoot", true);
          security.put("seccompProfile", Map.of("type", "RuntimeDefault"));
          container.put("securityContext", security);
        }
      }
      finished.add(container);
    }
    spec.put("containers", finished);
    return pod;
  }

  /** Sets a variable of the agent's own container. */
  static void give(Map<String, Object> pod, String name, String value) {
    for (Map<String, Object> container : maps(child(pod, "spec").get("containers")))
      if ("jnlp".equals(container.get("name"))) {
        List<Object> env = new ArrayList<>(maps(container.get("env")));
        env.add(Map.of("name", name, "value", value));
        container.put("env", env);
      }
  }

  /** The part of a template that is not yaml. */
  private static Map<String, Object> fields(Map<String, Object> t) {
    Map<String, Object> spec = new LinkedHashMap<>();
    List<Object> containers = new ArrayList<>();
    List<Object> volumes = new ArrayList<>();
    List<Object> mounts = new ArrayList<>();
    int n = 0;
    for (Map<String, Object> each : maps(t.get("volumes"))) {
      var entry = each.entrySet().iterator().next();
      @SuppressWarnings("unchecked")
      Map<String, Object> v = (Map<String, Object>) entry.getValue();
      String name = "volume-" + n++;
      Map<String, Object> volume = new LinkedHashMap<>(Map.of("name", name));
      switch (entry.getKey()) {
        case "emptyDirVolume" -> volume.put("emptyDir", Boolean.TRUE.equals(v.get("memory")) ? Map.of("medium", "Memory") : Map.of());
        case "secretVolume" -> {
          Map<String, Object> secret = new LinkedHashMap<>(Map.of("secretName", v.get("secretName"), "optional", v.getOrDefault("optional", false)));
          if (v.containsKey("defaultMode")) secret.put("defaultMode", Integer.parseInt((String) v.get("defaultMode"), 8));
          volume.put("secret", secret);
        }
        case "configMapVolume" -> volume.put("configMap", Map.of("name", v.get("configMapName"), "optional", v.getOrDefault("optional", false)));
        case "persistentVolumeClaim" -> volume.put("persistentVolumeClaim", Map.of("claimName", v.get("claimName"), "readOnly", v.getOrDefault("readOnly", false)));
        default -> throw new IllegalArgumentException("volume " + entry.getKey() + " is not covered");
      }
      volumes.add(volume);
      mounts.add(Map.of("name", name, "mountPath", v.get("mountPath")));
    }
    for (Map<String, Object> c : maps(t.get("containers"))) {
      Map<String, Object> container = new LinkedHashMap<>();
      container.put("name", c.get("name"));
      container.put("image", c.get("image"));
      words(container, "command", c.get("command"));
      words(container, "args", c.get("args"));
      if (Boolean.TRUE.equals(c.get("ttyEnabled"))) container.put("tty", true);
      if (Boolean.TRUE.equals(c.get("alwaysPullImage"))) container.put("imagePullPolicy", "Always");
      // Only a containerTemplate has a working directory by default; a container from yaml keeps its image's own.
      container.put("workingDir", c.get("workingDir") instanceof String dir && !dir.isEmpty() ? dir : WORKING_DIR);
      List<Object> env = env(c.get("envVars"));
      if (!env.isEmpty()) container.put("env", env);
      Map<String, Object> resources = new LinkedHashMap<>();
      for (String side : List.of("Request", "Limit"))
        for (String[] kind : new String[][] {{"Cpu", "cpu"}, {"Memory", "memory"}, {"EphemeralStorage", "ephemeral-storage"}})
          if (c.get("resource" + side + kind[0]) instanceof String amount && !amount.isEmpty())
            child(resources, side.toLowerCase() + "s").put(kind[1], amount);
      if (!resources.isEmpty()) container.put("resources", resources);
      Map<String, Object> security = new LinkedHashMap<>();
      for (String key : List.of("runAsUser", "runAsGroup")) if (c.containsKey(key)) security.put(key, c.get(key));
      if (!security.isEmpty()) container.put("securityContext", security);
      if (!mounts.isEmpty()) container.put("volumeMounts", new ArrayList<>(mounts));
      containers.add(container);
    }
    if (!containers.isEmpty()) spec.put("containers", containers);
    if (!volumes.isEmpty()) spec.put("volumes", volumes);
    if (t.get("serviceAccount") instanceof String account && !account.isEmpty()) spec.put("serviceAccountName", account);
    if (t.get("activeDeadlineSeconds") instanceof Integer seconds && seconds > 0) spec.put("activeDeadlineSeconds", seconds);
    if (Boolean.TRUE.equals(t.get("hostNetwork"))) spec.put("hostNetwork", true);
    if (!maps(t.get("imagePullSecrets")).isEmpty()) spec.put("imagePullSecrets", t.get("imagePullSecrets"));
    Map<String, Object> security = new LinkedHashMap<>();
    for (String key : List.of("runAsUser", "runAsGroup")) if (t.containsKey(key)) security.put(key, t.get(key));
    if (!security.isEmpty()) spec.put("securityContext", security);
    if (t.get("nodeSelector") instanceof String selector && !selector.isEmpty()) {
      Map<String, Object> pairs = new LinkedHashMap<>();
      for (String pair : selector.split(",")) pairs.put(pair.split("=", 2)[0].trim(), pair.split("=", 2)[1].trim());
      spec.put("nodeSelector", pairs);
    }
    Map<String, Object> out = new LinkedHashMap<>();
    out.put("spec", spec);
    Map<String, Object> annotations = new LinkedHashMap<>();
    for (Map<String, Object> pair : maps(t.get("annotations"))) annotations.put((String) pair.get("key"), pair.get("value"));
    if (!annotations.isEmpty()) out.put("metadata", new LinkedHashMap<>(Map.of("annotations", annotations)));
    return out;
  }

  private static List<Object> env(Object vars) {
    List<Object> out = new ArrayList<>();
    for (Map<String, Object> each : maps(vars)) {
      var entry = each.entrySet().iterator().next();
      Map<?, ?> v = (Map<?, ?>) entry.getValue();
      out.add(entry.getKey().equals("envVar") ? Map.of("name", v.get("key"), "value", v.get("value"))
          : Map.of("name", v.get("key"), "valueFrom", Map.of("secretKeyRef", Map.of("name", v.get("secretName"), "key", v.get("secretKey")))));
    }
    return out;
  }

  private static void words(Map<String, Object> container, String key, Object given) {
    List<String> words = given instanceof List<?> list ? list.stream().map(String::valueOf).toList()
        : given instanceof CharSequence text && !text.toString().isBlank() ? split(text.toString()) : List.of();
    if (!words.isEmpty()) container.put(key, words);
  }

  static List<String> split(String text) {
    List<String> out = new ArrayList<>();
    var matcher = java.util.regex.Pattern.compile("\"([^\"]*)\"|'([^']*)'|(\\S+)").matcher(text);
    while (matcher.find()) out.add(matcher.group(1) != null ? matcher.group(1) : matcher.group(2) != null ? matcher.group(2) : matcher.group(3));
    return out;
  }

  static String labelValue(String text) {
    String clean = text.replaceAll("[^A-Za-z0-9_.-]", "_");
    if (clean.length() > 63) clean = clean.substring(clean.length() - 63);
    return clean.replaceAll("^[^A-Za-z0-9]+|[^A-Za-z0-9]+$", "");
  }

  private static String sha1(String text) {
    try {
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-1").digest(text.getBytes()));
    } catch (java.security.NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }

  // ---- life of a Pod ----

  @SuppressWarnings("unchecked")
  private static boolean namesItsBuild(Map<String, Object> pod) {
    Map<String, Object> metadata = (Map<String, Object>) pod.getOrDefault("metadata", Map.of());
    return ((Map<String, Object>) metadata.getOrDefault("annotations", Map.of())).containsKey(RUN_URL);
  }

  /**
   * Creates the Pod and waits until its containers are ready.
   *
   * @param timeout seconds
   * @param reaped whether the plugin's Reaper watches its namespace
   * @throws Later where the plugin would make another one
   */
  static Agent start(KubernetesClient client, String namespace, Map<String, Object> pod, String nodeLabels, int timeout, boolean reaped, String retention,
      Build build, Consumer<String> log) throws IOException, InterruptedException {
    @SuppressWarnings("unchecked")
    String name = (String) ((Map<String, Object>) pod.get("metadata")).get("name");
    build.pods.add(namespace + "/" + name);
    build.save();
    try {
      create(client, namespace, name, pod);
    } catch (IOException e) {
      build.pods.remove(namespace + "/" + name);
      build.save();
      throw e;
    }
    log.accept("Created Pod: kubernetes " + namespace + "/" + name);
    try {
      Pod running = await(client, namespace, name, timeout, reaped && namesItsBuild(pod), log);
      Set<String> sidecars = new java.util.TreeSet<>();
      running.getSpec().getInitContainers().forEach(c -> sidecars.add(c.getName()));
      Set<String> containers = new java.util.TreeSet<>();
      running.getSpec().getContainers().forEach(c -> containers.add(c.getName()));
      return new Agent(client, namespace, name, nodeLabels, containers, sidecars, retention.equals("always"), retention.equals("onFailure"));
    } catch (KubernetesClientException e) {
      boolean interrupted = Thread.interrupted();
      delete(client, namespace, name, build);
      if (interrupted) Thread.currentThread().interrupt();
      throw new Anew("Failed to launch Pod " + namespace + "/" + name + ": " + reason(e));
    } catch (IOException | InterruptedException | RuntimeException e) {
      boolean interrupted = Thread.interrupted();
      delete(client, namespace, name, build);
      if (interrupted) Thread.currentThread().interrupt();
      throw e;
    }
  }

  /** A Pod that cannot be made now; the plugin makes another one, for ever. */
  static class Later extends IOException {
    private static final long serialVersionUID = 1;

    Later(String message) {
      super(message);
    }
  }

  /** One that was made and did not start: its queue item stays, and gets another one. */
  static final class Anew extends Later {
    private static final long serialVersionUID = 1;

    Anew(String message) {
      super(message);
    }
  }

  /**
   * Which refusals end the build and which are tried again is KubernetesLauncher.launch of the plugin: a full quota, a
   * quota that others change at the moment, and a server that is in trouble or does not answer are; of a Pod that does not
   * name its build, all are.
   */
  static void create(KubernetesClient client, String namespace, String name, Map<String, Object> pod) throws IOException {
    try {
      client.raw("/api/v1/namespaces/" + namespace + "/pods?fieldValidation=Strict", "POST", Build.JSON.writeValueAsString(pod));
    } catch (KubernetesClientException e) {
      String message = String.valueOf(e.getMessage());
      boolean full = e.getCode() == 403 && message.contains("is forbidden: exceeded quota");
      boolean raced = e.getCode() == 409 && message.contains("Operation cannot be fulfilled on resourcequotas");
      if (full || raced || e.getCode() < 400 || e.getCode() >= 500)
        throw new Later("WARNING: Unable to create pod: kubernetes " + namespace + "/" + name + ": " + reason(e) + "; retrying");
      if (!namesItsBuild(pod)) throw new Anew("ERROR: Unable to create pod: kubernetes " + namespace + "/" + name + ": " + reason(e));
      throw new AbortException("Pod " + namespace + "/" + name + " was refused: " + reason(e));
    }
  }

  static String reason(KubernetesClientException e) {
    String message = e.getStatus() != null && e.getStatus().getMessage() != null ? e.getStatus().getMessage() : e.getMessage();
    // Below the status there is no answer of the API server: the cause tells what went wrong on the way.
    if (e.getStatus() == null && e.getCause() != null) message += " " + e.getCause().getMessage();
    return message + (e.getCode() > 0 ? " (" + e.getCode() + ")" : "");
  }

  private static Pod await(KubernetesClient client, String namespace, String name, int timeout, boolean reaped, Consumer<String> log)
      throws IOException, InterruptedException {
    long end = System.nanoTime() + timeout * 1_000_000_000L;
    String last = "";
    while (true) {
      Pod pod = client.pods().inNamespace(namespace).withName(name).get();
      if (pod == null) throw new Anew("Failed to launch Pod " + namespace + "/" + name + ": it was deleted while it started");
      if (isReady(pod)) return pod;
      if (reaped) reap(client, namespace, pod);
      String now = String.join("; ", states(pod));
      if (!now.equals(last) && !now.isEmpty()) log.accept("[PodInfo] " + namespace + "/" + name + ": " + now);
      last = now;
      if (System.nanoTime() > end)
        throw new Anew("Failed to launch Pod " + namespace + "/" + name + ": it was not ready within " + timeout + " s: "
            + (now.isEmpty() ? pod.getStatus().getPhase() : now) + events(client, namespace, name));
      Thread.sleep(250);
    }
  }

  private static boolean isReady(Pod pod) {
    long ready = pod.getStatus().getContainerStatuses().stream()
        .filter(s -> Boolean.TRUE.equals(s.getReady()) && s.getState() != null && s.getState().getRunning() != null).count();
    return ready == pod.getSpec().getContainers().size();
  }

  /** What keeps a Pod from being ready. */
  private static List<String> states(Pod pod) {
    List<String> state = new ArrayList<>();
    List<ContainerStatus> statuses = new ArrayList<>(pod.getStatus().getInitContainerStatuses());
    statuses.addAll(pod.getStatus().getContainerStatuses());
    for (ContainerStatus status : statuses) {
      String container = "container " + status.getName();
      var at = status.getState();
      if (at == null) continue;
      if (at.getWaiting() != null && at.getWaiting().getReason() != null) state.add(container + " waits: " + at.getWaiting().getReason());
      else if (at.getTerminated() != null && pod.getStatus().getContainerStatuses().contains(status))
        state.add(container + " was terminated (Exit Code: " + at.getTerminated().getExitCode() + ", Reason: " + at.getTerminated().getReason() + ")");
      else if (at.getRunning() != null && !Boolean.TRUE.equals(status.getReady())) state.add(container + " is not ready");
    }
    for (PodCondition condition : pod.getStatus().getConditions())
      if ("PodScheduled".equals(condition.getType()) && "False".equals(condition.getStatus()))
        state.add(condition.getReason() + ": " + condition.getMessage());
    return state;
  }

  /**
   * Reaper of the plugin: TerminateAgentOnContainerTerminated, TerminateAgentOnPodFailed, and TerminateAgentOnImagePullBackOff,
   * which waits for a third such event.
   */
  private static void reap(KubernetesClient client, String namespace, Pod pod) throws AbortException {
    String name = namespace + "/" + pod.getMetadata().getName();
    for (ContainerStatus status : pod.getStatus().getContainerStatuses()) {
      var at = status.getState();
      if (at == null) continue;
      if (at.getTerminated() != null)
        throw new AbortException("Pod " + name + ": container " + status.getName() + " was terminated (Exit Code: " + at.getTerminated().getExitCode()
            + ", Reason: " + at.getTerminated().getReason() + ")" + tail(client, namespace, pod.getMetadata().getName(), status.getName()));
      if (at.getWaiting() != null && at.getWaiting().getMessage() != null && at.getWaiting().getMessage().contains("Back-off pulling image"))
        throw new AbortException("Unable to pull container image \"" + status.getImage() + "\". Check if image tag name is spelled correctly.");
    }
    if ("Failed".equals(pod.getStatus().getPhase()))
      throw new AbortException("Pod " + name + " just failed. Reason: " + pod.getStatus().getReason() + ", Message: " + pod.getStatus().getMessage());
  }

  private static String tail(KubernetesClient client, String namespace, String name, String container) {
    try {
      String text = client.pods().inNamespace(namespace).withName(name).inContainer(container).tailingLines(10).getLog();
      return text.isBlank() ? "" : ": " + text.strip();
    } catch (KubernetesClientException e) {
      return "";
    }
  }

  private static String events(KubernetesClient client, String namespace, String name) {
    try {
      List<String> lines = client.v1().events().inNamespace(namespace).withField("involvedObject.name", name).list().getItems().stream()
          .filter(e -> "Warning".equals(e.getType())).map(Event::getMessage).distinct().toList();
      return lines.isEmpty() ? "" : "; events: " + String.join("; ", lines);
    } catch (KubernetesClientException e) {
      return "";
    }
  }

  static void delete(KubernetesClient client, String namespace, String name, Build build) {
    try {
      client.pods().inNamespace(namespace).withName(name).delete();
    } catch (KubernetesClientException e) {
      // Kept in build.json: the next start tries again.
      LOG.warning("Pod " + namespace + "/" + name + " could not be deleted: " + reason(e));
      return;
    }
    build.pods.remove(namespace + "/" + name);
    build.save();
  }

  /** Removes what a build of a former process left. */
  static void collect(Controller controller, Build build) {
    for (String pod : build.pods) {
      String[] parts = pod.split("/");
      delete(controller.kubernetes(), parts[0], parts[1], build);
      LOG.info("Removed leftover agent Pod " + pod + " of " + build.job + " #" + build.number);
    }
  }

  /** Runs a command in a container. @return its exit code; interrupted: the caller ends the process */
  static int exec(Agent agent, String container, byte[] input, OutputStream out, OutputStream err, String... command)
      throws IOException, InterruptedException {
    var target = agent.client.pods().inNamespace(agent.namespace).withName(agent.pod).inContainer(container);
    try (ExecWatch watch = input == null ? target.writingOutput(out).writingError(err).exec(command)
        : target.redirectingInput().writingOutput(out).writingError(err).exec(command)) {
      if (input != null && input.length > 0) {
        try {
          OutputStream stdin = watch.getInput();
          for (int at = 0; at < input.length; at += 65536) stdin.write(input, at, Math.min(65536, input.length - at));
          stdin.flush();
        } catch (IOException | KubernetesClientException e) {
          // A command that has all it reads may end before the last frame is acknowledged: its exit code tells.
          LOG.fine(() -> "stdin of " + container + ": " + e.getMessage());
        }
      }
      Integer code = watch.exitCode().get();
      return code == null ? -1 : code;
    } catch (ExecutionException e) {
      throw new AbortException("exec into container " + container + " of Pod " + agent.namespace + "/" + agent.pod + ": "
          + (e.getCause() instanceof KubernetesClientException k ? reason(k) : e.getCause().getMessage()));
    } catch (KubernetesClientException e) {
      throw new AbortException("exec into container " + container + " of Pod " + agent.namespace + "/" + agent.pod + ": " + reason(e));
    }
  }
}

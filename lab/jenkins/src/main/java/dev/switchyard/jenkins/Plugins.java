package dev.switchyard.jenkins;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.LocalDateTime;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.jar.Attributes;
import java.util.jar.JarFile;
import java.util.jar.Manifest;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;

/** The plugin list of the image, and which plugin brings which key or step. */
public final class Plugins {
  /** Where jenkins-plugin-cli records what it "installed". */
  static final Path INSTALLED = Path.of("/usr/share/jenkins/ref/plugins.installed");

  private static final Pattern LINE = Pattern.compile("([a-z0-9][a-z0-9_-]*)(?::([^:\\s]*))?(?::(\\S+))?", Pattern.CASE_INSENSITIVE);
  private static final Pattern VERSION = Pattern.compile("\\d[A-Za-z0-9._-]*");

  /** Dependencies that bring a plugin in which this program asks for (jenkins-plugin-cli resolves them too). */
  private static final Map<String, List<String>> BRINGS = Map.of(
      "workflow-aggregator", List.of("workflow-job", "workflow-cps", "workflow-basic-steps", "workflow-durable-task-step",
          "pipeline-stage-step", "pipeline-groovy-lib", "pipeline-milestone-step", "pipeline-input-step"),
      "kubernetes", List.of("workflow-durable-task-step", "kubernetes-client-api", "credentials", "kubernetes-credentials"),
      "workflow-durable-task-step", List.of("durable-task", "workflow-api"),
      "gitlab-plugin", List.of("git", "workflow-job", "credentials", "plain-credentials", "git-client", "matrix-project"),
      "job-dsl", List.of("script-security"),
      "git", List.of("git-client", "workflow-scm-step", "credentials"),
      "matrix-project", List.of("junit"),
      "pipeline-groovy-lib", List.of("workflow-cps", "git-client"),
      "workflow-cps", List.of("workflow-api", "workflow-support", "script-security"),
      "kubernetes-credentials-provider", List.of("credentials", "plain-credentials"));

  /** Step -> plugin; a step that is in no plugin of the list is unknown to the build, as in Jenkins. */
  static final Map<String, String> STEPS = new TreeMap<>();

  static {
    steps("workflow-durable-task-step", "node", "sh");
    steps("workflow-basic-steps", "echo", "dir", "deleteDir", "readFile", "writeFile", "fileExists", "stash", "unstash",
        "archiveArtifacts", "timeout", "retry", "withEnv", "error", "catchError", "unstable", "warnError", "sleep", "isUnix", "pwd",
        "waitUntil");
    steps("kubernetes", "podTemplate", "container", "containerTemplate", "containerLog", "envVar", "emptyDirVolume", "secretVolume",
        "configMapVolume");
    steps("pipeline-stage-step", "stage");
    steps("workflow-cps", "parallel");
    steps("pipeline-groovy-lib", "library", "libraryResource");
    steps("pipeline-milestone-step", "milestone");
    steps("credentials-binding", "withCredentials", "string", "usernamePassword", "usernameColonPassword", "file", "sshUserPrivateKey");
    steps("junit", "junit");
    steps("robot", "robot");
    steps("lockable-resources", "lock");
    steps("timestamper", "timestamps");
  }

  private static void steps(String plugin, String... names) {
    for (String name : names) STEPS.put(name, plugin);
  }

  private final Map<String, String> versions;
  private final TreeSet<String> closure = new TreeSet<>();
  private final boolean known;

  private Plugins(Map<String, String> versions, boolean known) {
    this.versions = versions;
    this.known = known;
    Deque<String> todo = new ArrayDeque<>(versions.keySet());
    while (!todo.isEmpty()) {
      String id = todo.pop();
      if (closure.add(id)) todo.addAll(BRINGS.getOrDefault(id, List.of()));
    }
  }

  /** Reads the lines `id:version`; comments with #. Every fault is named at once. */
  static Plugins parse(String file, String text) {
    Map<String, String> found = new TreeMap<>();
    List<String> faults = new ArrayList<>();
    String[] lines = text.split("\n", -1);
    for (int i = 0; i < lines.length; i++) {
      String line = lines[i].replaceFirst("(^|\\s)#.*$", "").trim();
      if (line.isEmpty()) continue;
      String where = file + ":" + (i + 1) + ": ";
      Matcher matcher = LINE.matcher(line);
      if (!matcher.matches()) faults.add(where + "'" + line + "' is not id:version");
      else if (matcher.group(3) != null) faults.add(where + matcher.group(1) + ": a URL is not covered; write id:version");
      else if (matcher.group(2) == null || !VERSION.matcher(matcher.group(2)).matches())
        faults.add(where + matcher.group(1) + " has no pinned version; write " + matcher.group(1) + ":<version>");
      else if (found.putIfAbsent(matcher.group(1), matcher.group(2)) != null)
        faults.add(where + matcher.group(1) + " is listed twice");
    }
    if (!faults.isEmpty()) throw new BootError(String.join("\n", faults));
    return new Plugins(found, true);
  }

  /** What runs: the plugins of the home. `SWITCHYARD_PLUGINS` names a list in their place, for a run outside the image. */
  static Plugins installed(Path home) throws IOException {
    String given = System.getenv("SWITCHYARD_PLUGINS");
    if (given != null) return parse(given, Files.readString(Path.of(given)));
    copyReference(INSTALLED.resolveSibling("plugins"), home);
    return ofHome(home);
  }

  /**
   * Lays the image's plugins into the home as jenkinsci/docker's jenkins-support does at each start of a container: it
   * installs what is missing and raises what the image has newer. It leaves what a person raised and what is newer than
   * the image's, and removes nothing. (Of its switches PLUGINS_FORCE_UPGRADE and TRY_UPGRADE_IF_NO_MARKER are not covered.)
   */
  static void copyReference(Path reference, Path home) throws IOException {
    if (!Files.isDirectory(reference)) return;
    Path folder = home.resolve("plugins");
    Files.createDirectories(folder);
    for (Path file : archives(reference)) {
      Path target = folder.resolve(file.getFileName());
      Path marker = folder.resolve(file.getFileName() + ".version_from_image");
      String image = manifest(file)[1];
      if (Files.exists(target)) {
        String here = manifest(target)[1];
        if (!Files.exists(marker) || older(Files.readString(marker).trim(), here) || !older(here, image)) continue;
      }
      Files.copy(file, target, StandardCopyOption.REPLACE_EXISTING);
      Files.writeString(marker, image + "\n");
    }
  }

  /** The plugins that a home holds, by their manifests. */
  static Plugins ofHome(Path home) throws IOException {
    Map<String, String> found = new TreeMap<>();
    Path folder = home.resolve("plugins");
    if (Files.isDirectory(folder))
      for (Path file : archives(folder)) found.put(manifest(file)[0], manifest(file)[1]);
    return new Plugins(found, true);
  }

  private static List<Path> archives(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.filter(file -> file.toString().endsWith(".jpi")).sorted().toList();
    }
  }

  /** Short name and version. */
  private static String[] manifest(Path archive) throws IOException {
    try (JarFile jar = new JarFile(archive.toFile())) {
      Attributes attributes = jar.getManifest().getMainAttributes();
      return new String[] {attributes.getValue("Short-Name"), attributes.getValue("Plugin-Version")};
    }
  }

  /** versionLT of jenkins-support: part by part, as numbers; the shorter of two that begin alike is the older. */
  private static boolean older(String one, String other) {
    String[] a = one.split("[.-]"), b = other.split("[.-]");
    for (int i = 0; i < a.length || i < b.length; i++) {
      if (i >= a.length) return true;
      if (i >= b.length) return false;
      int order = Long.compare(part(a[i]), part(b[i]));
      if (order != 0) return order < 0;
    }
    return false;
  }

  private static long part(String text) {
    return text.matches("\\d{1,18}") ? Long.parseLong(text) : 0;
  }

  boolean has(String id) {
    return !known || closure.contains(id);
  }

  Map<String, String> versions() {
    return versions;
  }

  /** @throws BootError naming the key and the plugin it needs */
  void need(String id, String where) {
    if (!has(id)) throw new BootError(where + " needs the plugin '" + id + "', which is not in the image's plugin list");
  }

  /** The steps that a build can call. */
  List<String> availableSteps() {
    return STEPS.entrySet().stream().filter(e -> has(e.getValue())).map(Map.Entry::getKey).toList();
  }

  /** `jenkins-plugin-cli`: checks the list and records it. */
  public static void main(String[] args) throws IOException {
    Path file = null;
    boolean latest = true;
    for (int i = 0; i < args.length; i++) {
      String[] option = args[i].split("=", 2);
      String value = option.length == 2 ? option[1] : null;
      switch (option[0]) {
        case "--plugin-file", "-f" -> file = Path.of(value != null ? value : next(args, ++i, option[0]));
        case "--latest", "-l" -> latest = !"false".equals(value != null ? value : next(args, ++i, option[0]));
        case "--verbose" -> { }
        default -> fail("jenkins-plugin-cli: option '" + args[i] + "' is not covered; known: --plugin-file FILE, --latest=false, --verbose");
      }
    }
    if (file == null) fail("jenkins-plugin-cli: --plugin-file FILE is missing");
    if (latest) fail("jenkins-plugin-cli: --latest=false is missing; with the default (true) it installs newer dependencies than pinned");
    if (!Files.exists(file)) fail("jenkins-plugin-cli: " + file + ": no such file");
    try {
      Plugins plugins = parse(file.toString(), Files.readString(file));
      plugins.install(INSTALLED);
      System.out.println("Recorded " + plugins.versions.size() + " plugins (stand-in: nothing is downloaded)");
    } catch (BootError e) {
      fail(e.getMessage());
    }
  }

  /** Records the list, and lays each plugin's file beside it: a manifest as the real one has it, and nothing else. */
  void install(Path record) throws IOException {
    Path folder = record.resolveSibling("plugins");
    Files.createDirectories(folder);
    StringBuilder out = new StringBuilder();
    for (Map.Entry<String, String> plugin : versions.entrySet()) {
      out.append(plugin.getKey()).append(':').append(plugin.getValue()).append('\n');
      Manifest manifest = new Manifest();
      manifest.getMainAttributes().put(Attributes.Name.MANIFEST_VERSION, "1.0");
      manifest.getMainAttributes().putValue("Short-Name", plugin.getKey());
      manifest.getMainAttributes().putValue("Plugin-Version", plugin.getValue());
      try (ZipOutputStream zip = new ZipOutputStream(Files.newOutputStream(folder.resolve(plugin.getKey() + ".jpi")))) {
        ZipEntry entry = new ZipEntry(JarFile.MANIFEST_NAME);
        // Same list, same bytes.
        entry.setTimeLocal(LocalDateTime.of(1980, 1, 1, 0, 0));
        zip.putNextEntry(entry);
        manifest.write(zip);
        zip.closeEntry();
      }
    }
    Files.writeString(record, out.toString());
  }

  private static String next(String[] args, int i, String option) {
    if (i >= args.length) fail("jenkins-plugin-cli: " + option + " needs a value");
    return args[i];
  }

  private static void fail(String message) {
    System.err.println(message);
    System.exit(1);
  }
}

package dev.switchyard.jenkins;

import static dev.switchyard.jenkins.Yaml.BOOL;
import static dev.switchyard.jenkins.Yaml.INT;
import static dev.switchyard.jenkins.Yaml.TEXT;
import static dev.switchyard.jenkins.Yaml.choice;
import static dev.switchyard.jenkins.Yaml.list;
import static dev.switchyard.jenkins.Yaml.map;
import static dev.switchyard.jenkins.Yaml.oneOf;
import static dev.switchyard.jenkins.Yaml.refused;
import static dev.switchyard.jenkins.Yaml.symbol;

import dev.switchyard.jenkins.Yaml.Type;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.logging.Logger;
import java.util.stream.Stream;
import org.apache.commons.text.StringSubstitutor;

/** JCasC: reads, resolves, checks. Keys and behaviour after the configuration-as-code plugin's documentation. */
final class Casc {
  private static final Logger LOG = Logger.getLogger("casc");

  private Casc() {}

  /** @param location file, folder or a comma-separated list of them; @return the merged, checked tree */
  @SuppressWarnings("unchecked")
  static Map<String, Object> load(String location, Function<String, String> secrets, Plugins plugins) throws IOException {
    plugins.need("configuration-as-code", "CASC_JENKINS_CONFIG");
    Map<String, Object> merged = new LinkedHashMap<>();
    List<String> faults = new ArrayList<>();
    for (Path file : files(location)) {
      try {
        Yaml yaml = Yaml.parse(file.toString(), Files.readString(file), text -> resolve(text, secrets));
        if (yaml != null) merge(merged, (Map<String, Object>) root(plugins).read(yaml), "", file);
      } catch (BootError e) {
        faults.add(e.getMessage());
      }
    }
    if (!faults.isEmpty()) throw new BootError(String.join("\n", faults));
    return merged;
  }

  private static List<Path> files(String location) throws IOException {
    List<Path> found = new ArrayList<>();
    for (String one : location.split(",")) {
      Path path = Path.of(one.trim());
      if (Files.isDirectory(path)) {
        // A mounted ConfigMap shows each key beside `..data`; hidden entries are its own book-keeping.
        try (Stream<Path> walk = Files.list(path)) {
          walk.filter(p -> p.getFileName().toString().matches("[^.].*\\.ya?ml")).filter(Files::isRegularFile).sorted().forEach(found::add);
        }
      } else if (Files.exists(path)) {
        found.add(path);
      } else {
        throw new BootError("CASC_JENKINS_CONFIG: " + path + ": no such file or folder");
      }
    }
    if (found.isEmpty()) throw new BootError("CASC_JENKINS_CONFIG: " + location + " holds no .yaml file");
    return found;
  }

  @SuppressWarnings("unchecked")
  private static void merge(Map<String, Object> into, Map<String, Object> from, String path, Path file) {
    from.forEach((key, value) -> {
      String here = path.isEmpty() ? key : path + "." + key;
      Object old = into.get(key);
      if (old == null) into.put(key, value);
      else if (old instanceof Map && value instanceof Map) merge((Map<String, Object>) (into.computeIfPresent(key, (k, v) -> new LinkedHashMap<>((Map<String, Object>) v))), (Map<String, Object>) value, here, file);
      else if (old instanceof List<?> a && value instanceof List<?> b) into.put(key, Stream.concat(a.stream(), b.stream()).toList());
      else throw new BootError(file + ": " + here + " is given in another file too");
    });
  }

  /**
   * `${NAME}`, `${NAME:-default}`, `${readFile:PATH}`, escape `^${`; not found: empty, with a warning. By the plugin's own
   * library, set and called twice as in its SecretSourceResolver: the first pass leaves escapes where they stand.
   */
  static String resolve(String text, Function<String, String> secrets) {
    if (text.isBlank() || !text.contains("${")) return text;
    String found = new StringSubstitutor(key -> lookup(key, secrets)).setEscapeChar('^')
        .setEnableSubstitutionInVariables(true).setPreserveEscapes(true).replace(text);
    return new StringSubstitutor(Casc::unresolved).setEscapeChar('^').replace(found);
  }

  private static String unresolved(String name) {
    LOG.warning("Configuration import: Found unresolved variable '" + name + "'. Will default to empty string");
    return "";
  }

  private static String lookup(String inner, Function<String, String> secrets) {
    if (inner.startsWith("readFile:")) {
      Path path = Path.of(inner.substring("readFile:".length()));
      try {
        return Files.readString(path);
      } catch (IOException e) {
        throw new BootError("${readFile:" + path + "}: cannot be read");
      }
    }
    if (inner.startsWith("readFileBase64:")) {
      Path path = Path.of(inner.substring("readFileBase64:".length()));
      try {
        return Base64.getEncoder().encodeToString(Files.readAllBytes(path));
      } catch (IOException e) {
        throw new BootError("${readFileBase64:" + path + "}: cannot be read");
      }
    }
    if (inner.contains(":")) throw new BootError("the lookup '${" + inner + "}' is not covered; write ${NAME} or ${readFile:PATH}");
    return secrets.apply(inner);
  }

  /** Files of SECRETS (default /run/secrets) first, then the environment. */
  static Function<String, String> secrets(Map<String, String> env) {
    Path folder = Path.of(env.getOrDefault("SECRETS", "/run/secrets"));
    return name -> {
      if (!name.matches("[A-Za-z0-9_.-]+") || name.startsWith("..")) return env.get(name);
      Path file = folder.resolve(name);
      try {
        return Files.isRegularFile(file) ? Files.readString(file).trim() : env.get(name);
      } catch (IOException e) {
        throw new BootError(file + ": cannot be read");
      }
    };
  }

  // ---- the accepted keys ----

  private static Type of(Plugins plugins, String plugin, Type type) {
    return y -> {
      plugins.need(plugin, y.where());
      return type.read(y);
    };
  }

  private static final Type STRATEGY = symbol("override", "merge");
  private static final Type RETENTION = symbol("never", "always", "onFailure", "default");
  private static final Type ENV_VARS = list(choice("envVar", map("key!", TEXT, "value!", TEXT),
      "secretEnvVar", map("key!", TEXT, "secretName!", TEXT, "secretKey!", TEXT)));
  private static final Type PAIRS = list(map("key!", TEXT, "value!", TEXT));

  private static final Type FALSE_ONLY = y -> {
    if ((Boolean) BOOL.read(y)) throw y.fault("true is not covered; put securityContext into the template's yaml");
    return false;
  };

  private static final Type CONTAINER = map("name!", TEXT, "image!", TEXT, "command", TEXT, "args", TEXT, "ttyEnabled", BOOL,
      "alwaysPullImage", BOOL, "workingDir", TEXT, "envVars", ENV_VARS, "privileged", FALSE_ONLY,
      "resourceRequestCpu", TEXT, "resourceRequestMemory", TEXT, "resourceRequestEphemeralStorage", TEXT, "resourceLimitCpu", TEXT,
      "resourceLimitMemory", TEXT, "resourceLimitEphemeralStorage", TEXT, "runAsUser", INT, "runAsGroup", INT);

  private static final Type TEMPLATE = map("name!", TEXT, "id", TEXT, "label", TEXT, "namespace", TEXT, "serviceAccount", TEXT,
      "idleMinutes", INT, "instanceCap", INT, "instanceCapStr", TEXT, "slaveConnectTimeout", INT, "activeDeadlineSeconds", INT,
      "nodeUsageMode", oneOf("NORMAL", "EXCLUSIVE"), "podRetention", RETENTION, "showRawYaml", BOOL, "hostNetwork", BOOL, "yaml", TEXT,
      "yamls", list(TEXT), "yamlMergeStrategy", STRATEGY, "inheritFrom", TEXT, "runAsUser", INT, "runAsGroup", INT, "supplementalGroups", TEXT,
      "annotations", PAIRS, "agentContainer", TEXT, "agentInjection", BOOL, "nodeSelector", TEXT, "imagePullSecrets", list(map("name!", TEXT)),
      "envVars", ENV_VARS, "containers", list(CONTAINER),
      "volumes", list(choice("emptyDirVolume", map("mountPath!", TEXT, "memory", BOOL),
          "secretVolume", map("mountPath!", TEXT, "secretName!", TEXT, "optional", BOOL, "defaultMode", TEXT),
          "configMapVolume", map("mountPath!", TEXT, "configMapName!", TEXT, "optional", BOOL),
          "persistentVolumeClaim", map("mountPath!", TEXT, "claimName!", TEXT, "readOnly", BOOL))),
      "workspaceVolume", choice("emptyDirWorkspaceVolume", map("memory", BOOL)));

  private static final Type KUBERNETES = map("name!", TEXT, "serverUrl", TEXT, "namespace", TEXT, "jenkinsUrl", TEXT, "jenkinsTunnel", TEXT,
      "webSocket", BOOL, "directConnection", BOOL, "containerCap", INT, "containerCapStr", TEXT, "connectTimeout", INT, "readTimeout", INT,
      "maxRequestsPerHost", INT, "maxRequestsPerHostStr", TEXT, "retentionTimeout", INT, "skipTlsVerify", BOOL, "usageRestricted", BOOL,
      "addMasterProxyEnvVars", BOOL, "restrictedPssSecurityContext", BOOL, "podRetention", RETENTION,
      "garbageCollection", map("namespaces", TEXT, "timeout", INT), "podLabels", PAIRS, "templates", list(TEMPLATE));

  private static final Type CRUMB = y -> y.isScalar() ? oneOf("standard").read(y)
      : choice("standard", map("excludeClientIPFromCrumb",
          refused("is gone since Jenkins 2.543 and stops the boot; remove it"))).read(y);

  private static final Type DISCARDER = y -> y.isScalar() ? oneOf("jobBuildDiscarder").read(y)
      : choice("jobBuildDiscarder", map()).read(y);

  /** oic-auth 4.718: OicSecurityRealm, OicServerWellKnownConfiguration, properties Pkce and EscapeHatch. Nobody logs in by it here. */
  private static final Type OIC = map("clientId!", TEXT, "clientSecret!", TEXT,
      "serverConfiguration!", choice("wellKnown", map("wellKnownOpenIDConfigurationUrl!", TEXT, "scopesOverride", TEXT)),
      "userNameField", TEXT, "fullNameFieldName", TEXT, "emailFieldName", TEXT, "groupsFieldName", TEXT,
      "disableSslVerification", BOOL, "logoutFromOpenidProvider", BOOL, "allowTokenAccessWithoutOicSession", BOOL,
      "properties", list(y -> y.isScalar() ? oneOf("pkce").read(y)
          : choice("escapeHatch", map("username!", TEXT, "group", TEXT, "secret!", TEXT)).read(y)));

  /** matrix-auth 3.3: PermissionDefinition writes a permission as the title of its group and its own name. */
  private static final Type HOLDER = map("name!", TEXT, "permissions!", list(oneOf("Overall/Administer", "Overall/Read", "Job/Build",
      "Job/Cancel", "Job/Configure", "Job/Create", "Job/Delete", "Job/Discover", "Job/Move", "Job/Read", "Job/Workspace",
      "Run/Delete", "Run/Replay", "Run/Update", "View/Configure", "View/Create", "View/Delete", "View/Read")));

  static Type root(Plugins plugins) {
    Type jenkins = map("systemMessage", TEXT, "numExecutors", INT, "mode", oneOf("NORMAL", "EXCLUSIVE"), "labelString", TEXT,
        "slaveAgentPort", INT, "quietPeriod", INT, "disableRememberMe", BOOL, "agentProtocols", list(TEXT),
        "securityRealm", choice("local", map("allowsSignup", BOOL, "enableCaptcha", BOOL,
            "users", list(map("id!", TEXT, "password!", TEXT, "name", TEXT))),
            "oic", of(plugins, "oic-auth", OIC), "gitLab", of(plugins, "gitlab-oauth",
                map("gitlabWebUri!", TEXT, "gitlabApiUri!", TEXT, "clientID!", TEXT, "clientSecret!", TEXT))),
        "authorizationStrategy", choice("loggedInUsersCanDoAnything", map("allowAnonymousRead", BOOL),
            "globalMatrix", of(plugins, "matrix-auth", map("entries", list(choice("group", HOLDER, "user", HOLDER))))),
        "crumbIssuer", CRUMB, "remotingSecurity", map("enabled", BOOL),
        "globalNodeProperties", list(choice("envVars", map("env", list(map("key!", TEXT, "value!", TEXT))))),
        "clouds", list(of(plugins, "kubernetes", choice("kubernetes", KUBERNETES))));
    Type connections = of(plugins, "gitlab-plugin", map("useAuthenticatedEndpoint", BOOL, "connections", list(map("name!", TEXT,
        "url!", TEXT, "apiTokenId", TEXT, "clientBuilderId", oneOf("autodetect", "v3", "v4"), "connectionTimeout!", INT, "readTimeout!", INT,
        "ignoreCertificateErrors", BOOL))));
    Type libraries = of(plugins, "pipeline-groovy-lib", map("libraries", list(map("name!", TEXT, "defaultVersion", TEXT, "implicit", BOOL,
        "allowVersionOverride", BOOL, "includeInChangesets", BOOL,
        "cachingConfiguration", map("refreshTimeMinutes", INT, "excludedVersionsStr", TEXT),
        "retriever!", choice("modernSCM", map("clone", BOOL, "libraryPath", TEXT, "scm!", choice("git", of(plugins, "git",
            map("id", TEXT, "remote!", TEXT, "credentialsId", TEXT,
                "traits", list(symbol("gitBranchDiscovery", "gitTagDiscovery")))))))))));
    Type discarders = map("configuredBuildDiscarders", list(DISCARDER));
    Type prometheus = of(plugins, "prometheus", map("path", TEXT, "useAuthenticatedEndpoint", BOOL, "defaultNamespace", TEXT,
        "jobAttributeName", TEXT, "collectingMetricsPeriodInSeconds", INT, "countSuccessfulBuilds", BOOL, "countUnstableBuilds", BOOL,
        "countFailedBuilds", BOOL, "countNotBuiltBuilds", BOOL, "countAbortedBuilds", BOOL, "fetchTestResults", BOOL,
        "processingDisabledBuilds", BOOL, "collectDiskUsage", BOOL, "appendParamLabel", BOOL, "appendStatusLabel", BOOL));
    return map("jenkins", jenkins,
        "unclassified", map("location", map("url", TEXT, "adminAddress", TEXT), "gitLabConnectionConfig", connections,
            "gitlabconnectionconfig", connections, "globalLibraries", libraries,
            "timestamper", of(plugins, "timestamper", map("allPipelines", BOOL, "systemTimeFormat", TEXT, "elapsedTimeFormat", TEXT)),
            "buildDiscarders", discarders, "prometheusConfiguration", prometheus),
        "security", map("apiToken", map("creationOfLegacyTokenEnabled", BOOL, "tokenGenerationOnCreationEnabled", BOOL,
                "usageStatisticsEnabled", BOOL),
            "globalJobDslSecurityConfiguration", of(plugins, "job-dsl", map("useScriptSecurity", BOOL)),
            "gitHostKeyVerificationConfiguration", of(plugins, "git-client", map("sshHostKeyVerificationStrategy",
                symbol("acceptFirstConnectionStrategy", "knownHostsFileVerificationStrategy", "noHostKeyVerificationStrategy"))),
            "scriptApproval", of(plugins, "script-security", map("approvedSignatures", list(TEXT)))),
        "credentials", refused("is not covered; give credentials as Secrets labelled jenkins.io/credentials-type"),
        "jobs", of(plugins, "job-dsl", list(choice("script", TEXT, "file", refused("is not covered; write script"),
            "url", refused("is not covered; write script")))));
  }

  // ---- reading the plain tree ----

  @SuppressWarnings("unchecked")
  static Map<String, Object> at(Map<String, Object> tree, String path) {
    Map<String, Object> here = tree;
    for (String key : path.split("\\.")) here = (Map<String, Object>) here.getOrDefault(key, Map.of());
    return here;
  }

  @SuppressWarnings("unchecked")
  static List<Map<String, Object>> listAt(Map<String, Object> tree, String key) {
    return (List<Map<String, Object>>) tree.getOrDefault(key, List.of());
  }
}

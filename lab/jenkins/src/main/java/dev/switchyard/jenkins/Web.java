package dev.switchyard.jenkins;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Executors;
import java.util.logging.Logger;
import java.util.stream.Stream;
import org.jenkinsci.plugins.workflow.steps.FlowInterruptedException;

/** Jenkins's HTTP paths, as far as they are covered; everything else is 404 and logged. */
final class Web {
  private static final Logger LOG = Logger.getLogger("http");
  static final String VERSION = "2.568.3";

  private static final class Reply extends RuntimeException {
    final int status;
    final String type;
    final byte[] body;
    final Map<String, String> headers = new LinkedHashMap<>();

    Reply(int status, String type, byte[] body) {
      super(null, null, false, false);
      this.status = status;
      this.type = type;
      this.body = body;
    }

    Reply with(String name, String value) {
      headers.put(name, value);
      return this;
    }
  }

  private static Reply text(int status, String body) {
    return new Reply(status, "text/plain;charset=utf-8", body.getBytes(StandardCharsets.UTF_8));
  }

  private static Reply html(int status, String body) {
    return new Reply(status, "text/html;charset=utf-8", ("<!DOCTYPE html><html><body>" + body + "</body></html>").getBytes(StandardCharsets.UTF_8));
  }

  private final Controller controller;
  private final String reloadToken;
  private final Runnable reload;
  private final byte[] crumbKey = new byte[32];
  private volatile boolean ready;

  /** @param reloadToken null: the reload path answers 404, as without the plugin's setting */
  Web(Controller controller, String reloadToken, Runnable reload) {
    this.controller = controller;
    this.reloadToken = reloadToken;
    this.reload = reload;
    new SecureRandom().nextBytes(crumbKey);
  }

  HttpServer listen(String address, int port) throws IOException {
    HttpServer server = HttpServer.create(new InetSocketAddress(address, port), 128);
    server.setExecutor(Executors.newFixedThreadPool(16));
    server.createContext("/", this::handle);
    server.start();
    return server;
  }

  void ready() {
    ready = true;
  }

  private void handle(HttpExchange exchange) throws IOException {
    Reply reply;
    String path = exchange.getRequestURI().getRawPath();
    try {
      reply = ready ? route(new Request(exchange)) : html(503, "Jenkins is getting ready to work");
    } catch (Reply thrown) {
      reply = thrown;
    } catch (IllegalArgumentException | JsonProcessingException e) {
      reply = text(400, String.valueOf(e.getMessage()));
    } catch (Exception e) {
      LOG.severe(exchange.getRequestMethod() + " " + path + ": " + e);
      reply = html(500, "Oops! A problem occurred while processing the request.");
    }
    if (reply.status >= 400 && reply.status != 503) LOG.warning(exchange.getRequestMethod() + " " + path + " -> " + reply.status + (reply.status == 404 ? " (unknown path or object)" : ""));
    exchange.getResponseHeaders().set("X-Jenkins", VERSION);
    exchange.getResponseHeaders().set("Content-Type", reply.type);
    reply.headers.forEach((k, v) -> exchange.getResponseHeaders().set(k, v));
    boolean head = exchange.getRequestMethod().equals("HEAD");
    exchange.sendResponseHeaders(reply.status, head || reply.body.length == 0 ? -1 : reply.body.length);
    if (!head && reply.body.length > 0) exchange.getResponseBody().write(reply.body);
    exchange.close();
  }

  /** One request, read once. */
  private final class Request {
    final HttpExchange exchange;
    final String method;
    final List<String> path;
    final Map<String, String> query = new TreeMap<>();
    final byte[] body;
    /** Null: anonymous. */
    final String user;
    final boolean crumbFree;

    Request(HttpExchange exchange) throws IOException {
      this.exchange = exchange;
      method = exchange.getRequestMethod();
      path = Stream.of(exchange.getRequestURI().getRawPath().split("/")).filter(s -> !s.isEmpty()).map(s -> decode(s.replace("+", "%2B"))).toList();
      form(exchange.getRequestURI().getRawQuery());
      body = exchange.getRequestBody().readNBytes(16 * 1024 * 1024);
      String type = exchange.getRequestHeaders().getFirst("Content-Type");
      if (type != null && type.startsWith("application/x-www-form-urlencoded")) form(new String(body, StandardCharsets.UTF_8));
      String authorization = exchange.getRequestHeaders().getFirst("Authorization");
      if (authorization == null || !authorization.startsWith("Basic ")) {
        user = null;
        crumbFree = false;
      } else {
        String[] pair = new String(Base64.getDecoder().decode(authorization.substring(6).trim()), StandardCharsets.UTF_8).split(":", 2);
        Boolean token = pair.length == 2 ? login(pair[0], pair[1]) : null;
        if (token == null) throw html(401, "Invalid password/token for user: " + escape(pair[0])).with("WWW-Authenticate", "Basic realm=\"Jenkins\"");
        user = pair[0];
        crumbFree = token;
      }
    }

    private void form(String text) {
      if (text == null || text.isEmpty()) return;
      for (String pair : text.split("&")) {
        String[] kv = pair.split("=", 2);
        query.put(decode(kv[0]), kv.length == 2 ? decode(kv[1]) : "");
      }
    }

    String header(String name) {
      return exchange.getRequestHeaders().getFirst(name);
    }
  }

  private static String decode(String text) {
    return URLDecoder.decode(text, StandardCharsets.UTF_8);
  }

  static String escape(String text) {
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\"", "&quot;");
  }

  // ---- who may ----

  private List<Map<String, Object>> users() {
    return Casc.listAt(Casc.at(controller.casc, "jenkins.securityRealm.local"), "users");
  }

  private boolean secured() {
    return Casc.at(controller.casc, "jenkins").containsKey("authorizationStrategy");
  }

  /** @return true for an API token, false for a password, null for neither */
  private Boolean login(String id, String secret) {
    for (Map<String, Object> user : users()) {
      if (!user.get("id").equals(id)) continue;
      String password = (String) user.get("password");
      // An unresolved variable gives an empty password: nobody logs in with that.
      if (!password.isEmpty() && same(password, secret)) return false;
      for (String hash : tokens(id)) if (same(hash, sha256(secret))) return true;
    }
    return null;
  }

  private Path tokenFile(String user) {
    return controller.home.resolve("users/" + user.replaceAll("[^A-Za-z0-9_-]", "_") + "/apiTokens");
  }

  private List<String> tokens(String user) {
    try {
      Path file = tokenFile(user);
      return Files.exists(file) ? Files.readAllLines(file) : List.of();
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
  }

  private static boolean same(String a, String b) {
    return MessageDigest.isEqual(a.getBytes(StandardCharsets.UTF_8), b.getBytes(StandardCharsets.UTF_8));
  }

  private static String sha256(String text) {
    try {
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8)));
    } catch (java.security.NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }

  private void mayRead(Request r) {
    if (!secured() || r.user != null) return;
    if (Boolean.TRUE.equals(Casc.at(controller.casc, "jenkins.authorizationStrategy.loggedInUsersCanDoAnything").getOrDefault("allowAnonymousRead", false))) return;
    throw html(403, "Authentication required").with("X-You-Are-Authenticated-As", "anonymous");
  }

  private void mayChange(Request r, String permission) {
    if (!r.method.equals("POST")) throw html(405, "Form post required").with("Allow", "POST");
    if (secured() && r.user == null) throw html(403, "anonymous is missing the " + permission + " permission");
    if (Casc.at(controller.casc, "jenkins").containsKey("crumbIssuer") && !r.crumbFree && !same(crumb(r), String.valueOf(r.header("Jenkins-Crumb"))))
      throw html(403, "No valid crumb was included in the request");
  }

  /** Bound to the user; unlike Jenkins's own it does not also bind to a web session. */
  private String crumb(Request r) {
    return sha256(HexFormat.of().formatHex(crumbKey) + ":" + (r.user == null ? "anonymous" : r.user));
  }

  // ---- routes ----

  private Reply json(Request r, Object value) throws JsonProcessingException {
    return json(r.query.containsKey("tree") ? Tree.parse(r.query.get("tree")).apply(value) : value);
  }

  private Reply json(Object shown) throws JsonProcessingException {
    return new Reply(200, "application/json;charset=utf-8", Build.JSON.writer().without(com.fasterxml.jackson.databind.SerializationFeature.INDENT_OUTPUT).writeValueAsBytes(shown));
  }

  private static boolean is(List<String> path, String... parts) {
    return path.equals(List.of(parts));
  }

  private Reply route(Request r) throws Exception {
    List<String> p = r.path;
    String prometheus = controller.plugins.has("prometheus")
        ? (String) Casc.at(controller.casc, "unclassified.prometheusConfiguration").getOrDefault("path", "prometheus") : null;
    if (is(p, "login")) return html(200, "<h1>Sign in to Jenkins</h1>");
    if (p.size() >= 2 && p.get(0).equals("project")) return hook(r, String.join("/", p.subList(1, p.size())));
    if (is(p, "reload-configuration-as-code")) return reloadCasc(r);
    if (is(p, "whoAmI", "api", "json"))
      return json(r, Map.of("_class", "hudson.security.WhoAmI", "anonymous", r.user == null, "authenticated", r.user != null, "name", r.user == null ? "anonymous" : r.user));
    if (prometheus != null && p.size() >= 1 && p.get(0).equals(prometheus) && p.size() == 1) {
      if (!Boolean.FALSE.equals(Casc.at(controller.casc, "unclassified.prometheusConfiguration").getOrDefault("useAuthenticatedEndpoint", false))) mayRead(r);
      return text(200, metrics());
    }
    if (is(p, "wsagents")) return agent(r);
    mayRead(r);
    if (is(p, "me", "api", "json")) {
      // Core, Jenkins.getMe: AccessDeniedException.
      if (r.user == null) throw html(403, "/me is not available when not logged in");
      return json(r, ordered("_class", "hudson.model.User", "absoluteUrl", controller.rootUrl() + "user/" + r.user, "description", null, "fullName", r.user, "id", r.user));
    }
    if (p.isEmpty()) return html(200, "Jenkins " + VERSION + " (stand-in)");
    if (is(p, "crumbIssuer", "api", "json")) {
      if (!Casc.at(controller.casc, "jenkins").containsKey("crumbIssuer")) throw html(404, "Not Found");
      return json(r, Map.of("_class", "hudson.security.csrf.DefaultCrumbIssuer", "crumb", crumb(r), "crumbRequestField", "Jenkins-Crumb"));
    }
    if (is(p, "api", "json")) return json(r, root(depth(r)));
    if (is(p, "queue", "api", "json"))
      return json(r, ordered("_class", "hudson.model.Queue", "discoverableItems", List.of(), "items", controller.queue().stream().map(this::item).toList()));
    if (is(p, "computer", "api", "json")) return json(r, computers());
    if (p.size() == 5 && is(p.subList(0, 2), "queue", "item") && is(p.subList(3, 5), "api", "json")) return queueItem(r, Long.parseLong(p.get(2)));
    if (is(p, "queue", "cancelItem")) {
      mayChange(r, "Job/Cancel");
      controller.cancel(Long.parseLong(r.query.getOrDefault("id", "0")));
      return text(204, "");
    }
    if (is(p, "pluginManager", "api", "json")) {
      List<Object> plugins = new ArrayList<>();
      controller.plugins.versions().forEach((id, version) -> plugins.add(ordered("active", true, "enabled", true, "shortName", id, "version", version)));
      return json(r, ordered("_class", "hudson.LocalPluginManager", "plugins", plugins));
    }
    if (p.size() == 5 && p.get(0).equals("user") && is(p.subList(2, 5), "descriptorByName", "jenkins.security.ApiTokenProperty", "generateNewToken")) return newToken(r, p.get(1));
    if (p.get(0).equals("job")) return job(r);
    throw html(404, "Not Found");
  }

  /**
   * Where an agent connects by WebSocket: for anybody, without a login (core: WebSocketAgents.doIndex). Agents over remoting are
   * not covered, so that one with the right secret is told just that, where Jenkins would upgrade the connection.
   */
  private Reply agent(Request r) {
    String name = r.header("Node-Name");
    String secret = r.header("Secret-Key");
    if (name == null || secret == null || r.header("X-Remoting-Capability") == null)
      throw html(400, "This endpoint is only for use from agent.jar in WebSocket mode");
    if (!controller.hasAgent(name)) throw html(400, "no such agent");
    if (!same(controller.agentSecret(name), secret)) throw html(403, "Forbidden");
    throw html(501, "the stand-in speaks no remoting");
  }

  private Reply newToken(Request r, String user) throws IOException {
    mayChange(r, "Overall/Administer");
    if (users().stream().noneMatch(u -> u.get("id").equals(user))) throw html(404, "Not Found");
    byte[] raw = new byte[17];
    new SecureRandom().nextBytes(raw);
    raw[0] = 0x11;
    String token = HexFormat.of().formatHex(raw);
    Path file = tokenFile(user);
    Files.createDirectories(file.getParent());
    List<String> all = new ArrayList<>(tokens(user));
    all.add(sha256(token));
    Build.write(file, (String.join("\n", all) + "\n").getBytes(StandardCharsets.UTF_8));
    return json(r, Map.of("status", "ok", "data", ordered("tokenName", r.query.getOrDefault("newTokenName", "token"), "tokenUuid",
        java.util.UUID.nameUUIDFromBytes(raw).toString(), "tokenValue", token)));
  }

  /**
   * The plugin's TokenReloadAction: POST only; 404 without a configured token, 401 for a wrong one, no login and no
   * crumb. A refused configuration answers 200 with an error in its body, since #2864. Its check runs before anything is
   * applied, so that a refused configuration changes nothing.
   */
  private Reply reloadCasc(Request r) throws JsonProcessingException {
    if (!r.method.equals("POST")) throw html(405, "Form post required").with("Allow", "POST");
    if (reloadToken == null || reloadToken.isEmpty()) {
      LOG.warning("Configuration reload via token is not enabled");
      throw html(404, "Not Found");
    }
    String given = r.query.get("casc-reload-token");
    if (given == null || !same(reloadToken, given)) {
      LOG.warning("Invalid token received, not reloading configuration");
      throw html(401, "Unauthorized");
    }
    LOG.info("Configuration reload triggered via token");
    try {
      synchronized (reload) {
        reload.run();
      }
    } catch (BootError e) {
      LOG.severe("Failed to reload Jenkins Configuration as Code via token:\n" + e.getMessage());
      // HttpResponses.errorJSON of core, which says so in the body only.
      return json(Map.of("status", "error", "message", "Failed to reload configuration: " + e.getMessage()));
    }
    LOG.info("Configuration reloaded: " + controller.jobs.size() + " folders and jobs");
    return text(200, "");
  }

  private Reply job(Request r) throws Exception {
    List<String> names = new ArrayList<>();
    int at = 0;
    while (at + 1 < r.path.size() && r.path.get(at).equals("job")) {
      names.add(r.path.get(at + 1));
      at += 2;
    }
    Job job = controller.jobs.get(String.join("/", names));
    if (job == null) throw html(404, "Not Found");
    List<String> rest = r.path.subList(at, r.path.size());
    if (rest.isEmpty()) return html(200, escape(job.fullName));
    if (is(rest, "api", "json")) return json(r, job.folder ? folder(job, depth(r)) : jobJson(job, depth(r)));
    if (job.folder) throw html(404, "Not Found");
    switch (rest.get(0)) {
      case "build", "buildWithParameters" -> {
        if (rest.size() == 1) return schedule(r, job, rest.get(0).equals("buildWithParameters"));
      }
      case "enable", "disable" -> throw html(404, "Not covered: disabled() in Job DSL");
      default -> {
        Build build = find(job, rest.get(0));
        if (build != null) return build(r, job, build, rest.subList(1, rest.size()));
      }
    }
    throw html(404, "Not Found");
  }

  private Build find(Job job, String which) {
    List<Build> all = controller.builds(job.fullName);
    return switch (which) {
      case "lastBuild" -> all.stream().findFirst().orElse(null);
      case "lastCompletedBuild" -> all.stream().filter(b -> !b.building).findFirst().orElse(null);
      case "lastSuccessfulBuild" -> done(all, "SUCCESS", "UNSTABLE");
      case "lastStableBuild" -> done(all, "SUCCESS");
      case "lastFailedBuild" -> done(all, "FAILURE");
      case "lastUnstableBuild" -> done(all, "UNSTABLE");
      case "lastUnsuccessfulBuild" -> done(all, "FAILURE", "UNSTABLE", "ABORTED", "NOT_BUILT");
      default -> which.matches("\\d{1,9}") ? controller.build(job.fullName, Integer.parseInt(which)) : null;
    };
  }

  private static Build done(List<Build> all, String... results) {
    return all.stream().filter(b -> !b.building && List.of(results).contains(b.result)).findFirst().orElse(null);
  }

  private Reply schedule(Request r, Job job, boolean withParameters) {
    mayChange(r, "Job/Build");
    if (job.disabled) throw html(409, escape(job.fullName) + " is not buildable");
    if (withParameters && job.parameters.isEmpty()) throw html(500, escape(job.fullName) + " is not parameterized");
    if (!withParameters && !job.parameters.isEmpty() && r.query.get("json") == null) throw html(400, escape(job.fullName) + " is parameterized; use buildWithParameters");
    Map<String, Object> params = new TreeMap<>();
    for (Job.Parameter parameter : job.parameters) {
      String given = r.query.get(parameter.name());
      if (given == null) params.put(parameter.name(), parameter.defaultValue());
      else if (parameter.type().equals("boolean")) params.put(parameter.name(), given.equals("true") || given.equals("on"));
      else if (!parameter.choices().isEmpty() && !parameter.choices().contains(given))
        throw text(400, "Illegal choice for parameter " + parameter.name() + ": " + given);
      else params.put(parameter.name(), given);
    }
    Controller.Item item = controller.enqueue(job, Map.of(), params, "Started by user " + (r.user == null ? "anonymous" : r.user), null,
        controller.quietPeriod(job));
    return text(201, "").with("Location", controller.rootUrl() + "queue/item/" + item.id + "/");
  }

  private Reply build(Request r, Job job, Build build, List<String> rest) throws Exception {
    if (rest.isEmpty()) return html(200, escape(job.fullName + " " + build.title() + ": " + (build.building ? "running" : build.result)));
    if (is(rest, "api", "json")) return json(r, buildJson(job, build));
    if (is(rest, "consoleText")) return new Reply(200, "text/plain;charset=utf-8", log(build));
    if (is(rest, "console")) return html(200, "<pre>" + escape(new String(log(build), StandardCharsets.UTF_8)) + "</pre>");
    if (is(rest, "logText", "progressiveText")) {
      boolean building = build.building;
      byte[] log = log(build);
      int start = (int) Math.max(0, Math.min(Long.parseLong(r.query.getOrDefault("start", "0")), log.length));
      Reply reply = new Reply(200, "text/plain;charset=utf-8", java.util.Arrays.copyOfRange(log, start, log.length)).with("X-Text-Size", String.valueOf(log.length));
      return building ? reply.with("X-More-Data", "true") : reply;
    }
    if (is(rest, "testReport", "api", "json")) {
      if (build.testReport == null) throw html(404, "Not Found");
      return json(r, build.testReport);
    }
    if (is(rest, "robot", "api", "json")) {
      if (build.robotReport == null) throw html(404, "Not Found");
      return json(r, build.robotReport);
    }
    if (rest.size() >= 3 && is(rest.subList(0, 2), "robot", "report")) return send(build.folder.resolve("robot-plugin"), rest.subList(2, rest.size()));
    if (rest.size() >= 2 && rest.get(0).equals("artifact")) return send(build.folder.resolve("archive"), rest.subList(1, rest.size()));
    if (is(rest, "stop") || is(rest, "term") || is(rest, "kill")) {
      mayChange(r, "Job/Cancel");
      PipelineRun run = build.run;
      if (run != null) run.interrupt(new FlowInterruptedException("ABORTED", "Aborted by " + (r.user == null ? "anonymous" : r.user)));
      return text(302, "").with("Location", controller.rootUrl() + job.urlPath() + build.number + "/");
    }
    throw html(404, "Not Found");
  }

  private static byte[] log(Build build) throws IOException {
    return Files.exists(build.log()) ? Files.readAllBytes(build.log()) : new byte[0];
  }

  private static Reply send(Path root, List<String> parts) throws IOException {
    Path file = root.resolve(String.join("/", parts)).normalize();
    if (!file.startsWith(root) || !Files.isRegularFile(file)) throw html(404, "Not Found");
    String name = file.getFileName().toString();
    String type = name.endsWith(".html") ? "text/html;charset=utf-8" : name.endsWith(".xml") ? "application/xml" : name.endsWith(".json") ? "application/json"
        : name.matches(".*\\.(txt|log|yaml|yml)") ? "text/plain;charset=utf-8" : "application/octet-stream";
    // Jenkins serves artifacts in a sandbox: their scripts must not act for the reader.
    return new Reply(200, type, Files.readAllBytes(file)).with("Content-Security-Policy", "sandbox; default-src 'none'; img-src 'self'; style-src 'self';");
  }

  // ---- hooks ----

  private Reply hook(Request r, String name) throws Exception {
    if (!controller.plugins.has("gitlab-plugin")) throw html(404, "Not Found");
    Job job = controller.jobs.get(name);
    if (job == null || job.folder) throw html(404, "Project not found");
    if (!r.method.equals("POST")) throw html(400, "only POST is covered");
    if (r.body.length == 0) return text(200, "");
    String event = r.header("X-Gitlab-Event");
    if (event == null) {
      LOG.warning("hook for " + name + ": Missing X-Gitlab-Event header");
      return text(200, "");
    }
    // As in the plugin, events that it does not know are answered 200 and do nothing.
    if (!List.of("Push Hook", "Merge Request Hook", "Tag Push Hook", "Note Hook", "Pipeline Hook", "System Hook").contains(event)) {
      LOG.warning("hook for " + name + ": Unsupported X-Gitlab-Event header: " + event);
      return text(200, "");
    }
    JsonNode payload;
    try {
      payload = Build.JSON.readTree(r.body);
    } catch (JsonProcessingException e) {
      throw text(400, "the hook's body is no JSON");
    }
    Map<String, Object> trigger = job.gitLabTrigger;
    if (trigger == null) {
      LOG.warning("hook for " + name + ": the job has no gitlab trigger");
      return text(200, "");
    }
    String token = (String) trigger.get("secretToken");
    if (token.isEmpty()) {
      boolean open = Boolean.FALSE.equals(Casc.at(controller.casc, "unclassified.gitLabConnectionConfig").getOrDefault("useAuthenticatedEndpoint",
          Casc.at(controller.casc, "unclassified.gitlabconnectionconfig").getOrDefault("useAuthenticatedEndpoint", true)));
      if (!open && secured() && r.user == null) throw html(403, "anonymous is missing the Job/Build permission");
    } else if (!same(token, String.valueOf(r.header("X-Gitlab-Token")))) {
      throw html(401, "Invalid token");
    }
    String kind = event.equals("System Hook") ? payload.path("object_kind").asText() : event;
    GitLabHook.Decision decision;
    synchronized (controller) {
      try {
        decision = switch (kind) {
          case "Push Hook", "push" -> GitLabHook.push(trigger, payload);
          case "Merge Request Hook", "merge_request" -> GitLabHook.mergeRequest(trigger, payload, (sha, state, target) -> controller.builtMergeRequest(job, sha, state, target));
          default -> GitLabHook.Decision.none(kind + " does not trigger this job");
        };
      } catch (NullPointerException e) {
        throw html(500, e.getMessage());
      }
      if (decision.env() == null) {
        LOG.info("hook for " + name + ": no build: " + decision.reason());
        return text(200, "");
      }
      Map<String, Object> params = new TreeMap<>();
      job.parameters.forEach(p -> params.put(p.name(), p.defaultValue()));
      Controller.Item item = controller.enqueue(job, decision.env(), params, decision.cause(),
          Boolean.TRUE.equals(trigger.get("setBuildDescription")) ? decision.description() : null, controller.quietPeriod(job));
      LOG.info("hook for " + name + ": " + decision.cause() + " (queue item " + item.id + ")");
    }
    return text(200, "");
  }

  // ---- JSON ----

  private static Map<String, Object> ordered(Object... pairs) {
    Map<String, Object> map = new LinkedHashMap<>();
    for (int i = 0; i < pairs.length; i += 2) map.put((String) pairs[i], pairs[i + 1]);
    return map;
  }

  private static int depth(Request r) {
    return r.query.containsKey("tree") ? 3 : Math.min(3, Integer.parseInt(r.query.getOrDefault("depth", "0")));
  }

  private List<Map<String, Object>> children(String parent, int depth) {
    return controller.jobs.values().stream().filter(j -> j.parent().equals(parent)).map(j -> {
      if (depth > 0) return j.folder ? folder(j, depth - 1) : jobJson(j, depth - 1);
      Map<String, Object> out = ordered("_class", type(j), "name", j.name(), "url", controller.rootUrl() + j.urlPath());
      if (!j.folder) out.put("color", color(j));
      return out;
    }).toList();
  }

  private static String type(Job job) {
    return job.folder ? "com.cloudbees.hudson.plugins.folder.Folder" : "org.jenkinsci.plugins.workflow.job.WorkflowJob";
  }

  private Map<String, Object> root(int depth) {
    return ordered("_class", "hudson.model.Hudson", "mode", "NORMAL", "nodeDescription", "the Jenkins controller's built-in node", "nodeName", "",
        "numExecutors", Casc.at(controller.casc, "jenkins").getOrDefault("numExecutors", 2), "description", Casc.at(controller.casc, "jenkins").get("systemMessage"),
        "jobs", children("", depth), "quietingDown", false, "url", controller.rootUrl(), "useCrumbs", Casc.at(controller.casc, "jenkins").containsKey("crumbIssuer"),
        "useSecurity", secured(), "views", List.of(ordered("_class", "hudson.model.AllView", "name", "all", "url", controller.rootUrl())));
  }

  private Map<String, Object> folder(Job folder, int depth) {
    return ordered("_class", type(folder), "description", folder.description, "displayName", folder.displayName, "fullDisplayName", folder.displayName,
        "fullName", folder.fullName, "name", folder.name(), "url", controller.rootUrl() + folder.urlPath(), "jobs", children(folder.fullName, depth));
  }

  private String color(Job job) {
    if (job.disabled) return "disabled";
    List<Build> all = controller.builds(job.fullName);
    Build last = all.stream().filter(b -> !b.building).findFirst().orElse(null);
    String color = last == null ? "notbuilt" : switch (last.result) {
      case "SUCCESS" -> "blue";
      case "UNSTABLE" -> "yellow";
      case "FAILURE" -> "red";
      case "ABORTED" -> "aborted";
      default -> "notbuilt";
    };
    return all.stream().anyMatch(b -> b.building) ? color + "_anime" : color;
  }

  private Map<String, Object> jobJson(Job job, int depth) {
    List<Build> all = controller.builds(job.fullName);
    Map<String, Object> out = ordered("_class", type(job), "description", job.description, "displayName", job.displayName, "fullDisplayName",
        job.fullName.replace("/", " » "), "fullName", job.fullName, "name", job.name(), "url", controller.rootUrl() + job.urlPath(), "buildable", !job.disabled,
        "builds", all.stream().map(b -> depth > 0 ? buildJson(job, b) : brief(job, b)).toList(), "color", color(job), "firstBuild",
        all.isEmpty() ? null : brief(job, all.get(all.size() - 1)), "inQueue", controller.queue().stream().anyMatch(i -> i.job.equals(job.fullName)),
        "keepDependencies", false);
    for (String which : List.of("lastBuild", "lastCompletedBuild", "lastFailedBuild", "lastStableBuild", "lastSuccessfulBuild", "lastUnstableBuild", "lastUnsuccessfulBuild")) {
      Build build = find(job, which);
      out.put(which, build == null ? null : depth > 0 ? buildJson(job, build) : brief(job, build));
    }
    out.put("nextBuildNumber", nextNumber(job, all));
    out.put("property", job.parameters.isEmpty() ? List.of() : List.of(ordered("_class", "hudson.model.ParametersDefinitionProperty", "parameterDefinitions",
        job.parameters.stream().map(Job.Parameter::json).toList())));
    out.put("queueItem", controller.queue().stream().filter(i -> i.job.equals(job.fullName)).findFirst().map(this::item).orElse(null));
    out.put("concurrentBuild", !job.disableConcurrent);
    return out;
  }

  private int nextNumber(Job job, List<Build> all) {
    Path file = controller.jobFolder(job.fullName).resolve("nextBuildNumber");
    try {
      return Files.exists(file) ? Integer.parseInt(Files.readString(file).trim()) : all.isEmpty() ? 1 : all.get(0).number + 1;
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
  }

  private Map<String, Object> brief(Job job, Build build) {
    return ordered("_class", "org.jenkinsci.plugins.workflow.job.WorkflowRun", "number", build.number, "url", controller.rootUrl() + job.urlPath() + build.number + "/");
  }

  private Map<String, Object> buildJson(Job job, Build build) {
    List<Object> actions = new ArrayList<>();
    actions.add(causes(build.causes, build.env));
    if (!build.params.isEmpty()) actions.add(ordered("_class", "hudson.model.ParametersAction", "parameters",
        build.params.entrySet().stream().map(e -> ordered("name", e.getKey(), "value", e.getValue())).toList()));
    if (build.testReport != null) {
      Map<String, Object> counts = new LinkedHashMap<>(Map.of("_class", "hudson.tasks.junit.TestResultAction"));
      counts.putAll(build.failedTests());
      counts.put("totalCount", (Integer) build.testReport.get("failCount") + (Integer) build.testReport.get("passCount") + (Integer) build.testReport.get("skipCount"));
      counts.put("urlName", "testReport");
      actions.add(counts);
    }
    Map<String, Object> out = brief(job, build);
    out.put("actions", actions);
    out.put("artifacts", artifacts(build));
    out.put("building", build.building);
    out.put("description", build.description);
    out.put("displayName", build.title());
    out.put("duration", build.building ? 0 : build.duration);
    out.put("estimatedDuration", -1);
    out.put("fullDisplayName", job.fullName.replace("/", " » ") + " " + build.title());
    out.put("id", String.valueOf(build.number));
    out.put("inProgress", build.building);
    out.put("keepLog", false);
    out.put("queueId", build.queueId);
    out.put("result", build.building ? null : build.result);
    out.put("timestamp", build.timestamp);
    out.put("changeSets", List.of());
    out.put("culprits", List.of());
    out.put("nextBuild", neighbour(job, build, 1));
    out.put("previousBuild", neighbour(job, build, -1));
    return out;
  }

  /** As core exports them (CauseAction); a hook's cause with its data (gitlab-plugin, GitLabWebHookCause.getData). */
  private static Map<String, Object> causes(List<String> causes, Map<String, String> env) {
    return ordered("_class", "hudson.model.CauseAction", "causes", causes.stream().map(c -> {
      Map<String, Object> out = ordered("_class", causeClass(c), "shortDescription", c);
      if (causeClass(c).endsWith("GitLabWebHookCause")) out.put("data", GitLabHook.causeData(env));
      return out;
    }).toList());
  }

  private static String causeClass(String cause) {
    if (cause.equals(Timer.CAUSE)) return "hudson.triggers.TimerTrigger$TimerTriggerCause";
    return cause.startsWith("Started by user") ? "hudson.model.Cause$UserIdCause" : "com.dabsquared.gitlabjenkins.cause.GitLabWebHookCause";
  }

  private Map<String, Object> neighbour(Job job, Build build, int step) {
    Build other = controller.build(job.fullName, build.number + step);
    return other == null ? null : brief(job, other);
  }

  private static List<Map<String, Object>> artifacts(Build build) {
    Path root = build.folder.resolve("archive");
    if (!Files.isDirectory(root)) return List.of();
    try (Stream<Path> walk = Files.walk(root)) {
      return walk.filter(Files::isRegularFile).sorted().map(f -> ordered("displayPath", f.getFileName().toString(), "fileName", f.getFileName().toString(),
          "relativePath", root.relativize(f).toString())).toList();
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
  }

  private Map<String, Object> item(Controller.Item item) {
    Job job = controller.jobs.get(item.job);
    return ordered("_class", "hudson.model.Queue$BlockedItem", "actions", List.of(causes(item.causes, item.env)), "id", item.id, "inQueueSince", item.since, "blocked", true, "buildable", false, "stuck", false,
        "params", item.params.isEmpty() ? "" : item.params.toString(), "why", controller.why(item), "url", "queue/item/" + item.id + "/", "task",
        ordered("_class", type(job), "name", job.name(), "url", controller.rootUrl() + job.urlPath()));
  }

  /**
   * A pipeline that runs has an executor of its own on the built-in node (core: Computer.getOneOffExecutors; workflow-job: WorkflowJob is a FlyweightTask),
   * and one on each of its agents (workflow-durable-task-step: PlaceholderExecutable, exported with its build's address).
   */
  private Map<String, Object> computers() {
    List<Object> running = new ArrayList<>();
    List<Object> agents = new ArrayList<>();
    for (Job job : controller.jobs.values()) {
      if (job.folder) continue;
      for (Build build : controller.builds(job.fullName)) {
        if (!build.building) continue;
        running.add(ordered("currentExecutable", buildJson(job, build)));
        for (String agent : build.agents)
          agents.add(ordered("_class", "org.csanchez.jenkins.plugins.kubernetes.KubernetesComputer", "displayName", agent, "executors",
              List.of(ordered("currentExecutable", ordered("_class", "org.jenkinsci.plugins.workflow.support.steps.ExecutorStepExecution$PlaceholderTask$PlaceholderExecutable",
                  "number", build.number, "url", controller.rootUrl() + job.urlPath() + build.number + "/"))), "oneOffExecutors", List.of()));
      }
    }
    List<Object> computers = new ArrayList<>(List.of(ordered("_class", "hudson.model.Hudson$MasterComputer", "displayName", "Built-In Node", "executors",
        List.of(), "oneOffExecutors", running)));
    computers.addAll(agents);
    return ordered("_class", "hudson.model.ComputerSet", "busyExecutors", agents.size(), "computer", computers, "displayName", "Nodes", "totalExecutors", agents.size());
  }

  private Reply queueItem(Request r, long id) throws JsonProcessingException {
    for (Controller.Item item : controller.queue()) if (item.id == id) return json(r, item(item));
    Build build = controller.startedAs(id);
    if (build == null) throw html(404, "Not Found");
    Job job = controller.jobs.get(build.job);
    return json(r, ordered("_class", "hudson.model.Queue$LeftItem", "id", id, "cancelled", false, "blocked", false, "buildable", false, "executable", brief(job, build),
        "task", ordered("_class", type(job), "name", job.name(), "url", controller.rootUrl() + job.urlPath()), "url", "queue/item/" + id + "/", "why", null));
  }

  private String metrics() {
    StringBuilder out = new StringBuilder("# HELP default_jenkins_up Is Jenkins ready to receive requests\n# TYPE default_jenkins_up gauge\ndefault_jenkins_up 1.0\n");
    out.append("# TYPE jenkins_queue_size_value gauge\njenkins_queue_size_value ").append(controller.queue().size()).append(".0\n");
    out.append("# TYPE default_jenkins_builds_last_build_result gauge\n");
    for (Job job : controller.jobs.values()) {
      if (job.folder) continue;
      Build last = find(job, "lastCompletedBuild");
      if (last != null) out.append("default_jenkins_builds_last_build_result{jenkins_job=\"").append(job.fullName).append("\",repo=\"NA\"} ")
          .append(last.result.equals("SUCCESS") ? "1.0" : "0.0").append('\n');
    }
    return out.toString();
  }
}

package dev.switchyard.jenkins;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Base64;
import java.util.Map;
import java.util.Properties;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The reload endpoint, over HTTP, with files as a ConfigMap and a Secret mount them. Sources: TokenReloadAction of
 * configuration-as-code-plugin; Queue and Computer of core (quiet period, executors); jenkins-support of jenkinsci/docker.
 */
class ReloadTest {
  @TempDir Path folder;
  private Controller controller;
  private HttpServer server;
  private final HttpClient http = HttpClient.newHttpClient();

  @BeforeEach
  void boot() throws IOException {
    Files.createDirectories(folder.resolve("home"));
    Files.createDirectories(folder.resolve("casc"));
    Files.createDirectories(folder.resolve("secrets"));
    secret("PASSWORD", "old-password");
    secret("HOOK_TOKEN_ORDERS", "orders-token");
    configure("orders");
    start("the-token");
  }

  private void start(String token) throws IOException {
    if (server != null) server.stop(0);
    controller = new Controller(folder.resolve("home"), ConfigurationTest.ALL);
    Runnable load = Main.loader(controller, folder.resolve("casc").toString(), Casc.secrets(Map.of("SECRETS", folder.resolve("secrets").toString())));
    load.run();
    Web web = new Web(controller, token, load);
    server = web.listen("127.0.0.1", 0);
    web.ready();
  }

  @AfterEach
  void stop() throws Exception {
    server.stop(0);
    // Builds write below the folder that goes with the test.
    for (Job job : controller.jobs.values()) for (Build build : controller.builds(job.fullName)) finished(build);
  }

  private static Build finished(Build build) throws Exception {
    for (int i = 0; (build.building || build.run != null) && i < 400; i++) Thread.sleep(25);
    return build;
  }

  private void secret(String name, String value) throws IOException {
    Files.writeString(folder.resolve("secrets").resolve(name), value);
  }

  private void write(String yaml) throws IOException {
    Files.writeString(folder.resolve("casc/jenkins.yaml"), yaml);
  }

  /** A configuration with one job for each module; its hook token is HOOK_TOKEN_NAME. */
  private void configure(String... modules) throws IOException {
    StringBuilder yaml = new StringBuilder("""
        jenkins:
          systemMessage: %s
          securityRealm: { local: { allowsSignup: false, users: [{ id: admin, password: "${PASSWORD}" }] } }
          authorizationStrategy: { loggedInUsersCanDoAnything: { allowAnonymousRead: false } }
          crumbIssuer: standard
        jobs:
          - script: folder('switchyard')
        """.formatted(String.join(" ", modules)));
    for (String module : modules)
      yaml.append("""
            - script: |
                pipelineJob('switchyard/%s') {
                  quietPeriod(0)
                  triggers { gitlab { secretToken('${HOOK_TOKEN_%s}') } }
                  definition { cps { script("echo 'built'") } }
                }
          """.formatted(module, module.toUpperCase()));
    write(yaml.toString());
  }

  private HttpResponse<String> send(String method, String path, String... headers) throws Exception {
    HttpRequest.Builder request = HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + server.getAddress().getPort() + path))
        .method(method, BodyPublishers.ofString("""
        {"object_kind":"push","ref":"refs/heads/main","after":"1111111111111111111111111111111111111111","project_id":1,"user_name":"Ann",
         "project":{"namespace":"n"},"repository":{"name":"o","git_ssh_url":"git@g:o.git","git_http_url":"http://g/o.git"},"commits":[]}
        """));
    if (headers.length > 0) request.headers(headers);
    return http.send(request.build(), BodyHandlers.ofString());
  }

  private HttpResponse<String> reload(String token) throws Exception {
    return send("POST", "/reload-configuration-as-code/?casc-reload-token=" + token);
  }

  /** configuration-as-code, TokenReloadAction since #2864: HTTP 200, and the fault in errorJSON's body. */
  private HttpResponse<String> refused() throws Exception {
    HttpResponse<String> answer = reload("the-token");
    assertEquals(200, answer.statusCode());
    JsonNode body = Build.JSON.readTree(answer.body());
    assertEquals("error", body.path("status").asText());
    assertTrue(body.path("message").asText().startsWith("Failed to reload configuration: "), answer.body());
    return answer;
  }

  private int agent(String name, String secret) throws Exception {
    return send("GET", "/wsagents/", "Node-Name", name, "Secret-Key", secret, "X-Remoting-Capability", "x").statusCode();
  }

  /** Core, WebSocketAgents.doIndex and JnlpAgentReceiver: the secret is an HMAC of the agent's name. */
  @Test
  void anAgentsSecretIsGoodForItsOwnNameAndNoLogin() throws Exception {
    Build build = controller.startedAs(controller.enqueue(controller.jobs.get("switchyard/orders"), Map.of(), Map.of(), "test", null, 0).id);
    for (int i = 0; build == null && i < 400; i++) {
      Thread.sleep(25);
      build = controller.build("switchyard/orders", 1);
    }
    finished(build);
    build.agents.add("build-one");
    build.agents.add("build-two");
    String own = controller.agentSecret("build-one");
    assertTrue(own.matches("[0-9a-f]{64}"), own);
    assertEquals(400, agent("build-one", own), "its build has ended");
    build.building = true;
    try {
      assertEquals(501, agent("build-one", own));
      assertEquals(403, agent("build-two", own));
      assertEquals(403, agent("build-one", controller.agentSecret("build-two")));
      assertEquals(403, agent("build-one", ""));
      assertEquals(400, agent("another", controller.agentSecret("another")), "no such agent");
      assertEquals(400, send("GET", "/wsagents/", "Node-Name", "build-one").statusCode());
    } finally {
      build.building = false;
    }
    for (String user : new String[] {"admin", "build-one"}) {
      String pair = Base64.getEncoder().encodeToString((user + ":" + own).getBytes());
      assertEquals(401, send("GET", "/me/api/json", "Authorization", "Basic " + pair).statusCode());
    }
    assertEquals(own, new Controller(folder.resolve("home"), ConfigurationTest.ALL).agentSecret("build-one"), "a restart keeps it");
  }

  @Test
  void whoIsNotLoggedInIsNobody() throws Exception {
    assertEquals(403, send("GET", "/me/api/json").statusCode());
  }

  private int hook(String module, String token) throws Exception {
    return send("POST", "/project/switchyard/" + module, "X-Gitlab-Event", "Push Hook", "X-Gitlab-Token", token).statusCode();
  }

  private int login(String password) throws Exception {
    String pair = Base64.getEncoder().encodeToString(("admin:" + password).getBytes());
    return send("GET", "/api/json", "Authorization", "Basic " + pair).statusCode();
  }

  private String message() {
    return (String) Casc.at(controller.casc, "jenkins").get("systemMessage");
  }

  @Test
  void aReloadAppliesNewJobsSecretsAndSettingsWithoutARestart() throws Exception {
    assertEquals(404, hook("billing", "billing-token"));
    assertEquals(200, login("old-password"));
    configure("orders", "billing");
    secret("HOOK_TOKEN_BILLING", "billing-token");
    secret("PASSWORD", "new-password");
    assertEquals("orders", message(), "nothing is applied before the reload");
    HttpResponse<String> answer = reload("the-token");
    assertEquals(200, answer.statusCode(), answer.body());
    assertEquals("", answer.body());
    assertEquals("orders billing", message());
    assertEquals(200, hook("billing", "billing-token"));
    assertEquals(401, hook("billing", "orders-token"));
    assertEquals(200, login("new-password"));
    assertEquals(401, login("old-password"));
  }

  @Test
  void buildsAndTheirNumbersStayAcrossAReload() throws Exception {
    assertEquals(200, hook("orders", "orders-token"));
    Build build = finished(controller.build("switchyard/orders", 1));
    assertEquals("SUCCESS", build.result);
    assertEquals(200, reload("the-token").statusCode());
    assertEquals(build, controller.build("switchyard/orders", 1));
    assertEquals(200, hook("orders", "orders-token"));
    assertTrue(controller.build("switchyard/orders", 2) != null);
  }

  /** core: Computer.getOneOffExecutors and Executor.getCurrentExecutableForApi are exported; workflow-job: a pipeline is a FlyweightTask, whose executor is there while it runs. */
  @Test
  void aBuildIsOnAComputerForAsLongAsItRuns() throws Exception {
    write(Files.readString(folder.resolve("casc/jenkins.yaml")).replace("echo 'built'", "sleep 3"));
    assertEquals(200, reload("the-token").statusCode());
    assertEquals(200, hook("orders", "orders-token"));
    for (int i = 0; controller.build("switchyard/orders", 1) == null && i < 400; i++) Thread.sleep(25);
    JsonNode running = executors();
    assertEquals(1, running.size());
    assertTrue(running.get(0).at("/currentExecutable/url").asText().endsWith("/job/switchyard/job/orders/1/"), running.toString());
    assertEquals("PUSH", running.get(0).at("/currentExecutable/actions/0/causes/0/data/actionType").asText(), running.toString());
    finished(controller.build("switchyard/orders", 1));
    assertEquals(0, executors().size());
  }

  private JsonNode executors() throws Exception {
    String pair = Base64.getEncoder().encodeToString("admin:old-password".getBytes());
    String tree = "computer[oneOffExecutors[currentExecutable[url,actions[causes[data[actionType]]]]]]";
    HttpResponse<String> answer = http.send(HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + server.getAddress().getPort() + "/computer/api/json?tree="
        + java.net.URLEncoder.encode(tree, java.nio.charset.StandardCharsets.UTF_8))).header("Authorization", "Basic " + pair).build(), BodyHandlers.ofString());
    assertEquals(200, answer.statusCode(), answer.body());
    return Build.JSON.readTree(answer.body()).at("/computer/0/oneOffExecutors");
  }

  /** core: 5 s before each build unless the job says otherwise; in it, the same commit of the same branch is one build. */
  @Test
  void aBuildWaitsForItsQuietPeriodAndTheSameCommitJoinsIt() throws Exception {
    write(Files.readString(folder.resolve("casc/jenkins.yaml")).replace("quietPeriod(0)", ""));
    assertEquals(200, reload("the-token").statusCode());
    assertEquals(200, hook("orders", "orders-token"));
    assertEquals(200, hook("orders", "orders-token"));
    assertNull(controller.build("switchyard/orders", 1));
    assertEquals(1, controller.queue().size());
    assertEquals(5000, controller.queue().get(0).notBefore - controller.queue().get(0).since);
    assertTrue(controller.cancel(controller.queue().get(0).id));
  }

  @Test
  void aBuildAfterTheReloadFollowsTheNewSettings() throws Exception {
    assertEquals(200, hook("orders", "orders-token"));
    assertTrue(Files.readString(finished(controller.build("switchyard/orders", 1)).log()).contains("\nbuilt\n"));
    write(Files.readString(folder.resolve("casc/jenkins.yaml")) + "unclassified: { timestamper: { allPipelines: true } }\n");
    assertEquals(200, reload("the-token").statusCode());
    assertEquals(200, hook("orders", "orders-token"));
    String log = Files.readString(finished(controller.build("switchyard/orders", 2)).log());
    assertTrue(log.lines().allMatch(line -> line.matches("\\[\\d{4}-\\d\\d-\\d\\dT[\\d:.]+Z\\] .*")), log);
    assertTrue(log.contains("Z] built\n"), log);
  }

  @Test
  void aWrongTokenOrNoneIsRefusedAndNothingIsApplied() throws Exception {
    configure("orders", "billing");
    assertEquals(401, reload("the-tokem").statusCode());
    assertEquals(401, reload("").statusCode());
    assertEquals(401, send("POST", "/reload-configuration-as-code/").statusCode());
    assertEquals(405, send("GET", "/reload-configuration-as-code/?casc-reload-token=the-token").statusCode());
    assertEquals("orders", message());
  }

  @Test
  void withoutAConfiguredTokenThereIsNoReload() throws Exception {
    start(null);
    configure("orders", "billing");
    assertEquals(404, reload("").statusCode());
    assertEquals("orders", message());
  }

  @Test
  void aFaultyKeyIsNamedAndTheFormerConfigurationStaysInForce() throws Exception {
    write("jenkins:\n  systemMesage: x\n");
    HttpResponse<String> answer = refused();
    assertTrue(answer.body().contains("jenkins.yaml:2: jenkins.systemMesage: unknown key"), answer.body());
    assertEquals("orders", message());
    assertEquals(200, login("old-password"));
    assertEquals(200, hook("orders", "orders-token"));
    configure("orders", "billing");
    assertEquals(200, reload("the-token").statusCode(), "a mended one is taken");
    assertEquals("orders billing", message());
  }

  @Test
  void aFaultInTheLastJobKeepsEveryFormerJobAndSetting() throws Exception {
    configure("orders", "billing");
    String yaml = Files.readString(folder.resolve("casc/jenkins.yaml"));
    write(yaml.replace("echo 'built'\") } }\n", "echo 'built'\") } }\n          frobnicate()\n"));
    HttpResponse<String> answer = refused();
    assertTrue(answer.body().contains("unknown method 'frobnicate'"), answer.body());
    assertEquals("orders", message());
    assertNull(controller.jobs.get("switchyard/billing"));
    assertEquals(200, hook("orders", "orders-token"));
  }

  @Test
  void filesThatAreGoneAreAFaultNotAnEmptyConfiguration() throws Exception {
    Files.delete(folder.resolve("casc/jenkins.yaml"));
    refused();
    assertEquals("orders", message());
  }

  @Test
  void aJobThatIsNoLongerDeclaredStays() throws Exception {
    configure("orders", "billing");
    assertEquals(200, reload("the-token").statusCode());
    configure("orders");
    assertEquals(200, reload("the-token").statusCode());
    assertEquals("switchyard/billing", controller.jobs.get("switchyard/billing").fullName);
    assertEquals("orders", message());
  }

  @Test
  void theTokenOfTheEnvironmentTakesPrecedence() {
    Properties properties = new Properties();
    assertNull(Main.reloadToken(Map.of(), properties));
    properties.setProperty("casc.reload.token", "property");
    assertEquals("property", Main.reloadToken(Map.of(), properties));
    assertEquals("environment", Main.reloadToken(Map.of("CASC_RELOAD_TOKEN", "environment"), properties));
  }

  @Test
  void aPluginIsLaidDownWithTheManifestOfItsPin() throws Exception {
    Path record = folder.resolve("ref/plugins.installed");
    Plugins.parse("plugins.txt", "# pins\ngit:5.10.1\nrobot:6.2.0\n").install(record);
    assertEquals("git:5.10.1\nrobot:6.2.0\n", Files.readString(record));
    try (var jar = new java.util.jar.JarFile(folder.resolve("ref/plugins/git.jpi").toFile())) {
      assertEquals("git", jar.getManifest().getMainAttributes().getValue("Short-Name"));
      assertEquals("5.10.1", jar.getManifest().getMainAttributes().getValue("Plugin-Version"));
    }
  }

  private Map<String, String> startWith(String image, String lines) throws IOException {
    Path reference = folder.resolve(image);
    Plugins.parse("plugins.txt", lines).install(reference.resolve("plugins.installed"));
    Plugins.copyReference(reference.resolve("plugins"), folder.resolve("home"));
    return Plugins.ofHome(folder.resolve("home")).versions();
  }

  /** jenkinsci/docker, jenkins-support: copy_reference_file. */
  @Test
  void aHomeThatKeepsItsPluginsIsRaisedByANewImageAndNeverLowered() throws Exception {
    assertEquals(Map.of("git", "5.10.1", "robot", "6.2.0"), startWith("one", "git:5.10.1\nrobot:6.2.0\n"));
    assertEquals(Map.of("git", "5.11", "robot", "6.2.0"), startWith("two", "git:5.11\n"), "raised, and nothing removed");
    assertEquals(Map.of("git", "5.11", "robot", "6.2.0"), startWith("three", "git:5.9\n"), "not lowered");
    Plugins.parse("p", "git:6.0\n").install(folder.resolve("hand/plugins.installed"));
    Files.copy(folder.resolve("hand/plugins/git.jpi"), folder.resolve("home/plugins/git.jpi"), StandardCopyOption.REPLACE_EXISTING);
    assertEquals("6.0", startWith("four", "git:6.1\n").get("git"), "what a person raised stays");
  }

  @Test
  void aHomeWithoutPluginsHasExactlyTheImages() throws Exception {
    startWith("one", "git:5.10.1\nrobot:6.2.0\n");
    Controller.deleteTree(folder.resolve("home/plugins"));
    assertEquals(Map.of("git", "5.9"), startWith("two", "git:5.9\n"));
  }

  @Test
  void theImagesOwnLockIsAListOfPlugins() throws Exception {
    Path lock = Path.of("../../components/jenkins/image/plugins.lock");
    long lines = Files.readAllLines(lock).stream().filter(line -> !line.startsWith("#")).count();
    Plugins plugins = Plugins.parse("plugins.lock", Files.readString(lock));
    assertEquals(lines, plugins.versions().size());
    assertEquals("5.10.1", plugins.versions().get("git"));
  }
}

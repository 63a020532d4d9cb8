package dev.switchyard.jenkins;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import io.fabric8.kubernetes.client.ConfigBuilder;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientBuilder;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.jenkinsci.plugins.workflow.steps.FlowInterruptedException;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * What becomes of a Pod that does not start, read in jenkinsci/kubernetes-plugin at a82d78a0: KubernetesLauncher.launch waits
 * for all containers, ends the agent and leaves the queue item, for which NodeProvisioner has another one made; the Reaper
 * watches the namespace of the cloud alone (watchCloud), and PodUtils.cancelQueueItemFor finds a build by the annotation
 * `runUrl`, which only Pods of the step `podTemplate` have (PodTemplateStepExecution).
 */
class PodStartTest {
  private static final String WAITING = "{\"phase\":\"Pending\",\"containerStatuses\":[{\"name\":\"app\",\"image\":\"registry/app:1\",\"state\":{\"waiting\":"
      + "{\"reason\":\"ImagePullBackOff\",\"message\":\"Back-off pulling image registry/app:1\"}}}]}";
  private static final String CRASHED = "{\"phase\":\"Running\",\"containerStatuses\":[{\"name\":\"app\",\"image\":\"registry/app:1\",\"state\":{\"terminated\":"
      + "{\"reason\":\"Error\",\"exitCode\":3}}}]}";
  private static final String NOT_READY = "{\"phase\":\"Running\",\"containerStatuses\":[{\"name\":\"app\",\"image\":\"registry/app:1\",\"ready\":false,"
      + "\"state\":{\"running\":{}}}]}";

  @TempDir Path home;
  private final Map<String, String> pods = new ConcurrentHashMap<>();
  private final List<String> made = Collections.synchronizedList(new ArrayList<>());
  /** How many there were at the most. */
  private volatile int most;
  private volatile String status = NOT_READY;
  private HttpServer server;
  private volatile Controller controller;
  private KubernetesClient client;

  @BeforeEach
  void start() throws IOException {
    server = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
    server.createContext("/", this::answer);
    server.start();
    client = new KubernetesClientBuilder().withConfig(new ConfigBuilder().withNamespace("ci")
        .withMasterUrl("http://127.0.0.1:" + server.getAddress().getPort()).withRequestRetryBackoffLimit(0).build()).build();
    Steps.retryMillis = 20;
  }

  @AfterEach
  void stop() {
    Steps.retryMillis = 5000;
    client.close();
    server.stop(0);
  }

  private void answer(HttpExchange exchange) throws IOException {
    String path = exchange.getRequestURI().getPath();
    String name = path.substring(path.lastIndexOf('/') + 1);
    String body = "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"status\":\"Failure\",\"message\":\"not found\",\"code\":404}";
    int code = 404;
    if (exchange.getRequestMethod().equals("POST")) {
      String given = new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8);
      name = Build.JSON.readTree(given).at("/metadata/name").asText();
      pods.put(name, given);
      made.add(name);
      most = Math.max(most, pods.size());
      body = given;
      code = 201;
    } else if (path.endsWith("/events")) {
      body = "{\"kind\":\"EventList\",\"apiVersion\":\"v1\",\"items\":[]}";
      code = 200;
    } else if (pods.containsKey(name)) {
      // Somebody has seen enough.
      if (made.size() == 3) controller.build("p", 1).run.interrupt(new FlowInterruptedException("ABORTED", "Aborted by ada"));
      String given = exchange.getRequestMethod().equals("DELETE") ? pods.remove(name) : pods.get(name);
      var tree = (com.fasterxml.jackson.databind.node.ObjectNode) Build.JSON.readTree(given);
      tree.set("status", Build.JSON.readTree(status));
      body = tree.toString();
      code = 200;
    }
    byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
    exchange.getResponseHeaders().set("content-type", "application/json");
    exchange.sendResponseHeaders(code, bytes.length);
    exchange.getResponseBody().write(bytes);
    exchange.close();
  }

  private Build run(String script) throws Exception {
    controller = new Controller(home, ConfigurationTest.ALL, client);
    Map<String, Object> tree = new LinkedHashMap<>();
    tree.put("jobs", List.of(Map.of("script", "pipelineJob('p') { definition { cps { script('''" + script + "''') } } }")));
    Map<String, Object> template = Map.of("name", "deploy", "label", "deploy", "namespace", "ci-agents", "slaveConnectTimeout", 1, "showRawYaml", false, "yaml", POD);
    tree.put("jenkins", Map.of("clouds", List.of(Map.of("kubernetes", Map.of("name", "kubernetes", "namespace", "ci-agents", "templates", List.of(template))))));
    controller.configure(tree);
    controller.enqueue(controller.jobs.get("p"), Map.of(), Map.of(), "test", null, 0);
    for (int i = 0; i < 6000; i++) {
      Build build = controller.build("p", 1);
      if (build != null && !build.building && build.run == null) return build;
      Thread.sleep(20);
    }
    throw new AssertionError("the build did not end");
  }

  private static final String POD = "spec: {containers: [{name: app, image: registry/app:1}]}";

  private Build step(String namespace) throws Exception {
    return run("podTemplate(namespace: \"" + namespace + "\", slaveConnectTimeout: 1, showRawYaml: false, yaml: \"" + POD
        + "\") { node(POD_LABEL) { echo \"it runs\" } }");
  }

  /** Made again and again, one at a time, until somebody ends that; nothing is left then. */
  private void endless(Build build) throws Exception {
    String log = Files.readString(build.log());
    assertEquals("ABORTED", build.result, log);
    assertTrue(log.contains("Aborted by ada"), log);
    assertFalse(log.contains("it runs"), log);
    assertEquals(3, made.size(), made + "\n" + log);
    assertEquals(made.size(), made.stream().distinct().count());
    assertEquals(1, most);
    assertEquals(Map.of(), pods);
    assertEquals(List.of(), build.pods);
  }

  @Test
  void aPodThatDoesNotGetReadyIsMadeAnewUntilTheStepIsInterrupted() throws Exception {
    Build build = step("test-orders");
    endless(build);
    assertTrue(Files.readString(build.log()).contains("was not ready within 1 s: container app is not ready"), Files.readString(build.log()));
  }

  @Test
  void noReaperEndsTheBuildOutsideTheNamespaceOfTheCloud() throws Exception {
    status = WAITING;
    endless(step("test-orders"));
    made.clear();
    status = CRASHED;
    Files.move(home.resolve("jobs"), home.resolve("before"));
    endless(step("test-orders"));
  }

  @Test
  void theReaperEndsABuildWhosePodTemplateIsInTheNamespaceOfTheCloud() throws Exception {
    status = WAITING;
    Build pulling = step("ci-agents");
    assertEquals("FAILURE", pulling.result);
    assertTrue(Files.readString(pulling.log()).contains("Unable to pull container image"), Files.readString(pulling.log()));
    assertEquals(1, made.size());
    status = CRASHED;
    Files.move(home.resolve("jobs"), home.resolve("before"));
    Build crashed = step("ci-agents");
    assertEquals("FAILURE", crashed.result);
    assertTrue(Files.readString(crashed.log()).contains("container app was terminated"), Files.readString(crashed.log()));
    assertEquals(2, made.size());
    assertEquals(Map.of(), pods);
  }

  @Test
  void ofATemplateInTheConfigurationTheReaperFindsNoBuild() throws Exception {
    status = CRASHED;
    endless(run("node(\"deploy\") { echo \"it runs\" }"));
  }
}

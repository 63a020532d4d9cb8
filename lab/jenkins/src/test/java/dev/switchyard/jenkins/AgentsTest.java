package dev.switchyard.jenkins;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.net.httpserver.HttpServer;
import hudson.AbortException;
import io.fabric8.kubernetes.client.ConfigBuilder;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientBuilder;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/**
 * How many agents there may be at once, and what becomes of one that cannot be made. Sources: KubernetesProvisioningLimits and
 * KubernetesLauncher of jenkinsci/kubernetes-plugin (read at a82d78a0).
 */
class AgentsTest {
  private final Caps caps = new Caps();
  private final List<String> order = Collections.synchronizedList(new ArrayList<>());

  /** Takes room in a thread of its own, and keeps it until it is told. */
  private CountDownLatch taking(String name, int cloudCap, String template, int templateCap) throws InterruptedException {
    CountDownLatch release = new CountDownLatch(1);
    CountDownLatch decided = new CountDownLatch(1);
    Thread thread = new Thread(() -> {
      try (Caps.Room room = caps.take("cloud", cloudCap, template, templateCap, decided::countDown)) {
        order.add(name);
        decided.countDown();
        release.await();
      } catch (InterruptedException e) {
        order.add(name + " gave up");
      }
    });
    thread.setDaemon(true);
    thread.start();
    assertTrue(decided.await(5, TimeUnit.SECONDS));
    return release;
  }

  private void until(List<String> wanted) throws InterruptedException {
    for (int i = 0; i < 200 && !order.equals(wanted); i++) Thread.sleep(10);
    assertEquals(wanted, order);
  }

  @Test
  void aTemplateHasItsCapAndTheFirstThatWaitsIsTheNext() throws Exception {
    CountDownLatch first = taking("a", 9, "delivery", 1);
    CountDownLatch second = taking("b", 9, "delivery", 1);
    taking("c", 9, "delivery", 1);
    taking("build", 9, "build", Integer.MAX_VALUE);
    until(List.of("a", "build"));
    first.countDown();
    until(List.of("a", "build", "b"));
    second.countDown();
    until(List.of("a", "build", "b", "c"));
  }

  @Test
  void theCloudsCapCountsAllTemplates() throws Exception {
    CountDownLatch first = taking("a", 2, "delivery", 2);
    taking("b", 2, "build", 2);
    taking("c", 2, "build", 2);
    until(List.of("a", "b"));
    first.countDown();
    until(List.of("a", "b", "c"));
  }

  @Test
  void whoIsInterruptedWhileItWaitsHoldsNobodyUp() throws Exception {
    CountDownLatch first = taking("a", 9, "delivery", 1);
    Thread gone = new Thread(() -> assertThrows(InterruptedException.class, () -> caps.take("cloud", 9, "delivery", 1, () -> {})));
    gone.start();
    while (gone.getState() != Thread.State.WAITING) Thread.sleep(5);
    taking("c", 9, "delivery", 1);
    gone.interrupt();
    gone.join();
    first.countDown();
    until(List.of("a", "c"));
  }

  @Test
  void roomIsGivenBackOnce() throws Exception {
    Caps.Room room = caps.take("cloud", 1, "delivery", 1, () -> {});
    room.close();
    room.close();
    caps.take("cloud", 1, "delivery", 1, () -> {});
    List<String> full = new ArrayList<>();
    Thread waits = new Thread(() -> assertThrows(InterruptedException.class, () -> caps.take("cloud", 1, "delivery", 1, () -> full.add("full"))));
    waits.start();
    while (waits.getState() != Thread.State.WAITING) Thread.sleep(5);
    assertEquals(List.of("full"), full);
    waits.interrupt();
    waits.join();
  }

  @Test
  void aCapIsANumberOrItsText() {
    assertEquals(6, Caps.of(Map.of("containerCapStr", "6"), "containerCap"));
    assertEquals(3, Caps.of(Map.of("instanceCap", 3), "instanceCap"));
    assertEquals(Integer.MAX_VALUE, Caps.of(Map.of("instanceCapStr", ""), "instanceCap"));
  }

  private static final Map<String, Object> OF_A_STEP = Map.of("metadata", Map.of("annotations", Map.of("runUrl", "job/orders/1/")));

  private Exception refused(int code, String message) throws Exception {
    return refused(code, message, OF_A_STEP);
  }

  private Exception refused(int code, String message, Map<String, Object> pod) throws Exception {
    HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
    server.createContext("/", exchange -> {
      byte[] body = ("{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"status\":\"Failure\",\"message\":\"" + message + "\",\"code\":" + code + "}")
          .getBytes(StandardCharsets.UTF_8);
      exchange.getResponseHeaders().set("content-type", "application/json");
      exchange.sendResponseHeaders(code, body.length);
      exchange.getResponseBody().write(body);
      exchange.close();
    });
    server.start();
    try (KubernetesClient client = new KubernetesClientBuilder().withConfig(new ConfigBuilder()
        .withMasterUrl("http://127.0.0.1:" + server.getAddress().getPort()).withRequestRetryBackoffLimit(0).build()).build()) {
      return assertThrows(Exception.class, () -> Pods.create(client, "ci", "agent-1", pod));
    } finally {
      server.stop(0);
    }
  }

  @Test
  void aFullQuotaAndAServerInTroubleAreTriedAgain() throws Exception {
    Exception full = refused(403, "pods agent-1 is forbidden: exceeded quota: quota, requested: pods=1, used: pods=20, limited: pods=20");
    assertTrue(full instanceof Pods.Later, full.toString());
    assertTrue(full.getMessage().contains("exceeded quota"), full.getMessage());
    assertTrue(refused(409, "Operation cannot be fulfilled on resourcequotas quota: the object has been modified") instanceof Pods.Later);
    assertTrue(refused(503, "the server is currently unable to handle the request") instanceof Pods.Later);
  }

  @Test
  void anyOtherRefusalEndsTheBuildOfAPodTemplateStepAndNoOther() throws Exception {
    Exception refused = refused(403, "pods is forbidden: User jenkins cannot create resource pods");
    assertTrue(refused instanceof AbortException, refused.toString());
    assertFalse(refused instanceof Pods.Later);
    assertTrue(refused(422, "Pod agent-1 is invalid") instanceof AbortException);
    assertTrue(refused(422, "Pod agent-1 is invalid", Map.of()) instanceof Pods.Later);
  }
}

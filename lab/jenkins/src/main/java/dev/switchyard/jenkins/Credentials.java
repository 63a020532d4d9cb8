package dev.switchyard.jenkins;

import hudson.AbortException;
import io.fabric8.kubernetes.api.model.Secret;
import io.fabric8.kubernetes.client.KubernetesClientException;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.List;

/** The kubernetes-credentials-provider: labelled Secrets of Jenkins's own namespace, read at each use. */
final class Credentials {
  static final String LABEL = "jenkins.io/credentials-type";

  record Pair(String username, String password) {}

  private final Controller controller;

  Credentials(Controller controller) {
    this.controller = controller;
  }

  String text(String id) throws AbortException {
    return value(find(id, "secretText"), id, "text");
  }

  Pair usernamePassword(String id) throws AbortException {
    Secret secret = find(id, "usernamePassword");
    return new Pair(value(secret, id, "username"), value(secret, id, "password"));
  }

  private Secret find(String id, String type) throws AbortException {
    if (!controller.plugins.has("kubernetes-credentials-provider"))
      throw new AbortException("Could not find credentials entry with ID '" + id + "': the plugin 'kubernetes-credentials-provider' is not installed");
    List<Secret> all;
    try {
      // By label over the namespace, as the plugin does: it needs the right to list.
      all = controller.kubernetes().secrets().inNamespace(controller.ownNamespace()).withLabel(LABEL).list().getItems();
    } catch (KubernetesClientException e) {
      throw new AbortException("Credentials cannot be listed in namespace " + controller.ownNamespace() + ": " + Pods.reason(e));
    }
    Secret secret = all.stream().filter(s -> s.getMetadata().getName().equals(id)).findFirst().orElse(null);
    if (secret == null) throw new AbortException("Could not find credentials entry with ID '" + id + "'");
    String found = secret.getMetadata().getLabels().get(LABEL);
    if (!type.equals(found)) throw new AbortException("Credentials '" + id + "' is of type '" + found + "' where '" + type + "' was expected");
    return secret;
  }

  private static String value(Secret secret, String id, String key) throws AbortException {
    String data = secret.getData() == null ? null : secret.getData().get(key);
    if (data == null) throw new AbortException("Credentials '" + id + "': its Secret has no key '" + key + "'");
    return new String(Base64.getDecoder().decode(data), StandardCharsets.UTF_8);
  }
}

package dev.switchyard.jenkins;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import groovy.json.JsonSlurper;
import groovy.lang.GroovyShell;
import java.io.IOException;
import java.io.InputStream;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.yaml.snakeyaml.LoaderOptions;
import org.yaml.snakeyaml.Yaml;
import org.yaml.snakeyaml.constructor.SafeConstructor;

/**
 * What text/groovy.ts and text/jcasc.ts wrote, read by Groovy 2.4 itself and by the plug-in's own substitutor. Source:
 * SecretSourceResolver of configuration-as-code-plugin.
 */
class TextTest {
  private static final Map<String, String> SECRETS = Map.of("ADMIN_PASSWORD", "hunter2", "TOKEN", "abc");

  @SuppressWarnings("unchecked")
  private static List<Map<String, String>> texts() throws IOException {
    try (InputStream file = TextTest.class.getResourceAsStream("/texts.json")) {
      return (List<Map<String, String>>) ((Map<String, Object>) new JsonSlurper().parse(file, "UTF-8")).get("texts");
    }
  }

  /** Quotes a text for a message about a fault. */
  private static String shown(String text) {
    return groovy.json.JsonOutput.toJson(text);
  }

  @Test
  void groovyReadsEachLiteralAsItsText() throws IOException {
    List<Map<String, String>> texts = texts();
    assertTrue(texts.size() >= 400);
    StringBuilder script = new StringBuilder("[\n");
    for (Map<String, String> each : texts) script.append(each.get("groovy")).append(",\n").append(each.get("block")).append(",\n");
    List<?> read = (List<?>) new GroovyShell().evaluate(script.append("]").toString());
    for (int i = 0; i < texts.size(); i++) {
      String text = texts.get(i).get("text");
      assertEquals(text, read.get(2 * i), shown(text));
      assertEquals(text, read.get(2 * i + 1), shown(text));
    }
  }

  /** SnakeYAML reads YAML 1.1, in which more ends a line than in 1.2; Jenkins' configuration as code is read by it. */
  @Test
  @SuppressWarnings("unchecked")
  void snakeYamlReadsEachScalarAsItsText() throws IOException {
    for (Map<String, String> each : texts()) {
      String text = each.get("text");
      Map<String, Object> read =
          (Map<String, Object>) new Yaml(new SafeConstructor(new LoaderOptions())).load(each.get("yaml"));
      assertEquals(Set.of("of", "at"), read.keySet(), shown(text));
      assertEquals(text, read.get("of"), shown(text));
      Map<String, List<Map<String, String>>> at = (Map<String, List<Map<String, String>>>) read.get("at");
      String script = "job {\n  description(" + each.get("groovy") + ")\n}\n";
      assertEquals(Map.of(text, List.of(Map.of("script", script))), at, shown(text));
    }
  }

  @Test
  void theSubstitutorReadsEachScalarAsItsText() throws IOException {
    for (Map<String, String> each : texts()) {
      String text = each.get("text");
      assertEquals(text, Casc.resolve(each.get("jcasc"), SECRETS::get), shown(text));
      assertEquals(text + " \"abc\" " + text + " }", Casc.resolve(each.get("beside"), SECRETS::get), shown(text));
    }
  }
}

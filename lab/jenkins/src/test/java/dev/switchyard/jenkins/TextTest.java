package dev.switchyard.jenkins;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import groovy.json.JsonSlurper;
import groovy.lang.GroovyShell;
import java.io.IOException;
import java.io.InputStream;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** What text/groovy.ts and text/jcasc.ts wrote, read by Groovy 2.4 and by the plug-in's own substitutor. */
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

  @Test
  void theSubstitutorReadsEachScalarAsItsText() throws IOException {
    for (Map<String, String> each : texts()) {
      String text = each.get("text");
      assertEquals(text, Casc.resolve(each.get("jcasc"), SECRETS::get), shown(text));
      assertEquals(text + " \"abc\" " + text + " }", Casc.resolve(each.get("beside"), SECRETS::get), shown(text));
    }
  }
}

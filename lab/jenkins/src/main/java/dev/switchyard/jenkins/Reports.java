package dev.switchyard.jenkins;

import hudson.AbortException;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import javax.xml.parsers.DocumentBuilderFactory;
import javax.xml.parsers.ParserConfigurationException;
import org.w3c.dom.Element;
import org.w3c.dom.Node;
import org.w3c.dom.NodeList;
import org.xml.sax.SAXException;

/** Reads JUnit/xUnit files and Robot Framework's output.xml into what Jenkins answers as JSON. */
final class Reports {
  private Reports() {}

  private static Element root(String name, byte[] xml) throws AbortException {
    try {
      DocumentBuilderFactory factory = DocumentBuilderFactory.newInstance();
      factory.setFeature("http://apache.org/xml/features/disallow-doctype-decl", true);
      var builder = factory.newDocumentBuilder();
      builder.setErrorHandler(null);
      return builder.parse(new ByteArrayInputStream(xml)).getDocumentElement();
    } catch (SAXException e) {
      throw new AbortException("Failed to read test report file " + name + ": " + e.getMessage());
    } catch (IOException | ParserConfigurationException e) {
      throw new IllegalStateException(e);
    }
  }

  private static List<Element> children(Element of, String tag) {
    List<Element> found = new ArrayList<>();
    NodeList nodes = of.getChildNodes();
    for (int i = 0; i < nodes.getLength(); i++) {
      Node node = nodes.item(i);
      if (node instanceof Element element && element.getTagName().equals(tag)) found.add(element);
    }
    return found;
  }

  private static double seconds(String text) {
    try {
      return text.isEmpty() ? 0 : Double.parseDouble(text.replace(",", ""));
    } catch (NumberFormatException e) {
      return 0;
    }
  }

  /** The suites of one file. */
  static List<Map<String, Object>> junit(String name, byte[] xml) throws AbortException {
    Element root = root(name, xml);
    List<Map<String, Object>> suites = new ArrayList<>();
    switch (root.getTagName()) {
      case "testsuites" -> children(root, "testsuite").forEach(s -> suite(s, suites));
      case "testsuite" -> suite(root, suites);
      default -> throw new AbortException("Failed to read test report file " + name + ": <" + root.getTagName() + "> is neither testsuites nor testsuite");
    }
    return suites;
  }

  private static void suite(Element element, List<Map<String, Object>> suites) {
    children(element, "testsuite").forEach(s -> suite(s, suites));
    List<Map<String, Object>> cases = new ArrayList<>();
    double total = 0;
    for (Element test : children(element, "testcase")) {
      Map<String, Object> out = new LinkedHashMap<>();
      List<Element> bad = new ArrayList<>(children(test, "failure"));
      bad.addAll(children(test, "error"));
      List<Element> skipped = children(test, "skipped");
      double took = seconds(test.getAttribute("time"));
      total += took;
      out.put("className", test.getAttribute("classname").isEmpty() ? element.getAttribute("name") : test.getAttribute("classname"));
      out.put("duration", took);
      out.put("errorDetails", bad.isEmpty() ? null : bad.get(0).getAttribute("message"));
      out.put("errorStackTrace", bad.isEmpty() ? null : bad.get(0).getTextContent());
      out.put("name", test.getAttribute("name"));
      out.put("skipped", bad.isEmpty() && !skipped.isEmpty());
      out.put("skippedMessage", bad.isEmpty() && !skipped.isEmpty() ? skipped.get(0).getAttribute("message") : null);
      out.put("status", !bad.isEmpty() ? "FAILED" : !skipped.isEmpty() ? "SKIPPED" : "PASSED");
      cases.add(out);
    }
    if (cases.isEmpty() && !children(element, "testsuite").isEmpty()) return;
    Map<String, Object> suite = new LinkedHashMap<>();
    suite.put("cases", cases);
    suite.put("duration", total);
    suite.put("name", element.getAttribute("name"));
    suites.add(suite);
  }

  /** Adds suites to a build's report (a build may call `junit` more than once). @return the counts of the added ones */
  @SuppressWarnings("unchecked")
  static Map<String, Integer> add(Build build, List<Map<String, Object>> suites) {
    int failed = 0;
    int skipped = 0;
    int passed = 0;
    double duration = 0;
    for (Map<String, Object> suite : suites) {
      duration += (Double) suite.get("duration");
      for (Map<String, Object> test : (List<Map<String, Object>>) suite.get("cases"))
        switch ((String) test.get("status")) {
          case "FAILED" -> failed++;
          case "SKIPPED" -> skipped++;
          default -> passed++;
        }
    }
    synchronized (build) {
      Map<String, Object> old = build.testReport == null ? Map.of() : build.testReport;
      List<Object> all = new ArrayList<>((List<Object>) old.getOrDefault("suites", List.of()));
      all.addAll(suites);
      Map<String, Object> next = new LinkedHashMap<>();
      next.put("_class", "hudson.tasks.junit.TestResult");
      next.put("duration", ((Number) old.getOrDefault("duration", 0)).doubleValue() + duration);
      next.put("empty", all.isEmpty());
      next.put("failCount", (Integer) old.getOrDefault("failCount", 0) + failed);
      next.put("passCount", (Integer) old.getOrDefault("passCount", 0) + passed);
      next.put("skipCount", (Integer) old.getOrDefault("skipCount", 0) + skipped);
      next.put("suites", all);
      build.testReport = next;
      build.save();
    }
    return Map.of("totalCount", failed + skipped + passed, "failCount", failed, "skipCount", skipped, "passCount", passed);
  }

  /** Counts and tests of an output.xml. */
  static Map<String, Object> robot(String name, byte[] xml) throws AbortException {
    Element root = root(name, xml);
    if (!root.getTagName().equals("robot")) throw new AbortException("Robot: " + name + " is no Robot Framework output: <" + root.getTagName() + ">");
    List<Map<String, Object>> tests = new ArrayList<>();
    children(root, "suite").forEach(s -> robotSuite(s, "", tests));
    Map<String, Object> out = new LinkedHashMap<>();
    out.put("_class", "hudson.plugins.robot.RobotBuildAction");
    long passed = tests.stream().filter(t -> t.get("status").equals("PASS")).count();
    long failed = tests.stream().filter(t -> t.get("status").equals("FAIL")).count();
    out.put("overallFailed", (int) failed);
    out.put("overallPassed", (int) passed);
    out.put("overallSkipped", (int) (tests.size() - passed - failed));
    out.put("overallTotal", tests.size());
    out.put("passPercentage", percentage(passed, passed + failed));
    out.put("tests", tests);
    return out;
  }

  static double percentage(long passed, long of) {
    return of == 0 ? 100 : Math.floor(passed * 1000.0 / of) / 10;
  }

  private static void robotSuite(Element suite, String parent, List<Map<String, Object>> tests) {
    String name = parent.isEmpty() ? suite.getAttribute("name") : parent + "." + suite.getAttribute("name");
    children(suite, "suite").forEach(s -> robotSuite(s, name, tests));
    for (Element test : children(suite, "test")) {
      List<Element> status = children(test, "status");
      Map<String, Object> out = new LinkedHashMap<>();
      out.put("suite", name);
      out.put("name", test.getAttribute("name"));
      String value = status.isEmpty() ? "FAIL" : status.get(0).getAttribute("status");
      out.put("status", value.equals("NOT RUN") ? "SKIP" : value);
      out.put("message", status.isEmpty() ? "" : status.get(0).getTextContent().trim());
      tests.add(out);
    }
  }
}

package dev.switchyard.jenkins;

import java.io.StringReader;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.function.UnaryOperator;
import org.yaml.snakeyaml.LoaderOptions;
import org.yaml.snakeyaml.error.MarkedYAMLException;
import org.yaml.snakeyaml.nodes.MappingNode;
import org.yaml.snakeyaml.nodes.Node;
import org.yaml.snakeyaml.nodes.NodeTuple;
import org.yaml.snakeyaml.nodes.ScalarNode;
import org.yaml.snakeyaml.nodes.SequenceNode;
import org.yaml.snakeyaml.nodes.Tag;

/** One node of a YAML file, which knows its file, line and key path; and the types a strict reader checks it by. */
final class Yaml {
  /** Checks a node and gives its plain value: String, Integer, Boolean, List or Map. */
  interface Type {
    Object read(Yaml node);
  }

  private final String file;
  private final String path;
  private final Node node;
  private final UnaryOperator<String> resolve;

  private Yaml(String file, String path, Node node, UnaryOperator<String> resolve) {
    this.file = file;
    this.path = path;
    this.node = node;
    this.resolve = resolve;
  }

  /** @param resolve applied to every scalar (JCasC's `${…}`); @return null for an empty file */
  static Yaml parse(String file, String text, UnaryOperator<String> resolve) {
    LoaderOptions options = new LoaderOptions();
    options.setAllowDuplicateKeys(false);
    try {
      List<Node> documents = new ArrayList<>();
      new org.yaml.snakeyaml.Yaml(options).composeAll(new StringReader(text)).forEach(documents::add);
      if (documents.isEmpty()) return null;
      if (documents.size() > 1) throw new BootError(file + ": holds " + documents.size() + " documents, one is taken");
      return new Yaml(file, "", documents.get(0), resolve);
    } catch (MarkedYAMLException e) {
      int line = e.getProblemMark() == null ? 1 : e.getProblemMark().getLine() + 1;
      throw new BootError(file + ":" + line + ": broken YAML: " + e.getProblem());
    }
  }

  BootError fault(String what) {
    int line = node.getStartMark() == null ? 1 : node.getStartMark().getLine() + 1;
    return new BootError(file + ":" + line + ": " + (path.isEmpty() ? "" : path + ": ") + what);
  }

  String path() {
    return path;
  }

  String where() {
    return fault("").getMessage().replaceFirst(": $", "");
  }

  boolean isMap() {
    return node instanceof MappingNode;
  }

  boolean isScalar() {
    return node instanceof ScalarNode;
  }

  Map<String, Yaml> entries() {
    if (!(node instanceof MappingNode mapping)) throw fault("must be a mapping");
    Map<String, Yaml> found = new LinkedHashMap<>();
    for (NodeTuple tuple : mapping.getValue()) {
      if (!(tuple.getKeyNode() instanceof ScalarNode key)) throw fault("has a key that is not a plain string");
      String child = path.isEmpty() ? key.getValue() : path + "." + key.getValue();
      // A key whose value is empty still has its own line: point at the key.
      Yaml value = new Yaml(file, child, tuple.getValueNode(), resolve);
      if (found.put(key.getValue(), value) != null)
        throw new Yaml(file, child, key, resolve).fault("is given twice");
    }
    return found;
  }

  List<Yaml> items() {
    if (!(node instanceof SequenceNode sequence)) throw fault("must be a list");
    List<Yaml> found = new ArrayList<>();
    int i = 0;
    for (Node item : sequence.getValue()) found.add(new Yaml(file, path + "[" + i++ + "]", item, resolve));
    return found;
  }

  String text() {
    if (!(node instanceof ScalarNode scalar)) throw fault("must be a plain value");
    try {
      return resolve.apply(scalar.getTag().equals(Tag.NULL) ? "" : scalar.getValue());
    } catch (BootError e) {
      throw fault(e.getMessage());
    }
  }

  // ---- types ----

  static final Type TEXT = Yaml::text;

  static final Type INT = y -> {
    try {
      return Integer.valueOf(y.text().trim());
    } catch (NumberFormatException e) {
      throw y.fault("must be a whole number");
    }
  };

  static final Type BOOL = y -> switch (y.text().trim()) {
    case "true" -> true;
    case "false" -> false;
    default -> throw y.fault("must be true or false");
  };

  static Type oneOf(String... values) {
    return y -> {
      String text = y.text();
      if (!List.of(values).contains(text)) throw y.fault("'" + text + "' is not one of " + String.join(", ", values));
      return text;
    };
  }

  static Type list(Type item) {
    return y -> y.items().stream().map(item::read).toList();
  }

  /** A symbol written as `never` or `never: {}`; gives its name. */
  static Type symbol(String... values) {
    return y -> {
      if (y.isScalar()) return oneOf(values).read(y);
      Map<String, Yaml> entries = y.entries();
      if (entries.size() != 1 || !List.of(values).contains(entries.keySet().iterator().next()))
        throw y.fault("must be one of " + String.join(", ", values));
      Yaml inner = entries.values().iterator().next();
      if (!inner.isScalar() && !inner.entries().isEmpty()) throw inner.fault("takes no keys here");
      return entries.keySet().iterator().next();
    };
  }

  static Type refused(String why) {
    return y -> {
      throw y.fault(why);
    };
  }

  /** Pairs of key and type. A key ending with `!` is required. Unknown keys are named with their line. */
  static Type map(Object... pairs) {
    Map<String, Type> types = new LinkedHashMap<>();
    List<String> required = new ArrayList<>();
    for (int i = 0; i < pairs.length; i += 2) {
      String key = (String) pairs[i];
      if (key.endsWith("!")) required.add(key = key.substring(0, key.length() - 1));
      types.put(key, (Type) pairs[i + 1]);
    }
    return y -> {
      if (y.isScalar() && y.text().isEmpty() && required.isEmpty()) return new LinkedHashMap<String, Object>();
      Map<String, Object> out = new LinkedHashMap<>();
      List<String> faults = new ArrayList<>();
      y.entries().forEach((key, value) -> {
        try {
          Type type = types.get(key);
          if (type == null) throw value.fault("unknown key; known here: " + String.join(", ", new TreeSet<>(types.keySet())));
          out.put(key, type.read(value));
        } catch (BootError e) {
          faults.add(e.getMessage());
        }
      });
      for (String key : required) if (!out.containsKey(key) && faults.isEmpty()) faults.add(y.fault("'" + key + "' is missing").getMessage());
      if (!faults.isEmpty()) throw new BootError(String.join("\n", faults));
      return out;
    };
  }

  /** As `map`, with exactly one of the keys. */
  static Type choice(Object... pairs) {
    Type all = map(pairs);
    return y -> {
      Object read = all.read(y);
      if (((Map<?, ?>) read).size() != 1) throw y.fault("takes exactly one key");
      return read;
    };
  }
}

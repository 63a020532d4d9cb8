package dev.switchyard.jenkins;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Jenkins's `tree=` filter: `jobs[name,builds[number]{0,5}]`, `*` for all plain fields. */
final class Tree {
  private record Field(Tree inner, int from, int to) {}

  private final Map<String, Field> fields = new LinkedHashMap<>();

  /** @throws IllegalArgumentException when the text is no filter */
  static Tree parse(String text) {
    int[] at = {0};
    Tree tree = read(text, at);
    if (at[0] != text.length()) throw new IllegalArgumentException("tree: unexpected '" + text.charAt(at[0]) + "' at " + at[0]);
    return tree;
  }

  private static Tree read(String text, int[] at) {
    Tree tree = new Tree();
    while (true) {
      int start = at[0];
      while (at[0] < text.length() && "[]{},".indexOf(text.charAt(at[0])) < 0) at[0]++;
      String name = text.substring(start, at[0]).trim();
      if (name.isEmpty()) throw new IllegalArgumentException("tree: a name is missing at " + start);
      Tree inner = null;
      if (at[0] < text.length() && text.charAt(at[0]) == '[') {
        at[0]++;
        inner = read(text, at);
        if (at[0] >= text.length() || text.charAt(at[0]) != ']') throw new IllegalArgumentException("tree: ']' is missing");
        at[0]++;
      }
      int from = 0;
      int to = Integer.MAX_VALUE;
      if (at[0] < text.length() && text.charAt(at[0]) == '{') {
        int end = text.indexOf('}', at[0]);
        if (end < 0) throw new IllegalArgumentException("tree: '}' is missing");
        String[] range = text.substring(at[0] + 1, end).split(",", -1);
        try {
          if (range.length == 1) to = (from = Integer.parseInt(range[0].trim())) + 1;
          else {
            if (!range[0].isBlank()) from = Integer.parseInt(range[0].trim());
            if (!range[1].isBlank()) to = Integer.parseInt(range[1].trim());
          }
        } catch (NumberFormatException e) {
          throw new IllegalArgumentException("tree: '" + text.substring(at[0], end + 1) + "' is no range");
        }
        at[0] = end + 1;
      }
      tree.fields.put(name, new Field(inner, from, to));
      if (at[0] >= text.length() || text.charAt(at[0]) != ',') return tree;
      at[0]++;
    }
  }

  Object apply(Object value) {
    if (value instanceof List<?> list) return list.stream().map(this::apply).toList();
    if (!(value instanceof Map<?, ?> map)) return value;
    Map<String, Object> out = new LinkedHashMap<>();
    map.forEach((k, v) -> {
      String key = String.valueOf(k);
      Field field = fields.getOrDefault(key, fields.get("*"));
      if (key.equals("_class")) out.put(key, v);
      else if (field != null) {
        Object kept = v;
        if (kept instanceof List<?> list) kept = new ArrayList<>(list.subList(Math.min(field.from, list.size()), Math.min(field.to, list.size())));
        // Without brackets only the object itself is shown, as Jenkins does.
        if (field.inner != null) out.put(key, field.inner.apply(kept));
        else out.put(key, kept instanceof Map ? bare(kept) : kept instanceof List<?> list ? list.stream().map(Tree::bare).toList() : kept);
      }
    });
    return out;
  }

  private static Object bare(Object value) {
    if (!(value instanceof Map<?, ?> map)) return value;
    Map<String, Object> out = new LinkedHashMap<>();
    if (map.containsKey("_class")) out.put("_class", map.get("_class"));
    return out;
  }
}

package dev.switchyard.jenkins;

import hudson.AbortException;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;

/**
 * What `stash` takes along and what `unstash` makes of an archive, on an agent. Read in core (2.579, August 2026):
 * hudson.FilePath#readFromTar, hudson.util.DirScanner.Glob, hudson.util.io.TarArchiver; and in workflow-api's StashManager.
 *
 * <p>An archive is what its sender says it is. Names that leave the folder by `..` are refused; links are made as they are
 * named, and later entries are written through them: the refusal of SECURITY-3657 holds on the controller only ("Limit
 * SECURITY-3657 fix to controller JVM", #26709).
 */
final class Stash {
  private static final Path BASE = Path.of("/base");

  private Stash() {}

  /**
   * Shell that lists the files of the current folder that patterns can match, NUL-terminated. Ant begins at the part of a
   * pattern that has no wildcard, and follows links to folders and to files.
   */
  static String listing(List<String> includes) {
    Set<String> roots = new TreeSet<>();
    for (String include : includes) {
      List<String> fixed = Arrays.stream(include.split("/")).takeWhile(part -> !part.contains("*") && !part.contains("?")).toList();
      roots.add(fixed.isEmpty() ? "." : "./" + String.join("/", fixed));
    }
    StringBuilder script = new StringBuilder();
    for (String root : roots)
      script.append("[ -e ").append(Steps.quote(root)).append(" ] && find -L ").append(Steps.quote(root)).append(" -type f -print0 2>/dev/null\n");
    return script + "true\n";
  }

  /** Shell, and after it the contents of the files as the shell reads them from its input, that unpack an archive in the current folder. */
  record Extraction(String script, byte[] contents) {}

  /** @throws AbortException for an entry that leaves the folder by its name, or an archive that is cut off */
  static Extraction extraction(String name, byte[] tar) throws AbortException {
    StringBuilder script = new StringBuilder("set -e\n");
    ByteArrayOutputStream contents = new ByteArrayOutputStream();
    Set<String> made = new HashSet<>();
    String longName = null;
    String longLink = null;
    for (int at = 0; at + 512 <= tar.length && tar[at] != 0; ) {
      int size = number(tar, at + 124, 12);
      int next = at + 512 + (size + 511) / 512 * 512;
      if (next > tar.length) throw failed(name, "the archive ends in the middle of an entry");
      char type = (char) tar[at + 156];
      String text = new String(tar, at + 512, size, StandardCharsets.UTF_8).replace("\0", "");
      String entry = longName != null ? longName : named(tar, at);
      String link = longLink != null ? longLink : field(tar, at + 157, 100);
      int body = at + 512;
      at = next;
      if (type == 'L') {
        longName = text;
        continue;
      }
      if (type == 'K') {
        longLink = text;
        continue;
      }
      longName = null;
      longLink = null;
      // The child of a folder by `new File(base, name)`: an absolute name stays below it.
      Path path = Path.of(BASE + "/" + entry).normalize();
      if (Path.of(entry).normalize().startsWith("..") || !path.startsWith(BASE))
        throw failed(name, "Tar " + name + " contains entry that escapes destination directory: " + entry);
      boolean folder = type == '5' || entry.endsWith("/");
      if (path.equals(BASE)) {
        if (folder) continue;
        throw failed(name, "Tar " + name + " contains non-directory entry that resolves to base directory: " + entry);
      }
      String target = Steps.quote("./" + BASE.relativize(path));
      String parent = Steps.quote("./" + BASE.relativize(folder ? path : path.getParent()));
      if (made.add(parent)) script.append("mkdir -p -- ").append(parent).append('\n');
      if (folder) continue;
      if (type == '2') {
        // A link that cannot be made is told in the log, and the rest goes on.
        script.append("ln -sfT -- ").append(Steps.quote(link)).append(' ').append(target).append(" || true\n");
        continue;
      }
      // Whatever else it says it is, hard link or device, becomes a plain file with what the archive holds of it.
      int mode = number(tar, body - 512 + 100, 8) & 0777;
      script.append("head -c ").append(size).append(" > ").append(target).append('\n');
      if (mode != 0) script.append(String.format("chmod %o -- %s%n", mode, target));
      contents.write(tar, body, size);
    }
    return new Extraction(script.toString(), contents.toByteArray());
  }

  private static AbortException failed(String name, String why) {
    return new AbortException("Failed to extract " + name + ": " + why);
  }

  private static String named(byte[] tar, int at) {
    // GNU's own headers have no prefix: their magic ends with a blank.
    String prefix = tar[at + 262] == 0 ? field(tar, at + 345, 155) : "";
    String name = field(tar, at, 100);
    return prefix.isEmpty() ? name : prefix + "/" + name;
  }

  private static String field(byte[] tar, int from, int length) {
    int end = from;
    while (end < from + length && tar[end] != 0) end++;
    return new String(tar, from, end - from, StandardCharsets.UTF_8);
  }

  private static int number(byte[] tar, int from, int length) {
    String digits = field(tar, from, length).strip();
    return digits.isEmpty() ? 0 : Integer.parseInt(digits, 8);
  }
}

package dev.switchyard.jenkins;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import hudson.AbortException;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Contract: what core 2.579 does on an agent. Sources: hudson.FilePath#readFromTar, hudson.util.DirScanner.Glob, hudson.util.io.TarArchiver. */
class StashTest {
  @TempDir Path home;

  private final ByteArrayOutputStream tar = new ByteArrayOutputStream();

  private void add(String name, char type, String link, String content) {
    byte[] body = content.getBytes(StandardCharsets.UTF_8);
    byte[] header = new byte[512];
    put(header, 0, name);
    put(header, 100, "0000640");
    put(header, 124, String.format("%011o", body.length));
    header[156] = (byte) type;
    put(header, 157, link);
    put(header, 257, "ustar");
    tar.writeBytes(header);
    tar.writeBytes(Arrays.copyOf(body, (body.length + 511) / 512 * 512));
  }

  private static void put(byte[] header, int at, String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    System.arraycopy(bytes, 0, header, at, bytes.length);
  }

  private String sh(Path folder, String script, byte[] input) throws Exception {
    Process process = new ProcessBuilder("sh", "-c", script).directory(folder.toFile()).redirectErrorStream(true).start();
    try (var in = process.getOutputStream()) {
      in.write(input);
    }
    String out = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, process.waitFor(), out);
    return out;
  }

  private void unpack(Path folder) throws Exception {
    tar.writeBytes(new byte[1024]);
    Stash.Extraction extraction = Stash.extraction("s", tar.toByteArray());
    sh(folder, extraction.script(), extraction.contents());
  }

  private List<String> listed(Path folder, String... includes) throws Exception {
    return Arrays.stream(sh(folder, Stash.listing(List.of(includes)), new byte[0]).split("\0")).filter(f -> !f.isEmpty()).sorted().toList();
  }

  @Test
  void filesFoldersAndLinksComeBack() throws Exception {
    add("a/b", '0', "", "one");
    add("empty/", '5', "", "");
    add("link", '2', "a/b", "");
    Path work = Files.createDirectory(home.resolve("work"));
    unpack(work);
    assertEquals("one", Files.readString(work.resolve("a/b")));
    assertEquals(Path.of("a/b"), Files.readSymbolicLink(work.resolve("link")));
    assertTrue(Files.isDirectory(work.resolve("empty")));
  }

  @Test
  void anEntryIsWrittenThroughALinkThatTheArchiveMade() throws Exception {
    add("out", '2', "../state", "");
    add("out/certificate.json", '0', "", "forged");
    Path work = Files.createDirectory(home.resolve("work"));
    Path state = Files.createDirectory(home.resolve("state"));
    unpack(work);
    assertEquals("forged", Files.readString(state.resolve("certificate.json")));
  }

  @Test
  void anEntryIsWrittenThroughALinkThatWasThere() throws Exception {
    Path work = Files.createDirectory(home.resolve("work"));
    Path state = Files.createDirectory(home.resolve("state"));
    Files.createSymbolicLink(work.resolve("results"), Path.of("../state"));
    Files.writeString(state.resolve("kept"), "true");
    Files.createSymbolicLink(work.resolve("one"), Path.of("../state/kept"));
    add("results/new", '0', "", "x");
    add("one", '0', "", "false");
    unpack(work);
    assertEquals("x", Files.readString(state.resolve("new")));
    assertEquals("false", Files.readString(state.resolve("kept")));
  }

  @Test
  void aNameThatLeavesTheFolderIsRefused() {
    for (String name : List.of("../x", "a/../../x", "../base/x")) {
      tar.reset();
      add(name, '0', "", "x");
      AbortException refused = assertThrows(AbortException.class, () -> unpack(home));
      assertTrue(refused.getMessage().contains("escapes destination directory: " + name), refused.getMessage());
    }
  }

  @Test
  void anAbsoluteNameStaysBelowAndOtherKindsBecomePlainFiles() throws Exception {
    add("/etc/x", '0', "", "x");
    add("hard", '1', "/etc/passwd", "");
    add("device", '3', "", "");
    unpack(home);
    assertEquals("x", Files.readString(home.resolve("etc/x")));
    assertEquals("", Files.readString(home.resolve("hard")));
    assertTrue(Files.isRegularFile(home.resolve("device")));
  }

  @Test
  void anArchiveThatIsCutOffFails() {
    add("a", '0', "", "x".repeat(2000));
    assertThrows(AbortException.class, () -> Stash.extraction("s", Arrays.copyOf(tar.toByteArray(), 1024)));
  }

  @Test
  void aStashFollowsLinksToFoldersAndBeginsWhereItsPatternsDo() throws Exception {
    Path work = Files.createDirectories(home.resolve("work/source"));
    Path outside = Files.createDirectory(home.resolve("outside"));
    Files.writeString(outside.resolve("secret"), "x");
    Files.createSymbolicLink(work.resolve("link"), outside);
    Files.createSymbolicLink(work.resolve("broken"), Path.of("nowhere"));
    Files.writeString(work.resolve("own"), "x");
    Files.createDirectories(home.resolve("work/.switchyard/given"));
    Files.writeString(home.resolve("work/.switchyard/given/test.sh"), "x");
    assertEquals(List.of("./source/link/secret", "./source/own"), listed(home.resolve("work"), "source/**"));
    assertEquals(List.of("./.switchyard/given/test.sh"), listed(home.resolve("work"), ".switchyard/given/**"));
    assertFalse(listed(home.resolve("work"), "**").isEmpty());
    assertEquals(List.of(), listed(home.resolve("work"), "nothing/**"));
  }
}

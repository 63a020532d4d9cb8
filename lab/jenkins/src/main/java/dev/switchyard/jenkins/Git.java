package dev.switchyard.jenkins;

import hudson.AbortException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;

/** The controller's own git: bare mirrors under JENKINS_HOME/caches, read by commit. */
final class Git {
  private static final Map<String, Object> LOCKS = new ConcurrentHashMap<>();
  private final Path cache;
  private final String remote;
  private final Credentials.Pair credentials;
  private Path indexFile;
  private Path workTree;

  /** @param credentials null for an open repository */
  Git(Path home, String remote, Credentials.Pair credentials) {
    this.remote = remote;
    this.credentials = credentials;
    this.cache = home.resolve("caches/git-" + sha(remote));
  }

  private static String sha(String text) {
    try {
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-1").digest(text.getBytes(StandardCharsets.UTF_8)));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }

  /** Fetches and gives the commit of `*&#47;main`, `origin/main`, `refs/heads/main`, `main`, a tag or a commit. */
  String resolve(String spec) throws IOException, InterruptedException {
    synchronized (LOCKS.computeIfAbsent(cache.toString(), k -> new Object())) {
      if (!Files.exists(cache.resolve("HEAD"))) {
        Files.createDirectories(cache.getParent());
        run(null, "init", "-q", "--bare", cache.toString());
      }
      run(cache, "fetch", "-q", "--prune", "--force", remote, "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*");
    }
    String name = spec.replaceFirst("^(\\*/|refs/heads/|refs/remotes/origin/|origin/)", "");
    if (name.contains("*")) throw new AbortException("branch '" + spec + "': wildcards beyond */name are not covered");
    for (String candidate : List.of("refs/heads/" + name, "refs/tags/" + name, name)) {
      if (candidate.equals(name) && !name.matches("[0-9a-f]{40}")) continue;
      Result found = start(cache, "rev-parse", "-q", "--verify", candidate + "^{commit}");
      if (found.code == 0) return new String(found.out, StandardCharsets.UTF_8).trim();
    }
    throw new AbortException("Couldn't find any revision to build: '" + spec + "' in " + remote);
  }

  /** @return null when the commit has no such file */
  String read(String commit, String path) throws IOException, InterruptedException {
    Result found = start(cache, "show", commit + ":" + path);
    return found.code == 0 ? new String(found.out, StandardCharsets.UTF_8) : null;
  }

  /** Writes the commit's tree into a folder; its own index, so that exports do not meet. */
  void export(String commit, Path folder) throws IOException, InterruptedException {
    Files.createDirectories(folder);
    Path index = folder.resolveSibling(folder.getFileName() + ".index");
    indexFile = index;
    workTree = folder;
    run(cache, "read-tree", commit);
    run(cache, "checkout-index", "-q", "-a", "-f");
    Files.deleteIfExists(index);
    indexFile = null;
    workTree = null;
  }

  private record Result(int code, byte[] out, String err) {}

  private void run(Path gitDir, String... args) throws IOException, InterruptedException {
    Result result = start(gitDir, args);
    if (result.code != 0)
      throw new AbortException("git " + args[0] + " of " + remote + " failed (" + result.code + "): " + result.err.lines().reduce((a, b) -> b).orElse(""));
  }

  private Result start(Path gitDir, String... args) throws IOException, InterruptedException {
    List<String> command = new ArrayList<>(List.of("git"));
    if (gitDir != null) command.add("--git-dir=" + gitDir);
    command.addAll(List.of(args));
    ProcessBuilder builder = new ProcessBuilder(command);
    Map<String, String> env = builder.environment();
    env.put("GIT_TERMINAL_PROMPT", "0");
    env.put("GIT_CONFIG_NOSYSTEM", "1");
    env.put("LC_ALL", "C");
    if (indexFile != null) {
      env.put("GIT_INDEX_FILE", indexFile.toString());
      env.put("GIT_WORK_TREE", workTree.toString());
      builder.directory(workTree.toFile());
    }
    if (credentials != null) {
      // By environment, so that the secret is in no argument list.
      String basic = Base64.getEncoder().encodeToString((credentials.username() + ":" + credentials.password()).getBytes(StandardCharsets.UTF_8));
      env.put("GIT_CONFIG_COUNT", "1");
      env.put("GIT_CONFIG_KEY_0", "http.extraHeader");
      env.put("GIT_CONFIG_VALUE_0", "Authorization: Basic " + basic);
    }
    Path err = Files.createTempFile("git", ".err");
    try {
      builder.redirectError(err.toFile());
      Process process = builder.start();
      process.getOutputStream().close();
      byte[] out = process.getInputStream().readAllBytes();
      if (!process.waitFor(120, TimeUnit.SECONDS)) {
        process.destroyForcibly();
        throw new AbortException("git " + args[0] + " of " + remote + " did not end within 120 s");
      }
      return new Result(process.exitValue(), out, Files.readString(err));
    } finally {
      Files.deleteIfExists(err);
    }
  }
}

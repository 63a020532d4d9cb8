package dev.switchyard.jenkins;

import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.BindException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Clock;
import java.util.Map;
import java.util.Properties;
import java.util.function.Function;
import java.util.logging.Level;
import java.util.logging.Logger;

/** Boots like jenkins.sh and jenkins.war: plugins, JCasC, jobs, then the queue. */
public final class Main {
  private static final Logger LOG = Logger.getLogger("jenkins");
  // Held while the process lives.
  private static FileLock lock;

  private Main() {}

  public static void main(String[] args) {
    System.setProperty("java.util.logging.SimpleFormatter.format", "%1$tF %1$tT %4$s %3$s: %5$s%6$s%n");
    Logger.getLogger("io.fabric8").setLevel(Level.WARNING);
    int port = 8080;
    String address = "0.0.0.0";
    Path webroot = null;
    for (String arg : args) {
      String[] option = arg.split("=", 2);
      String value = option.length == 2 ? option[1] : "";
      switch (option[0]) {
        case "--webroot" -> webroot = Path.of(value);
        case "--httpPort" -> port = Integer.parseInt(value);
        case "--httpListenAddress" -> address = value;
        default -> fail("JENKINS_OPTS: '" + arg + "' is not covered; known: --webroot=DIR, --httpPort=N, --httpListenAddress=A");
      }
    }
    try {
      start(System.getenv(), address, port, webroot);
    } catch (BootError e) {
      e.getMessage().lines().forEach(line -> LOG.severe(line));
      fail("Jenkins did not start: " + e.getMessage().lines().count() + " fault(s) in its configuration, named above");
    } catch (BindException e) {
      fail("port " + port + " on " + address + " is taken: " + e.getMessage());
    } catch (IOException e) {
      fail(e.getClass().getSimpleName() + ": " + e.getMessage());
    }
  }

  private static void start(Map<String, String> env, String address, int port, Path webroot) throws IOException {
    Path home = Path.of(env.getOrDefault("JENKINS_HOME", "/var/jenkins_home"));
    for (Path folder : webroot == null ? new Path[] {home} : new Path[] {home, webroot}) {
      try {
        Files.createDirectories(folder);
      } catch (IOException e) {
        throw new BootError(folder + ": cannot be written: " + e.getMessage());
      }
      if (!Files.isWritable(folder)) throw new BootError(folder + ": cannot be written by this user");
    }
    FileChannel channel = FileChannel.open(home.resolve(".lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
    lock = channel.tryLock();
    if (lock == null) throw new BootError(home + ": another Jenkins runs on this home");
    Plugins plugins = Plugins.installed(home);
    String location = env.getOrDefault("CASC_JENKINS_CONFIG", System.getProperty("casc.jenkins.config", ""));
    if (location.isEmpty()) throw new BootError("CASC_JENKINS_CONFIG is not set: the stand-in has no set-up wizard");
    Controller controller = new Controller(home, plugins);
    Runnable load = loader(controller, location, Casc.secrets(env));
    Web web = new Web(controller, reloadToken(env, System.getProperties()), () -> {
      load.run();
      controller.schedule();
    });
    load.run();
    controller.recover();
    HttpServer server = web.listen(address, port);
    Runtime.getRuntime().addShutdownHook(new Thread(() -> {
      // Builds that run stay marked as running: the next start ends them and runs them again.
      controller.stopping = true;
      server.stop(0);
    }));
    web.ready();
    controller.schedule();
    new Timer(controller, Clock.systemUTC()).start();
    LOG.info("Jenkins is fully up and running: " + controller.jobs.size() + " folders and jobs, " + plugins.versions().size() + " plugins, port " + port);
  }

  /** Reads the files and takes them over; throws, with everything as it was, when they hold a fault. */
  static Runnable loader(Controller controller, String location, Function<String, String> secrets) {
    return () -> {
      try {
        controller.configure(Casc.load(location, secrets, controller.plugins));
      } catch (IOException e) {
        throw new BootError(location + ": cannot be read: " + e.getMessage());
      }
    };
  }

  /** The environment takes precedence over the property (configuration-as-code: configurationReload.md). */
  static String reloadToken(Map<String, String> env, Properties properties) {
    return env.getOrDefault("CASC_RELOAD_TOKEN", properties.getProperty("casc.reload.token"));
  }

  private static void fail(String message) {
    System.err.println(message);
    System.exit(1);
  }
}

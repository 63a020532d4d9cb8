package dev.switchyard.jenkins;

import com.lesfurets.jenkins.unit.global.lib.LibraryAnnotationTransformer;
import com.lesfurets.jenkins.unit.global.lib.LibraryConfiguration;
import com.lesfurets.jenkins.unit.global.lib.LibraryLoader;
import com.lesfurets.jenkins.unit.global.lib.LibraryRecord;
import com.lesfurets.jenkins.unit.global.lib.SourceRetriever;
import groovy.lang.Binding;
import groovy.lang.GroovyClassLoader;
import groovy.lang.GroovyShell;
import hudson.AbortException;
import java.lang.reflect.UndeclaredThrowableException;
import java.net.URL;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import org.codehaus.groovy.ast.ClassNode;
import org.codehaus.groovy.ast.CodeVisitorSupport;
import org.codehaus.groovy.ast.MethodNode;
import org.codehaus.groovy.ast.expr.ConstantExpression;
import org.codehaus.groovy.ast.expr.MethodCallExpression;
import org.codehaus.groovy.classgen.GeneratorContext;
import org.codehaus.groovy.control.CompilationFailedException;
import org.codehaus.groovy.control.CompilePhase;
import org.codehaus.groovy.control.CompilerConfiguration;
import org.codehaus.groovy.control.SourceUnit;
import org.codehaus.groovy.control.customizers.CompilationCustomizer;
import org.codehaus.groovy.control.customizers.ImportCustomizer;
import org.codehaus.groovy.runtime.InvokerInvocationException;
import org.jenkinsci.plugins.workflow.steps.FlowInterruptedException;

/** Runs one build's Jenkinsfile, with the libraries that it names, and settles its result. */
final class PipelineRun {
  private final Controller controller;
  private final Job job;
  private final Build build;
  private final Scope scope = new Scope(null);
  private Steps steps;
  private Loader loader;

  PipelineRun(Controller controller, Job job, Build build) {
    this.controller = controller;
    this.job = job;
    this.build = build;
  }

  void owner(Thread thread) {
    scope.enter(thread);
  }

  void interrupt(FlowInterruptedException why) {
    scope.cancel(why);
  }

  void execute() {
    steps = new Steps(controller, job, build, scope, this);
    try {
      for (String cause : build.causes) steps.plain(cause);
      String text = jenkinsfile();
      run(text);
      steps.plain("[Pipeline] End of Pipeline");
    } catch (Throwable thrown) {
      Throwable t = unwrap(thrown);
      steps.plain("[Pipeline] End of Pipeline");
      if (t instanceof FlowInterruptedException flow) {
        steps.plain(flow.getMessage());
        build.worsen(flow.getResult());
      } else if (t instanceof InterruptedException) {
        build.worsen("ABORTED");
      } else {
        if (t instanceof AbortException || t instanceof BootError) steps.plain("ERROR: " + t.getMessage());
        else if (t instanceof CompilationFailedException) steps.plain(t.getMessage());
        else steps.plain(trace(t));
        build.worsen("FAILURE");
      }
    } finally {
      Thread.interrupted();
      steps.end();
      // A controller that stops leaves the build marked as running: the next start ends it and runs it again.
      if (!controller.stopping) {
        if (build.result == null) build.result = "SUCCESS";
        build.duration = Math.max(0, System.currentTimeMillis() - build.timestamp);
        build.append("Finished: " + build.result + "\n");
        build.building = false;
        build.save();
      }
    }
  }

  /** The message and the frames of the pipeline's own files. */
  private static String trace(Throwable t) {
    StringBuilder out = new StringBuilder(t.toString());
    Arrays.stream(t.getStackTrace()).filter(f -> f.getFileName() != null && f.getFileName().endsWith(".groovy") && !f.getClassName().startsWith("com.lesfurets"))
        .filter(f -> f.getLineNumber() > 0).forEach(f -> out.append("\n\tat ").append(f));
    Arrays.stream(t.getStackTrace()).filter(f -> "WorkflowScript".equals(f.getFileName()) && f.getLineNumber() > 0)
        .forEach(f -> out.append("\n\tat ").append(f));
    return out.toString();
  }

  static Throwable unwrap(Throwable t) {
    Throwable at = t;
    while (at.getCause() != null && (at instanceof InvokerInvocationException || at instanceof UndeclaredThrowableException
        || at instanceof ExecutionException || at instanceof LibraryLoader.LibraryLoadingException
        || at.getClass() == groovy.lang.GroovyRuntimeException.class)) at = at.getCause();
    return at;
  }

  private String jenkinsfile() throws Exception {
    Job.Definition definition = job.definition;
    if (definition.script() != null) return definition.script();
    Git git = new Git(controller.home, definition.remote(), credentials(definition.credentialsId()));
    String branch = Steps.expand(definition.branch(), build.env);
    String revision = revision(definition.remote());
    String commit = git.resolve(revision == null ? branch : revision);
    steps.plain("Obtained " + definition.scriptPath() + " from git " + definition.remote() + " (" + commit + ")");
    String text = git.read(commit, definition.scriptPath());
    if (text == null) throw new AbortException("Unable to find " + definition.scriptPath() + " from git " + definition.remote() + " (" + commit + ")");
    return text;
  }

  /** The gitlab-plugin names the commit to build when the hook came from the very repository of the job. */
  private String revision(String remote) {
    String sha = build.env.get("gitlabMergeRequestLastCommit");
    boolean same = sameRepository(remote, build.env.get("gitlabSourceRepoHttpUrl")) || sameRepository(remote, build.env.get("gitlabSourceRepoSshUrl"));
    return sha != null && same ? sha : null;
  }

  private static boolean sameRepository(String a, String b) {
    return b != null && a.replaceFirst("\\.git/?$", "").equals(b.replaceFirst("\\.git/?$", ""));
  }

  Credentials.Pair credentials(String id) throws AbortException {
    return id == null || id.isEmpty() ? null : new Credentials(controller).usernamePassword(id);
  }

  // ---- Groovy ----

  /** JenkinsPipelineUnit's loader; hands out the vars. */
  private static final class Loader extends LibraryLoader {
    Loader(GroovyClassLoader classes, Map<String, LibraryConfiguration> libraries) {
      super(classes, libraries);
    }

    Map<String, Object> vars() {
      Map<String, Object> all = new LinkedHashMap<>();
      for (LibraryRecord record : getLibRecords().values()) if (record.getDefinedGlobalVars() != null) all.putAll(record.getDefinedGlobalVars());
      return all;
    }
  }

  private void run(String text) throws Exception {
    GroovyClassLoader classes;
    CompilerConfiguration configuration = new CompilerConfiguration();
    configuration.setScriptBaseClass(PipelineScript.class.getName());
    ImportCustomizer imports = new ImportCustomizer();
    imports.addStarImports("com.cloudbees.groovy.cps", "hudson.model", "jenkins.model");
    imports.addImports("com.lesfurets.jenkins.unit.global.lib.Library");
    configuration.addCompilationCustomizers(imports, new SleepIsAStep());
    classes = new GroovyClassLoader(PipelineRun.class.getClassLoader(), configuration);
    loader = new Loader(classes, libraries());
    configuration.addCompilationCustomizers(new LibraryAnnotationTransformer(loader));
    Binding binding = new Binding();
    steps.binding(binding);
    loader.loadImplicitLibraries();
    PipelineScript script = (PipelineScript) new GroovyShell(classes, binding, configuration).parse(text, "WorkflowScript");
    script.$steps = steps;
    connect(binding);
    steps.plain("[Pipeline] Start of Pipeline");
    script.run();
  }

  private void connect(Binding binding) {
    loader.vars().forEach((name, var) -> {
      if (var instanceof PipelineScript script) {
        script.$steps = steps;
        script.setBinding(binding);
      }
    });
  }

  Map<String, Object> vars() {
    return loader == null ? Map.of() : loader.vars();
  }

  /** The `library` step. */
  void loadLibrary(String identifier, Binding binding) throws Exception {
    loader.loadLibrary(identifier);
    connect(binding);
  }

  private Map<String, LibraryConfiguration> libraries() {
    Map<String, LibraryConfiguration> found = new LinkedHashMap<>();
    for (Map<String, Object> declared : Casc.listAt(Casc.at(controller.casc, "unclassified.globalLibraries"), "libraries")) {
      Map<String, Object> modern = Casc.at(declared, "retriever.modernSCM");
      Map<String, Object> git = Casc.at(modern, "scm.git");
      String name = (String) declared.get("name");
      String version = (String) declared.getOrDefault("defaultVersion", "");
      SourceRetriever retriever = new SourceRetriever() {
        @Override
        public List<URL> retrieve(String repository, String branch, String target) throws IllegalStateException {
          try {
            return List.of(fetch(name, branch, (String) modern.getOrDefault("libraryPath", "./"), git));
          } catch (Exception e) {
            throw Steps.sneak(e);
          }
        }
      };
      found.put(name, LibraryConfiguration.library(name).retriever(retriever)
          .defaultVersion(version.isEmpty() ? "<none>" : version)
          .allowOverride((Boolean) declared.getOrDefault("allowVersionOverride", true))
          .implicit((Boolean) declared.getOrDefault("implicit", false))
          .targetPath(build.folder.resolve("libs/" + name).toString()).build());
    }
    return found;
  }

  private URL fetch(String name, String version, String libraryPath, Map<String, Object> git) throws Exception {
    if (version.equals("<none>")) throw new AbortException("No version specified for library " + name);
    String remote = (String) git.get("remote");
    Git repository = new Git(controller.home, remote, credentials((String) git.get("credentialsId")));
    String commit = repository.resolve(version);
    steps.plain("Loading library " + name + "@" + version + " (" + commit + ")");
    Path folder = build.folder.resolve("libs/" + name);
    repository.export(commit, folder);
    Path root = folder.resolve(libraryPath).normalize();
    if (!root.startsWith(folder)) throw new AbortException("library " + name + ": libraryPath leaves the repository");
    steps.libraryRoots.add(root);
    return root.toUri().toURL();
  }


  /** Renames unqualified `sleep(…)` calls, which Groovy would take for its own sleep(milliseconds). */
  private static final class SleepIsAStep extends CompilationCustomizer {
    SleepIsAStep() {
      super(CompilePhase.CANONICALIZATION);
    }

    @Override
    public void call(SourceUnit source, GeneratorContext context, ClassNode type) {
      if (!type.isDerivedFrom(new ClassNode(PipelineScript.class))) return;
      CodeVisitorSupport visitor = new CodeVisitorSupport() {
        @Override
        public void visitMethodCallExpression(MethodCallExpression call) {
          boolean ours = call.isImplicitThis() || call.getObjectExpression().getText().equals("steps");
          if (ours && "sleep".equals(call.getMethodAsString())) call.setMethod(new ConstantExpression("$sleep"));
          super.visitMethodCallExpression(call);
        }
      };
      for (MethodNode method : type.getMethods()) if (method.getCode() != null) method.getCode().visit(visitor);
    }
  }
}

package dev.switchyard.jenkins;

import groovy.lang.Binding;
import groovy.lang.Closure;
import groovy.lang.GroovyObjectSupport;
import groovy.lang.GroovyShell;
import groovy.lang.MissingMethodException;
import groovy.lang.MissingPropertyException;
import groovy.lang.Script;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import java.util.function.Function;
import org.codehaus.groovy.control.CompilationFailedException;
import org.codehaus.groovy.control.CompilerConfiguration;

/** Runs Job DSL scripts against strict blocks: a method that a block does not know stops the boot with its line. */
final class JobDsl {
  private final Plugins plugins;
  private final Map<String, Job> jobs = new LinkedHashMap<>();
  private String script;

  private JobDsl(Plugins plugins) {
    this.plugins = plugins;
  }

  /** @return folders and jobs by full name, in declaration order */
  static Map<String, Job> run(List<String> scripts, Plugins plugins) {
    JobDsl dsl = new JobDsl(plugins);
    for (int i = 0; i < scripts.size(); i++) dsl.evaluate("jobs[" + i + "].script", scripts.get(i));
    return dsl.jobs;
  }

  /** The base class of Job DSL scripts. */
  public abstract static class DslScript extends Script {
    Block top;

    public Object methodMissing(String name, Object args) {
      return top.invokeMethod(name, args);
    }
  }

  private void evaluate(String name, String text) {
    script = name;
    CompilerConfiguration configuration = new CompilerConfiguration();
    configuration.setScriptBaseClass(DslScript.class.getName());
    try {
      DslScript parsed = (DslScript) new GroovyShell(JobDsl.class.getClassLoader(), new Binding(), configuration).parse(text, fileName());
      parsed.top = top();
      parsed.run();
    } catch (CompilationFailedException e) {
      throw new BootError(name + ": does not compile: " + e.getMessage().lines().filter(l -> !l.isBlank()).skip(1).findFirst().orElse("").trim());
    } catch (MissingMethodException e) {
      throw fault("unknown method '" + e.getMethod() + "'", e);
    } catch (MissingPropertyException e) {
      throw fault("unknown property '" + e.getProperty() + "'", e);
    } catch (BootError e) {
      throw e;
    } catch (RuntimeException e) {
      throw fault(e.getMessage() == null ? e.getClass().getSimpleName() : e.getMessage(), e);
    }
  }

  private String fileName() {
    return script.replaceAll("\\W+", "_") + ".groovy";
  }

  private BootError fault(String what, Throwable at) {
    int line = Arrays.stream(at.getStackTrace()).filter(f -> fileName().equals(f.getFileName())).mapToInt(StackTraceElement::getLineNumber)
        .findFirst().orElse(0);
    return new BootError(script + (line > 0 ? " line " + line : "") + ": " + what);
  }

  /** A `{ }` of the DSL: the methods it knows, and nothing else. */
  public final class Block extends GroovyObjectSupport {
    private final String name;
    private final Map<String, Function<Object[], Object>> methods = new LinkedHashMap<>();

    Block(String name) {
      this.name = name;
    }

    Block on(String method, Consumer<Object[]> action) {
      methods.put(method, args -> {
        action.accept(args);
        return null;
      });
      return this;
    }

    Block text(String method, Consumer<String> set) {
      return on(method, args -> set.accept(String.valueOf(one(method, args))));
    }

    Block number(String method, Consumer<Integer> set) {
      return on(method, args -> {
        if (!(one(method, args) instanceof Integer number)) throw fault(name + "." + method + " takes a whole number", new Throwable());
        set.accept(number);
      });
    }

    /** Without an argument it means true, as in Job DSL. */
    Block flag(String method, Consumer<Boolean> set) {
      return on(method, args -> {
        Object value = args.length == 0 ? Boolean.TRUE : one(method, args);
        if (!(value instanceof Boolean flag)) throw fault(name + "." + method + " takes true or false", new Throwable());
        set.accept(flag);
      });
    }

    Block falseOnly(String method, String why) {
      return flag(method, value -> {
        if (value) throw fault(name + "." + method + "(true) is not covered: " + why, new Throwable());
      });
    }

    Block inside(String method, Block inner) {
      return on(method, args -> within(one(method, args), inner));
    }

    private Object one(String method, Object[] args) {
      if (args.length != 1) throw fault(name + "." + method + " takes one argument, got " + args.length, new Throwable());
      return args[0];
    }

    @Override
    public Object invokeMethod(String method, Object args) {
      Function<Object[], Object> found = methods.get(method);
      if (found == null)
        throw fault("unknown method '" + method + "' in " + name + "; known: " + String.join(", ", new TreeSet<>(methods.keySet())), new Throwable());
      return found.apply((Object[]) args);
    }

    @Override
    public Object getProperty(String property) {
      throw fault("unknown property '" + property + "' in " + name, new Throwable());
    }

    @Override
    public void setProperty(String property, Object value) {
      throw fault("unknown property '" + property + "' in " + name, new Throwable());
    }
  }

  private void within(Object body, Block block) {
    if (!(body instanceof Closure<?> closure)) throw fault(block.name + " takes a block", new Throwable());
    Closure<?> copy = (Closure<?>) closure.clone();
    copy.setDelegate(block);
    // A helper closure or variable of the script stays reachable through the owner; a method the block lacks is refused by the block.
    copy.setResolveStrategy(Closure.DELEGATE_ONLY);
    copy.call();
  }

  private Block top() {
    Block top = new Block("the script");
    top.on("folder", args -> declare(args, true));
    top.on("pipelineJob", args -> {
      plugins.need("workflow-job", script + ": pipelineJob");
      declare(args, false);
    });
    return top;
  }

  private void declare(Object[] args, boolean folder) {
    String kind = folder ? "folder" : "pipelineJob";
    if (args.length < 1 || args.length > 2) throw fault(kind + " takes a name and a block", new Throwable());
    String name = String.valueOf(args[0]);
    if (!name.matches("[^/?*<>|\\\\\"%!@#$^&:;\\[\\]]+(/[^/?*<>|\\\\\"%!@#$^&:;\\[\\]]+)*")) throw fault(kind + " '" + name + "' is not a name", new Throwable());
    Job job = new Job(name, folder);
    job.displayName = job.name();
    Job parent = jobs.get(job.parent());
    if (!job.parent().isEmpty() && (parent == null || !parent.folder))
      throw fault(kind + " '" + name + "': folder '" + job.parent() + "' does not exist; declare it first", new Throwable());
    if (jobs.containsKey(name)) throw fault("'" + name + "' is declared twice", new Throwable());
    if (args.length == 2) within(args[1], folder ? folderBlock(job) : jobBlock(job));
    if (!folder && job.definition == null) throw fault("pipelineJob '" + name + "' has no definition", new Throwable());
    jobs.put(name, job);
  }

  private Block folderBlock(Job job) {
    return new Block("folder").text("displayName", v -> job.displayName = v).text("description", v -> job.description = v);
  }

  private Block jobBlock(Job job) {
    Block block = new Block("pipelineJob").text("displayName", v -> job.displayName = v).text("description", v -> job.description = v)
        .flag("disabled", v -> job.disabled = v).falseOnly("keepDependencies", "dependencies between jobs are not kept").number("quietPeriod", v -> job.quietPeriod = v);
    block.on("logRotator", args -> {
      if (args.length == 1) {
        within(args[0], new Block("logRotator").number("numToKeep", v -> job.numToKeep = v).number("daysToKeep", v -> job.daysToKeep = v)
            .number("artifactNumToKeep", v -> job.artifactNumToKeep = v).number("artifactDaysToKeep", v -> job.artifactDaysToKeep = v));
      } else if (args.length >= 2 && args.length <= 4 && List.of(args).stream().allMatch(Integer.class::isInstance)) {
        int days = (Integer) args[0], number = (Integer) args[1];
        job.daysToKeep = days;
        job.numToKeep = number;
        if (args.length > 2) job.artifactDaysToKeep = (Integer) args[2];
        if (args.length > 3) job.artifactNumToKeep = (Integer) args[3];
      } else throw fault("logRotator takes (daysToKeep, numToKeep) or a block", new Throwable());
    });
    block.inside("environmentVariables", new Block("environmentVariables").on("env", args -> {
      plugins.need("envinject", script + ": environmentVariables");
      if (args.length != 2) throw fault("env takes a name and a value", new Throwable());
      job.environment.put(String.valueOf(args[0]), String.valueOf(args[1]));
    }).flag("keepBuildVariables", v -> { }).flag("keepSystemVariables", v -> { }));
    block.inside("parameters", parameters(job));
    block.inside("properties", properties(job));
    block.inside("triggers", triggers(job));
    block.inside("definition", definition(job));
    return block;
  }

  private Block parameters(Job job) {
    BiConsumer<String, Object[]> add = (type, args) -> {
      if (args.length < 1 || args.length > 3) throw fault(type + "Param takes (name, default, description)", new Throwable());
      Object given = args.length > 1 ? args[1] : null;
      List<String> choices = given instanceof List<?> l && type.equals("choice") ? l.stream().map(String::valueOf).toList() : List.of();
      Object value = switch (type) {
        case "boolean" -> given == null ? Boolean.FALSE : given;
        case "choice" -> choices.isEmpty() ? "" : choices.get(0);
        default -> given == null ? "" : String.valueOf(given);
      };
      job.parameters.add(new Job.Parameter(type, String.valueOf(args[0]), value, choices, args.length > 2 ? String.valueOf(args[2]) : ""));
    };
    return new Block("parameters").on("stringParam", args -> add.accept("string", args)).on("booleanParam", args -> add.accept("boolean", args))
        .on("choiceParam", args -> add.accept("choice", args)).on("textParam", args -> add.accept("text", args));
  }

  private Block properties(Job job) {
    Block connection = new Block("gitLabConnection").text("gitLabConnection", v -> job.gitLabConnection = v);
    Consumer<Object[]> connect = args -> {
      plugins.need("gitlab-plugin", script + ": gitLabConnection");
      if (args.length != 1) throw fault("gitLabConnection takes a block", new Throwable());
      within(args[0], connection);
    };
    return new Block("properties").on("disableConcurrentBuilds", args -> {
      job.disableConcurrent = true;
      if (args.length == 1) within(args[0], new Block("disableConcurrentBuilds").flag("abortPrevious", v -> job.abortPrevious = v));
      else if (args.length > 1) throw fault("disableConcurrentBuilds takes a block or nothing", new Throwable());
    }).on("disableResume", args -> {
      if (args.length > 0) throw fault("disableResume takes nothing", new Throwable());
    }).on("gitLabConnection", connect).on("gitLabConnectionProperty", connect)
        .inside("pipelineTriggers", new Block("pipelineTriggers").inside("triggers", triggers(job).on("cron", args -> cron(job, args))));
  }

  private Block triggers(Job job) {
    return new Block("triggers").on("gitlab", args -> {
      plugins.need("gitlab-plugin", script + ": triggers.gitlab");
      if (args.length != 1) throw fault("gitlab takes a block", new Throwable());
      if (job.gitLabTrigger != null) throw fault("pipelineJob '" + job.fullName + "': the gitlab trigger is given twice", new Throwable());
      Map<String, Object> trigger = GitLabHook.defaults();
      Block block = new Block("gitlab");
      trigger.forEach((key, value) -> {
        if (value instanceof Boolean) block.flag(key, v -> trigger.put(key, v));
        else block.text(key, v -> trigger.put(key, v));
      });
      for (String key : List.of("addNoteOnMergeRequest", "addCiMessage", "addVoteOnMergeRequest", "acceptMergeRequestOnSuccess"))
        block.falseOnly(key, "the stand-in writes nothing to GitLab");
      block.falseOnly("triggerOnNoteRequest", "note hooks are not covered").falseOnly("triggerOnPipelineEvent", "pipeline hooks are not covered")
          .falseOnly("cancelPendingBuildsOnUpdate", "use disableConcurrentBuilds").text("noteRegex", v -> { });
      within(args[0], block);
      String problem = GitLabHook.check(trigger);
      if (problem != null) throw fault("pipelineJob '" + job.fullName + "': gitlab: " + problem, new Throwable());
      job.gitLabTrigger = trigger;
    });
  }

  private void cron(Job job, Object[] args) {
    if (args.length != 1) throw fault("cron takes a block", new Throwable());
    if (job.schedule != null) throw fault("pipelineJob '" + job.fullName + "': the cron trigger is given twice", new Throwable());
    String[] spec = {null};
    within(args[0], new Block("cron").text("spec", v -> spec[0] = v));
    if (spec[0] == null) throw fault("pipelineJob '" + job.fullName + "': cron has no spec", new Throwable());
    try {
      job.schedule = Cron.parse(spec[0]);
    } catch (IllegalArgumentException e) {
      throw fault("pipelineJob '" + job.fullName + "': cron: " + e.getMessage(), e);
    }
  }

  private Block definition(Job job) {
    return new Block("definition").on("cps", args -> {
      plugins.need("workflow-cps", script + ": cps");
      String[] text = {null};
      within(args[0], new Block("cps").text("script", v -> text[0] = v).flag("sandbox", v -> { }));
      if (text[0] == null) throw fault("cps has no script", new Throwable());
      job.definition = new Job.Definition(text[0], null, null, null, null);
    }).on("cpsScm", args -> {
      plugins.need("git", script + ": cpsScm.scm.git");
      String[] f = {null, null, "*/master", "Jenkinsfile"};
      Consumer<Object[]> branch = names -> {
        if (names.length != 1) throw fault("git.branches: one branch is covered", new Throwable());
        f[2] = String.valueOf(names[0]);
      };
      Block git = new Block("git").inside("remote", new Block("remote").text("url", v -> f[0] = v).text("credentials", v -> f[1] = v)
          .text("name", v -> { }).text("refspec", v -> { })).on("branch", branch).on("branches", branch);
      within(args[0], new Block("cpsScm").inside("scm", new Block("scm").inside("git", git)).text("scriptPath", v -> f[3] = v)
          .flag("lightweight", v -> { }));
      if (f[0] == null) throw fault("cpsScm.scm.git has no remote url", new Throwable());
      job.definition = new Job.Definition(null, f[0], f[1], f[2], f[3]);
    });
  }
}

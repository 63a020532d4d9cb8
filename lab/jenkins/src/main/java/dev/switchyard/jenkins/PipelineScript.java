package dev.switchyard.jenkins;

import groovy.lang.GroovyObjectSupport;
import groovy.lang.MissingPropertyException;
import groovy.lang.Script;

/** Base class of the Jenkinsfile and of the library's vars: what the script does not define is a step. */
public abstract class PipelineScript extends Script {
  /** Set after construction; the name cannot be written as a Groovy property by accident. */
  Steps $steps;

  public Object methodMissing(String name, Object args) {
    return $steps.call(name, (Object[]) args);
  }

  @Override
  public Object getProperty(String name) {
    try {
      return super.getProperty(name);
    } catch (MissingPropertyException e) {
      if ($steps == null) throw e;
      return $steps.global(name);
    }
  }

  @Override
  public void println(Object value) {
    $steps.log(String.valueOf(value));
  }

  @Override
  public void print(Object value) {
    $steps.log(String.valueOf(value));
  }

  @Override
  public void println() {
    $steps.log("");
  }

  /** `sleep` of the script is renamed to this at compile time: Groovy's own sleep(ms) would win inside closures. */
  public Object $sleep(Object... args) {
    return $steps.call("sleep", args);
  }

  /** The `steps` variable: every step, and nothing of the script. */
  public static final class Dsl extends GroovyObjectSupport {
    private final Steps steps;

    Dsl(Steps steps) {
      this.steps = steps;
    }

    @Override
    public Object invokeMethod(String name, Object args) {
      return steps.call(name, (Object[]) args);
    }

    public Object $sleep(Object... args) {
      return steps.call("sleep", args);
    }
  }
}

package dev.switchyard.library;

import com.cloudbees.groovy.cps.SerializableScript;
import groovy.lang.MissingPropertyException;

/**
 * Base class of the library's vars and of a job's script: what they do not define is another var, a step or a global
 * variable, as workflow-cps 4333 has it (CpsScript.invokeMethod, CpsScript.getProperty).
 */
public abstract class VarScript extends SerializableScript {
  @Override
  public Object invokeMethod(String name, Object arguments) {
    return Engine.running().call(name, (Object[]) arguments);
  }

  @Override
  public Object getProperty(String name) {
    try {
      return super.getProperty(name);
    } catch (MissingPropertyException missing) {
      return Engine.running().global(name, missing);
    }
  }
}

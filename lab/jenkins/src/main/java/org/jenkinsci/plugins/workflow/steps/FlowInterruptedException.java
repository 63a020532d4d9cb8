package org.jenkinsci.plugins.workflow.steps;

/** An abort, a timeout or a superseded milestone: ends the build with its own result. */
public class FlowInterruptedException extends InterruptedException {
  private final String result;

  public FlowInterruptedException(String result, String message) {
    super(message);
    this.result = result;
  }

  /** ABORTED, NOT_BUILT or FAILURE. */
  public String getResult() {
    return result;
  }
}

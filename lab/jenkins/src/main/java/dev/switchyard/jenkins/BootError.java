package dev.switchyard.jenkins;

/** A fault in what the stand-in was given: one line, shown without a stack trace. */
public class BootError extends RuntimeException {
  public BootError(String message) {
    super(message);
  }
}

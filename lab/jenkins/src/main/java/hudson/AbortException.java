package hudson;

import java.io.IOException;

/** What `error` and a failing `sh` throw, under the name that pipelines catch it by. */
public class AbortException extends IOException {
  public AbortException(String message) {
    super(message);
  }
}

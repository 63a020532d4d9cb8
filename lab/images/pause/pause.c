/* Holds a Pod's namespaces, as the kubelet asks of its sandbox image: ends on SIGINT and SIGTERM, reaps orphans. */
#include <signal.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void) {
  sigset_t watched;
  int received;

  sigemptyset(&watched);
  sigaddset(&watched, SIGINT);
  sigaddset(&watched, SIGTERM);
  sigaddset(&watched, SIGCHLD);
  /* Blocked and taken one by one: PID 1 has no default action, and no handler can be interrupted half-way. */
  if (sigprocmask(SIG_BLOCK, &watched, NULL) != 0) return 1;
  for (;;) {
    if (sigwait(&watched, &received) != 0) return 2;
    if (received != SIGCHLD) return 0;
    while (waitpid(-1, NULL, WNOHANG) > 0) {
    }
  }
}

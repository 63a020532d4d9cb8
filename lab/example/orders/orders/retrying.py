"""Waiting for a service that is still starting."""

import time
from typing import Any, Callable


def retry(
    what: str,
    action: Callable[[], Any],
    seconds: float,
    log: Callable[[str], None],
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Any:
    """Runs `action` until it succeeds, waiting 0.2 s, then twice as long each time up to 5 s; gives up after `seconds`."""
    deadline = clock() + seconds
    pause = 0.2
    while True:
        try:
            return action()
        except Exception as error:  # whichever driver it is, the remedy is the same: wait and try again
            if clock() + pause > deadline:
                raise
            log(f"{what} is not there yet ({type(error).__name__}: {error}); next try in {pause:g} s")
            sleep(pause)
            pause = min(pause * 2, 5.0)

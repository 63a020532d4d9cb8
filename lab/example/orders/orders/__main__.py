"""Starts the service: settings, schema, then HTTP until SIGTERM or SIGINT."""

import logging
import os
import signal
import sys
import threading
import time
from types import FrameType
from typing import Optional

from .config import ConfigError, load
from .retrying import retry
from .service import Server, Service, make_handler
from .stores import Audit, Cache, Database


def main() -> int:
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(asctime)s %(levelname)s %(message)s")
    log = logging.getLogger("orders")
    try:
        config = load(os.environ)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2

    stop = threading.Event()

    def on_signal(number: int, _: Optional[FrameType]) -> None:
        log.info("%s: draining", signal.Signals(number).name)
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)

    service = Service(config, Database(config), Cache(config), Audit(config))
    # Live at once, ready when the schema is there: a slow database must not look like a dead process.
    server = Server(("", config.port), make_handler(service))
    threading.Thread(target=server.serve_forever, name="http", daemon=True).start()
    log.info("orders %s listens on port %d", config.version, config.port)

    def pause(seconds: float) -> None:
        if stop.wait(seconds):
            raise InterruptedError("stopped while waiting for MySQL")

    try:
        applied = retry("MySQL", service.database.migrate, config.startup_seconds, log.info, sleep=pause)
        log.info("schema is up to date, applied: %s", applied or "nothing")
    except InterruptedError:
        pass
    except Exception as error:
        print(f"MySQL at {config.mysql_host}:{config.mysql_port}: {error}", file=sys.stderr)
        server.shutdown()
        return 1

    stop.wait()
    # Readiness goes first, so that a Service stops sending before we stop answering.
    service.draining.set()
    time.sleep(config.drain_seconds)
    server.shutdown()
    server.server_close()
    service.audit.close()
    log.info("stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Pulse: answers at once, so that what is measured is how many requests there are."""

import json
import os
import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

VERSION = Path(__file__).with_name("VERSION").read_text(encoding="utf-8").strip()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Headers and body are two writes: the second one would wait for the first to be acknowledged.
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        known = self.path in ("/", "/version", "/readyz", "/healthz")
        body = json.dumps({"version": VERSION} if known else {"error": "there is no such page"}).encode()
        self.send_response(200 if known else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Thousands of requests are no news."""


class Server(ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 128


def main() -> None:
    server = Server(("", int(os.environ["PORT"])), Handler)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever()


if __name__ == "__main__":
    main()

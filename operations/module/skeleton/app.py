"""__MODULE__: answers over HTTP, and is ready once its services take connections. Python's standard library only."""

import json
import os
import signal
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# Service -> environment variables that hold its host and port.
SERVICES = __SERVICES__


def unreachable_services() -> list[str]:
    missing = []
    for service, (host, port) in SERVICES.items():
        try:
            socket.create_connection((os.environ[host], int(os.environ[port])), timeout=2).close()
        except (OSError, KeyError, ValueError) as error:
            missing.append(f"{service}: {error}")
    return missing


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/healthz":
            self.answer(200, {"status": "ok"})
        elif self.path == "/readyz":
            missing = unreachable_services()
            self.answer(503 if missing else 200, {"missing": missing})
        elif self.path == "/":
            self.answer(200, {"module": "__MODULE__"})
        else:
            self.answer(404, {"error": "no such path"})

    def answer(self, status: int, body: dict) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


def main() -> None:
    server = ThreadingHTTPServer(("", int(os.environ.get("PORT", "__PORT__"))), Handler)
    # shutdown() waits for the loop that the signal interrupted, hence the thread.
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever()


if __name__ == "__main__":
    main()

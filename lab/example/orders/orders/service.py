"""The HTTP API."""

import json
import logging
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable, NamedTuple, Optional

from .config import Config
from .metrics import Metrics
from .model import validate
from .routes import Route, match
from .stores import Audit, Cache, Database, select

log = logging.getLogger("orders")
MAX_BODY = 64 * 1024


class Answer(NamedTuple):
    status: int
    body: Any
    content_type: str = "application/json"


class Service:
    """The handlers; each returns an Answer and knows nothing of HTTP."""

    def __init__(self, config: Config, database: Database, cache: Cache, audit: Audit) -> None:
        self.config = config
        self.database = database
        self.cache = cache
        self.audit = audit
        self.metric = Metrics(config.version)
        self.draining = threading.Event()

    def healthz(self, _: Any, __: dict[str, str]) -> Answer:
        return Answer(200, {"status": "ok"})

    def readyz(self, _: Any, __: dict[str, str]) -> Answer:
        checks = {"mysql": self.database.check, "redis": self.cache.check, "mongodb": self.audit.check}
        state = {name: probe(check) for name, check in checks.items()}
        ready = all(value == "ok" for value in state.values()) and not self.draining.is_set()
        return Answer(200 if ready else 503, {"ready": ready, "draining": self.draining.is_set(), "services": state})

    def metrics(self, _: Any, __: dict[str, str]) -> Answer:
        return Answer(200, self.metric.render(), "text/plain; version=0.0.4; charset=utf-8")

    def version(self, _: Any, __: dict[str, str]) -> Answer:
        return Answer(200, {"service": "orders", "version": self.config.version})

    def create(self, body: Any, _: dict[str, str]) -> Answer:
        order, faults = validate(body)
        if faults:
            return Answer(400, {"errors": faults})
        with self.database.transaction() as cursor:
            cursor.execute(
                "INSERT INTO orders (customer, item, quantity) VALUES (%s, %s, %s)",
                (order["customer"], order["item"], order["quantity"]),
            )
            stored = select(cursor, int(cursor.lastrowid or 0))
            assert stored is not None
            # Inside the transaction: an order whose event cannot be recorded is not taken at all.
            self.audit.record(stored["id"], "created", self.config.version)
        self.quietly("count", self.cache.count_created)
        return Answer(201, {"order": stored})

    def read(self, _: Any, params: dict[str, str]) -> Answer:
        order_id = int(params["id"])
        cached = self.quietly("read", lambda: self.cache.get(order_id))
        if cached is not None:
            return Answer(200, {"order": cached, "source": "cache"})
        order = self.database.find(order_id)
        if order is None:
            return missing(order_id)
        self.quietly("fill", lambda: self.cache.put(order))
        return Answer(200, {"order": order, "source": "database"})

    def cancel(self, _: Any, params: dict[str, str]) -> Answer:
        order_id = int(params["id"])
        with self.database.transaction() as cursor:
            changed = cursor.execute(
                "UPDATE orders SET state = 'cancelled' WHERE id = %s AND state = 'open'", (order_id,)
            )
            order = select(cursor, order_id)
            if order is None:
                return missing(order_id)
            if not changed:
                return Answer(409, {"errors": [f"order {order_id} is {order['state']} and cannot be cancelled"]})
            self.audit.record(order_id, "cancelled", self.config.version)
        # Not quietly: a stale copy in the cache would go on saying "open".
        self.cache.drop(order_id)
        return Answer(200, {"order": order})

    def events(self, _: Any, params: dict[str, str]) -> Answer:
        order_id = int(params["id"])
        if self.database.find(order_id) is None:
            return missing(order_id)
        return Answer(200, {"order": order_id, "events": self.audit.events(order_id)})

    @staticmethod
    def quietly(what: str, action: Callable[[], Any]) -> Any:
        """A cache that is down costs speed, not the answer."""
        try:
            return action()
        except Exception as error:
            log.warning("cache: could not %s: %s", what, error)
            return None


def missing(order_id: int) -> Answer:
    return Answer(404, {"errors": [f"there is no order {order_id}"]})


def probe(check: Callable[[], None]) -> str:
    try:
        check()
        return "ok"
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def make_handler(service: Service) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        server_version = "orders"
        sys_version = ""
        timeout = 5  # an idle kept-alive connection must not hold up the end of the process

        def do_GET(self) -> None:
            self.serve("GET")

        def do_POST(self) -> None:
            self.serve("POST")

        def serve(self, method: str) -> None:
            started = time.monotonic()
            path = self.path.split("?", 1)[0]
            found, params, allowed = match(method, path)
            body, fault = self.body()
            if fault is not None:
                answer = fault
            elif found is None:
                status = 405 if allowed else 404
                answer = Answer(status, {"errors": [f"{method} {path} is not part of this API"]})
            else:
                answer = self.call(found, body, params)
            self.send(answer, allowed)
            if found is None or found.counted:
                template = found.template if found else "other"
                service.metric.observe(method, template, answer.status, time.monotonic() - started)

        def call(self, found: Route, body: Any, params: dict[str, str]) -> Answer:
            try:
                return getattr(service, found.handler)(body, params)
            except Exception as error:
                log.error("%s %s failed: %s: %s", found.method, found.template, type(error).__name__, error)
                return Answer(503, {"errors": ["a service that orders depends on does not answer; try again"]})

        def body(self) -> tuple[Any, Optional[Answer]]:
            raw_length = self.headers.get("Content-Length", "0")
            if not raw_length.isdigit() or int(raw_length) > MAX_BODY or self.headers.get("Transfer-Encoding"):
                self.close_connection = True  # what was not read would be taken for the next request
                return None, Answer(413, {"errors": [f"send a Content-Length of at most {MAX_BODY} bytes"]})
            raw = self.rfile.read(int(raw_length))
            if not raw:
                return None, None
            try:
                return json.loads(raw), None
            except ValueError:
                return None, Answer(400, {"errors": ["the body is not valid JSON"]})

        def send(self, answer: Answer, allowed: list[str]) -> None:
            if answer.content_type == "application/json":
                payload = (json.dumps(answer.body, sort_keys=True) + "\n").encode()
            else:
                payload = str(answer.body).encode()
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(payload)))
            if allowed:
                self.send_header("Allow", ", ".join(sorted(allowed)))
            if service.draining.is_set():
                self.send_header("Connection", "close")
                self.close_connection = True
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, format: str, *args: Any) -> None:
            log.debug(format, *args)

    return Handler


class Server(ThreadingHTTPServer):
    daemon_threads = False  # requests under way are finished before the process ends
    request_queue_size = 128
    allow_reuse_address = True

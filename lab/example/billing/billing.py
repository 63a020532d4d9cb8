"""Billing: invoices in PostgreSQL; Redis remembers requests, so that one sent twice makes one invoice."""

import json
import os
import re
import signal
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any, Iterable, Optional
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import psycopg2
import psycopg2.extras
import redis

from invoice import faults

VERSION = Path(__file__).with_name("VERSION").read_text(encoding="utf-8").strip()
REMEMBER_SECONDS = 24 * 3600
SCHEMA = """
CREATE TABLE IF NOT EXISTS invoices (
  id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  customer TEXT NOT NULL,
  cents BIGINT NOT NULL CHECK (cents > 0),
  state TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'paid'))
)
"""
FIELDS = "id, customer, cents, state"


class Refused(Exception):
    """An answer other than success: status and what is wrong."""

    def __init__(self, status: int, *errors: str) -> None:
        super().__init__(*errors)
        self.status = status
        self.errors = errors


class Billing:
    def __init__(self, env: dict[str, str]) -> None:
        self._database = {
            "host": env["POSTGRES_HOST"],
            "port": env["POSTGRES_PORT"],
            "user": env["POSTGRES_USER"],
            "password": env["POSTGRES_PASSWORD"],
            "dbname": env["POSTGRES_DATABASE"],
            "connect_timeout": "3",
            "options": "-c statement_timeout=10s",
        }
        self._redis = redis.Redis(
            host=env["REDIS_HOST"],
            port=int(env["REDIS_PORT"]),
            password=env["REDIS_PASSWORD"],
            socket_timeout=2,
            socket_connect_timeout=2,
            decode_responses=True,
        )
        self.draining = threading.Event()

    def _query(self, sql: str, *values: Any) -> Optional[dict[str, Any]]:
        """One statement in one transaction; its first row. Invoices are few, so each has a connection of its own."""
        with closing(psycopg2.connect(**self._database)) as connection, connection:
            with connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
                cursor.execute(sql, values)
                row = cursor.fetchone() if cursor.description else None
                return None if row is None else dict(row)

    def ready(self) -> dict[str, Any]:
        # The schema comes with the first check that finds the database: nothing waits, and nothing starts twice.
        self._query(SCHEMA)
        self._redis.ping()
        if self.draining.is_set():
            raise Refused(503, "draining")
        return {"ready": True}

    def find(self, number: int) -> dict[str, Any]:
        invoice = self._query(f"SELECT {FIELDS} FROM invoices WHERE id = %s", number)
        if invoice is None:
            raise Refused(404, f"there is no invoice {number}")
        return invoice

    def create(self, body: Any) -> tuple[int, dict[str, Any]]:
        found = faults(body)
        if found:
            raise Refused(400, *found)
        key = f"billing:request:{body['request']}" if "request" in body else None
        if key and not self._redis.set(key, "pending", nx=True, ex=REMEMBER_SECONDS):
            number = self._redis.get(key)
            if number is None or not number.isdigit():
                raise Refused(409, f"request {body['request']} is being worked on")
            return 200, self.find(int(number))
        try:
            invoice = self._query(
                f"INSERT INTO invoices (customer, cents) VALUES (%s, %s) RETURNING {FIELDS}",
                body["customer"].strip(),
                body["cents"],
            )
            assert invoice is not None
        except BaseException:
            if key:
                self._redis.delete(key)
            raise
        if key:
            self._redis.set(key, invoice["id"], ex=REMEMBER_SECONDS)
        return 201, invoice

    def pay(self, number: int) -> dict[str, Any]:
        paid = self._query(
            f"UPDATE invoices SET state = 'paid' WHERE id = %s AND state = 'open' RETURNING {FIELDS}", number
        )
        if paid is None:
            raise Refused(409, f"invoice {number} is {self.find(number)['state']}")
        return paid

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        one = re.fullmatch(r"/invoices/([1-9][0-9]{0,17})(/pay)?", path)
        if (method, path) == ("GET", "/healthz"):
            return 200, {"status": "ok"}
        if (method, path) == ("GET", "/readyz"):
            return 200, self.ready()
        if (method, path) == ("GET", "/version"):
            return 200, {"service": "billing", "version": VERSION}
        if (method, path) == ("POST", "/invoices"):
            try:
                return self.create(json.loads(body))
            except ValueError:
                raise Refused(400, "the body must be JSON") from None
        if one and (method, one[2]) == ("GET", None):
            return 200, self.find(int(one[1]))
        if one and (method, one[2]) == ("POST", "/pay"):
            return 200, self.pay(int(one[1]))
        raise Refused(404, f"there is no {method} {path}")

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """WSGI: JSON in, JSON out."""
        try:
            size = min(int(environ.get("CONTENT_LENGTH") or 0), 65536)
            status, answer = self.answer(
                environ["REQUEST_METHOD"], environ["PATH_INFO"], environ["wsgi.input"].read(size)
            )
        except Refused as refused:
            status, answer = refused.status, {"errors": refused.errors}
        except (psycopg2.Error, redis.RedisError) as error:
            print(f"{environ['PATH_INFO']}: {error}", file=sys.stderr)
            status, answer = 503, {"errors": [f"a service behind billing fails: {type(error).__name__}"]}
        start_response(f"{status} ", [("Content-Type", "application/json")])
        return [json.dumps(answer).encode()]


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Probes would fill the log."""


def main() -> None:
    billing = Billing(dict(os.environ))
    server = make_server("", int(os.environ.get("PORT", "8080")), billing, Server, Quiet)

    def drain() -> None:
        billing.draining.set()
        time.sleep(2)  # a Service stops sending before we stop answering
        server.shutdown()

    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=drain).start())
    print(f"billing {VERSION} listens on {server.server_port}")
    server.serve_forever()


if __name__ == "__main__":
    main()

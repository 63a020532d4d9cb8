"""Parcels: keeps the place of each parcel in MySQL, and tells every move in a topic of Kafka."""

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
from typing import Any, Iterable, Mapping
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import pymysql
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Producer, TopicPartition

VERSION = Path(__file__).with_name("VERSION").read_text(encoding="utf-8").strip()
TOPIC = "moves"
SECONDS = 10


class Refused(Exception):
    """An answer other than success: status and what is wrong."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.status = status


class Places:
    """Rows in MySQL. Each use logs in anew."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._login = {
            "host": env["MYSQL_HOST"],
            "port": int(env["MYSQL_PORT"]),
            "user": env["MYSQL_USER"],
            "password": env["MYSQL_PASSWORD"],
            "database": env["MYSQL_DATABASE"],
        }

    def run(self, sql: str, *values: str) -> list[tuple[Any, ...]]:
        with closing(pymysql.connect(**self._login, connect_timeout=SECONDS, autocommit=True)) as connection:
            with connection.cursor() as cursor:
                cursor.execute(sql, values)
                return list(cursor.fetchall())

    def prepare(self) -> None:
        self.run("CREATE TABLE IF NOT EXISTS parcels (id VARCHAR(64) PRIMARY KEY, place VARCHAR(200) NOT NULL)")

    def put(self, identity: str, place: str) -> None:
        self.run("REPLACE INTO parcels VALUES (%s, %s)", identity, place)

    def get(self, identity: str) -> str:
        rows = self.run("SELECT place FROM parcels WHERE id = %s", identity)
        if not rows:
            raise Refused(404, f"there is no parcel {identity}")
        return str(rows[0][0])


class Moves:
    """A topic of Kafka with one partition. Each use logs in anew."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._login = {
            "bootstrap.servers": env["KAFKA_BOOTSTRAP_SERVERS"],
            "security.protocol": env["KAFKA_SECURITY_PROTOCOL"],
            "sasl.mechanism": env["KAFKA_SASL_MECHANISM"],
            "sasl.username": env["KAFKA_USER"],
            "sasl.password": env["KAFKA_PASSWORD"],
            "socket.timeout.ms": SECONDS * 1000,
        }

    def tell(self, move: dict[str, str]) -> None:
        told: list[Any] = []
        producer = Producer({**self._login, "enable.idempotence": True, "message.timeout.ms": SECONDS * 1000})
        producer.produce(TOPIC, json.dumps(move).encode(), on_delivery=lambda error, _: told.append(error))
        producer.flush(SECONDS)
        if told != [None]:
            raise KafkaException(told[0] if told else "no answer")

    def all(self) -> list[dict[str, str]]:
        consumer = Consumer({**self._login, "group.id": "parcels", "enable.auto.commit": False})
        try:
            partition = TopicPartition(TOPIC, 0, OFFSET_BEGINNING)
            _, end = consumer.get_watermark_offsets(partition, timeout=SECONDS)
            consumer.assign([partition])
            found: list[dict[str, str]] = []
            until = time.monotonic() + SECONDS
            while len(found) < end:
                message = consumer.poll(0.5)
                if message is not None and message.error():
                    raise KafkaException(message.error())
                if message is not None:
                    found.append(json.loads(message.value()))
                elif time.monotonic() > until:
                    raise KafkaException(f"{len(found)} of {end} moves came")
            return found
        finally:
            consumer.close()

    def ask(self) -> None:
        Producer(self._login).list_topics(timeout=SECONDS)


class Parcels:
    def __init__(self, places: Places, moves: Moves) -> None:
        self._places = places
        self._moves = moves

    def accept(self, raw: bytes) -> dict[str, str]:
        try:
            body = json.loads(raw)
        except ValueError:
            raise Refused(400, "the request must be JSON") from None
        texts = isinstance(body, dict) and sorted(body) == ["id", "place"] and all(
            isinstance(text, str) and 1 <= len(text) <= 60 for text in body.values()
        )
        if not texts:
            raise Refused(400, "a parcel is an id and a place, texts of 1 to 60 characters")
        self._places.prepare()
        self._places.put(body["id"], body["place"])
        self._moves.tell(body)
        return body

    def answer(self, method: str, path: str, raw: bytes) -> tuple[int, Any]:
        if (method, path) == ("GET", "/healthz"):
            return 200, {"status": "ok"}
        if (method, path) == ("GET", "/readyz"):
            self._moves.ask()
            return 200, {"mysql": str(self._places.run("SELECT VERSION()")[0][0])}
        if (method, path) == ("GET", "/version"):
            return 200, {"service": "parcels", "version": VERSION}
        if (method, path) == ("GET", "/moves"):
            return 200, self._moves.all()
        if (method, path) == ("POST", "/parcels"):
            return 201, self.accept(raw)
        one = re.fullmatch(r"/parcels/([\w-]{1,64})", path)
        if method == "GET" and one:
            return 200, {"id": one[1], "place": self._places.get(one[1])}
        raise Refused(404, f"there is no {method} {path}")

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """WSGI: JSON in, JSON out."""
        try:
            size = min(int(environ.get("CONTENT_LENGTH") or 0), 65536)
            method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
            status, answer = self.answer(method, path, environ["wsgi.input"].read(size))
        except Refused as refused:
            status, answer = refused.status, {"error": str(refused)}
        except (pymysql.MySQLError, KafkaException, OSError) as error:
            print(f"{environ['PATH_INFO']}: {type(error).__name__} {error}", file=sys.stderr)
            status, answer = 503, {"error": "MySQL or Kafka does not take the request"}
        start_response(f"{status} ", [("Content-Type", "application/json")])
        return [json.dumps(answer).encode()]


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Probes would fill the log."""


def main() -> None:
    parcels = Parcels(Places(os.environ), Moves(os.environ))
    server = make_server("", int(os.environ.get("PORT", "8080")), parcels, Server, Quiet)

    def drain() -> None:
        time.sleep(2)  # a Service stops sending before we stop answering
        server.shutdown()

    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=drain).start())
    print(f"parcels {VERSION} listens on {server.server_port}")
    server.serve_forever()


if __name__ == "__main__":
    main()

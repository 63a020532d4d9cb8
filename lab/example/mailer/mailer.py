"""Mailer: takes mail requests by HTTP or by queue, renders them, and leaves them in a queue for the site's relay."""

import json
import os
import signal
import sys
import threading
import time
import uuid
from contextlib import contextmanager
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any, Iterable, Iterator, Optional
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import pika
from pika.exceptions import AMQPError

from mail import faults, render

VERSION = Path(__file__).with_name("VERSION").read_text(encoding="utf-8").strip()
REQUESTS, OUTBOX, DEAD = "mailer.requests", "mailer.outbox", "mailer.dead"


class Refused(Exception):
    """An answer other than success: status and what is wrong."""

    def __init__(self, status: int, *errors: str) -> None:
        super().__init__(*errors)
        self.status = status
        self.errors = errors


def parse(raw: bytes) -> Any:
    try:
        body = json.loads(raw)
    except ValueError:
        raise Refused(400, "the request must be JSON") from None
    found = faults(body)
    if found:
        raise Refused(400, *found)
    return body


class Broker:
    """Connections to RabbitMQ. They belong to one thread each, so every caller gets its own."""

    def __init__(self, env: dict[str, str]) -> None:
        self._parameters = pika.ConnectionParameters(
            env["RABBITMQ_HOST"],
            int(env["RABBITMQ_PORT"]),
            env["RABBITMQ_VHOST"],
            pika.PlainCredentials(env["RABBITMQ_USER"], env["RABBITMQ_PASSWORD"]),
            socket_timeout=3,
            blocked_connection_timeout=10,
            heartbeat=30,
        )

    @contextmanager
    def channel(self) -> Iterator[Any]:
        """A channel on which publishing returns once the broker has the message; the queues are there."""
        connection = pika.BlockingConnection(self._parameters)
        try:
            channel = connection.channel()
            channel.confirm_delivery()
            channel.queue_declare(DEAD, durable=True)
            channel.queue_declare(OUTBOX, durable=True)
            # What cannot be rendered goes where a person looks, not round and round.
            arguments = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": DEAD}
            channel.queue_declare(REQUESTS, durable=True, arguments=arguments)
            yield channel
        finally:
            if connection.is_open:
                connection.close()


def publish(channel: Any, queue: str, body: bytes, identity: str, content_type: str) -> None:
    properties = pika.BasicProperties(message_id=identity, content_type=content_type, delivery_mode=2)
    channel.basic_publish("", queue, body, properties, mandatory=True)


class Worker(threading.Thread):
    """Renders what stands in the queue of requests; connects again when the broker went away."""

    def __init__(self, broker: Broker) -> None:
        super().__init__(name="worker", daemon=True)
        self._broker = broker
        self.stop = threading.Event()
        self.connected = threading.Event()

    def run(self) -> None:
        while not self.stop.is_set():
            try:
                with self._broker.channel() as channel:
                    channel.basic_qos(prefetch_count=10)
                    channel.basic_consume(REQUESTS, self.work)
                    self.connected.set()
                    while not self.stop.is_set():
                        channel.connection.process_data_events(time_limit=0.5)
            except (AMQPError, OSError) as error:
                print(f"RabbitMQ: {type(error).__name__} {error}; trying again", file=sys.stderr)
            self.connected.clear()
            self.stop.wait(1)

    def work(self, channel: Any, method: Any, properties: Any, raw: bytes) -> None:
        identity = properties.message_id or uuid.uuid4().hex
        try:
            mail = render(parse(raw), identity)
        except (Refused, ValueError) as error:
            print(f"request {identity} cannot be rendered: {error}", file=sys.stderr)
            channel.basic_reject(method.delivery_tag, requeue=False)
            return
        # Acknowledged after the outbox has it: a mail may come twice, and is never lost.
        publish(channel, OUTBOX, mail, identity, "message/rfc822")
        channel.basic_ack(method.delivery_tag)


class Mailer:
    def __init__(self, broker: Broker, worker: Worker) -> None:
        self._broker = broker
        self._worker = worker

    def accept(self, raw: bytes) -> dict[str, str]:
        body = parse(raw)
        identity = uuid.uuid4().hex
        with self._broker.channel() as channel:
            publish(channel, REQUESTS, json.dumps(body).encode(), identity, "application/json")
        return {"id": identity}

    def depths(self) -> dict[str, int]:
        with self._broker.channel() as channel:
            return {
                name: channel.queue_declare(queue, passive=True).method.message_count
                for name, queue in (("requests", REQUESTS), ("outbox", OUTBOX), ("dead", DEAD))
            }

    def answer(self, method: str, path: str, raw: bytes) -> tuple[int, Any]:
        if (method, path) == ("GET", "/healthz"):
            return 200, {"status": "ok"}
        if (method, path) == ("GET", "/readyz"):
            ready = self._worker.connected.is_set() and not self._worker.stop.is_set()
            return (200 if ready else 503), {"ready": ready}
        if (method, path) == ("GET", "/version"):
            return 200, {"service": "mailer", "version": VERSION}
        if (method, path) == ("GET", "/queues"):
            return 200, self.depths()
        if (method, path) == ("POST", "/messages"):
            return 202, self.accept(raw)
        raise Refused(404, f"there is no {method} {path}")

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """WSGI: JSON in, JSON out."""
        answer: Optional[Any]
        try:
            size = min(int(environ.get("CONTENT_LENGTH") or 0), 131072)
            status, answer = self.answer(
                environ["REQUEST_METHOD"], environ["PATH_INFO"], environ["wsgi.input"].read(size)
            )
        except Refused as refused:
            status, answer = refused.status, {"errors": refused.errors}
        except (AMQPError, OSError) as error:
            print(f"{environ['PATH_INFO']}: {type(error).__name__} {error}", file=sys.stderr)
            status, answer = 503, {"errors": ["RabbitMQ does not take the request"]}
        start_response(f"{status} ", [("Content-Type", "application/json")])
        return [json.dumps(answer).encode()]


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Probes would fill the log."""


def main() -> None:
    broker = Broker(dict(os.environ))
    worker = Worker(broker)
    server = make_server("", int(os.environ.get("PORT", "8080")), Mailer(broker, worker), Server, Quiet)

    def drain() -> None:
        worker.stop.set()
        time.sleep(2)  # a Service stops sending before we stop answering
        server.shutdown()

    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=drain).start())
    worker.start()
    print(f"mailer {VERSION} listens on {server.server_port}")
    server.serve_forever()
    worker.join(5)


if __name__ == "__main__":
    main()

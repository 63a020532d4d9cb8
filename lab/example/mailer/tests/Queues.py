"""RabbitMQ as its other users see it: what the relay takes, what another module puts in, what a person finds dead."""

import email
import email.policy
import logging
import os
import time
from typing import Any, Optional

import pika

# It reports a refused password as a failure of its own, five times over; here it is what is asked for.
logging.getLogger("pika").setLevel(logging.CRITICAL)


def _connection() -> Any:
    account = pika.PlainCredentials(os.environ["RABBITMQ_USER"], os.environ["RABBITMQ_PASSWORD"])
    return pika.BlockingConnection(
        pika.ConnectionParameters(
            os.environ["RABBITMQ_HOST"], int(os.environ["RABBITMQ_PORT"]), os.environ["RABBITMQ_VHOST"], account
        )
    )


def _take(queue: str, identity: Optional[str], seconds: float) -> bytes:
    """Takes messages until the one with the identity (any, if none is given) comes."""
    connection = _connection()
    try:
        channel = connection.channel()
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            method, properties, body = channel.basic_get(queue, auto_ack=True)
            if method is None:
                time.sleep(0.1)
            elif identity is None or properties.message_id == identity:
                return body
        raise AssertionError(f"{queue}: {identity or 'a message'} did not come within {seconds} s")
    finally:
        connection.close()


def rendered_mail(identity: str, seconds: float = 20) -> dict[str, str]:
    """Takes a mail out of the outbox, as the relay does."""
    raw = _take("mailer.outbox", identity, float(seconds))
    mail = email.message_from_bytes(raw, policy=email.policy.default)
    return {"to": mail["To"], "subject": mail["Subject"], "text": mail.get_content().rstrip("\r\n")}


def enqueue(body: str, identity: str) -> None:
    """Puts a request into the queue past the API, as another module does."""
    connection = _connection()
    try:
        properties = pika.BasicProperties(message_id=identity)
        connection.channel().basic_publish("", "mailer.requests", body.encode(), properties)
    finally:
        connection.close()


def dead_request(identity: str, seconds: float = 20) -> str:
    return _take("mailer.dead", identity, float(seconds)).decode()


def account_is_refused_with_another_password() -> None:
    account = pika.PlainCredentials(os.environ["RABBITMQ_USER"], "another")
    try:
        pika.BlockingConnection(
            pika.ConnectionParameters(
                os.environ["RABBITMQ_HOST"], int(os.environ["RABBITMQ_PORT"]), os.environ["RABBITMQ_VHOST"], account
            )
        )
    except pika.exceptions.AMQPConnectionError:
        return
    raise AssertionError("RabbitMQ takes any password")

"""What stands behind the API: rows of PostgreSQL, keys of Redis; addressed as the module addresses them."""

import os
from contextlib import closing
from typing import Any, Optional

import psycopg2
import redis


def _rows(sql: str, *values: Any) -> list[tuple[Any, ...]]:
    connection = psycopg2.connect(
        host=os.environ["POSTGRES_HOST"],
        port=os.environ["POSTGRES_PORT"],
        user=os.environ["POSTGRES_USER"],
        password=os.environ["POSTGRES_PASSWORD"],
        dbname=os.environ["POSTGRES_DATABASE"],
    )
    with closing(connection), connection, connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchall()


def row_of_invoice(number: int) -> list[Any]:
    """Customer, cents and state; fails unless there is exactly one such row."""
    (row,) = _rows("SELECT customer, cents, state FROM invoices WHERE id = %s", int(number))
    return list(row)


def number_of_invoices() -> int:
    return int(_rows("SELECT count(*) FROM invoices")[0][0])


def account_is_superuser() -> bool:
    return bool(_rows("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")[0][0])


def remembered_request(request: str) -> Optional[str]:
    client = redis.Redis(
        host=os.environ["REDIS_HOST"],
        port=int(os.environ["REDIS_PORT"]),
        password=os.environ["REDIS_PASSWORD"],
        decode_responses=True,
    )
    return client.get(f"billing:request:{request}")

"""The three services behind the API: MySQL holds orders, Redis caches them, MongoDB records events."""

import json
import queue
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any, Iterator, Optional

import pymongo
import pymysql
import pymysql.cursors
import redis

from .config import Config
from .schema import MIGRATIONS


class Database:
    """Orders in MySQL, over a small pool of connections."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._idle: "queue.LifoQueue[pymysql.connections.Connection]" = queue.LifoQueue(maxsize=8)

    def _open(self) -> pymysql.connections.Connection:
        return pymysql.connect(
            host=self._config.mysql_host,
            port=self._config.mysql_port,
            user=self._config.mysql_user,
            password=self._config.mysql_password,
            database=self._config.mysql_database,
            charset="utf8mb4",
            connect_timeout=3,
            read_timeout=10,
            write_timeout=10,
            cursorclass=pymysql.cursors.DictCursor,
        )

    @contextmanager
    def transaction(self) -> Iterator[pymysql.cursors.DictCursor]:
        """One transaction: committed when the block ends, rolled back when it raises."""
        try:
            connection = self._idle.get_nowait()
            connection.ping(reconnect=True)
        except queue.Empty:
            connection = self._open()
        try:
            with connection.cursor() as cursor:
                yield cursor
            connection.commit()
        except BaseException:
            connection.close()  # rolls back, and a connection in doubt is not used again
            raise
        try:
            self._idle.put_nowait(connection)
        except queue.Full:
            connection.close()

    def migrate(self) -> list[int]:
        """Brings the schema up to date; replicas that start together wait for each other. Returns what was applied."""
        applied: list[int] = []
        with self.transaction() as cursor:
            cursor.execute("SELECT GET_LOCK('orders_migrations', 30) AS got")
            if (cursor.fetchone() or {}).get("got") != 1:
                raise RuntimeError("another replica holds the migration lock for more than 30 s")
            try:
                cursor.execute(
                    "CREATE TABLE IF NOT EXISTS schema_migrations"
                    " (version INT PRIMARY KEY, applied_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP)"
                )
                cursor.execute("SELECT version FROM schema_migrations")
                present = {row["version"] for row in cursor.fetchall()}
                for version, statement in MIGRATIONS:
                    if version not in present:
                        cursor.execute(statement)
                        cursor.execute("INSERT INTO schema_migrations (version) VALUES (%s)", (version,))
                        applied.append(version)
            finally:
                cursor.execute("SELECT RELEASE_LOCK('orders_migrations')")
        return applied

    def check(self) -> None:
        with self.transaction() as cursor:
            cursor.execute("SELECT 1 FROM orders LIMIT 1")

    def find(self, order_id: int) -> Optional[dict[str, Any]]:
        with self.transaction() as cursor:
            return select(cursor, order_id)


def select(cursor: pymysql.cursors.DictCursor, order_id: int) -> Optional[dict[str, Any]]:
    cursor.execute("SELECT id, customer, item, quantity, state FROM orders WHERE id = %s", (order_id,))
    return cursor.fetchone()


class Cache:
    """Orders in Redis for `cache_seconds`, and how many orders were ever taken."""

    def __init__(self, config: Config) -> None:
        self._seconds = config.cache_seconds
        self._redis = redis.Redis(
            host=config.redis_host,
            port=config.redis_port,
            password=config.redis_password,
            socket_timeout=2,
            socket_connect_timeout=2,
            decode_responses=True,
        )

    @staticmethod
    def key(order_id: int) -> str:
        return f"orders:order:{order_id}"

    def check(self) -> None:
        self._redis.ping()

    def get(self, order_id: int) -> Optional[dict[str, Any]]:
        raw = self._redis.get(self.key(order_id))
        return None if raw is None else json.loads(raw)

    def put(self, order: dict[str, Any]) -> None:
        self._redis.setex(self.key(order["id"]), self._seconds, json.dumps(order, sort_keys=True))

    def drop(self, order_id: int) -> None:
        self._redis.delete(self.key(order_id))

    def count_created(self) -> int:
        return int(self._redis.incr("orders:created"))


class Audit:
    """What happened to each order, in MongoDB."""

    def __init__(self, config: Config) -> None:
        self._client: Any = pymongo.MongoClient(
            host=config.mongodb_host,
            port=config.mongodb_port,
            username=config.mongodb_user,
            password=config.mongodb_password,
            authSource=config.mongodb_auth_source,
            serverSelectionTimeoutMS=3000,
            connectTimeoutMS=3000,
            socketTimeoutMS=10000,
        )
        self._events = self._client[config.mongodb_database]["events"]

    def check(self) -> None:
        self._client.admin.command("ping")

    def record(self, order_id: int, event: str, version: str) -> None:
        self._events.insert_one(
            {"order": order_id, "event": event, "version": version, "at": datetime.now(timezone.utc)}
        )

    def events(self, order_id: int) -> list[dict[str, Any]]:
        found = self._events.find({"order": order_id}).sort("_id", pymongo.ASCENDING)
        return [
            {"event": one["event"], "version": one["version"], "at": one["at"].isoformat(timespec="milliseconds") + "Z"}
            for one in found
        ]

    def close(self) -> None:
        self._client.close()

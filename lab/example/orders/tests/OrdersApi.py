"""Robot keywords: talk to the API over HTTP, and look behind it into MySQL, Redis and MongoDB.

The services' addresses come from the same environment variables that the module itself reads; in the test Pod
everything is at 127.0.0.1, which is the default for the hosts.
"""

import json
import os
import time
import urllib.error
import urllib.request
from typing import Any, Optional

import pymongo
import pymysql
import pymysql.cursors
import redis


def setting(name: str, default: Optional[str] = None) -> str:
    value = os.environ.get(name) or default
    if value is None:
        raise AssertionError(f"{name} is not set: the tests need the module's own environment variables")
    return value


class OrdersApi:
    ROBOT_LIBRARY_SCOPE = "SUITE"

    def __init__(self, base_url: str) -> None:
        self._base = base_url.rstrip("/")

    def _request(self, method: str, path: str, body: Any, expected: int) -> tuple[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._base + path, data=data, method=method)
        if data is not None:
            request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                status, text = response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read().decode()
        if status != int(expected):
            raise AssertionError(f"{method} {path} answered {status}, expected {expected}: {text.strip()}")
        return text, request

    def get(self, path: str, expected: int = 200) -> Any:
        """GETs a path; fails unless the status is as expected; returns the decoded JSON."""
        return json.loads(self._request("GET", path, None, expected)[0])

    def get_text(self, path: str, expected: int = 200) -> str:
        return self._request("GET", path, None, expected)[0]

    def post(self, path: str, body: Any = None, expected: int = 200) -> Any:
        return json.loads(self._request("POST", path, {} if body is None else body, expected)[0])

    def wait_until_ready(self, seconds: int = 120) -> None:
        """Waits for /readyz to answer 200; the failure says what it answered last."""
        deadline = time.monotonic() + float(seconds)
        last = "nothing"
        while time.monotonic() < deadline:
            try:
                self._request("GET", "/readyz", None, 200)
                return
            except (AssertionError, OSError) as error:
                last = str(error)
                time.sleep(0.5)
        raise AssertionError(f"not ready after {seconds} s: {last}")

    def counted_requests(self, method: str, template: str, status: int) -> int:
        """The value of http_requests_total for one method, path template and status; 0 when there is no such series."""
        name = f'http_requests_total{{method="{method}",path="{template}",status="{status}"}} '
        for line in self.get_text("/metrics").splitlines():
            if line.startswith(name):
                return int(line[len(name) :])
        return 0

    # MySQL

    def _query(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        connection = pymysql.connect(
            host=setting("MYSQL_HOST", "127.0.0.1"),
            port=int(setting("MYSQL_PORT", "3306")),
            user=setting("MYSQL_USER"),
            password=setting("MYSQL_PASSWORD"),
            database=setting("MYSQL_DATABASE"),
            cursorclass=pymysql.cursors.DictCursor,
            autocommit=True,
        )
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql, values)
                return list(cursor.fetchall())
        finally:
            connection.close()

    def row_of_order(self, order_id: int) -> dict[str, Any]:
        rows = self._query("SELECT customer, item, quantity, state FROM orders WHERE id = %s", int(order_id))
        if len(rows) != 1:
            raise AssertionError(f"MySQL holds {len(rows)} rows for order {order_id}, expected 1")
        return rows[0]

    def number_of_orders_in_mysql(self) -> int:
        return int(self._query("SELECT COUNT(*) AS n FROM orders")[0]["n"])

    def change_quantity_behind_the_api(self, order_id: int, quantity: int) -> None:
        self._query("UPDATE orders SET quantity = %s WHERE id = %s", int(quantity), int(order_id))

    # Redis

    def _redis(self) -> Any:
        return redis.Redis(
            host=setting("REDIS_HOST", "127.0.0.1"),
            port=int(setting("REDIS_PORT", "6379")),
            password=os.environ.get("REDIS_PASSWORD") or None,
            decode_responses=True,
        )

    def cached_order(self, order_id: int) -> Optional[dict[str, Any]]:
        raw = self._redis().get(f"orders:order:{order_id}")
        return None if raw is None else json.loads(raw)

    def cache_lifetime_of_order(self, order_id: int) -> int:
        """Seconds until Redis forgets the order; -1 never, -2 not there."""
        return int(self._redis().ttl(f"orders:order:{order_id}"))

    def forget_cached_order(self, order_id: int) -> None:
        self._redis().delete(f"orders:order:{order_id}")

    def orders_counted_in_redis(self) -> int:
        return int(self._redis().get("orders:created") or 0)

    # MongoDB

    def event_documents_of_order(self, order_id: int) -> list[str]:
        client: Any = pymongo.MongoClient(
            setting("MONGODB_HOST", "127.0.0.1"),
            int(setting("MONGODB_PORT", "27017")),
            username=setting("MONGODB_USER"),
            password=setting("MONGODB_PASSWORD"),
            authSource=setting("MONGODB_AUTH_SOURCE", "admin"),
            serverSelectionTimeoutMS=5000,
        )
        try:
            events = client[setting("MONGODB_DATABASE")]["events"]
            return [one["event"] for one in events.find({"order": int(order_id)}).sort("_id", 1)]
        finally:
            client.close()

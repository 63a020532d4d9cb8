"""Contracts of the parts that need no service; run with: python3 -m unittest discover -s unit -t ."""

import tempfile
import unittest
from pathlib import Path

from orders.config import ConfigError, load
from orders.metrics import Metrics
from orders.model import validate
from orders.retrying import retry
from orders.routes import match
from orders.schema import MIGRATIONS

ENV = {
    "MYSQL_HOST": "db",
    "MYSQL_USER": "orders",
    "MYSQL_PASSWORD": "secret-word",
    "MYSQL_DATABASE": "orders",
    "REDIS_HOST": "cache",
    "MONGODB_HOST": "events",
    "MONGODB_DATABASE": "orders",
    "MONGODB_USER": "orders",
    "MONGODB_PASSWORD": "secret-word",
}


class ConfigTest(unittest.TestCase):
    def test_every_missing_or_malformed_setting_is_named_at_once(self) -> None:
        env = {k: v for k, v in ENV.items() if k != "MYSQL_HOST"} | {"PORT": "80a", "VERSION": "1", "REDIS_HOST": ""}
        with self.assertRaises(ConfigError) as raised:
            load(env)
        self.assertEqual(
            str(raised.exception).split("\n"),
            [
                "environment: PORT must be a whole number from 1 to 65535, not '80a'",
                "environment: MYSQL_HOST is not set",
                "environment: REDIS_HOST is not set",
            ],
        )

    def test_the_version_comes_from_the_environment_first_and_else_from_the_file(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "VERSION"
            file.write_text("2.3.4\n", encoding="utf-8")
            self.assertEqual(load(ENV, file).version, "2.3.4")
            self.assertEqual(load(ENV | {"VERSION": "9"}, file).version, "9")

    def test_the_password_is_not_in_the_printed_form(self) -> None:
        self.assertNotIn("secret-word", repr(load(ENV | {"VERSION": "1"})))


class ModelTest(unittest.TestCase):
    def test_a_good_order_is_trimmed_and_has_no_faults(self) -> None:
        self.assertEqual(
            validate({"customer": " Ada ", "item": "lamp", "quantity": 2}),
            ({"customer": "Ada", "item": "lamp", "quantity": 2}, []),
        )

    def test_every_fault_is_reported_and_unknown_fields_are_refused(self) -> None:
        _, faults = validate({"customer": "", "item": "x" * 121, "quantity": True, "price": 1})
        self.assertEqual([fault.split(":")[0] for fault in faults], ["price", "customer", "item", "quantity"])

    def test_quantity_is_bounded_on_both_sides(self) -> None:
        for quantity, good in ((0, False), (1, True), (10_000, True), (10_001, False), (1.5, False)):
            _, faults = validate({"customer": "a", "item": "b", "quantity": quantity})
            self.assertEqual(not faults, good, quantity)

    def test_a_body_that_is_no_object_is_refused(self) -> None:
        for body in (None, [], "x", 3):
            self.assertTrue(validate(body)[1])


class RouteTest(unittest.TestCase):
    def test_paths_map_to_templates_and_ids(self) -> None:
        found, params, _ = match("GET", "/orders/42/events")
        assert found is not None
        self.assertEqual((found.template, params), ("/orders/{id}/events", {"id": "42"}))

    def test_ids_that_are_no_positive_number_have_no_route(self) -> None:
        for path in ("/orders/0", "/orders/-1", "/orders/1e3", "/orders/x", "/orders/", "/orders/" + "9" * 19):
            self.assertIsNone(match("GET", path)[0], path)

    def test_a_known_path_with_another_method_names_the_methods_it_takes(self) -> None:
        self.assertEqual(match("GET", "/orders")[2], ["POST"])

    def test_health_checks_and_scrapes_are_not_counted(self) -> None:
        for path in ("/healthz", "/readyz", "/metrics"):
            found, _, _ = match("GET", path)
            assert found is not None
            self.assertFalse(found.counted)


class MetricsTest(unittest.TestCase):
    def test_counts_are_kept_per_method_template_and_status_in_a_fixed_order(self) -> None:
        metrics = Metrics('1"\\')
        metrics.observe("POST", "/orders", 201, 0.5)
        metrics.observe("GET", "/orders/{id}", 200, 0.25)
        metrics.observe("GET", "/orders/{id}", 200, 0.25)
        samples = [line for line in metrics.render().splitlines() if not line.startswith("#")]
        self.assertEqual(
            samples,
            [
                'orders_build_info{version="1\\"\\\\"} 1',
                'http_requests_total{method="GET",path="/orders/{id}",status="200"} 2',
                'http_requests_total{method="POST",path="/orders",status="201"} 1',
                'http_request_duration_seconds_sum{method="GET",path="/orders/{id}"} 0.500000',
                'http_request_duration_seconds_count{method="GET",path="/orders/{id}"} 2',
                'http_request_duration_seconds_sum{method="POST",path="/orders"} 0.500000',
                'http_request_duration_seconds_count{method="POST",path="/orders"} 1',
            ],
        )


class RetryTest(unittest.TestCase):
    def setUp(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    def run_retry(self, failures: int, seconds: float) -> str:
        left = [failures]

        def action() -> str:
            if left[0]:
                left[0] -= 1
                raise OSError("refused")
            return "done"

        return retry("MySQL", action, seconds, lambda _: None, self.sleep, lambda: self.now)

    def test_it_waits_longer_each_time_and_returns_the_result(self) -> None:
        self.assertEqual(self.run_retry(7, 60), "done")
        self.assertEqual(self.pauses, [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0])

    def test_it_gives_up_with_the_last_error_and_not_after_the_deadline(self) -> None:
        with self.assertRaisesRegex(OSError, "refused"):
            self.run_retry(1000, 10)
        self.assertLessEqual(self.now, 10)


class MigrationTest(unittest.TestCase):
    def test_migrations_are_numbered_in_order_from_one(self) -> None:
        self.assertEqual([version for version, _ in MIGRATIONS], list(range(1, len(MIGRATIONS) + 1)))


if __name__ == "__main__":
    unittest.main()

"""Request counters in the Prometheus text exposition format 0.0.4."""

import threading


def escape(value: str) -> str:
    """Escapes a label value as the exposition format asks for."""
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


class Metrics:
    """Counts finished requests by method, path template and status; safe for threads.

    Templates (`/orders/{id}`), not paths, so that the number of series does not grow with the number of orders.
    """

    def __init__(self, version: str) -> None:
        self._version = version
        self._lock = threading.Lock()
        self._requests: dict[tuple[str, str, int], int] = {}
        self._seconds: dict[tuple[str, str], tuple[float, int]] = {}

    def observe(self, method: str, template: str, status: int, seconds: float) -> None:
        with self._lock:
            key = (method, template, status)
            self._requests[key] = self._requests.get(key, 0) + 1
            total, count = self._seconds.get((method, template), (0.0, 0))
            self._seconds[(method, template)] = (total + seconds, count + 1)

    def render(self) -> str:
        with self._lock:
            requests = sorted(self._requests.items())
            seconds = sorted(self._seconds.items())
        lines = [
            "# HELP orders_build_info The running version.",
            "# TYPE orders_build_info gauge",
            f'orders_build_info{{version="{escape(self._version)}"}} 1',
            "# HELP http_requests_total Requests answered; health checks and scrapes are left out.",
            "# TYPE http_requests_total counter",
        ]
        for (method, template, status), count in requests:
            lines.append(
                f'http_requests_total{{method="{escape(method)}",path="{escape(template)}",status="{status}"}} {count}'
            )
        lines += [
            "# HELP http_request_duration_seconds Time to answer.",
            "# TYPE http_request_duration_seconds summary",
        ]
        for (method, template), (total, count) in seconds:
            labels = f'{{method="{escape(method)}",path="{escape(template)}"}}'
            lines.append(f"http_request_duration_seconds_sum{labels} {total:.6f}")
            lines.append(f"http_request_duration_seconds_count{labels} {count}")
        return "\n".join(lines) + "\n"

"""Which path is answered by which handler."""

import re
from typing import NamedTuple, Optional


class Route(NamedTuple):
    method: str
    template: str
    pattern: "re.Pattern[str]"
    handler: str
    counted: bool


def route(method: str, template: str, handler: str, counted: bool = True) -> Route:
    pattern = "^" + template.replace("{id}", r"(?P<id>[1-9][0-9]{0,17})") + "$"
    return Route(method, template, re.compile(pattern), handler, counted)


# Probes and scrapes are not counted: they would drown the load that the autoscaler is to follow.
ROUTES = (
    route("GET", "/healthz", "healthz", counted=False),
    route("GET", "/readyz", "readyz", counted=False),
    route("GET", "/metrics", "metrics", counted=False),
    route("GET", "/version", "version"),
    route("POST", "/orders", "create"),
    route("GET", "/orders/{id}", "read"),
    route("POST", "/orders/{id}/cancel", "cancel"),
    route("GET", "/orders/{id}/events", "events"),
)


def match(method: str, path: str) -> tuple[Optional[Route], dict[str, str], list[str]]:
    """Finds the route; without one, the methods that the path does know."""
    allowed: list[str] = []
    for candidate in ROUTES:
        found = candidate.pattern.match(path)
        if found:
            if candidate.method == method:
                return candidate, found.groupdict(), []
            allowed.append(candidate.method)
    return None, {}, allowed

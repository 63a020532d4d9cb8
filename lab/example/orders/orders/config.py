"""Settings, read once from the environment."""

from dataclasses import dataclass
from pathlib import Path
from typing import Mapping, Optional

VERSION_FILE = Path(__file__).resolve().parent.parent / "VERSION"


class ConfigError(Exception):
    """One or more settings are missing or malformed; the message has one line per fault."""


@dataclass(frozen=True)
class Config:
    port: int
    version: str
    mysql_host: str
    mysql_port: int
    mysql_user: str
    mysql_password: str
    mysql_database: str
    redis_host: str
    redis_port: int
    redis_password: Optional[str]
    mongodb_host: str
    mongodb_port: int
    mongodb_database: str
    mongodb_user: str
    mongodb_password: str
    mongodb_auth_source: str
    cache_seconds: int
    startup_seconds: int
    drain_seconds: int

    def __repr__(self) -> str:  # passwords must not reach a log
        return f"Config(port={self.port}, version={self.version!r})"


def load(env: Mapping[str, str], version_file: Path = VERSION_FILE) -> Config:
    """Reads the settings; every fault is reported, not only the first."""
    faults: list[str] = []

    def text(name: str) -> str:
        value = env.get(name, "")
        if not value:
            faults.append(f"environment: {name} is not set")
        return value

    def number(name: str, default: int, low: int = 1, high: int = 65535) -> int:
        raw = env.get(name, str(default))
        if raw.isascii() and raw.isdigit() and low <= int(raw) <= high:
            return int(raw)
        faults.append(f"environment: {name} must be a whole number from {low} to {high}, not {raw!r}")
        return default

    version = env.get("VERSION", "").strip()
    if not version:
        try:
            version = version_file.read_text(encoding="utf-8").strip()
        except OSError as error:
            faults.append(f"VERSION is not set and {version_file} cannot be read: {error.strerror}")

    config = Config(
        port=number("PORT", 8080),
        version=version,
        mysql_host=text("MYSQL_HOST"),
        mysql_port=number("MYSQL_PORT", 3306),
        mysql_user=text("MYSQL_USER"),
        mysql_password=text("MYSQL_PASSWORD"),
        mysql_database=text("MYSQL_DATABASE"),
        redis_host=text("REDIS_HOST"),
        redis_port=number("REDIS_PORT", 6379),
        redis_password=env.get("REDIS_PASSWORD") or None,
        mongodb_host=text("MONGODB_HOST"),
        mongodb_port=number("MONGODB_PORT", 27017),
        mongodb_database=text("MONGODB_DATABASE"),
        mongodb_user=text("MONGODB_USER"),
        mongodb_password=text("MONGODB_PASSWORD"),
        mongodb_auth_source=env.get("MONGODB_AUTH_SOURCE") or "admin",
        cache_seconds=number("CACHE_SECONDS", 60, 1, 86400),
        startup_seconds=number("STARTUP_SECONDS", 90, 1, 3600),
        drain_seconds=number("DRAIN_SECONDS", 2, 0, 60),
    )
    if faults:
        raise ConfigError("\n".join(faults))
    return config

"""Addresses of databases, and how they are shown: without what is secret in them."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from foundations.errors import ConfigError

_SCHEMES = ("postgresql", "postgres")
_SECRET = ("password", "sslpassword", "passfile", "sslkey")


def checked(url: str) -> str:
    """Return the address of a PostgreSQL database. Raises ConfigError, which does not quote it."""
    try:
        scheme = urlsplit(url).scheme
    except ValueError:
        scheme = ""
    if scheme not in _SCHEMES:
        raise ConfigError(
            "database_url does not begin with postgresql://.",
            "As in postgresql://atlas@db.example.org/atlas; without it the database is a file.",
        )
    return url


def has_password(url: str) -> bool:
    """Whether the address itself holds a password."""
    parts = urlsplit(url)
    named = {name for name, _ in parse_qsl(parts.query)}
    return ":" in parts.netloc.rpartition("@")[0] or bool(named & {"password", "sslpassword"})


def refuse_password(url: str) -> None:
    """Raise ConfigError for a password on a command line, which everybody on the machine sees."""
    if has_password(checked(url)):
        raise ConfigError(
            "A password in a command line can be seen by everybody on this machine.",
            "Put the address into ATLAS_DATABASE_URL or config/server.config.yaml, or the password "
            "into ~/.pgpass.",
        )


def nameable(url: str) -> str:
    """Return the address as it may be shown: without passwords."""
    parts = urlsplit(url)
    user, at, hosts = parts.netloc.rpartition("@")
    shown = [(name, value) for name, value in parse_qsl(parts.query) if name not in _SECRET]
    query = f"?{urlencode(shown, safe='/')}" if shown else ""
    return f"{parts.scheme}://{user.partition(':')[0]}{at}{hosts}{parts.path}{query}"


def file_of(address: str) -> Path | None:
    """Return the file that `sqlite:///PATH` names, None for other addresses."""
    if not address.startswith("sqlite:///"):
        return None
    return Path(unquote(address.removeprefix("sqlite:///"))).absolute()

"""What is said of each setting of the server, read and checked."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from atlas_server.database_url import checked as checked_url
from foundations.contract.images import PROCESS, read_image
from foundations.contract.request import suggestion
from foundations.contract.worker_options import OPTIONS, PRIVILEGE
from foundations.errors import ConfigError

# What allow_privileges may name; `process` is to run as one, with all that the server's user may.
PRIVILEGES = {name for name, option in OPTIONS.items() if option.asks == PRIVILEGE} | {
    "*",
    "process",
}
UNIX = "unix://"
"""What `host` begins with where the server listens at a socket file."""
ALLOWED = ("allow_volumes", "allow_networks", "allow_privileges")
_WHOLE = {"port": 65535, "gui_port": 65535, "gpus": 1024}
_ROLES = ("all", "api", "scheduler")


def parse_memory(text: str | float) -> int:
    """Return a size in bytes: `8GB`, `512MB`, plain bytes, or gigabytes up to 4096.

    Raises ConfigError.
    """
    found = re.fullmatch(r"\s*([0-9.]+)\s*([kmgt]?)i?b?\s*", str(text).lower())
    try:
        number = float(found[1]) if found else -1.0
    except ValueError:
        number = -1.0
    if found is None or number <= 0:
        raise ConfigError(f"'{text}' is not an amount of memory.", "Write it as 8GB or 512MB.")
    power = "kmgt".find(found[2]) + 1 if found[2] else (3 if number <= 4096 else 0)
    return int(number * 1024**power)


def checked(name: str, value: Any) -> Any:
    """Return the value of a setting as its field of ServerConfig has it. Raises ConfigError."""
    try:
        if name in _WHOLE:
            return _in_range(int(value), 0, _WHOLE[name])
        if name in ("memory", "authentication"):
            return parse_memory(value) if name == "memory" else _truth(value)
        if name in (
            "cpus",
            "heartbeat",
            "lease",
            "grace",
            "patience",
            "gpu_check",
            "tensorboard_idle",
            "takeover",
            "session_lifetime",
            "fair_half_life",
        ):
            lowest = 0.0 if name in ("grace", "fair_half_life") else 0.01
            return _in_range(float(value), lowest, 1e9)
        if name in ALLOWED or name == "hosts":
            return _names(name, value)
        if name in _READERS:
            return _READERS[name](value)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"The server's setting {name} cannot be {value!r}.") from error
    return str(value)


def _truth(value: Any) -> bool:
    known = {"true": True, "yes": True, "on": True, "1": True}
    known |= {"false": False, "no": False, "off": False, "0": False}
    if str(value).lower() not in known:
        raise ValueError(value)
    return known[str(value).lower()]


def _names(setting: str, value: Any) -> tuple[str, ...]:
    """Read a list, or names with commas between them; `none` is nothing, but for networks."""
    listed = value.split(",") if isinstance(value, str) else list(value or ())
    names = tuple(name for item in listed if (name := str(item).strip()))
    if setting == "allow_networks":
        return names
    names = tuple(name for name in names if name != "none")
    if setting == "allow_volumes" and any("/" in name and name[0] != "/" for name in names):
        raise ValueError(value)
    unknown = sorted(set(names) - PRIVILEGES) if setting == "allow_privileges" else []
    if unknown:
        raise ConfigError(
            f"The server's setting {setting}: there is no privilege {unknown[0]!r}."
            f"{suggestion(unknown[0], PRIVILEGES)}",
            f"Known: {', '.join(sorted(PRIVILEGES))}.",
        )
    return names


def _image(value: Any) -> str | None:
    image = read_image("The server's setting default_image", value)
    return None if image == PROCESS else image


def _devices(value: Any) -> tuple[str, ...]:
    if value is None:
        raise TypeError(value)
    return tuple(
        str(item).strip() for item in (value if isinstance(value, list) else str(value).split(","))
    )


def _file(value: Any) -> Path:
    return Path(str(value)).expanduser().absolute()


def _host(value: Any) -> str:
    text = str(value)
    return UNIX + os.path.abspath(text.removeprefix(UNIX)) if text.startswith(UNIX) else text


def _prefix(value: Any) -> str:
    """Read a prefix of paths: `/lab/atlas`, nothing where it is `/`."""
    path = "/" + str(value).strip("/")
    if not re.fullmatch(r"/|(/[A-Za-z0-9._~-]+)+", path):
        raise ValueError(value)
    return path.rstrip("/")


def _networks(value: Any) -> tuple[str, ...]:
    """Read addresses, networks, and `unix`. Raises ValueError."""
    items = value if isinstance(value, list) else str(value).split(",")
    texts = [text for item in items if (text := str(item).strip())]
    return tuple(text if text == "unix" else str(ip_network(text, strict=False)) for text in texts)


def _in_range(value: Any, low: float, high: float) -> Any:
    if not low <= value <= high:
        raise ValueError(value)
    return value


def _role(value: Any) -> str:
    if value not in _ROLES:
        raise ConfigError(f"The server's setting role cannot be {value!r}.", "all, api, scheduler")
    return str(value)


def _name(value: Any) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,40}", str(value)):
        raise ConfigError(
            f"The server's setting name cannot be {value!r}.", "Lower-case letters and digits."
        )
    return str(value)


def _structure(value: Any) -> Any:
    # What is in it is read by what it is for.
    return json.loads(value) if isinstance(value, str) else value


def _log_format(value: Any) -> str:
    if value not in ("text", "json"):
        raise ValueError(value)
    return str(value)


_READERS: dict[str, Callable[[Any], Any]] = {
    "default_image": _image,
    "database_url": lambda value: checked_url(str(value)),
    "role": _role,
    "name": _name,
    "limits": _structure,
    "retention": _structure,
    "log_format": _log_format,
    "host": _host,
    "root_path": _prefix,
    "tls_certificate": _file,
    "tls_key": _file,
    "trusted_proxies": _networks,
    "visible_gpus": _devices,
}

"""What shows servers who somebody is: kept by server in a file that only its owner reads."""

from __future__ import annotations

import json
import os

from foundations.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, Optional

_FILE = "credentials.json"
_OLD_FILE = "credentials.yaml"
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]", "::1")
_PORTS = {"http": "80", "https": "443"}


def key_of(url: str) -> str:
    """Return under which name a server's credentials are kept: its address in one spelling."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in _PORTS:
        return url
    netloc, _, prefix = rest.partition("/")
    host, colon, port = netloc.rpartition(":")
    if not colon or not port.isdigit():
        host, port = netloc, _PORTS[scheme]
    host = host.lower()
    if host in _LOOPBACK:
        host = "127.0.0.1"
    prefix = prefix.strip("/")
    return "{}://{}:{}{}".format(scheme, host, port, "/" + prefix if prefix else "")


def find(home: str, url: str) -> Optional[str]:
    """Return the token that is kept for a server, or the one that older versions kept for all."""
    entry = load(home).get(key_of(url))
    if entry is not None:
        return entry["token"]
    return _old_token(home)


def load(home: str) -> Dict[str, Dict[str, Any]]:
    """Return `{key: {"token", "user"}}`. Raises ConfigError for a file that cannot be read."""
    path = os.path.join(home, _FILE)
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ConfigError(
            "{} cannot be read: {}.".format(path, error), "Delete it and log in again."
        ) from error
    entries = found if isinstance(found, dict) else {}
    return {
        key: entry
        for key, entry in entries.items()
        if isinstance(entry, dict) and isinstance(entry.get("token"), str)
    }


def keep(home: str, urls: Iterable[str], token: str, user: str) -> str:
    """Keep a token for a server, under each of its addresses; return the file's path."""
    entries = load(home)
    for url in urls:
        entries[key_of(url)] = {"token": token, "user": user}
    return _write(home, entries)


def forget(home: str, url: str) -> bool:
    """Forget a server's token under all of its addresses; False where there is none."""
    entries = load(home)
    known = entries.get(key_of(url))
    if known is None:
        return False
    _write(home, {key: entry for key, entry in entries.items() if entry != known})
    return True


def _write(home: str, entries: Dict[str, Dict[str, Any]]) -> str:
    os.makedirs(home, mode=0o700, exist_ok=True)
    path = os.path.join(home, _FILE)
    partial = "{}.{}".format(path, os.getpid())
    # For its owner alone from the first byte on.
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), 0o600)
        json.dump(entries, file, indent=1)
        file.write("\n")
    os.replace(partial, path)
    return path


def _old_token(home: str) -> Optional[str]:
    """Return `default: {token: ...}` of the file that older versions wrote."""
    path = os.path.join(home, _OLD_FILE)
    if not os.path.exists(path):
        return None
    from foundations import yaml_files  # such a file is rare by now

    default = yaml_files.load_secret(path, os.path.join(home, "run", "sdk-vendor")).get("default")
    token = default.get("token") if isinstance(default, dict) else None
    return token if isinstance(token, str) and token else None

"""Words and values as parts of a request's address."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict

_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


def quote(text: str) -> str:
    """Return `text` as one component of a path or query."""
    data = text.encode("utf-8", "surrogateescape")
    return "".join(chr(byte) if byte in _SAFE else "%{:02X}".format(byte) for byte in data)


def query(values: Dict[str, Any]) -> str:
    """Return `?name=value&...` without the values that are None; lists repeat their name."""
    parts = []
    for name, value in values.items():
        for item in value if isinstance(value, (list, tuple)) else [value]:
            if item is not None:
                parts.append("{}={}".format(name, quote(str(item))))
    return "?" + "&".join(parts) if parts else ""

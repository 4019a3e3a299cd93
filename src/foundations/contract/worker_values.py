"""Readers of values in the worker block: each returns the one form of what may be written in many.

A reader takes where the value stands, as messages name it, and the value; it raises ConfigError
that says what is right. What it returns JSON can carry. Pure.
"""

from __future__ import annotations

from foundations.contract.request import parse_duration, parse_memory, suggestion
from foundations.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List

    Reader = Callable[[str, Any], Any]

_LARGEST = 2**63 - 1
# Fewer bytes than a page nobody means: 8 was to be gigabytes.
_FEWEST_BYTES = 4097


def wrong(where: str, right: str, value: object, hint: str = "") -> ConfigError:
    """Return the error for a value that is not `right`."""
    shown = repr(value)
    shown = shown if len(shown) <= 80 else shown[:77] + "..."
    return ConfigError("{} must be {}, not {}.".format(where, right, shown), hint)


def text(where: str, value: Any) -> str:
    """Read text."""
    value = value.__fspath__() if hasattr(value, "__fspath__") else value
    if not isinstance(value, str) or not value or "\0" in value:
        raise wrong(where, "text", value)
    return value


def scalar(where: str, value: Any) -> str:
    """Read text, or what YAML made a number or truth value of."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, (str, int, float)) or "\0" in str(value):
        raise wrong(where, "text", value)
    return str(value)


def identity(where: str, value: Any) -> str:
    """Read a name or number of a user or group."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return str(value)
    return text(where, value)


def flag(where: str, value: Any) -> bool:
    """Read a truth value."""
    if not isinstance(value, bool):
        raise wrong(where, "true or false", value)
    return value


def whole(low: int, high: int = _LARGEST) -> Reader:
    """Return the reader of whole numbers from `low` to `high`."""
    right = "a whole number from {} {}".format(low, "on" if high == _LARGEST else "to %d" % high)

    def read(where: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise wrong(where, right, value)
        return value

    return read


def cores(where: str, value: Any) -> float:
    """Read a number of cores."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.001 <= value < 1e6:
        raise wrong(where, "a number of cores above 0, as in 1.5", value)
    return value


def size(where: str, value: Any) -> int:
    """Read a number of bytes: '128G', '512m', or a plain number as the engine takes it."""
    plain = isinstance(value, (int, float)) or (isinstance(value, str) and value.strip().isdigit())
    try:
        found = -1 if isinstance(value, bool) else int(value) if plain else parse_memory(value)
    except (ValueError, OverflowError, ConfigError):
        found = -1
    if not _FEWEST_BYTES <= found <= _LARGEST:
        hint = "A plain number is bytes here: write '{}G' for gigabytes.".format(value)
        few = plain and 0 < found < _FEWEST_BYTES
        raise wrong(where, "a size such as '8G' or '512M'", value, hint if few else "")
    return found


def size_or_unlimited(where: str, value: Any) -> int:
    """Read a size, or -1 for no limit."""
    return -1 if value in (-1, "-1") and not isinstance(value, bool) else size(where, value)


def nanoseconds(where: str, value: Any) -> int:
    """Read a duration: text such as '30s', or nanoseconds as the engine takes them."""
    if isinstance(value, str):
        try:
            return int(parse_duration(value) * 1e9)
        except ConfigError:
            raise wrong(where, "a duration such as '30s'", value) from None
    if isinstance(value, bool) or not isinstance(value, int) or not (value == 0 or value >= 10**6):
        raise wrong(where, "a duration such as '30s', or nanoseconds", value)
    return value


def one_of(*words: str) -> Reader:
    """Return the reader of a few words."""

    def read(where: str, value: Any) -> str:
        if value not in words:
            raise wrong(where, " or ".join("'{}'".format(word) for word in words), value)
        return str(value)

    return read


def items(read_item: Reader) -> Reader:
    """Return the reader of lists; what is no list counts as a list of one."""

    def read(where: str, value: Any) -> List[Any]:
        if not isinstance(value, (list, tuple)):
            value = [value]
        return [read_item("{}[{}]".format(where, at), item) for at, item in enumerate(value)]

    return read


texts = items(text)


def mapping(read_value: Reader, read_key: Reader = text) -> Reader:
    """Return the reader of mappings whose keys are free."""

    def read(where: str, value: Any) -> Dict[str, Any]:
        if not isinstance(value, dict):
            raise wrong(where, "`name: value` lines", value)
        found = {}
        for key, item in value.items():
            name = read_key("a key of {}".format(where), key)
            if name in found:
                raise ConfigError("{} names '{}' twice.".format(where, name))
            found[name] = read_value("{}.{}".format(where, name), item)
        return found

    return read


def mapping_or_lines(read_value: Reader, separator: str, read_key: Reader = text) -> Reader:
    """Return the reader of mappings that may be written as a list of KEY, SEPARATOR, VALUE."""
    read_mapping = mapping(read_value, read_key)

    def read(where: str, value: Any) -> Dict[str, Any]:
        if isinstance(value, (list, tuple)):
            split = [line.partition(separator) for line in texts(where, value)]
            pairs = {key: rest for key, _, rest in split}
            if len(pairs) < len(split):
                raise ConfigError("{} names one thing twice: {!r}.".format(where, value))
            value = pairs
        return read_mapping(where, value)

    return read


def record(required: str, **fields: Reader) -> Reader:
    """Return the reader of mappings with these keys, of which `required` must not be left out.

    Keys may also be written as the engine's API does: DeviceIDs for device_ids.
    """
    known = {name.replace("_", ""): name for name in fields}

    def read(where: str, value: Any) -> Dict[str, Any]:
        if not isinstance(value, dict):
            raise wrong(where, "`{}`".format(": ..., ".join(fields) + ": ..."), value)
        found = {}
        for key, item in value.items():
            name = known.get(str(key).replace("_", "").lower())
            if name is None:
                raise ConfigError(
                    "{}: unknown key '{}'.{}".format(where, key, suggestion(key, fields)),
                    "Known: {}.".format(", ".join(fields)),
                )
            if item is not None:
                found[name] = fields[name]("{}.{}".format(where, name), item)
        for name in required.split():
            if name not in found:
                raise ConfigError("{} lacks '{}'.".format(where, name))
        return found

    return read

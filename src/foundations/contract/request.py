"""What people write of a job, checked and read before its folder is. Pure."""

from __future__ import annotations

from foundations.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterable, List, Tuple, Union

_GIGABYTE = 1024**3
# A plain number up to this is gigabytes, a larger one bytes: nobody has 4097 GB, or 4096 bytes.
_MOST_GIGABYTES = 4096
_RULES: Tuple[Tuple[str, Tuple[type, ...], Callable[[Any], bool], str], ...] = (
    ("num_cpus", (int, float), lambda number: number >= 0.001, "must be more than 0"),
    ("num_gpus", (int, float), lambda number: number >= 0, "must not be negative"),
    ("num_nodes", (int, float), lambda number: number >= 1, "must be 1 or more"),
    (
        "num_gpus",
        (int, float),
        lambda number: number % 1 == 0 if number > 1 else number == 0 or number >= 0.001,
        "must be a whole number, or a share of one GPU as in 0.5",
    ),
    (
        "project_name",
        (str,),
        lambda name: not name or (name.strip() and name.isprintable() and "/" not in name),
        "must be printable characters without '/'",
    ),
)


def check_request(values: Dict[str, Any], label: Callable[[str], str] = str) -> None:
    """Raise ConfigError for numbers and names, as in job.config.yaml, that no server takes.

    `label` is how the message writes a key.
    """
    for key, kinds, fits, rule in _RULES:
        value = values.get(key)
        if isinstance(value, kinds) and not isinstance(value, bool) and not fits(value):
            raise ConfigError("{} {}, not {!r}.".format(label(key), rule, value))


def parse_memory(value: Union[float, str]) -> int:
    """Return bytes: "8GB", "512MB", a number of gigabytes up to 4096, or bytes. ConfigError."""
    text = str(value).strip().lower()
    number = text.rstrip("kmgtib ")
    unit = text[len(number) :].strip().rstrip("b").rstrip("i")
    try:
        amount = float(number)
    except ValueError:
        amount = -1.0
    if not 0 < amount < 1e30 or unit not in ("", "k", "m", "g", "t"):
        raise ConfigError(
            "'{}' is not an amount of memory.".format(value),
            "Write it as 8GB or 512MB; a plain number up to 4096 is gigabytes.",
        )
    if unit:
        return int(amount * 1024 ** ("kmgt".index(unit) + 1))
    if text.endswith("b") or amount > _MOST_GIGABYTES:
        return int(amount)
    return int(amount * _GIGABYTE)


def parse_duration(value: Union[float, str]) -> float:
    """Return seconds: 90, "90s", "15m", "2h" or "1d". ConfigError."""
    text = str(value).strip().lower()
    factor = {"s": 1, "m": 60, "h": 3600, "d": 86400}.get(text[-1:], 0)
    try:
        seconds = float(text[:-1]) * factor if factor else float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < 1e12:
        raise ConfigError(
            "'{}' is not a duration.".format(value), "Write seconds, or as in 90s, 15m, 2h, 1d."
        )
    return seconds


def words(what: str, value: Any) -> List[str]:
    """Return a command as words; text is split as a shell would. ConfigError names `what`."""
    if value is None:
        return []
    if isinstance(value, str):
        from shlex import split

        try:
            return split(value)
        except ValueError as error:
            raise ConfigError(
                "The {} {!r} cannot be split into words: {}.".format(what, value, error)
            ) from error
    if not isinstance(value, (list, tuple)) or any(isinstance(w, (dict, list)) for w in value):
        raise ConfigError("The {} must be a list of words, not {!r}.".format(what, value))
    return [word.__fspath__() if hasattr(word, "__fspath__") else str(word) for word in value]


def suggestion(word: object, known: Iterable[str]) -> str:
    """Return ` Did you mean '...'?` for the nearest of the known words, '' where none is near."""
    from difflib import get_close_matches

    found = get_close_matches(str(word), list(known), 1, 0.5)
    return " Did you mean '{}'?".format(found[0]) if found else ""

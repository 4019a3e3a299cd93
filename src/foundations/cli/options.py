"""Values of options that several commands have."""

from __future__ import annotations

import argparse
import json

from foundations import config
from foundations.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional


def params(text: Any) -> Any:
    """Return the parameters in a JSON file or text. Raises ConfigError."""
    if text is None:
        return None
    if text.lstrip().startswith("{"):
        source, data = "--params", text
    else:
        source = text
        try:
            with open(text, encoding="utf-8") as file:
                data = file.read()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                "--params: {} cannot be read: {}.".format(text, error),
                "Give a JSON file or a JSON object such as '{\"lr\": 0.1}'.",
            ) from error
    try:
        found = json.loads(data)
    except ValueError as error:
        raise ConfigError("{} is not JSON: {}.".format(source, error)) from error
    if not isinstance(found, dict):
        raise ConfigError("{} must hold a JSON object.".format(source))
    return found


def pairs(texts: List[str]) -> Dict[str, str]:
    """Return KEY=VALUE words as a dict; a word without `=` has the value ''. Raises ConfigError."""
    found = {}
    for text in texts:
        key, _, value = text.partition("=")
        if not key:
            raise ConfigError("'{}' has no name before '='.".format(text))
        found[key] = value
    return found


def amounts(texts: List[str]) -> Dict[str, float]:
    """Return the numbers that `NAME` and `NAME=N` texts stand for; without one it is 1."""
    return {name: _amount(name, text or "1") for name, text in pairs(texts).items()}


def _amount(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise ConfigError("{}={}: {!r} is not a number.".format(name, text, text)) from error


def environment(texts: List[str]) -> Dict[str, str]:
    """Return NAME=VALUE words as a dict; NAME alone is taken from here. Raises ConfigError."""
    given = pairs(texts)
    for text in texts:
        if "=" not in text:
            value = config.environment_value(text)
            if value is None:
                raise ConfigError(
                    "--env {0}: {0} is not set here.".format(text),
                    "Write --env {}=VALUE.".format(text),
                )
            given[text] = value
    return given


def image(text: Optional[str]) -> Optional[Dict[str, str]]:
    """Return the worker block that --image stands for. Raises ConfigError."""
    if text is None:
        return None
    from foundations.contract.images import read_image

    return {"image": read_image("--image", text)}


def number(text: str) -> float:
    """Return a number, whole where it is, for argparse."""
    value = float(text)
    if not abs(value) < 1e15:  # nor is it NaN
        raise argparse.ArgumentTypeError("'{}' is out of range".format(text))
    return int(value) if value == int(value) else value


def truth(text: str) -> bool:
    """Return a truth value, for argparse."""
    words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if text.lower() not in words:
        raise argparse.ArgumentTypeError("'{}' is neither True nor False".format(text))
    return words[text.lower()]

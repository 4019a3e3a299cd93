"""YAML files, read by whatever parser there is, and once.

What was read is kept as JSON under its content's digest: importing a YAML parser costs more than
everything else that a submission does. This module is loaded where a file has to be read.
"""

from __future__ import annotations

import json
import os
import sys

from foundations.contract.manifest import digest
from foundations.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict


def load(path: str, cache_dir: str, vendor_dir: str) -> Dict[str, Any]:
    """Return the mapping that a file holds. Raises ConfigError.

    `cache_dir` may be deleted at any time; `vendor_dir` has a parser for interpreters without one.
    """
    data = _content(path)
    kept = os.path.join(cache_dir, digest(data) + ".json")
    try:
        return read_json(kept)
    except (OSError, ValueError):
        values = _parse(path, data, vendor_dir)
        _keep(kept, values)
        return values


def load_secret(path: str, vendor_dir: str) -> Dict[str, Any]:
    """Return the mapping that a file holds, of which no copy may be kept. Raises ConfigError."""
    return _parse(path, _content(path), vendor_dir)


def _content(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise ConfigError("{} cannot be read: {}.".format(path, error.strerror)) from error


def read_json(path: str) -> Any:
    """Return what a JSON file holds. Raises OSError, ValueError."""
    with open(path, "rb") as file:
        return json.loads(file.read())


def _parse(path: str, data: bytes, vendor_dir: str) -> Dict[str, Any]:
    yaml = _parser(vendor_dir)
    try:
        values = yaml.safe_load(data)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = " line {}, column {}:".format(mark.line + 1, mark.column + 1) if mark else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise ConfigError("{}:{} {}.".format(path, where, problem), "It must be YAML.") from error
    if values is None:
        return {}
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise ConfigError("{} must hold `key: value` lines.".format(path))
    return values


def _parser(vendor_dir: str) -> Any:
    try:
        import yaml
    except ImportError:
        sys.path.append(vendor_dir)  # for this import alone
        try:
            import yaml
        except ImportError as error:
            raise ConfigError(
                "Reading YAML files needs the package PyYAML.", "Install it: pip install PyYAML"
            ) from error
        finally:
            sys.path.pop()
    return yaml


def _keep(path: str, values: Dict[str, Any]) -> None:
    try:
        text = json.dumps(values)
        if json.loads(text) != values:
            return  # dates and the like: only the parser can give them back
        os.makedirs(os.path.dirname(path), exist_ok=True)
        partial = "{}.{}".format(path, os.urandom(8).hex())  # threads may do so at once
        with open(partial, "w") as file:
            file.write(text)
        os.replace(partial, path)
    except (OSError, TypeError, ValueError):
        return  # only a shortcut is lost

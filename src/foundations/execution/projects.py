"""Which project a program belongs to that is run by hand."""

from __future__ import annotations

import os

from foundations import config
from foundations.contract import environment
from foundations.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

_OLDER_VARIABLE = "PROJECT_NAME"
_KEY = "project_name:"
_DEFAULT = "default"


def project_of(directory: str, given: Optional[str] = None) -> str:
    """Return the project of a program that runs in `directory`.

    It is the one that is `given`, or that of FOUNDATIONS_PROJECT_NAME, PROJECT_NAME, or
    job.config.yaml; else it is called like the directory.
    """
    found = (
        given
        or os.environ.get(environment.PROJECT_NAME)
        or os.environ.get(_OLDER_VARIABLE)
        or _of_file(directory)
        or os.path.basename(directory)
    )
    return usable(found)


def usable(name: str) -> str:
    """Return a name with what no project's name may hold replaced."""
    cleaned = "".join(
        "_" if letter == "/" or not letter.isprintable() else letter for letter in name
    )
    return cleaned.strip() or _DEFAULT


def _of_file(directory: str) -> Optional[str]:
    path = os.path.join(directory, environment.CONFIG_FILE)
    try:
        with open(path, "rb") as file:
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return None
    line = next((line for line in text.splitlines() if line.startswith(_KEY)), None)
    if line is None and _KEY not in text and '"project_name"' not in text:
        return None
    simple = None if line is None else _plain_value(line[len(_KEY) :])
    if simple is not None:
        return simple
    # Something that takes a parser, which is slow to import.
    try:
        value = config.load_yaml(path).get("project_name")
    except ConfigError:
        return None
    return str(value) if value else None


def _plain_value(text: str) -> Optional[str]:
    """Return a value that means itself in YAML; None for any other."""
    value = text.partition(" #")[0].strip()
    if value[:1] in "'\"" and len(value) > 1 and value[-1] == value[0]:
        inner = value[1:-1]
        return None if value[0] in inner or "\\" in inner else inner
    plain = value.replace("-", "a").replace("_", "a").replace(" ", "a").replace(".", "a")
    return value if plain.isalnum() and not value.startswith(("-", " ")) else None

"""`foundations init NAME`: a new project folder from the packaged template."""

from __future__ import annotations

import json
import os
import pkgutil
import shutil
import sys

from foundations.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any

TEMPLATE_FILES = ("README.txt", "data/.keep", "job.config.yaml", "main.py")
_NAME_PLACEHOLDER = b'"{{project_name}}"'


def init_project(name: str, cwd: str) -> str:
    """Make the project folder `name` below the directory `cwd` and return its absolute path.

    A name may have several parts ("team/project"): missing parents are made, and the last part
    becomes the project's name. Raises ConfigError, with nothing changed, where the name leaves
    `cwd`, where something of that name exists, and where the folder cannot be written.
    """
    target = os.path.join(os.path.abspath(cwd), *_parts(name))
    try:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.mkdir(target)
    except FileExistsError as error:
        raise ConfigError(
            "'{}' already exists; nothing was changed.".format(error.filename or target),
            "Choose another name, or move it away first.",
        ) from error
    except OSError as error:
        raise _unwritable(target, error) from error
    try:
        _copy_template(target)
    except OSError as error:
        shutil.rmtree(target, ignore_errors=True)
        raise _unwritable(target, error) from error
    return target


def _parts(name: str) -> list[str]:
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if not name.strip() or not parts:
        raise ConfigError("A project needs a name.", "For example: foundations init my_project")
    if name.startswith("/") or ".." in parts:
        raise ConfigError(
            "'{}' is not below this directory.".format(name),
            "Change to the directory that should hold the project, and give its name alone.",
        )
    if not name.isprintable():
        raise ConfigError(
            "{!r} cannot name a project: it has characters that do not print.".format(name),
            "Use letters, digits, '-' and '_'.",
        )
    return parts


def _copy_template(target: str) -> None:
    # A quoted JSON string is a quoted YAML string too, whatever the name holds.
    project = json.dumps(os.path.basename(target), ensure_ascii=False).encode()
    for name in TEMPLATE_FILES:
        content = pkgutil.get_data("foundations.cli", "template/" + name)
        assert content is not None, name
        path = os.path.join(target, *name.split("/"))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "xb") as file:
            file.write(content.replace(_NAME_PLACEHOLDER, project))


def _unwritable(target: str, error: OSError) -> ConfigError:
    return ConfigError(
        "The project folder '{}' cannot be made: {}.".format(target, error.strerror or error),
        "Nothing was kept. Choose another place, or free what stands in the way.",
    )


def add_parser(subparsers: Any, name: str, text: str) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        name,
        help=text,
        description="Make a project folder with a script that can be submitted.",
        epilog="example: foundations init my_project",
    )
    parser.add_argument("project_name", metavar="NAME", help="the folder to make")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Make the folder and say what to do with it."""
    from shlex import quote

    target = os.path.relpath(init_project(arguments.project_name, os.getcwd()))
    folder = "./" + target if target.startswith("-") else target
    sys.stdout.write(
        "Success: New Foundations project `{}` created!\n"
        "Try it:\n  cd {}\n  foundations submit scheduler . main.py\n".format(target, quote(folder))
    )
    return 0

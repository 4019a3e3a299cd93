"""Changing one value of a job.config.yaml that people have written, and nothing else in it."""

from __future__ import annotations

import os
import re
import shutil

from foundations import config
from foundations.contract.environment import CONFIG_FILE
from foundations.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional

_WORKER = re.compile(r"worker\s*:\s*(?:#.*)?$")
_IMAGE = re.compile(r"(\s+image\s*:\s*)(\"[^\"]*\"|'[^']*'|[^\s#]*)(.*)$")


def set_worker_image(folder: str, image: str) -> str:
    """Make `image` the folder's worker.image; return the file's path.

    Comments and order stay. Raises ConfigError, with nothing changed, where the file is written in
    a form that cannot be changed line by line.
    """
    path = os.path.realpath(os.path.join(folder, CONFIG_FILE))
    text = ""
    before = config.job_config(folder)
    if os.path.exists(path):
        with open(path, encoding="utf-8", newline="") as file:
            text = file.read()
    partial = path + ".partial"
    with open(partial, "w", encoding="utf-8", newline="") as file:
        file.write(with_image(text, image))
    try:
        after = config.load_yaml(partial)
    except ConfigError:
        after = {}
    wanted = {**before, "worker": {**(before.get("worker") or {}), "image": image}}
    if {key: value for key, value in after.items() if value is not None} != wanted:
        os.remove(partial)
        raise ConfigError(
            "{} is not written in lines that can be changed one by one.".format(path),
            "Write there: worker: {{image: {}}}".format(image),
        )
    if os.path.exists(path):
        shutil.copymode(path, partial)
    os.replace(partial, path)
    return path


def with_image(text: str, image: str) -> str:
    """Return the YAML `text` with `image` as the value of worker.image."""
    lines = text.splitlines(keepends=True)
    end = "\r\n" if text.endswith("\r\n") else "\n"
    head = next((i for i, line in enumerate(lines) if _WORKER.match(line.rstrip())), None)
    if head is None:
        if lines and not lines[-1].endswith("\n"):
            lines[-1] += end
        return "".join([*lines, "worker:" + end, "  image: {}{}".format(image, end)])
    if not lines[head].endswith("\n"):
        lines[head] += end
    block = _block(lines, head)
    for number in block:
        found = _IMAGE.match(lines[number].rstrip("\r\n"))
        if found and _indent(lines[number]) == _indent(lines[block[0]]):
            lines[number] = "{}{}{}{}".format(found[1].rstrip() + " ", image, found[3], end)
            return "".join(lines)
    indent = " " * (_indent(lines[block[0]]) if block else 2)
    lines.insert(head + 1, "{}image: {}{}".format(indent, image, end))
    return "".join(lines)


def _block(lines: List[str], head: int) -> List[int]:
    """Return the numbers of the lines with something to say below the line `head`."""
    found = []
    for number in range(head + 1, len(lines)):
        said = lines[number].split("#")[0].strip()
        if said and _indent(lines[number]) == 0:
            break
        if said:
            found.append(number)
    return found


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def line_to_write(image: str, indent: Optional[str] = None) -> str:
    """Return the lines that name `image` in a job.config.yaml."""
    return "{0}worker:\n{0}  image: {1}".format(indent or "", image)

"""The Python of an image: asked for once, and remembered as long as the image is the same."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atlas_runner.distributions import named_by
from atlas_runner.engine import Engine, lacks_program, words
from atlas_runner.errors import StartFailed
from atlas_runner.images import Image
from atlas_runner.interpreter import PROBE, answer_in

_CANDIDATES = ("python3", "python")
_PROBE_SECONDS = 120


@dataclass(frozen=True)
class ImagePython:
    """The interpreter of an image: where it is inside, and what it can import."""

    executable: str
    version: str
    implementation: str
    packages: dict[str, str]


def is_python(program: str) -> bool:
    """Whether a program's name is that of a Python interpreter."""
    name = os.path.basename(program)
    return name.startswith(("python", "pypy")) and not name.endswith((".py", ".sh", "-config"))


def image_python(engine: Engine, image: Image, cache: Path) -> ImagePython | None:
    """Return the image's interpreter, None where it has none.

    The one that its entrypoint names, else the first on its PATH. It is run once in a container
    without network, and remembered below `cache`.
    """
    memory = cache / "images" / f"{image.id.removeprefix('sha256:')}.json"
    try:
        facts = json.loads(memory.read_bytes())
    except (OSError, ValueError):
        facts = _probe(engine, image)
        _remember(memory, facts)
    return ImagePython(**facts) if facts else None


def _probe(engine: Engine, image: Image) -> dict[str, Any] | None:
    entry = image.entrypoint[0] if image.entrypoint else ""
    candidates = [entry] if is_python(entry) else []
    for program in dict.fromkeys([*candidates, *_CANDIDATES]):
        said = _run(engine, image, [program, "-c", PROBE])
        facts = answer_in(said) if said is not None else None
        if facts is not None:
            return {
                "executable": facts["executable"],
                "version": facts["version"],
                "implementation": facts["implementation"],
                "packages": _packages(facts["entries"]),
            }
    return None


def _packages(entries: dict[str, list[str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for folder, names in entries.items():
        for name in names:
            entry = named_by(folder, name)
            if entry is not None:
                found.setdefault(entry.name, entry.version)
    return dict(sorted(found.items()))


def _run(engine: Engine, image: Image, argv: list[str]) -> bytes | None:
    """Return what a program of the image prints, None where it cannot be run."""
    with words():
        container = engine.client.containers.create(
            image.id, entrypoint=argv, command=[], network_disabled=True, labels=engine.labels
        )
    try:
        with words():
            container.start()
            container.wait(timeout=_PROBE_SECONDS)
            return container.logs(stdout=True, stderr=False)
    except StartFailed as error:
        if not lacks_program(error):
            raise  # what went wrong may go well next time: nothing is to be remembered
        return None
    finally:
        with contextlib.suppress(StartFailed), words():
            container.remove(v=True, force=True)


def _remember(memory: Path, facts: dict[str, Any] | None) -> None:
    # Without room for the note the answer is as good, only slower next time.
    with contextlib.suppress(OSError):
        memory.parent.mkdir(parents=True, exist_ok=True)
        temporary = memory.with_name(f"{memory.name}.{os.getpid()}")
        temporary.write_text(json.dumps(facts))
        os.replace(temporary, memory)

"""The Python of an image: asked for once, and remembered as long as the image is the same."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atlas_runner.distributions import named_by
from atlas_runner.engine import Engine, Write, interruptible, kept_log, lacks_program, words
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


def image_python(
    engine: Engine, image: Image, cache: Path, write: Write, stop_fd: int
) -> ImagePython | None:
    """Return the image's interpreter, None where it has none that works.

    The one that its entrypoint names, else the first on its PATH. It is run once in a container
    without network, and remembered below `cache`. One that crashes or hangs is named in the job's
    log by `write`, and is tried again by the next job. Raises PreparationStopped when `stop_fd`
    becomes readable.
    """
    memory = cache / "images" / f"{image.id.removeprefix('sha256:')}.json"
    try:
        facts = json.loads(memory.read_bytes())
    except (OSError, ValueError):
        try:
            facts = _probe(engine, image, stop_fd)
        except _Broken as error:
            write(f"Foundations WARNING: {error}\n".encode("utf-8", "replace"))
            return None
        _remember(memory, facts)
    return ImagePython(**facts) if facts else None


class _Broken(Exception):
    """The image has a program of that name, which does not do what a Python does."""


def _probe(engine: Engine, image: Image, stop_fd: int) -> dict[str, Any] | None:
    entry = image.entrypoint[0] if image.entrypoint else ""
    candidates = [entry] if is_python(entry) else []
    broken: _Broken | None = None
    for program in dict.fromkeys([*candidates, *_CANDIDATES]):
        try:
            said = _run(engine, image, [program, "-c", PROBE], stop_fd)
        except _Broken as error:
            broken = broken or error
            continue
        facts = answer_in(said) if said is not None else None
        if facts is not None:
            return {
                "executable": facts["executable"],
                "version": facts["version"],
                "implementation": facts["implementation"],
                "packages": _packages(facts["entries"]),
            }
    if broken is not None:
        raise broken
    return None


def _packages(entries: dict[str, list[str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for folder, names in entries.items():
        for name in names:
            entry = named_by(folder, name)
            if entry is not None:
                found.setdefault(entry.name, entry.version)
    return dict(sorted(found.items()))


def _run(engine: Engine, image: Image, argv: list[str], stop_fd: int) -> bytes | None:
    """Return what a program of the image prints, None where the image has none of that name."""
    with words():
        container = engine.client.containers.create(
            image.id, entrypoint=argv, command=[], network_disabled=True, labels=engine.labels,
            log_config=kept_log(engine),
        )  # fmt: skip

    def wait() -> int:
        with words():
            container.start()
            return int(container.wait(timeout=None)["StatusCode"])

    late: list[bool] = []

    def end() -> None:
        late.append(True)
        with contextlib.suppress(StartFailed), words():
            container.kill()

    overdue = threading.Timer(_PROBE_SECONDS, end)
    overdue.daemon = True
    overdue.start()
    try:
        code = interruptible(wait, stop_fd, f"asking the Python of image {image.name}")
        with words():
            said, complaint = (container.logs(stdout=out, stderr=not out) for out in (True, False))
    except StartFailed as error:
        if not lacks_program(error):
            raise  # what went wrong may go well next time: nothing is to be remembered
        return None
    finally:
        overdue.cancel()
        _remove(container)
    if late:
        raise _Broken(f"{argv[0]} of the image '{image.name}' does not answer.")
    if code != 0 or answer_in(said) is None:
        last = complaint.decode(errors="replace").strip().rpartition("\n")[2]
        told = f" It said: {last}" if last else ""
        raise _Broken(f"{argv[0]} of the image '{image.name}' ended with code {code}.{told}")
    return said


def _remove(container: Any) -> None:
    with contextlib.suppress(StartFailed), words():
        container.remove(v=True, force=True)


def _remember(memory: Path, facts: dict[str, Any] | None) -> None:
    # Without room for the note the answer is as good, only slower next time.
    with contextlib.suppress(OSError):
        memory.parent.mkdir(parents=True, exist_ok=True)
        temporary = memory.with_name(f"{memory.name}.{os.getpid()}")
        temporary.write_text(json.dumps(facts))
        os.replace(temporary, memory)

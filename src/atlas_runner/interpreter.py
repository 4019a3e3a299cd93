"""What is known of a Python interpreter without starting it each time."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atlas_runner.errors import StartFailed

# Runs on any Python 3. Folders that do not exist yet are named too: one that appears later, such
# as the user's own site folder, is then seen without asking again.
PROBE = """
import json, os, platform, site, sys
dirs = [site.getusersitepackages()] if site.ENABLE_USER_SITE else []
dirs += site.getsitepackages() if hasattr(site, "getsitepackages") else []
dirs += [p for p in sys.path if os.path.basename(p) in ("site-packages", "dist-packages")]
entries = {d: [n for n in os.listdir(d) if n.endswith("-info")] for d in dirs if os.path.isdir(d)}
print("\\natlas-probe" + json.dumps({
    "executable": sys.executable, "version": platform.python_version(),
    "implementation": platform.python_implementation(), "prefix": sys.prefix, "site_dirs": dirs,
    "entries": entries}))
"""
# They would let the probe see another interpreter's library.
_FOREIGN = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "__PYVENV_LAUNCHER__")
_PROBE_SECONDS = 60


@dataclass(frozen=True)
class InterpreterInfo:
    """One interpreter as the submitter names it: a virtual environment is not its base.

    `site_packages` are its existing package folders, the one that wins first.
    """

    executable: str
    version: str
    implementation: str
    prefix: str
    site_packages: tuple[str, ...]


def interpreter_identity(python: str, cache_dir: str | os.PathLike[str]) -> InterpreterInfo:
    """Describe the interpreter `python`, a path or a name on the PATH.

    It is run once and remembered below `cache_dir` until its file changes. Raises StartFailed
    when it is missing, not executable or not Python.
    """
    path = _find(python)
    memory = Path(cache_dir) / "interpreters" / f"{_state(path)}.json"
    try:
        facts: dict[str, Any] = json.loads(memory.read_bytes())
    except (OSError, ValueError):
        facts = _probe(path)
        _remember(memory, facts)
    dirs = dict.fromkeys(entry for entry in facts["site_dirs"] if os.path.isdir(entry))
    return InterpreterInfo(
        executable=path,
        version=facts["version"],
        implementation=facts["implementation"],
        prefix=facts["prefix"],
        site_packages=tuple(dirs),
    )


def _find(python: str) -> str:
    found = shutil.which(python)
    if found is not None:
        return os.path.abspath(found)
    hint = "Name another one with --python, or submit from an environment of this machine."
    if os.path.exists(python):
        raise StartFailed(f"The Python interpreter {python} may not be executed.", hint)
    raise StartFailed(f"The Python interpreter {python} does not exist on this machine.", hint)


def _state(path: str) -> str:
    """Return a name that changes when the interpreter, or its virtual environment, does."""
    real = os.path.realpath(path)
    file = os.stat(real)
    parts: list[object] = [path, real, file.st_mtime_ns, file.st_size]
    # A virtual environment's settings lie beside its bin folder; its python is only a link.
    with contextlib.suppress(OSError):
        cfg = os.stat(os.path.join(os.path.dirname(path), os.pardir, "pyvenv.cfg"))
        parts += [cfg.st_mtime_ns, cfg.st_size]
    # The user's own site folder depends on these.
    parts += [os.environ.get(name) for name in ("HOME", "PYTHONUSERBASE", "PYTHONNOUSERSITE")]
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


def _probe(path: str) -> dict[str, Any]:
    env = {name: value for name, value in os.environ.items() if name not in _FOREIGN}
    try:
        done = subprocess.run(
            [path, "-c", PROBE],
            env=env,
            cwd=os.sep,  # -c puts the current folder first: nothing there may pass for `json`
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PROBE_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StartFailed(f"The Python interpreter {path} cannot be run: {error}.") from error
    answer = answer_in(done.stdout)
    if answer is not None:
        return answer
    said = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
    reason = f" It said: {said[-1]}" if said else ""
    raise StartFailed(f"{path} is not a Python 3 interpreter.{reason}")


def answer_in(output: bytes) -> dict[str, Any] | None:
    """Return what `PROBE` has found out, from what it and the interpreter's start-up print."""
    for line in reversed(output.decode(errors="replace").splitlines()):
        if line.startswith("atlas-probe"):
            return json.loads(line.removeprefix("atlas-probe"))
    return None


def _remember(memory: Path, facts: dict[str, Any]) -> None:
    # Without room for the note the answer is as good, only slower next time.
    with contextlib.suppress(OSError):
        memory.parent.mkdir(parents=True, exist_ok=True)
        temporary = memory.with_name(f"{memory.name}.{os.getpid()}")
        temporary.write_text(json.dumps(facts))
        os.replace(temporary, memory)


def packages(info: InterpreterInfo) -> dict[str, str]:
    """Return the version by normalised name ("scikit-learn") of all that `info` can import."""
    from atlas_runner.distributions import distributions  # noqa: PLC0415 - the worker has begun

    return {name: found.version for name, found in distributions(info.site_packages).items()}

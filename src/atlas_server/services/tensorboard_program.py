"""Finds TensorBoard: beside the server, on PATH, or fetched once into the server's cache."""

from __future__ import annotations

import fcntl
import importlib.util
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

from foundations.errors import ServerError

log = logging.getLogger(__name__)

_MODULE = ("-P", "-m", "tensorboard.main")
_PATIENCE = 600.0


def tensorboard_command(cache: Path) -> list[str]:
    """Return what starts TensorBoard, options to follow. Raises ServerError where there is none."""
    if importlib.util.find_spec("tensorboard") is not None:
        return [sys.executable, *_MODULE]
    found = shutil.which("tensorboard")
    if found is not None:
        return [found]
    environment = cache / "tensorboard"
    environment.mkdir(parents=True, exist_ok=True)
    with (environment / "lock").open("w") as lock:
        # Another server may share the cache.
        fcntl.flock(lock, fcntl.LOCK_EX)
        ready = environment / "ready"
        if not ready.exists():
            _fetch(environment / "env")
            ready.touch()
    return [str(environment / "env" / "bin" / "python"), *_MODULE]


def _fetch(environment: Path) -> None:
    from uv import find_uv_bin  # noqa: PLC0415 - once in the life of a cache

    log.info("Fetching TensorBoard into %s.", environment)
    uv = [os.fspath(find_uv_bin()), "--no-config"]
    _run([*uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(environment)])
    python = str(environment / "bin" / "python")
    _run([*uv, "pip", "install", "--quiet", "--python", python, "tensorboard"])


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_PATIENCE, check=False
        )
        complaint = done.stderr.strip() if done.returncode else ""
        failed = done.returncode != 0
    except (OSError, subprocess.TimeoutExpired) as error:
        complaint, failed = str(error), True
    if failed:
        raise ServerError(
            f"TensorBoard is not installed and cannot be fetched: {complaint[-500:]}",
            "Install it beside the server: pip install tensorboard",
        )

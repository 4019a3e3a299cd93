"""The machine: Python, limits of the system, what jobs are run with."""

from __future__ import annotations

import platform
import resource
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from atlas_server.config import ServerConfig, package_index
from atlas_server.doctor.findings import FAILURE, NOTE, OK, WARNING, Finding, Look
from atlas_server.executors import surroundings
from atlas_server.executors.driver import Driver

_FEW_FILES = 1024
_FEW_INSTANCES = 64
_INOTIFY = Path("/proc/sys/fs/inotify")
_PATIENCE = 5.0


def checks(config: ServerConfig) -> Iterator[tuple[str, Look]]:
    """Yield what is looked at."""
    yield "Python", _python
    yield "Open files", _open_files
    yield "inotify", _inotify
    yield "Memory limits", _memory_groups
    yield "Installer", _installer
    yield "Package index", _index
    yield "Containers", lambda: _containers(config)
    yield "GPUs", lambda: _gpus(config)


def _python() -> Finding:
    text = f"{platform.python_version()}, {sys.executable}"
    if sys.version_info < (3, 11):  # noqa: UP036 - whoever installs past pip's check
        return Finding(FAILURE, text, "Atlas's server needs Python 3.11 or later.")
    return Finding(OK, text)


def _open_files() -> Finding:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    text = f"{soft:,} at once" + (f", {hard:,} where they are asked for" if hard != soft else "")
    if 0 <= soft < _FEW_FILES:
        hint = "Each client and each job takes some. Before the start: ulimit -n 65536"
        return Finding(WARNING, text, hint)
    return Finding(OK, text)


def _inotify() -> Finding:
    instances, watches = (
        int((_INOTIFY / f"max_user_{name}").read_text()) for name in ("instances", "watches")
    )
    text = f"{instances:,} instances and {watches:,} watches for each user"
    hint = "sudo sysctl fs.inotify.max_user_instances=1024 (and in /etc/sysctl.d)"
    trouble = surroundings.inotify_trouble()
    if trouble:
        return Finding(WARNING, f"{text}; none is left: {trouble}", hint)
    if instances < _FEW_INSTANCES:
        return Finding(WARNING, f"{text}; each running job takes one instance", hint)
    return Finding(OK, text)


def _memory_groups() -> Finding:
    version = surroundings.memory_groups()
    if version is None:
        return Finding(
            WARNING,
            "no control groups can be made here: jobs above their limit are ended when it is seen",
            "Under systemd: Delegate=yes, as atlas-server systemd prints it.",
        )
    return Finding(OK, f"the kernel keeps them, by control groups (version {version})")


def _installer() -> Finding:
    return Finding(OK, f"uv, {surroundings.installer_path()}")


def _index() -> Finding:
    index = package_index()
    if index is None:
        return Finding(NOTE, "pip is set up to use none")
    begun = time.monotonic()
    try:
        with urllib.request.urlopen(f"{index.rstrip('/')}/pip/", timeout=_PATIENCE):  # noqa: S310
            pass
    except (OSError, ValueError) as error:
        if not isinstance(error, urllib.error.HTTPError) or error.code >= 500:
            reason = getattr(error, "reason", None) or error
            return Finding(
                WARNING,
                f"{_without_password(index)} does not answer: {reason}",
                "Jobs with a new requirements.txt fail. Behind a proxy: HTTPS_PROXY; another "
                "index: index-url in pip.conf.",
            )
    spent = (time.monotonic() - begun) * 1000
    return Finding(OK, f"{_without_password(index)} answers in {spent:.0f} ms")


def _without_password(address: str) -> str:
    scheme, there, rest = address.partition("://")
    return scheme + there + rest.rpartition("@")[2]


def _containers(config: ServerConfig) -> Finding:
    wanted = config.default_image
    engine = surroundings.container_engine(wanted)
    if engine is None:
        text = "no Docker or Podman here: jobs run as processes"
        hint = f"Jobs run in {wanted} by default. Install and start Docker, or Podman."
        return Finding(FAILURE, text, hint) if wanted else Finding(NOTE, text)
    text = f"{engine.name} {engine.version}, {engine.images} images"
    if engine.nvidia:
        text += ", GPUs"
    if wanted and not engine.has_wanted:
        return Finding(
            WARNING,
            f"{text}; {wanted} is not among them",
            f"docker pull {wanted}, or its first job does",
        )
    return Finding(OK, text)


def _gpus(config: ServerConfig) -> Finding:
    if config.gpus == 0:
        return Finding(NOTE, "the server is set to use none")
    driver = Driver()
    if not driver.is_installed():
        if config.gpus:
            return Finding(OK, f"{config.gpus}, as its settings say: no NVIDIA driver is here")
        return Finding(NOTE, "no NVIDIA driver here")
    look = driver.look()
    driver.close()
    if look.trouble:
        return Finding(WARNING, look.trouble, "nvidia-smi may say more. Jobs without GPUs run.")
    broken = [device for device in look.devices if device.problem]
    if broken:
        text = f"{broken[0].name} {broken[0].uuid}: {broken[0].problem}"
        return Finding(WARNING, text, "Jobs get the others. nvidia-smi may say more.")
    names = sorted({device.name for device in look.devices})
    return Finding(OK, f"{len(look.devices)}: {', '.join(names)}" if names else "none found")

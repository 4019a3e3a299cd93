"""What holds for every test: services that may be absent.

A test marked `docker`, `slurm`, `ray`, `postgres` or `browser` needs the real thing. Where it is
absent, a developer's run skips the test; with CI=true it fails, so that nothing is left out unseen.
"""

from __future__ import annotations

import functools
import glob
import importlib.util
import os
import shutil
import socket
from typing import Callable, Dict

import pytest


def has_docker() -> bool:
    """Whether a Docker daemon listens."""
    address = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    if not address.startswith("unix://"):
        return True
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        return connection.connect_ex(address[len("unix://") :]) == 0


def has_slurm() -> bool:
    """Whether Slurm's controller, node daemon and commands are installed."""
    search = os.environ.get("PATH", "") + os.pathsep + "/usr/sbin"
    return all(shutil.which(name, path=search) for name in ("sbatch", "slurmctld", "slurmd"))


def has_ray() -> bool:
    """Whether the ray package is installed."""
    return importlib.util.find_spec("ray") is not None


def has_postgres() -> bool:
    """Whether PostgreSQL's programs are installed; Debian keeps them out of PATH."""
    return bool(shutil.which("initdb") or glob.glob("/usr/lib/postgresql/*/bin/initdb"))


def has_browser() -> bool:
    """Whether Chromium is installed."""
    return any(shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome"))


SERVICES: Dict[str, Callable[[], bool]] = {
    "docker": has_docker,
    "slurm": has_slurm,
    "ray": has_ray,
    "postgres": has_postgres,
    "browser": has_browser,
}


@functools.lru_cache(maxsize=None)
def is_present(service: str) -> bool:
    """Ask once a process whether the service is there."""
    return SERVICES[service]()


def pytest_runtest_setup(item: pytest.Item) -> None:
    for service in SERVICES:
        if item.get_closest_marker(service) and not is_present(service):
            if os.environ.get("CI") == "true":
                pytest.fail("{} is needed here and absent".format(service), pytrace=False)
            pytest.skip("{} is absent".format(service))

"""Whoever a container runs as, what it leaves belongs to the user who runs the server."""

from __future__ import annotations

import grp
import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import foundations

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]

UID = 12345
PACKAGES = [str(Path(foundations.__file__).parents[1]), sysconfig.get_path("purelib")]
PROGRAM = """
import os
import foundations

os.makedirs("made/deep")
with open("made/deep/result", "w") as file:
    file.write("x")
os.chmod("made/deep", 0o700)
foundations.log_metric("uid", os.getuid())
foundations.save_artifact("made/deep/result", "result")
with open(os.path.expanduser("~/in-home"), "w") as file:
    file.write(os.environ.get("USER", ""))
"""


class OtherUser:
    """A server that belongs to a user without rights beyond those to the engine."""

    def __init__(self, root: Path, python: str) -> None:
        self.root = root
        self._python = python
        self._groups = [grp.getgrgid(os.stat("/var/run/docker.sock").st_gid).gr_gid]
        self._env = {
            "PATH": os.environ["PATH"],
            "HOME": str(root),
            "USER": "sam",
            "FOUNDATIONS_HOME": str(root / "home"),
            "PYTHONPATH": os.pathsep.join(PACKAGES),
        }

    def __call__(self, module: str, *words: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [self._python, "-m", module, *words], user=UID, group=UID, extra_groups=self._groups,
            env=self._env, cwd=self.root, capture_output=True, text=True, timeout=100,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done


def _usable_python() -> str | None:
    """An interpreter with which another user can run what is tested here."""
    wanted = f"{sys.version_info.major}.{sys.version_info.minor}"
    code = "import sys, atlas_server.main; print('%d.%d' % sys.version_info[:2])"
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(PACKAGES)}
    for python in (sys.executable, "/usr/bin/python3"):
        try:
            done = subprocess.run(
                [python, "-c", code], user=UID, group=UID, cwd="/", env=env,
                capture_output=True, text=True,
            )  # fmt: skip
        except OSError:
            continue
        if done.stdout.strip() == wanted:
            return python
    return None


@pytest.fixture
def other_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OtherUser]:
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    python = _usable_python()
    if python is None:
        pytest.skip("another user can run no Python here")
    root = Path(subprocess.run(
        ["mktemp", "-d", "-t", "atlas-user-XXXXXX"], capture_output=True, text=True, check=True
    ).stdout.strip())  # pytest's own folders are closed to others  # fmt: skip
    os.chown(root, UID, UID)
    user = OtherUser(root, python)
    try:
        user("atlas_server.main", "start", "--port", "0", "--gui-port", "0")
        yield user
        user("atlas_server.main", "stop")
    finally:
        subprocess.run(["rm", "-rf", str(root)], check=True)


@pytest.mark.parametrize("worker_user", [None, "root", "4321:4321"])
def test_files_belong_to_the_servers_user(
    other_user: OtherUser, image: Callable[[str], str], worker_user: str | None
) -> None:
    folder = other_user.root / "project"
    folder.mkdir()
    (folder / "main.py").write_text(PROGRAM)
    worker: dict[str, Any] = {"image": image("python"), "environment": {"HOME": "/tmp"}}
    if worker_user is None:
        del worker["environment"]
    else:
        worker["user"] = worker_user
    (folder / "job.config.yaml").write_text(json.dumps({"worker": worker}))
    job = other_user(
        "foundations", "submit", "--quiet", "scheduler", str(folder), "main.py"
    ).stdout.strip()
    shown = json.loads(other_user("foundations", "show", "--json", job).stdout)
    expected = {None: UID, "root": 0, "4321:4321": 4321}[worker_user]
    assert shown["metrics"]["uid"]["value"] == expected
    assert [each["key"] for each in shown["artifacts"]] == ["result"]
    assert "WARNING" not in other_user("foundations", "get", "logs", job).stdout
    other_user("foundations", "get", "job", job, "--save_dir", str(other_user.root / "got"))
    got = other_user.root / "got" / job / "made/deep/result"
    assert got.read_text() == "x"
    other_user("foundations", "delete", "--yes", job)
    other_user("atlas_server.main", "stop")
    strangers = [
        path for path in (other_user.root / "home").rglob("*") if path.lstat().st_uid != UID
    ]
    assert not strangers
    assert not list((other_user.root / "home/work").glob("*/*"))

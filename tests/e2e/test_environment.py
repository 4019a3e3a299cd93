"""requirements.txt: installed once, on top of the submitter's interpreter, and reused."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.live import LiveServer, make_folder

INSTALLING = b"Installing user requirements"
INSTALLED = b"User requirements already installed."
NONE = b"No user requirements found."
MAIN = "import tinything\nprint('VERSION', tinything.VERSION)\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with LiveServer(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    folder = tmp_path / "wheels"
    folder.mkdir()
    for version in ("1.0", "2.0"):
        make_wheel(folder, "tinything", version)
    return folder


@pytest.fixture
def bare(tmp_path: Path) -> str:
    """An interpreter of the test's own."""
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "bare")], check=True
    )
    return str(tmp_path / "bare" / "bin" / "python")


def make_wheel(folder: Path, name: str, version: str) -> None:
    """Write a wheel of one module."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"VERSION = '{version}'\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    lines = []
    for path, text in files.items():
        found = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=")
        lines.append(f"{path},sha256={found.decode()},{len(text)}\n")
    files[f"{info}/RECORD"] = "".join([*lines, f"{info}/RECORD,,\n"])
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as file:
        for path, text in files.items():
            file.writestr(path, text)


def project(tmp_path: Path, wheels: Path, *wanted: str, name: str = "project") -> Path:
    folder = make_folder(tmp_path / name, main=MAIN)
    lines = ["--no-index", f"--find-links {wheels}", *wanted]
    (folder / "requirements.txt").write_text("\n".join(lines) + "\n")
    return folder


def test_installed_once_and_reused(
    server: LiveServer, tmp_path: Path, wheels: Path, bare: str
) -> None:
    folder = project(tmp_path, wheels, "tinything==1.0")
    first = server.completed(server.send(folder, "main.py", interpreter=bare))
    log = server.job_log(first["job_id"])
    assert INSTALLING in log
    assert b"VERSION 1.0\n" in log
    assert first["environment"]["packages"]["tinything"] == "1.0"
    second = server.completed(server.send(folder, "main.py", interpreter=bare))
    log = server.job_log(second["job_id"])
    assert INSTALLED in log
    assert INSTALLING not in log
    assert b"VERSION 1.0\n" in log
    other = project(tmp_path, wheels, "tinything==2.0", name="other")
    third = server.completed(server.send(other, "main.py", interpreter=bare))
    assert b"VERSION 2.0\n" in server.job_log(third["job_id"])
    # The interpreter itself was left alone.
    assert subprocess.run([bare, "-c", "import tinything"], capture_output=True).returncode != 0


def test_two_jobs_that_need_the_same(
    server: LiveServer, tmp_path: Path, wheels: Path, bare: str
) -> None:
    folder = project(tmp_path, wheels, "tinything")
    jobs = [server.send(folder, "main.py", interpreter=bare) for _ in range(4)]
    logs = []
    for job in jobs:
        server.completed(job)
        logs.append(server.job_log(job))
    assert all(b"VERSION 2.0\n" in log for log in logs)


def test_what_cannot_be_installed(
    server: LiveServer, tmp_path: Path, wheels: Path, bare: str
) -> None:
    folder = project(tmp_path, wheels, "tinything==9.9")
    found = server.ended(server.send(folder, "main.py", interpreter=bare, retries=2))
    assert (found["state"], found["reason"]) == ("failed", "requirements_failed")
    assert found["attempts"] == 1  # another attempt would end in the same way
    log = server.job_log(found["job_id"]).decode()
    assert "tinything==9.9" in log
    assert "VERSION" not in log
    assert found["message"]


def test_failure_on_the_users_screen(server: LiveServer, tmp_path: Path, wheels: Path) -> None:
    folder = project(tmp_path, wheels, "no-such-thing-anywhere")
    done = server.cli("submit", "scheduler", str(folder), "main.py")
    assert done.code == 1
    assert "no-such-thing-anywhere" in done.out
    assert "has failed (requirements_failed)" in done.out
    assert "Traceback" not in done.out


def test_no_requirements(server: LiveServer, tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "project", main="print('x')\n")
    job = server.completed(server.send(folder, "main.py"))
    assert NONE in server.job_log(job["job_id"])


def test_not_installed_when_told_so(
    server: LiveServer, tmp_path: Path, wheels: Path, bare: str
) -> None:
    folder = project(tmp_path, wheels, "tinything==9.9")
    (folder / "main.py").write_text("print('ran')\n")
    job = server.send(folder, "main.py", interpreter=bare, install_requirements=False)
    server.completed(job)
    # An entrypoint of the user's own is given the folder as it is.
    shell = server.send(folder, "-c", "echo ran", entrypoint=["sh"])
    server.completed(shell)
    for each in (job, shell):
        assert INSTALLING not in server.job_log(each)


def test_stopped_while_it_waits_for_an_installation(
    server: LiveServer, tmp_path: Path, wheels: Path, bare: str
) -> None:
    """A source package whose build never ends stands for any slow installation."""
    slow = tmp_path / "slow"
    slow.mkdir()
    (slow / "setup.py").write_text("import time\ntime.sleep(600)\n")
    (slow / "backend.py").write_text("import time\ntime.sleep(600)\n")
    (slow / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    folder = project(tmp_path, wheels, str(slow))
    job = server.send(folder, "main.py", interpreter=bare)
    server.has_logged(job, INSTALLING)
    server.api().stop(job)
    found = server.ended(job)
    assert (found["state"], found["reason"]) == ("stopped", "stop_requested")
    assert not [p for p in server.processes() if "backend" in " ".join(p.cmdline())]

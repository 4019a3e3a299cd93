"""What commands say when something else than an Atlas server answers, or nobody."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conftest import is_absent
from tests.hosts import Nginx
from tests.live import Done

ANSWERS = """
location /away/ { return 502; }
location /large/ { return 413; }
location /moved/ { return 301 https://atlas.example.org$request_uri; }
location /empty/ { return 404; }
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an nginx with nothing behind it."""
    if not shutil.which("nginx"):
        is_absent("nginx")
    port = free_port()
    servers = f"server {{ listen 127.0.0.1:{port}; {ANSWERS} }}"
    with Nginx(tmp_path_factory.mktemp("strange") / "nginx", servers) as running:
        running.wait_for(port)
        yield f"http://127.0.0.1:{port}"


def asked(home: Path, url: str) -> Done:
    """List jobs of a scheduler at this address."""
    folder = home / "config" / "submission"
    folder.mkdir(parents=True)
    (folder / "strange.config.yaml").write_text(f"scheduler_url: {url}\n")
    done = subprocess.run(
        [sys.executable, "-m", "foundations", "list", "--scheduler", "strange"],
        env={**os.environ, "FOUNDATIONS_HOME": str(home)}, capture_output=True, text=True,
        stdin=subprocess.DEVNULL, timeout=60,
    )  # fmt: skip
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/away", ["does not answer: nginx before it says HTTP 502"]),
        ("/large", ["takes nothing of this size", "client_max_body_size"]),
        ("/moved", ["sends us to https://atlas.example.org/moved/api/",
                    "scheduler_url: https://atlas.example.org/moved"]),
        ("/empty", ["answers with HTTP status 404", "Is it the address of an Atlas server?"]),
    ],
)  # fmt: skip
def test_answers_of_others(nginx: str, tmp_path: Path, path: str, said: list[str]) -> None:
    done = asked(tmp_path, nginx + path)
    assert done.code == 1
    for text in said:
        assert text in done.err
    assert "Traceback" not in done.err


def test_nobody_and_nonsense(tmp_path: Path) -> None:
    done = asked(tmp_path / "closed", f"http://127.0.0.1:{free_port()}")
    assert "does not answer (connection refused)" in done.err
    done = asked(tmp_path / "unknown", "http://no-such-host.invalid")
    assert "its name is not known" in done.err
    done = asked(tmp_path / "socket", f"unix://{tmp_path}/nothing.sock")
    assert "does not answer (no such file or directory)" in done.err
    done = asked(tmp_path / "words", "lab:5000")
    assert "scheduler_url is missing or no address" in done.err

"""What a container prints is in the job's log byte by byte, whoever listened when."""

from __future__ import annotations

import contextlib
import secrets

import pytest

from atlas_runner.container import ContainerWorker
from atlas_runner.container_log import LogPump
from atlas_runner.engine import Engine, kept_log

pytestmark = pytest.mark.docker

# The same line again and again, many that differ, and one without an end.
PRINTS = """
i=0; while [ $i -lt 3000 ]; do echo same; i=$((i+1)); done
seq 1 8000; printf last
"""
EXPECTED = b"same\n" * 3000 + b"".join(b"%d\n" % n for n in range(1, 8001)) + b"last"


@pytest.fixture
def engine():
    with contextlib.closing(Engine.connect()) as found:
        yield found


@pytest.mark.parametrize("tty", [False, True])
def test_the_log_is_whole(engine, image, tmp_path, tty):
    path = tmp_path / "log"
    options = {
        "name": f"atlas-test-{secrets.token_hex(6)}",
        "command": ["sh", "-c", PRINTS],
        "network_mode": "none",
        "tty": tty,
        "log_config": kept_log(engine),
    }
    log = LogPump(path, tty=tty)
    worker = ContainerWorker.create(engine, image("busybox"), options, log)
    try:
        worker.start()
        assert worker.wait(timeout=60, stop_fd=-1, grace=1).code == 0
        expected = EXPECTED.replace(b"\n", b"\r\n") if tty else EXPECTED
        assert path.read_bytes() == expected
        assert log.beginning == expected[:300]
        # Whoever takes over knows how much is there, of a file that lacks the end or all of it.
        for written in (0, 12_345, 40_000, len(expected)):
            path.write_bytes(expected[:written])
            later = LogPump(path, written, tty=tty)
            found = ContainerWorker.adopt(engine, worker.identity, later)
            assert found is not None
            assert found.wait(timeout=60, stop_fd=-1, grace=1).code == 0
            assert path.read_bytes() == expected
    finally:
        worker.remove()

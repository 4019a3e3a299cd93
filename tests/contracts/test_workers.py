"""What every kind of worker does, a process and a container alike."""

from __future__ import annotations

import itertools
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from atlas_runner.container import ContainerWorker
from atlas_runner.container_log import LogPump
from atlas_runner.ending import WorkerExit
from atlas_runner.engine import Engine, kept_log
from atlas_runner.errors import StartFailed
from atlas_runner.process import WorkerProcess
from atlas_runner.way import Worker

HOUR = 3600.0
LIMIT = 100_000_000
_numbers = itertools.count()
GREEDY = "x = bytearray(300_000_000); import time; time.sleep(3600)"


class Kind(Protocol):
    """Starts workers in a folder, with their output in `log`."""

    folder: Path
    python: str

    def start(self, *argv: str, memory: int | None = None) -> Worker: ...

    def alive(self) -> list[str]:
        """What still runs of the workers that were started."""
        ...


class Processes:
    python = sys.executable

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._started: list[WorkerProcess] = []

    def start(self, *argv: str, memory: int | None = None) -> WorkerProcess:
        env = dict(os.environ, FOUNDATIONS_ATTEMPT_DIR=str(self.folder))
        with (self.folder / "log").open("ab") as log:
            worker = WorkerProcess.start(
                argv, cwd=self.folder, env=env, log_fd=log.fileno(), memory=memory
            )
        self._started.append(worker)
        return worker

    def alive(self) -> list[str]:
        from atlas_runner.descendants import of_attempt

        return [str(pid) for pid in of_attempt(str(self.folder))]

    def close(self) -> None:
        for worker in self._started:
            worker._kill()


class Containers:
    python = "python3"

    def __init__(self, folder: Path, image: str) -> None:
        self.folder = folder
        self.engine = Engine.connect()
        self.engine.labels = {"atlas.instance": folder.parent.name + folder.name}
        self._image = image

    def start(self, *argv: str, memory: int | None = None, init: bool = True) -> ContainerWorker:
        options: dict[str, Any] = {
            "name": f"atlas-test-{os.getpid()}-{next(_numbers)}",
            "entrypoint": [],
            "command": list(argv),
            "working_dir": "/job",
            "volumes": {str(self.folder): {"bind": "/job", "mode": "rw"}},
            "labels": self.engine.labels,
            "init": init,
            "log_config": kept_log(self.engine),
            "network_mode": "none",
            "environment": {"TINI_KILL_PROCESS_GROUP": "1"},
        }
        if memory is not None:
            options |= {"mem_limit": memory, "memswap_limit": memory}
        (self.folder / "log").touch()
        worker = ContainerWorker.create(
            self.engine, self._image, options, LogPump(self.folder / "log")
        )
        worker.start()
        return worker

    def all(self) -> list[Any]:
        label = f"atlas.instance={self.engine.labels['atlas.instance']}"
        return self.engine.client.containers.list(all=True, filters={"label": label})

    def alive(self) -> list[str]:
        return [each.name for each in self.all() if each.status == "running"]

    def close(self) -> None:
        for each in self.all():
            each.remove(force=True)
        self.engine.close()


@pytest.fixture(params=["process", pytest.param("container", marks=pytest.mark.docker)])
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kind]:
    if request.param == "process":
        found: Processes | Containers = Processes(tmp_path)
    else:
        found = Containers(tmp_path, request.getfixturevalue("image")("python"))
    yield found
    found.close()


@pytest.fixture
def stop() -> Iterator[tuple[int, Callable[[], object]]]:
    reader, writer = os.pipe()
    yield reader, lambda: os.write(writer, b"x")
    os.close(reader)
    os.close(writer)


def run(
    kind: Kind, *argv: str, memory: int | None = None, timeout: float | None = None,
    grace: float = HOUR,
) -> WorkerExit:  # fmt: skip
    worker = kind.start(*argv, memory=memory)
    try:
        return worker.wait(timeout=timeout, stop_fd=-1, grace=grace)
    finally:
        worker.remove()


def log(kind: Kind) -> bytes:
    return (kind.folder / "log").read_bytes()


def wait_for(kind: Kind, name: str) -> None:
    deadline = time.monotonic() + 30
    while not (kind.folder / name).exists():
        assert time.monotonic() < deadline, f"{name} was never made: {log(kind)!r}"
        select.select([], [], [], 0.005)


# --- running


def test_code_and_output_come_back(kind: Kind) -> None:
    code = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(7)"
    ended = run(kind, kind.python, "-c", code)
    assert sorted(log(kind).split()) == [b"err", b"out"]
    assert (ended.code, ended.signal, ended.lost) == (7, None, None)
    assert (ended.stopped, ended.timed_out, ended.out_of_memory) == (False, False, False)


def test_output_is_kept_byte_by_byte(kind: Kind) -> None:
    code = (
        "import sys\n"
        "for i in range(20_000):\n"
        "    sys.stdout.buffer.write(bytes(range(256)) + b'%d' % i)\n"
        "sys.stdout.buffer.write(b'no end of line')\n"
    )
    run(kind, kind.python, "-c", code)
    expected = b"".join(bytes(range(256)) + b"%d" % i for i in range(20_000))
    assert log(kind) == expected + b"no end of line"


def test_output_is_seen_while_it_runs(kind: Kind) -> None:
    worker = kind.start("sh", "-c", "echo now; while [ ! -e go ]; do sleep 0.01; done")
    deadline = time.monotonic() + 30
    while b"now" not in log(kind):
        assert time.monotonic() < deadline
        select.select([], [], [], 0.005)
    (kind.folder / "go").touch()
    assert worker.wait(timeout=None, stop_fd=-1, grace=HOUR).code == 0
    worker.remove()


def test_usage_takes_in_descendants(kind: Kind) -> None:
    burn = "import time\nx = bytearray(200_000_000)\nwhile time.process_time() < 1: pass"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}], check=True)"
    ended = run(kind, kind.python, "-c", code)
    assert ended.cpu_seconds is not None
    assert ended.cpu_seconds >= 0.3
    assert ended.peak_memory is not None
    assert ended.peak_memory >= 150_000_000


def test_there_is_no_input(kind: Kind) -> None:
    run(kind, kind.python, "-c", "import sys; print(repr(sys.stdin.read()))")
    assert log(kind).strip() == b"''"


def test_arguments_arrive_as_they_are(kind: Kind) -> None:
    words = ["a b", "$HOME", "'\"", "", "*", "\N{SNOWMAN}"]
    run(kind, kind.python, "-c", "import sys; print(ascii(sys.argv[1:]))", *words)
    assert log(kind).strip().decode() == ascii(words)


def test_what_it_writes_is_ours(kind: Kind) -> None:
    run(kind, "sh", "-c", "mkdir made; echo x > made/file")
    assert (kind.folder / "made/file").read_text() == "x\n"
    assert (kind.folder / "made/file").stat().st_uid == os.geteuid()


def test_a_missing_command_is_named_and_leaves_nothing(kind: Kind) -> None:
    try:
        said = run(kind, "no-such-command").refused
    except StartFailed as error:
        said = error.message
    assert said is not None
    assert "'no-such-command'" in said
    assert not kind.alive()


def test_death_by_signal_is_told(kind: Kind) -> None:
    ended = run(kind, kind.python, "-c", "import os; os.kill(os.getpid(), 11)")
    assert (ended.code, ended.signal) == (128 + signal.SIGSEGV, signal.SIGSEGV)


# --- ending


def test_stopping_sends_term_first(kind: Kind, stop: tuple[int, Callable[[], object]]) -> None:
    script = "trap 'echo bye; exit 3' TERM; touch ready; while :; do sleep 0.1; done"
    worker = kind.start("sh", "-c", script)
    wait_for(kind, "ready")
    stop[1]()
    ended = worker.wait(timeout=None, stop_fd=stop[0], grace=HOUR)
    worker.remove()
    assert (ended.stopped, ended.timed_out, ended.code) == (True, False, 3)
    assert b"bye" in log(kind).split()


def test_the_signal_reaches_what_the_command_has_started(
    kind: Kind, stop: tuple[int, Callable[[], object]]
) -> None:
    (kind.folder / "child.sh").write_text(
        "trap 'echo child; exit 0' TERM; touch ready; while :; do sleep 0.1; done"
    )
    worker = kind.start("sh", "-c", "trap : TERM; sh child.sh & wait; wait")
    wait_for(kind, "ready")
    stop[1]()
    ended = worker.wait(timeout=None, stop_fd=stop[0], grace=HOUR)
    worker.remove()
    assert ended.stopped
    assert b"child" in log(kind).split()


def test_a_worker_that_ignores_term_is_killed(
    kind: Kind, stop: tuple[int, Callable[[], object]]
) -> None:
    worker = kind.start("sh", "-c", "trap '' TERM; touch ready; while :; do sleep 0.1; done")
    wait_for(kind, "ready")
    stop[1]()
    ended = worker.wait(timeout=None, stop_fd=stop[0], grace=0.1)
    worker.remove()
    assert (ended.stopped, ended.code, ended.out_of_memory) == (True, 137, False)


def test_a_timeout_is_told_apart_from_a_stop(kind: Kind) -> None:
    ended = run(kind, "sleep", "3600", timeout=0.3)
    assert (ended.timed_out, ended.stopped, ended.signal) == (True, False, signal.SIGTERM)


def test_a_worker_that_ends_in_time_has_not_timed_out(kind: Kind) -> None:
    assert not run(kind, "true", timeout=HOUR).timed_out


def test_descendants_end_with_the_worker(kind: Kind) -> None:
    code = "import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(3600)\n"
    assert run(kind, kind.python, "-c", code).code == 0
    assert not kind.alive()


# --- memory


def test_a_job_above_its_limit_is_out_of_memory(kind: Kind) -> None:
    ended = run(kind, kind.python, "-c", GREEDY, memory=LIMIT)
    assert (ended.out_of_memory, ended.code) == (True, 137)


def test_a_job_that_survives_the_loss_of_a_child_is_judged_by_its_code(kind: Kind) -> None:
    ended = run(kind, "sh", "-c", f"{kind.python} -c '{GREEDY}'; exit 5", memory=LIMIT)
    assert (ended.out_of_memory, ended.code) == (False, 5)


def test_a_job_within_its_limit_does_not_notice_it(kind: Kind) -> None:
    ended = run(kind, kind.python, "-c", "print('fine')", memory=500_000_000)
    assert (ended.out_of_memory, ended.code) == (False, 0)


# --- containers alone


@pytest.mark.docker
def test_nothing_is_left_of_containers(tmp_path: Path, image: Callable[[str], str]) -> None:
    kind = Containers(tmp_path, image("busybox"))
    try:
        run(kind, "true")
        run(kind, "sh", "-c", "exit 3")
        assert run(kind, "no-such-command").refused is not None
        with pytest.raises(StartFailed):
            kind.start("no-such-command", init=False)
        assert not kind.all()
    finally:
        kind.close()


@pytest.mark.docker
def test_a_container_is_taken_up_where_its_log_was_left(
    tmp_path: Path, image: Callable[[str], str]
) -> None:
    kind = Containers(tmp_path, image("busybox"))
    try:
        script = (
            "for i in 1 2 3; do echo line $i; done;"
            " while [ ! -e go ]; do sleep 0.01; done; echo end"
        )
        first = kind.start("sh", "-c", script)
        deadline = time.monotonic() + 30
        while log(kind).count(b"\n") < 3:
            assert time.monotonic() < deadline
            select.select([], [], [], 0.005)
        # As a runner that was killed after it had written one and a half lines.
        other = tmp_path / "other"
        other.write_bytes(log(kind)[:11])
        second = ContainerWorker.adopt(kind.engine, first.identity, LogPump(other, 11))
        assert second is not None
        (tmp_path / "go").touch()
        assert second.wait(timeout=None, stop_fd=-1, grace=HOUR).code == 0
        assert other.read_bytes() == b"line 1\nline 2\nline 3\nend\n"
        second.remove()
        assert ContainerWorker.adopt(kind.engine, first.identity, LogPump(other)) is None
    finally:
        kind.close()

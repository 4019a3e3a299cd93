from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from atlas_runner import limits
from atlas_runner.errors import StartFailed
from atlas_runner.process import (
    WorkerExit,
    WorkerProcess,
    identify,
    kill_attempt,
    process_alive,
)

PYTHON = sys.executable
HOUR = 3600.0


class Job:
    """A folder with a log, in which workers are started."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log_path = folder / "log"
        self.env = dict(os.environ, FOUNDATIONS_ATTEMPT_DIR=str(folder))

    def start(self, *argv: str, memory: int | None = None) -> WorkerProcess:
        with self.log_path.open("ab") as log:
            return WorkerProcess.start(
                argv, cwd=self.folder, env=self.env, log_fd=log.fileno(), memory=memory
            )

    def run(
        self, *argv: str, memory: int | None = None, timeout: float | None = None,
        grace: float = HOUR,
    ) -> WorkerExit:  # fmt: skip
        worker = self.start(*argv, memory=memory)
        return worker.wait(timeout=timeout, stop_fd=-1, grace=grace)

    @property
    def log(self) -> str:
        return self.log_path.read_text()

    def wait_for_file(self, name: str) -> str:
        """Return the content of a file once the worker has completed it."""
        deadline = time.monotonic() + 30
        while not (self.folder / name).exists():
            assert time.monotonic() < deadline, f"{name} was never written; log: {self.log}"
            select.select([], [], [], 0.005)
        return (self.folder / name).read_text()


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path)


@pytest.fixture
def stop() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    os.close(reader)
    os.close(writer)


def completed(name: str, value: str = "str(os.getpid())") -> str:
    """Return Python code that writes a file which is complete as soon as it exists."""
    return f"open('{name}.new','w').write({value}); os.replace('{name}.new','{name}');"


# --- starting


def test_output_code_and_usage_come_back(job: Job) -> None:
    code = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(7)"
    ended = job.run(PYTHON, "-c", code)
    assert sorted(job.log.split()) == ["err", "out"]
    assert (ended.code, ended.signal) == (7, None)
    assert not ended.stopped
    assert not ended.timed_out
    assert not ended.out_of_memory
    assert ended.cpu_seconds > 0
    assert ended.peak_memory > 1_000_000


def test_usage_includes_descendants(job: Job) -> None:
    burn = "import time\nx = bytearray(200_000_000)\nwhile time.process_time() < 0.3: pass"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}], check=True)"
    ended = job.run(PYTHON, "-c", code)
    assert ended.cpu_seconds >= 0.3
    assert ended.peak_memory >= 200_000_000


def test_the_worker_has_no_input_and_a_session_of_its_own(job: Job) -> None:
    code = "import os, sys; print(repr(sys.stdin.read()), os.getsid(0) == os.getpid())"
    job.run(PYTHON, "-c", code)
    assert job.log.strip() == "'' True"


def test_death_by_signal_is_told_twice(job: Job) -> None:
    ended = job.run("sh", "-c", "kill -SEGV $$")
    assert (ended.code, ended.signal) == (128 + signal.SIGSEGV, signal.SIGSEGV)


@pytest.mark.parametrize("memory", [None, 500_000_000])
def test_a_missing_command_is_named(job: Job, memory: int | None) -> None:
    with pytest.raises(StartFailed, match="'no-such-command' was not found"):
        job.start("no-such-command", memory=memory)


@pytest.mark.parametrize("memory", [None, 500_000_000])
def test_a_file_without_permission_is_named(job: Job, memory: int | None) -> None:
    (job.folder / "run.sh").write_text("#!/bin/sh\n")
    with pytest.raises(StartFailed, match=r"'\./run\.sh' may not be executed.*chmod \+x"):
        job.start("./run.sh", memory=memory)


def test_a_script_with_a_missing_interpreter_is_explained(job: Job) -> None:
    (job.folder / "run.sh").write_text("#!/no/such/sh\n")
    (job.folder / "run.sh").chmod(0o755)
    with pytest.raises(StartFailed, match="first line names"):
        job.start("./run.sh")


def test_a_script_without_an_interpreter_line_is_explained(job: Job) -> None:
    (job.folder / "run.sh").write_text("echo\n")
    (job.folder / "run.sh").chmod(0o755)
    with pytest.raises(StartFailed, match="is not a program"):
        job.start("./run.sh")


def test_a_missing_folder_is_named(job: Job) -> None:
    job.log_path.touch()
    with job.log_path.open("ab") as log, pytest.raises(StartFailed, match=r"folder .*gone"):
        WorkerProcess.start(
            ["true"], cwd=job.folder / "gone", env=job.env, log_fd=log.fileno(), memory=None
        )


@pytest.mark.parametrize("argv", [[], [""], ["true", "a\0b"]])
def test_impossible_commands_are_refused(job: Job, argv: list[str]) -> None:
    with pytest.raises(StartFailed):
        job.start(*argv)


# --- ending


def test_stopping_sends_term_first(job: Job, stop: tuple[int, int]) -> None:
    worker = job.start(
        "sh", "-c", "trap 'echo bye; exit 3' TERM; touch ready; while :; do sleep 1; done"
    )
    job.wait_for_file("ready")
    os.write(stop[1], b"x")
    ended = worker.wait(timeout=None, stop_fd=stop[0], grace=HOUR)
    assert ended.stopped
    assert not ended.timed_out
    assert ended.code == 3
    assert job.log.split()[-1] == "bye"


def test_a_worker_that_ignores_term_is_killed_after_the_grace(
    job: Job, stop: tuple[int, int]
) -> None:
    worker = job.start("sh", "-c", "trap '' TERM; touch ready; while :; do sleep 1; done")
    job.wait_for_file("ready")
    os.write(stop[1], b"x")
    ended = worker.wait(timeout=None, stop_fd=stop[0], grace=0.1)
    assert ended.stopped
    assert (ended.code, ended.signal) == (137, signal.SIGKILL)
    assert not ended.out_of_memory


def test_a_timeout_is_told_apart_from_a_stop(job: Job) -> None:
    ended = job.run("sleep", "3600", timeout=0.1)
    assert ended.timed_out
    assert not ended.stopped
    assert ended.signal == signal.SIGTERM


def test_a_worker_that_ends_in_time_has_not_timed_out(job: Job) -> None:
    assert not job.run("true", timeout=HOUR).timed_out


DAEMON = (
    "import os, signal, time\n"
    "if os.fork() == 0:\n"
    "    os.setsid()\n"
    "    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "    if os.fork() == 0:\n"
    f"        {completed('daemon')}\n"
    "    time.sleep(3600)\n"
    "while not os.path.exists('daemon'): time.sleep(0.005)\n"
)


@pytest.mark.parametrize("subreaper", [True, False])
def test_descendants_in_other_sessions_end_with_the_worker(tmp_path: Path, subreaper: bool) -> None:
    # In a process of its own: to be a subreaper cannot be undone.
    code = (
        "import os, sys\n"
        "from atlas_runner.process import *\n"
        f"if {subreaper}: assert become_subreaper()\n"
        "w = WorkerProcess.start([sys.executable, '-c', sys.argv[1]], cwd='.', log_fd=2, "
        "memory=None, env=dict(os.environ, FOUNDATIONS_ATTEMPT_DIR=os.getcwd()))\n"
        "ended = w.wait(timeout=None, stop_fd=-1, grace=1)\n"
        "assert ended.code == 0 and ended.survivors == (), ended\n"
        "pid = int(open('daemon').read())\n"
        "assert not process_alive(identify(pid))\n"
    )
    subprocess.run([PYTHON, "-c", code, DAEMON], cwd=tmp_path, check=True, timeout=60)


def test_a_subreaper_ends_a_descendant_without_any_mark(tmp_path: Path) -> None:
    # The grandchild forgets its environment, which is how it would be recognised otherwise.
    (tmp_path / "hidden.py").write_text(f"import os, time\n{completed('daemon')}\ntime.sleep(3600)")
    forget = "os.execve(sys.executable, [sys.executable, 'hidden.py'], {})"
    hidden = "import sys\n" + DAEMON.replace(completed("daemon"), forget)
    code = (
        "import os, sys\n"
        "from atlas_runner.process import *\n"
        "assert become_subreaper()\n"
        "w = WorkerProcess.start([sys.executable, '-c', sys.argv[1]], cwd='.', log_fd=2, "
        "memory=None, env={})\n"
        "w.wait(timeout=None, stop_fd=-1, grace=1)\n"
        "assert not process_alive(identify(int(open('daemon').read())))\n"
    )
    subprocess.run([PYTHON, "-c", code, hidden], cwd=tmp_path, check=True, timeout=60)


def test_ended_without_process_descriptors(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "pidfd_open")  # as on macOS, or an old kernel
    assert job.run(PYTHON, "-c", "raise SystemExit(4)").code == 4
    ended = job.run("sleep", "3600", timeout=0.05, grace=1)
    assert (ended.timed_out, ended.signal) == (True, signal.SIGTERM)
    assert ended.peak_memory > 0


def test_no_descriptors_are_left_open(job: Job, stop: tuple[int, int]) -> None:
    job.run("true")
    before = os.listdir("/proc/self/fd")
    job.run("true")
    with pytest.raises(StartFailed):
        job.start("no-such-command")
    assert os.listdir("/proc/self/fd") == before


# --- memory

GREEDY = "import time; x = bytearray(300_000_000); time.sleep(3600)"
LIMIT = 100_000_000


def test_a_job_above_its_limit_is_out_of_memory(job: Job) -> None:
    ended = job.run(PYTHON, "-c", GREEDY, memory=LIMIT)
    assert ended.out_of_memory
    assert ended.code == 137


def test_a_shell_that_passes_on_such_a_death_is_out_of_memory_too(job: Job) -> None:
    ended = job.run("sh", "-c", f"'{PYTHON}' -c '{GREEDY}'; exit $?", memory=LIMIT)
    assert ended.out_of_memory
    assert ended.code == 137


def test_a_job_that_survives_the_loss_of_a_child_is_judged_by_its_code(job: Job) -> None:
    if limits.parent_group() is None:
        pytest.skip("no memory groups here")
    ended = job.run("sh", "-c", f"'{PYTHON}' -c '{GREEDY}'; exit 5", memory=LIMIT)
    assert ended.code == 5
    assert not ended.out_of_memory
    assert ended.oom_kills == 1


def test_a_job_within_its_limit_does_not_notice_it(job: Job) -> None:
    ended = job.run(PYTHON, "-c", "import os; print(os.getcwd())", memory=500_000_000)
    assert ended.code == 0
    assert not ended.out_of_memory
    assert job.log.strip() == str(job.folder)


def test_arguments_reach_a_limited_worker_as_they_are(job: Job) -> None:
    words = ["a b", "$HOME", "'\"", "", "*"]
    job.run(PYTHON, "-c", "import sys; print(sys.argv[1:])", *words, memory=500_000_000)
    assert job.log.strip() == str(words)


def test_memory_is_watched_where_the_kernel_cannot_limit_it(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "parent_group", lambda: None)
    ended = job.run("sh", "-c", f"'{PYTHON}' -c '{GREEDY}'; exit 5", memory=LIMIT)
    assert ended.out_of_memory
    assert ended.code == 137


def test_groups_are_removed_with_their_worker_and_swept_after_their_owner(job: Job) -> None:
    group = limits.MemoryLimit.create(LIMIT, identify(os.getpid()))
    if group is None:
        pytest.skip("no memory groups here")
    parent = group.path.parent
    limits.sweep(process_alive)
    assert group.path.exists(), "the owner lives"
    group.remove()
    stale = limits.MemoryLimit.create(LIMIT, "999999999:1:no-boot")
    assert stale is not None
    limits.sweep(process_alive)
    assert not stale.path.exists()
    job.run("true", memory=LIMIT)
    assert not list(parent.glob(f"atlas.{identify(os.getpid())}.*"))


V2_MOUNTS = "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n"


def test_version_2_groups_go_beside_this_process_not_below_it(tmp_path: Path) -> None:
    user = tmp_path / "user.slice/app.slice"
    (user / "shell.scope").mkdir(parents=True)
    for path in (tmp_path, tmp_path / "user.slice", user):
        (path / "cgroup.type").write_text("domain")
        (path / "cgroup.subtree_control").write_text("cpu memory pids\n")
    (user / "shell.scope/cgroup.subtree_control").write_text("")
    own = limits.own_groups("0::/user.slice/app.slice/shell.scope\n")
    inside = limits.below(own[2], "/")
    assert inside is not None
    assert next(limits.candidates(2, tmp_path, inside)) == user
    assert list(limits.hierarchies(V2_MOUNTS)) == [(2, "/", Path("/sys/fs/cgroup"))]


def test_groups_of_a_container_start_at_its_mount() -> None:
    assert limits.below("/docker/abc/x", "/docker/abc") == "x"
    assert limits.below("/docker/abc", "/docker/abc") == ""
    assert limits.below("/docker/abcdef", "/docker/abc") is None
    assert limits.below("/../other", "/") is None


# --- identity and recovery


def test_an_identity_dies_with_its_process(job: Job) -> None:
    worker = job.start("sleep", "3600")
    assert process_alive(worker.identity)
    pid, start, boot = worker.identity.split(":")
    assert int(pid) == worker.pid
    assert not process_alive(f"{pid}:{int(start) + 1}:{boot}")
    assert not process_alive(f"{pid}:{start}:another-boot")
    os.kill(worker.pid, signal.SIGKILL)
    os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT)
    assert not process_alive(worker.identity), "a zombie is dead"
    worker.wait(timeout=None, stop_fd=-1, grace=1)
    assert not process_alive(worker.identity)


@pytest.mark.parametrize("text", ["", "x", "1", "1:2", "a:b:c", "999999999:0:x", ":::"])
def test_a_text_that_is_no_identity_is_dead(text: str) -> None:
    assert not process_alive(text)


def test_an_attempt_is_killed_after_its_runner_was(job: Job) -> None:
    code = (
        "import os, sys\n"
        "from atlas_runner.process import *\n"
        "w = WorkerProcess.start([sys.executable, '-c', sys.argv[1] + 'time.sleep(3600)'], "
        "cwd='.', log_fd=2, memory=None, "
        "env=dict(os.environ, FOUNDATIONS_ATTEMPT_DIR=os.getcwd()))\n"
        f"{completed('worker', 'w.identity')}\n"
        "w.wait(timeout=None, stop_fd=-1, grace=1)\n"
    )
    runner = subprocess.Popen(
        [PYTHON, "-c", code, DAEMON], cwd=job.folder, stderr=subprocess.DEVNULL
    )
    worker = job.wait_for_file("worker")
    daemon = identify(int(job.wait_for_file("daemon")))
    runner.kill()
    runner.wait()
    assert process_alive(worker)
    assert process_alive(daemon)
    assert kill_attempt(str(job.folder) + "-other") == 0
    assert process_alive(worker)
    assert kill_attempt(str(job.folder)) >= 2
    assert not process_alive(worker)
    assert not process_alive(daemon)
    assert kill_attempt(str(job.folder)) == 0


def test_children_born_before_the_worker_are_left_alone(tmp_path: Path) -> None:
    code = (
        "import os, subprocess\n"
        "from atlas_runner.process import *\n"
        "assert become_subreaper()\n"
        "other = subprocess.Popen(['sleep', '3600'])\n"
        "w = WorkerProcess.start(['true'], cwd='.', env=dict(os.environ), log_fd=2, memory=None)\n"
        "w.wait(timeout=None, stop_fd=-1, grace=1)\n"
        "assert other.poll() is None\n"
        "other.kill(); other.wait()\n"
    )
    subprocess.run([PYTHON, "-c", code], cwd=tmp_path, check=True, timeout=60)


def test_importing_opens_nothing_and_starts_no_thread() -> None:
    code = (
        "import os, threading\n"
        "before = os.listdir('/proc/self/fd')\n"
        "import atlas_runner.process, atlas_runner.environment, atlas_runner.inotify\n"
        "assert threading.active_count() == 1\n"
        "assert os.listdir('/proc/self/fd') == before\n"
    )
    subprocess.run([PYTHON, "-c", code], check=True, timeout=60)


def test_a_fork_is_not_a_subreaper_by_inheritance(tmp_path: Path) -> None:
    code = (
        "import os\n"
        "from atlas_runner.descendants import become_subreaper, is_subreaper\n"
        "assert become_subreaper() and is_subreaper()\n"
        "pid = os.fork()\n"
        "if pid == 0: os._exit(1 if is_subreaper() else 0)\n"
        "assert os.waitpid(pid, 0)[1] == 0\n"
    )
    subprocess.run([PYTHON, "-c", code], cwd=tmp_path, check=True, timeout=60)

"""A real server for tests: started, killed and started again as a user or a fault would."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import psutil
from tests.processes import kill_all, kill_process

from foundations.bundle.scan import hash_listing, list_folder
from foundations.client.api import Api
from foundations.errors import FoundationsError
from foundations.sending import new_job_id

T = TypeVar("T")

FINAL = ("completed", "failed", "stopped")
PATIENCE = 60.0
_INTERVAL = 0.02


class Done(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


class Answer(NamedTuple):
    """What came back; the body of a stream that does not end is not read."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        return self.json["error"]


class LiveServer:
    """A server with a home of its own below `root`; a context manager that leaves nothing behind.

    `settings` are the server's, as in ATLAS_<NAME>; `environment` is what every process gets
    besides; `at` is what commands begin with, `python` has the Atlas that they are of.
    """

    def __init__(
        self,
        root: Path,
        cpus: float = 2,
        settings: dict[str, object] | None = None,
        environment: dict[str, str] | None = None,
        home: Path | None = None,
        at: list[str] | None = None,
        python: str = sys.executable,
    ) -> None:
        self.root = root
        self.python = python
        self._at = at or []
        self.home = home or root / "home"
        own = {"port": 0, "gui_port": 0, "cpus": cpus, "heartbeat": 1, "lease": 8, "grace": 5}
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("ATLAS_", "FOUNDATIONS_", "CUDA_"))
        }
        for name in ("DISABLE_LOG_STREAMING", "NO_COLOR", "COLUMNS"):
            inherited.pop(name, None)
        self.env = {
            **inherited,
            "FOUNDATIONS_HOME": str(self.home),
            **{f"ATLAS_{name.upper()}": str(v) for name, v in {**own, **(settings or {})}.items()},
            **(environment or {}),
        }
        # What requests show, where the server asks who is there.
        self.token: str | None = None
        self._apis: dict[tuple[int, str], Api] = {}
        self._spawned: list[subprocess.Popen[bytes]] = []
        self._sent: dict[Path, str] = {}

    def __enter__(self) -> LiveServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- the server

    def start(self, *arguments: str) -> None:
        """Start the server and wait until it is ready."""
        done = self.server_command("start", *arguments)
        assert done.code == 0, done

    def stop(self) -> None:
        """Stop the server as its owner would."""
        done = self.server_command("stop")
        assert done.code == 0, done

    def kill(self) -> None:
        """Kill the server with SIGKILL and wait until it is gone."""
        kill_process(self.pid)

    def restart(self, **settings: object) -> None:
        """Start the server again, after it was stopped or killed."""
        self.env.update({f"ATLAS_{name.upper()}": str(v) for name, v in settings.items()})
        self.start()

    def close(self) -> None:
        """End everything that was started for this home."""
        for process in self._spawned:
            if process.poll() is None:
                process.kill()
            process.wait()
        for api in self._apis.values():
            api.close()
        while found := self.processes():
            kill_all(process.pid for process in found)

    @property
    def facts(self) -> dict[str, Any]:
        """What the server says of itself in its state file."""
        return json.loads((self.home / "run" / "server.json").read_text())

    @property
    def url(self) -> str:
        return str(self.facts["url"])

    @property
    def pid(self) -> int:
        return int(self.facts["pid"])

    def log(self) -> str:
        """What the server has logged."""
        path = self.home / "logs" / "server.log"
        return path.read_text(errors="replace") if path.exists() else ""

    # -- commands

    def server_command(self, *arguments: str, stdin: str = "") -> Done:
        """Run `atlas-server`."""
        return self._run([self.python, "-m", "atlas_server.main", *arguments], stdin=stdin)

    def cli(
        self,
        *arguments: str,
        cwd: Path | None = None,
        env: dict[str, str] | None = None,
        stdin: str = "",
    ) -> Done:
        """Run `foundations` to its end."""
        command = [self.python, "-m", "foundations", *arguments]
        return self._run(command, cwd=cwd, env=env, stdin=stdin)

    def spawn(self, *arguments: str, cwd: Path | None = None) -> Spawned:
        """Start `foundations` in a session of its own, with its output in a file."""
        number = len(self._spawned)
        output = self.root / f"output-{number}"
        with output.open("wb") as file:
            process = subprocess.Popen(
                [self.python, "-m", "foundations", *arguments],
                cwd=cwd or self.root,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._spawned.append(process)
        return Spawned(process, output)

    def _run(
        self,
        command: list[str],
        cwd: Path | None = None,
        env: dict[str, str] | None = None,
        stdin: str = "",
    ) -> Done:
        done = subprocess.run(
            [*self._at, *command],
            cwd=cwd or self.root,
            env={**self.env, **(env or {})},
            input=stdin.encode(),
            capture_output=True,
            timeout=100,
        )
        out, err = (text.decode("utf-8", "surrogateescape") for text in (done.stdout, done.stderr))
        return Done(done.returncode, out, err)

    # -- the API

    def api(self) -> Api:
        """A connection of this thread to the server as it is now."""
        key = (threading.get_ident(), self.url)
        if key not in self._apis:
            self._apis[key] = Api(key[1], self.token)
        return self._apis[key]

    def send(self, folder: Path, *command: str, **spec: Any) -> str:
        """Submit a job past the command line, quickly; returns its ID."""
        if folder not in self._sent:
            self._sent[folder] = self._send_content(folder)
        values = {
            "project": "tests",
            "bundle": self._sent[folder],
            "command": list(command),
            "interpreter": sys.executable,
            "user": "tester",
            "resources": {"cpus": 1},
            **spec,
        }
        return str(self.api().submit(values, new_job_id())["job_id"])

    def _send_content(self, folder: Path) -> str:
        bundle = hash_listing(
            list_folder(str(folder)), str(self.home / "cache" / "hashes"), lambda *_: None
        )
        digest, missing = self.api().send_manifest(bundle.manifest)

        def pack() -> Iterator[bytes]:
            for blob in missing:
                data = Path(os.fsdecode(bundle.path_of(blob))).read_bytes()
                yield f"{blob}{len(data):016x}".encode() + data

        if missing:
            self.api().send_blobs(pack())
        return digest

    def job(self, job_id: str) -> dict[str, Any]:
        """Everything that the API tells of a job."""
        return self.api().job(job_id)

    def job_log(self, job_id: str) -> bytes:
        """The log of a job's newest attempt."""
        return b"".join(self.api().logs(job_id))

    # -- waiting

    def wait_for(
        self, condition: Callable[[], T | bool | None], what: str = "", patience: float = PATIENCE
    ) -> T:
        """Return the first true answer of `condition`; the server may be away meanwhile."""
        deadline = time.monotonic() + patience
        while True:
            try:
                found = condition()
            except (FoundationsError, psutil.Error, FileNotFoundError, ValueError):
                found = None
            if found:
                return found  # type: ignore[return-value]
            assert time.monotonic() < deadline, f"no {what or 'such moment'}\n{self.log()[-4000:]}"
            time.sleep(_INTERVAL)

    def ended(self, job_id: str, patience: float = PATIENCE) -> dict[str, Any]:
        """Wait until a job is over and return it."""

        def over() -> dict[str, Any] | None:
            job = self.job(job_id)
            return job if job["state"] in FINAL else None

        return self.wait_for(over, f"end of {job_id}", patience)

    def search_over(self, name: str) -> dict[str, Any]:
        """Wait until a search is over and return its row."""
        row: dict[str, Any] = {}
        for event, row in self.api().search_stream(name):
            if event == "search" and row["finished_at"] is not None:
                break
        return row

    def completed(self, job_id: str) -> dict[str, Any]:
        """Wait until a job is over, which must have gone well, and return it."""
        job = self.ended(job_id)
        told = {name: job[name] for name in ("state", "reason", "message", "attempt_list")}
        if job["state"] != "completed":
            raise AssertionError(f"{told}\n{self.log()}\n{self.job_log(job_id).decode()}")
        return job

    def in_state(self, job_id: str, state: str) -> dict[str, Any]:
        """Wait until a job is in this state and return it."""

        def there() -> dict[str, Any] | None:
            job = self.job(job_id)
            assert job["state"] == state or job["state"] not in FINAL, job
            return job if job["state"] == state else None

        return self.wait_for(there, f"{state} {job_id}")

    def has_logged(self, job_id: str, text: bytes) -> bytes:
        """Wait until a job's log contains `text`; returns the log."""

        def there() -> bytes | None:
            log = self.job_log(job_id)
            return log if text in log else None

        return self.wait_for(there, f"{text!r} in the log of {job_id}")

    # -- processes

    def processes(self) -> list[psutil.Process]:
        """Every process that belongs to this home: server, fork server, runners, workers."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.pid != os.getpid() and _belongs(process, str(self.home)):
                    found.append(process)
        return found

    def fork_server(self) -> int:
        """The process number of the server's fork server."""

        def number() -> int | None:
            for child in psutil.Process(self.pid).children():
                with contextlib.suppress(psutil.Error):
                    if "atlas_runner.forkserver" in child.cmdline():
                        return child.pid
            return None

        return self.wait_for(number, "fork server")

    def runner(self, job_id: str) -> int:
        """The process number of the runner of a job's newest attempt, once it has reported."""

        def number() -> int:
            return int((self.job(job_id)["attempt_list"][-1]["handle"] or "0").split(":")[0])

        return self.wait_for(number, "runner")

    def workers(self, job_id: str) -> list[int]:
        """The processes that run a job's code; nodes that share nothing have another home."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get("FOUNDATIONS_JOB_ID") == job_id:
                    found.append(process.pid)
        return found


class Spawned:
    """A command that runs beside the test."""

    def __init__(self, process: subprocess.Popen[bytes], output: Path) -> None:
        self.process = process
        self._output = output

    def text(self) -> str:
        """What it has printed so far."""
        return self._output.read_bytes().decode("utf-8", "surrogateescape")

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def finish(self) -> Done:
        """Wait for its end."""
        return Done(self.process.wait(timeout=PATIENCE), self.text(), "")


def _belongs(process: psutil.Process, home: str) -> bool:
    if process.status() == psutil.STATUS_ZOMBIE:
        return False
    return process.environ().get("FOUNDATIONS_HOME") == home


def make_folder(place: Path, **files: str) -> Path:
    """Make a job folder; `main` becomes main.py."""
    place.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (place / f"{name}.py").write_text(text)
    return place

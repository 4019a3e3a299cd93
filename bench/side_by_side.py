"""What the benchmarks share: a server of their own, taking turns, and a table.

The machine's speed changes from minute to minute, so nothing is measured alone: everything that is
compared takes turns in one run, and the unit is a bare `python -c pass` of the same interpreter.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

SCRIPTS = Path(sysconfig.get_path("scripts"))
PYTHON = sys.executable
FOUNDATIONS = str(SCRIPTS / "foundations")
ATLAS_SERVER = str(SCRIPTS / "atlas-server")
BARE = [PYTHON, "-c", "pass"]
# One file that prints when it was started, and nineteen that are only carried along.
STAMP = "import time; print(time.time_ns())\n"


def arguments(description: str | None, rounds: int, **others: int) -> argparse.Namespace:
    """Parse `--rounds` and other whole numbers."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, default in {"rounds": rounds, **others}.items():
        parser.add_argument(f"--{name}", type=int, default=default, help=f"default {default}")
    return parser.parse_args()


def environment(home: Path | None = None) -> dict[str, str]:
    """Return this process's variables without those that would change what is measured."""
    dropped = ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "PYTHONPATH", "DISABLE_LOG_STREAMING")
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in dropped and not name.startswith(("ATLAS_", "FOUNDATIONS_"))
    }
    if home is not None:
        kept["FOUNDATIONS_HOME"] = str(home)
    return kept


def adopt_environment(home: Path) -> None:
    """Make this process one of the measured: what it calls finds the server of `home`."""
    os.environ.clear()
    os.environ.update(environment(home))


def timed(command: Sequence[str], env: dict[str, str], cwd: Path | None = None) -> float:
    """Run a command to its end and return the seconds. Ends the benchmark if it fails."""
    begin = time.perf_counter()
    done = subprocess.run(command, env=env, cwd=cwd, capture_output=True, check=False)
    seconds = time.perf_counter() - begin
    if done.returncode != 0:
        said = (done.stdout + done.stderr).decode(errors="replace")
        raise SystemExit(f"{' '.join(command)} failed with code {done.returncode}:\n{said}")
    return seconds


def take_turns(rounds: int, contestants: dict[str, Callable[[], float]]) -> dict[str, list[float]]:
    """Call each once to warm up, then all in turn, `rounds` times; return the seconds of each."""
    for call in contestants.values():
        call()
    times: dict[str, list[float]] = {name: [] for name in contestants}
    names = list(contestants)
    for number in range(rounds):
        # Whoever goes first after a pause is slower: each has that place in its turn.
        first = number % len(names)
        for name in names[first:] + names[:first]:
            times[name].append(contestants[name]())
    return times


class Server:
    """A server with a home of its own, on free ports."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.home = folder
        self.env = environment(folder)
        self._options = options

    def start(self) -> float:
        """Return the seconds from the command's start until the server was ready."""
        command = [ATLAS_SERVER, "start", "--port", "0", "--gui-port", "0", *self._options]
        return timed(command, self.env)

    def stop(self) -> None:
        timed([ATLAS_SERVER, "stop"], self.env)

    @property
    def state(self) -> dict[str, object]:
        return json.loads((self.home / "run" / "server.json").read_text())

    @property
    def pid(self) -> int:
        return int(str(self.state["pid"]))

    def end_everything(self) -> None:
        """Kill what lives of this home: the server, its helper, runners, workers."""
        marker = os.fsencode(f"FOUNDATIONS_HOME={self.home}")
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            with contextlib.suppress(OSError):
                if marker in (entry / "environ").read_bytes().split(b"\0"):
                    os.kill(int(entry.name), signal.SIGKILL)


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """Yield a folder that is deleted at the end."""
    folder = Path(tempfile.mkdtemp(prefix="atlas-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def running_server(folder: Path, *options: str) -> Iterator[Server]:
    """Yield a server that is ready, its bytecode compiled; nothing of it is left at the end."""
    server = Server(folder, *options)
    try:
        server.start()
        yield server
    finally:
        with contextlib.suppress(SystemExit):
            server.stop()
        server.end_everything()


def make_project(folder: Path, script: str = STAMP, files: int = 20) -> Path:
    """Return a folder of `files` files with `script` as main.py."""
    folder.mkdir(parents=True)
    (folder / "main.py").write_text(script)
    for number in range(1, files):
        (folder / f"module_{number}.py").write_text(f"VALUE = {number}\n" * 50)
    return folder


def disk_use(folder: Path) -> int:
    """Return the bytes that the files below a folder take; hard links count once."""
    seen: dict[tuple[int, int], int] = {}
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                found = os.lstat(os.path.join(place, name))
                seen[found.st_dev, found.st_ino] = found.st_blocks * 512
    return sum(seen.values())


def wait_until(true: Callable[[], bool], timeout: float, pause: float = 0.05) -> None:
    """Look again and again. Ends the benchmark after `timeout` seconds."""
    end = time.monotonic() + timeout
    while not true():
        if time.monotonic() > end:
            raise SystemExit(f"This did not happen within {timeout:g} s: {true.__qualname__}.")
        time.sleep(pause)


@dataclass
class Table:
    """Figures beside their targets; printed line by line as they come."""

    unit: float
    _begun: bool = field(default=False, init=False)

    def times(
        self, name: str, seconds: Sequence[float], target: str = "", less: Sequence[float] = ()
    ) -> None:
        """Add a line for something measured in seconds, less the median of something else."""
        base = statistics.median(less) if less else 0.0
        median, best = statistics.median(seconds) - base, min(seconds) - (min(less) if less else 0)
        self._line(
            name,
            f"{median * 1000:9.1f} ms",
            f"{best * 1000:8.1f} ms",
            f"{median / self.unit:6.2f}",
            target,
        )

    def figure(self, name: str, value: str, target: str = "") -> None:
        """Add a line for something else."""
        self._line(name, value, "", "", target)

    def _line(self, name: str, median: str, best: str, units: str, target: str) -> None:
        if not self._begun:
            self._begun = True
            print(f"{'':44}{'median':>12}{'best':>12}{'units':>8}  target")
        print(f"{name:44}{median:>12}{best:>12}{units:>8}  {target}", flush=True)

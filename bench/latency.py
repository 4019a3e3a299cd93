"""From `foundations submit` to the end of a one-line script in a folder of 20 files.

    python bench/latency.py [--rounds N]

The server is warm. "Started" is the time that the script itself prints, less the time at which the
command was given; "first line" is from that printed time until the line comes out of the command.
"""

from __future__ import annotations

import base64
import hashlib
import statistics
import subprocess
import time
import zipfile
from pathlib import Path

from side_by_side import (
    BARE,
    FOUNDATIONS,
    PYTHON,
    STAMP,
    Server,
    Table,
    arguments,
    make_project,
    running_server,
    take_turns,
    temporary_folder,
    timed,
)


def main() -> None:
    options = arguments(__doc__, rounds=20)
    with temporary_folder() as folder, running_server(folder / "home") as server:
        plain = Submitting(server, make_project(folder / "plain"))
        needs = Submitting(server, with_requirements(folder))
        times = take_turns(
            options.rounds,
            {
                "bare": lambda: timed(BARE, server.env),
                "by hand": lambda: timed([PYTHON, "main.py"], server.env, plain.project),
                "plain": plain.submit,
                "needs": needs.submit,
            },
        )
        table = Table(statistics.median(times["bare"]))
        table.times("python -c pass (the unit)", times["bare"])
        table.times("python main.py", times["by hand"])
        table.times("foundations submit, streamed", times["plain"])
        table.times("  more than by hand", times["plain"], "4 units", less=times["by hand"])
        table.times("  submit to script's start", plain.started[1:])
        table.times("  script's start to its line shown", plain.shown[1:], "3 units")
        table.times("  line shown to command's end", plain.ended[1:])
        table.times("with requirements.txt, second job on", needs.started[1:])
        table.times("  start later than without", needs.started[1:], "2 units", plain.started[1:])


class Submitting:
    """Submits a folder again and again, and keeps when things happened."""

    def __init__(self, server: Server, project: Path) -> None:
        self.project = project
        self.started: list[float] = []
        self.shown: list[float] = []
        self.ended: list[float] = []
        self._env = server.env

    def submit(self) -> float:
        """Return the seconds until the command ended."""
        begin = time.time_ns()
        process = subprocess.Popen(
            [FOUNDATIONS, "submit", "scheduler", ".", "main.py"],
            cwd=self.project,
            env=self._env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert process.stdout is not None
        lines, stamp, seen = [], 0, 0
        for line in process.stdout:
            lines.append(line)
            if not stamp and len(line) > 15 and line.strip().isdigit():
                stamp, seen = int(line), time.time_ns()
        code = process.wait()
        end = time.time_ns()
        if code != 0 or not stamp:
            raise SystemExit(f"submit failed with code {code}:\n{b''.join(lines).decode()}")
        self.started.append((stamp - begin) / 1e9)
        self.shown.append((seen - stamp) / 1e9)
        self.ended.append((end - seen) / 1e9)
        return (end - begin) / 1e9


def with_requirements(folder: Path) -> Path:
    """Return the same project with a requirements.txt whose package lies in a folder beside it."""
    wheels = folder / "wheels"
    wheels.mkdir()
    make_wheel(wheels)
    project = make_project(folder / "needs", "import atlas_bench_tiny\n" + STAMP)
    (project / "requirements.txt").write_text(
        f"--no-index\n--find-links {wheels}\natlas-bench-tiny==1.0\n"
    )
    return project


def make_wheel(folder: Path) -> None:
    info = "atlas_bench_tiny-1.0.dist-info"
    files = {
        "atlas_bench_tiny.py": "VALUE = 1\n",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: atlas-bench-tiny\nVersion: 1.0\n",
        f"{info}/WHEEL": (
            "Wheel-Version: 1.0\nGenerator: bench\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        ),
    }
    record = ""
    with zipfile.ZipFile(folder / "atlas_bench_tiny-1.0-py3-none-any.whl", "w") as wheel:
        for name, text in files.items():
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=")
            record += f"{name},sha256={digest.decode()},{len(text)}\n"
            wheel.writestr(name, text)
        wheel.writestr(f"{info}/RECORD", record + f"{info}/RECORD,,\n")


if __name__ == "__main__":
    main()

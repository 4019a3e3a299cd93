"""A job in a container beside the same `docker run` by hand.

    python bench/containers.py [--rounds N]

Needs a Docker engine and what tests/images.py makes the image from. "By hand" is the docker command
with --rm, its output read to the end; the job is submitted and streamed to its end. The server is
warm, as is the engine. The third contestant has a requirements.txt that was installed before.
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

from latency import make_wheel
from side_by_side import (
    BARE,
    FOUNDATIONS,
    Table,
    arguments,
    make_project,
    running_server,
    take_turns,
    temporary_folder,
    timed,
)

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tests import images

SCRIPT = "print('done')\n"


def main() -> None:
    options = arguments(__doc__, rounds=20)
    images.provide("entrypoint")
    image = images.reference("entrypoint")
    with temporary_folder() as folder, running_server(folder / "home") as server:
        plain = project(folder / "plain", image)
        needs = project(folder / "needs", image)
        make_wheel_folder(needs)
        by_hand = ["docker", "run", "--rm", "--init", "-v", f"{plain}:/job", "-w", "/job", image,
                   "main.py"]  # fmt: skip
        submit = [FOUNDATIONS, "submit", "scheduler", ".", "main.py"]
        times = take_turns(
            options.rounds,
            {
                "bare": lambda: timed(BARE, server.env),
                "hand": lambda: timed(by_hand, server.env),
                "job": lambda: timed(submit, server.env, plain),
                "needs": lambda: timed(submit, server.env, needs),
            },
        )
        table = Table(statistics.median(times["bare"]))
        table.times("python -c pass (the unit)", times["bare"])
        table.times("docker run by hand", times["hand"])
        table.times("job in a container, streamed", times["job"])
        table.times("  more than by hand", times["job"], "150 ms", less=times["hand"])
        table.times("job with requirements, second on", times["needs"])
        table.times("  more than without", times["needs"], "100 ms", less=times["job"])


def project(folder: Path, image: str) -> Path:
    made = make_project(folder, SCRIPT)
    (made / "job.config.yaml").write_text(f"worker: {{image: {image}}}\n")
    return made


def make_wheel_folder(folder: Path) -> None:
    """Give the project a package in a folder of its own, so that no network is needed."""
    (folder / "wheels").mkdir()
    make_wheel(folder / "wheels")
    (folder / "main.py").write_text("import atlas_bench_tiny\n" + SCRIPT)
    text = "--no-index\n--find-links wheels\natlas-bench-tiny==1.0\n"
    (folder / "requirements.txt").write_text(text)


if __name__ == "__main__":
    main()

"""One logged value: what it costs the training, here and with other trackers, in one run.

    python bench/trackers.py [--calls N] [--rounds N]

Makes a virtual environment of its own for the others (mlflow-skinny with its file
store, wandb offline, aim, trackio); what cannot be installed is left out and said so. Each tracker
runs in a process of its own; all take turns. The values are not compared for safety: log_metric has
handed its line to the kernel when it returns, most others hold it in memory.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

from side_by_side import BARE, PYTHON, Table, arguments, environment, temporary_folder, timed

_MEASURE = """
import json, sys, time
count = int(sys.argv[1])
{prepare}
times = []
for step in range(count):
    begin = time.perf_counter()
    {call}
    times.append(time.perf_counter() - begin)
{end}
print("\\nTIMES" + json.dumps(times))
"""
_TRACKERS = {
    "foundations": (
        "import foundations", 'foundations.log_metric("loss", 0.125, step=step)', "", None,
    ),
    "trackio": (
        "import trackio; trackio.init(project='bench')", "trackio.log({'loss': 0.125}, step=step)",
        "", "trackio",
    ),
    "wandb offline": (
        "import wandb; wandb.init(project='bench', mode='offline', dir='.')",
        "wandb.log({'loss': 0.125}, step=step)", "", "wandb",
    ),
    "mlflow": (
        "import mlflow; mlflow.set_tracking_uri('file:./mlruns'); mlflow.start_run()",
        "mlflow.log_metric('loss', 0.125, step=step)", "", "mlflow-skinny",
    ),
    "aim": (
        "import aim; run = aim.Run(repo='.')", "run.track(0.125, name='loss', step=step)", "", "aim",
    ),
}  # fmt: skip


def main() -> None:
    options = arguments(__doc__, rounds=3, calls=3000)
    with temporary_folder() as folder:
        others = Path(sys.prefix) / "trackers"
        if not (others / "bin" / "python").exists():
            subprocess.run([PYTHON, "-m", "venv", str(others)], check=True)
        unit = [timed(BARE, environment()) for _ in range(5)]
        table = Table(statistics.median(unit))
        table.times("python -c pass (the unit)", unit)
        found: dict[str, list[float]] = {}
        installed = {name for name in _TRACKERS if available(others, name)}
        for round_ in range(options.rounds):
            for name in installed:
                place = folder / f"{name}-{round_}".replace(" ", "-")
                place.mkdir()
                found.setdefault(name, []).extend(measured(others, name, place, options.calls))
    for name in _TRACKERS:
        times = found.get(name)
        if not times:
            print(f"{name}: cannot be installed or run here")
            continue
        p99 = statistics.quantiles(times, n=100)[98]
        median = statistics.median(times)
        table.figure(f"{name}: median", f"{median * 1e6:.1f} us", "5 us" * (name == "foundations"))
        table.figure(f"{name}: 99th percentile", f"{p99 * 1e6:.1f} us")


def available(others: Path, name: str) -> bool:
    package = _TRACKERS[name][3]
    if package is None:
        return True
    command = [str(others / "bin" / "pip"), "install", "--quiet", package]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def measured(others: Path, name: str, place: Path, calls: int) -> list[float]:
    prepare, call, end, package = _TRACKERS[name]
    env = {**environment(), "HOME": str(place), "WANDB_SILENT": "true", "AIM_UI_TELEMETRY": "0"}
    env["MLFLOW_ALLOW_FILE_STORE"] = "true"
    if package is None:
        (place / "journal").mkdir()
        env |= {"FOUNDATIONS_ATTEMPT_DIR": str(place), "FOUNDATIONS_JOB_ID": "bench"}
    python = PYTHON if package is None else str(others / "bin" / "python")
    program = _MEASURE.format(prepare=prepare, call=call, end=end)
    done = subprocess.run(
        [python, "-c", program, str(calls)], cwd=place, env=env, capture_output=True, text=True,
        timeout=300, check=False,
    )  # fmt: skip
    if "TIMES" not in done.stdout:
        print(f"{name} failed: {(done.stderr or done.stdout).strip()[-300:]}")
        return []
    lines = done.stdout.rpartition("TIMES")[2].splitlines()  # some have last words
    return [float(seconds) for seconds in json.loads(lines[0])]


if __name__ == "__main__":
    os.umask(0o077)
    main()

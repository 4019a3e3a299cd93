"""What `pip install` of this project brings into a fresh virtual environment.

    python bench/installed.py [--rounds N]

Needs the package index. pip and setuptools, which are there before, do not count.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from side_by_side import PYTHON, Table, arguments, disk_use, environment, temporary_folder

_MB = 1024 * 1024
_PROJECT = Path(__file__).resolve().parent.parent


def main() -> None:
    options = arguments(__doc__, rounds=1)
    for _ in range(options.rounds):
        with temporary_folder() as folder:
            measure(folder / "venv")


def measure(venv: Path) -> None:
    run(PYTHON, "-m", "venv", str(venv))
    python = str(venv / "bin" / "python")
    known, size = distributions(python), disk_use(venv)
    run(python, "-m", "pip", "install", "--quiet", str(_PROJECT))
    added = {name: it for name, it in distributions(python).items() if name not in known}
    table = Table(1.0)
    table.figure("distributions", str(len(added)), "30")
    used = f"{(disk_use(venv) - size) / _MB:.1f} MB"
    table.figure("disk use, bytecode and uv included", used, "130 MB")
    print("\nlargest, MB:", ", ".join(f"{name} {mb:.1f}" for mb, name in largest(venv)))
    print("all:", ", ".join(sorted(added)))


def distributions(python: str) -> dict[str, str]:
    listed = json.loads(run(python, "-m", "pip", "list", "--format", "json"))
    return {entry["name"]: entry["version"] for entry in listed}


def largest(venv: Path) -> list[tuple[float, str]]:
    site = next((venv / "lib").glob("python*/site-packages"))
    entries = [*site.iterdir(), *(venv / "bin").iterdir()]
    sizes = [
        ((disk_use(entry) if entry.is_dir() else entry.lstat().st_size) / _MB, entry.name)
        for entry in entries
    ]
    return sorted(sizes, reverse=True)[:10]


def run(*command: str) -> str:
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    main()

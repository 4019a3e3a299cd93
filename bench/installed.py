"""What `pip install` of this project brings into a fresh virtual environment.

    python bench/installed.py [--rounds N]

Needs the package index. pip and setuptools, which are there before, do not count. Nothing is in
PATH but the environment's own programs and a shell: the web pages are built with Node.js from the
index.
"""

from __future__ import annotations

import json
import shutil
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
    sources = sources_in(venv.parent / "sources")
    path = f"{venv / 'bin'}:{shell_in(venv.parent / 'shell')}"
    run(python, "-m", "pip", "install", "--quiet", str(sources), path=path)
    pages = next(venv.glob("lib/python*/site-packages/atlas_server/gui_dist/index.html"), None)
    if pages is None:
        raise SystemExit("The web pages were not installed.")
    added = {name: it for name, it in distributions(python).items() if name not in known}
    table = Table(1.0)
    table.figure("distributions", str(len(added)), "30")
    used = f"{(disk_use(venv) - size) / _MB:.1f} MB"
    table.figure("disk use, bytecode and uv included", used, "130 MB")
    print("\nlargest, MB:", ", ".join(f"{name} {mb:.1f}" for mb, name in largest(venv)))
    print("all:", ", ".join(sorted(added)))


def sources_in(folder: Path) -> Path:
    """Copy what git knows of the project: neither built pages nor the modules to build them."""
    for name in run("git", "-C", str(_PROJECT), "ls-files", "-z").split("\0"):
        if name and (_PROJECT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(_PROJECT / name, folder / name)
    return folder


def shell_in(folder: Path) -> Path:
    """Link what the scripts of packages begin with, and nothing else."""
    folder.mkdir()
    for name in ("sh", "env"):
        (folder / name).symlink_to(shutil.which(name) or f"/bin/{name}")
    return folder


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


def run(*command: str, path: str | None = None) -> str:
    variables = environment() if path is None else {**environment(), "PATH": path}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    main()

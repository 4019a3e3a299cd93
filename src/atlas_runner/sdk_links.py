"""The SDK where jobs on this node can import it: on nodes that share no files with the server."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import yaml

import foundations
import foundations_contrib

_FOLDERS = (("sdk", (foundations, foundations_contrib)), ("sdk-vendor", (yaml,)))


def link_sdk(home: str) -> None:
    """Put links to this installation's packages below `run`; many runners may do so at once."""
    run = Path(home) / "run"
    run.mkdir(parents=True, exist_ok=True)
    for name, packages in _FOLDERS:
        files = [Path(package.__file__ or "").parent for package in packages]
        if all(os.path.realpath(run / name / file.name) == str(file.resolve()) for file in files):
            continue
        fresh = run / f"{name}-{os.getpid()}"
        fresh.mkdir(exist_ok=True)
        for file in files:
            with contextlib.suppress(FileExistsError):
                (fresh / file.name).symlink_to(file)
        # The name leads to what is whole, at every moment: to the old links or to the new ones.
        pointer = run / f"{name}-{os.getpid()}.link"
        pointer.unlink(missing_ok=True)
        pointer.symlink_to(fresh.name)
        pointer.replace(run / name)

"""Installations of Atlas that change under jobs: the release before this version, then this one.

tests/data keeps the packages of the last release of the schema before this one, as its commit had
them: `git archive COMMIT:src | xz -9e > tests/data/release-VERSION.tar.xz`.
"""

from __future__ import annotations

import shutil
import sysconfig
import tarfile
import venv
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
BEFORE = "2.0.0.dev1"


class Installation:
    """A virtual environment with one version of Atlas and all that it needs."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder, symlinks=True, with_pip=False)
        self.python = str(folder / "bin" / "python")
        base = {"base": str(folder), "platbase": str(folder)}
        self._site = Path(sysconfig.get_path("purelib", "venv", base))
        # What Atlas depends on is the tests' own; they have Atlas itself by a .pth file, which
        # counts only in a folder that belongs to the interpreter.
        (self._site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")

    def install_the_one_before(self) -> None:
        """Install the release before this version, in the place of whichever is there."""
        self.remove()
        with tarfile.open(ROOT / "tests" / "data" / f"release-{BEFORE}.tar.xz") as archive:
            # Debian's Python 3.11 knows no filters yet.
            archive.extraction_filter = getattr(tarfile, "data_filter", lambda member, _: member)
            archive.extractall(self._site)

    def upgrade(self) -> None:
        """Put this version in the place of the one before, as `pip install` does."""
        self.remove()
        shutil.copytree(
            ROOT / "src", self._site, dirs_exist_ok=True, ignore=shutil.ignore_patterns("gui_dist")
        )

    def remove(self) -> None:
        """Uninstall it, where it is installed."""
        for package in ("foundations", "foundations_contrib", "atlas_runner", "atlas_server"):
            shutil.rmtree(self._site / package, ignore_errors=True)


def taken_away(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What users of the API as `before` describes it would miss in it as it is `now` (OpenAPI)."""
    missed = []
    for path, methods in before["paths"].items():
        for method, old in methods.items():
            new = now["paths"].get(path, {}).get(method)
            if new is None:
                missed.append(f"{method} {path}")
                continue
            had, has = (
                {each["name"]: each for each in what.get("parameters", ())} for what in (old, new)
            )
            missed += [f"{method} {path}: {name}" for name in had.keys() - has.keys()]
            demanded = [name for name, each in has.items() if each.get("required")]
            missed += [f"{method} {path} wants {name}" for name in demanded if name not in had]
    asked = _asked(now)
    for name, old in before["components"]["schemas"].items():
        new = now["components"]["schemas"].get(name, {})
        fields, are = old.get("properties", {}), new.get("properties", {})
        missed += [f"{name}.{field}" for field in fields.keys() - are.keys()]
        missed += [
            f"{name}.{field} is another"
            for field in fields.keys() & are.keys()
            if fields[field].get("type", "") != are[field].get("type", "")
        ]
        if name in asked:
            more = set(new.get("required", ())) - set(old.get("required", ()))
            missed += [f"{name} wants {field}" for field in more]
    return sorted(missed)


def _asked(described: dict[str, Any]) -> set[str]:
    """The names of what requests are made of."""
    wanted = [
        operation["requestBody"]
        for methods in described["paths"].values()
        for operation in methods.values()
        if "requestBody" in operation
    ]
    found: set[str] = set()
    while wanted:
        value = wanted.pop()
        if isinstance(value, dict):
            name = str(value.get("$ref", "")).rpartition("/")[2]
            if name and name not in found:
                found.add(name)
                wanted.append(described["components"]["schemas"][name])
            wanted += value.values()
        elif isinstance(value, list):
            wanted += value
    return found

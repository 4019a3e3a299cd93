"""Saves a home while its server works, checks what was saved, and makes a home of it again.

The database is copied first and content after it: content never changes, so what the copied rows
name is there, unless a job was deleted in between. Then it is done again.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atlas_server.archive.bundles import Bundles
from atlas_server.archive.copies import Advance, Copied, copy_blobs, damaged, drop_blobs, mirror
from atlas_server.config import ServerConfig
from atlas_server.services.archives import Archives
from atlas_server.store import jobs as rows
from atlas_server.store.copies import check_database, copy_database, in_one_file
from atlas_server.store.engine import SCHEMA_VERSION, Store
from foundations._version import __version__
from foundations.blobs import BlobDir
from foundations.errors import FoundationsError

_FACTS = "backup.json"
_TRIES = 5
# What is copied besides database and content. Environments and caches can be made again.
_FOLDERS = ("job_data", "config")
_KEPT_FILES = ("instance", "key")


@dataclass(frozen=True, slots=True)
class Saved:
    """What a backup holds: jobs, pieces of content, what was new of it, what the home lacks."""

    jobs: int
    blobs: int
    copied: Copied
    lost: list[str]


def save(config: ServerConfig, target: Path, advance: Advance) -> Saved:
    """Bring the backup in `target` to where the home is now. Raises FoundationsError."""
    if not config.database.exists():
        raise FoundationsError(f"There is nothing to save in {config.home}.")
    if target.exists() and any(target.iterdir()) and not (target / _FACTS).exists():
        raise FoundationsError(
            f"{target} is not empty and no backup.", "Give a new folder, or one with a backup."
        )
    if target.resolve().is_relative_to(config.home.resolve()):
        raise FoundationsError(f"{target} is inside of what is to be saved.")
    (target / "database").mkdir(parents=True, exist_ok=True, mode=0o700)
    _tell(target, {"complete": False})
    source, blobs, done = BlobDir(str(config.blobs)), BlobDir(str(target / "blobs")), Copied()
    jobs, named, lost = 0, set[str](), set[str]()
    for _ in range(_TRIES):
        copy_database(config.database, target / "database" / "atlas.db")
        copy_blobs(source, blobs, advance, done)
        jobs, named = _named(target)
        before, lost = lost, set(blobs.missing(sorted(named)))
        # What is missing twice is missing in the home, too.
        if not lost or lost == before:
            break
    for name in _KEPT_FILES:
        _copy_secret(config.database.parent / name, target / "database" / name)
    for folder in _FOLDERS:
        mirror(config.home / folder, target / folder, done)
    drop_blobs(source, blobs)
    os.sync()
    facts = {"version": __version__, "schema": SCHEMA_VERSION, "time": time.time(), "jobs": jobs}
    _tell(target, {"complete": True, **facts, "blobs": len(named) - len(lost)})
    config.last_backup.write_text(json.dumps({"time": facts["time"], "folder": str(target)}))
    return Saved(jobs, len(named), done, sorted(lost))


def verify(target: Path, advance: Advance) -> tuple[int, int, list[str]]:
    """Read all of a backup again; return its jobs, its pieces of content and the damaged ones.

    Raises FoundationsError where it is no complete backup.
    """
    _facts(target)
    check_database(target / "database" / "atlas.db")
    jobs, named = _named(target)
    return jobs, len(named), damaged(BlobDir(str(target / "blobs")), sorted(named), advance)


def restore(config: ServerConfig, source: Path, advance: Advance) -> int:
    """Make a home of a backup; return how many jobs it has. Touches no home that has something.

    Raises FoundationsError.
    """
    facts = _facts(source)
    if str(facts["schema"]) > SCHEMA_VERSION:
        raise FoundationsError(
            f"The backup was made by Atlas {facts['version']}, which is newer than this one.",
            "Install that version, or a newer one.",
        )
    for place in (config.database, config.blobs, config.home / "job_data"):
        if place.exists():
            raise FoundationsError(
                f"{config.home} is in use: {place} is there already, and nothing is overwritten.",
                "Restore into another folder: FOUNDATIONS_HOME=... atlas-server restore ...",
            )
    config.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    copy_blobs(BlobDir(str(source / "blobs")), BlobDir(str(config.blobs)), advance, Copied())
    for folder in _FOLDERS:
        if (source / folder).exists():
            mirror(source / folder, config.home / folder, Copied())
    config.database.parent.mkdir(mode=0o700)
    for name in _KEPT_FILES:
        _copy_secret(source / "database" / name, config.database.parent / name)
    os.sync()
    # Last: a home without a database is none yet.
    copy_database(source / "database" / "atlas.db", config.database)
    store = Store(config.database)
    try:
        with store.write(durable=True) as connection:
            rows.forget_handles(connection)
            return rows.count(connection)
    finally:
        store.close()


def _named(target: Path) -> tuple[int, set[str]]:
    """How many jobs a backup's database has, and the content that they name."""
    path = target / "database" / "atlas.db"
    store = Store(path)
    try:
        archives = Archives(store, Bundles(BlobDir(str(target / "blobs"))), {})
        with store.read() as connection:
            jobs = rows.count(connection)
        return jobs, archives.named()
    finally:
        store.close()
        in_one_file(path)


def _facts(target: Path) -> dict[str, Any]:
    try:
        facts: dict[str, Any] = json.loads((target / _FACTS).read_text())
    except (OSError, ValueError) as error:
        raise FoundationsError(f"{target} is no backup.") from error
    if not facts.get("complete"):
        raise FoundationsError(
            f"The backup in {target} was not finished.", "Save once more: atlas-server backup ..."
        )
    return facts


def _tell(target: Path, facts: dict[str, Any]) -> None:
    partial = target / (_FACTS + ".partial")
    partial.write_text(json.dumps(facts))
    partial.replace(target / _FACTS)


def _copy_secret(source: Path, target: Path) -> None:
    if source.exists():
        target.unlink(missing_ok=True)
        target.touch(mode=0o600)
        shutil.copyfile(source, target)

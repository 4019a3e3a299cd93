"""`atlas-server migrate`: everything that a server knows, from one database to another."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from atlas_server.config import ServerConfig
from atlas_server.database_url import checked, file_of, nameable
from atlas_server.store.copying import Progress, copy_all, refuse_rows
from atlas_server.store.engine import Store
from foundations.errors import ConfigError, Refused

_HOME = "sqlite"


@dataclass(frozen=True, slots=True)
class Moved:
    """What was copied from where to where; the names can be shown."""

    source: str
    target: str
    rows: int
    tables: int


def migrate(
    config: ServerConfig, source: str | None, target: str | None, progress: Progress
) -> Moved:
    """Copy everything and compare it. No server may run on either database.

    `sqlite` is the file of this home, `sqlite:///PATH` another one; None is the database that the
    server uses. Raises ConfigError, Refused or ServerError; the target is as it
    was then.
    """
    used = config.database_url or config.database
    here = used if source is None else _place(config, source)
    there = used if target is None else _place(config, target)
    if here == there:
        raise Refused("Source and target are the same database.")
    if isinstance(here, Path) and not here.exists():
        raise Refused(f"There is no database {here}.")
    with contextlib.closing(Store(here)) as old, old.alone():
        if isinstance(there, Path):
            counts = _into_file(old, there, progress)
        else:
            with contextlib.closing(Store(there)) as new, new.alone():
                counts = copy_all(old, new, progress)
    name = str(there) if isinstance(there, Path) else nameable(there)
    return Moved(old.name, name, sum(counts.values()), len(counts))


def _place(config: ServerConfig, address: str) -> Path | str:
    if address == _HOME:
        return config.database
    path = file_of(address)
    if path is not None:
        return path
    try:
        return checked(address)
    except ConfigError as error:
        raise ConfigError(
            "A database is named as postgresql://USER@HOST/NAME, sqlite:///PATH, or sqlite, which "
            "is the file of this home.",
        ) from error


def _into_file(old: Store, path: Path, progress: Progress) -> dict[str, int]:
    """Make the file beside its place: it is there when it is complete."""
    if path.exists():
        with contextlib.closing(Store(path)) as known:
            refuse_rows(known)
    partial = path.with_name(path.name + ".partial")
    _remove(partial)
    with contextlib.closing(Store(partial)) as new:
        counts = copy_all(old, new, progress)
    _remove(path)
    partial.replace(path)
    return counts


def _remove(path: Path) -> None:
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        path.with_name(name).unlink(missing_ok=True)


def drawn() -> contextlib.AbstractContextManager[Progress]:
    """Return what draws a bar on a terminal, and says nothing elsewhere."""
    return _bar() if sys.stderr.isatty() else contextlib.nullcontext(lambda *_: None)


@contextlib.contextmanager
def _bar() -> Iterator[Progress]:
    from rich import progress  # noqa: PLC0415 - only where it is seen
    from rich.console import Console  # noqa: PLC0415

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.TaskProgressColumn(),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)

        def tell(table: str, done: int, total: int) -> None:
            word = "Copying" if done * 2 <= total else "Comparing"
            bar.update(task, description=f"{word} {table}", completed=done, total=total)

        yield tell

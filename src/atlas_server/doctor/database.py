"""The database, and whether all that it names is there."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from atlas_server.archive.bundles import Bundles
from atlas_server.archive.copies import damaged
from atlas_server.config import ServerConfig
from atlas_server.database_url import nameable
from atlas_server.doctor.findings import FAILURE, NOTE, OK, WARNING, Finding, Look
from atlas_server.services.archives import Archives
from atlas_server.store.engine import SCHEMA_VERSION, Store
from atlas_server.store.examination import Examined, examine
from foundations.blobs import BlobDir

_SKEW = 5.0


class DatabaseChecks:
    """Looks at the database once, and changes nothing in it; `deep`: reads all of everything."""

    def __init__(self, config: ServerConfig, deep: bool) -> None:
        self._config = config
        self._deep = deep
        self._found: Examined | None = None

    def checks(self) -> Iterator[tuple[str, Look]]:
        """Yield what is looked at."""
        config = self._config
        if config.database_url is None and not config.database.exists():
            yield "Database", lambda: Finding(NOTE, "none yet: the first start makes it")
            return
        yield "Database", self._database
        yield "Clock", self._clock
        yield "Content", self._content

    def _database(self) -> Finding:
        config = self._config
        name = nameable(config.database_url) if config.database_url else config.database.name
        found = examine(config.database_url or config.database, self._deep)
        self._found = found
        if found.damage:
            return Finding(
                FAILURE,
                f"{name} is damaged: {found.damage}",
                "Stop the server, keep the file, and restore a backup: atlas-server restore",
            )
        text = f"{name}, schema {found.schema or 'none yet'}, {found.kind}"
        if found.schema is not None and found.schema > SCHEMA_VERSION:
            return Finding(
                FAILURE,
                f"{text}: made by a newer Atlas",
                "Install that version again, or a newer one.",
            )
        if found.schema != SCHEMA_VERSION:
            return Finding(OK, f"{text}; the next start brings it to {SCHEMA_VERSION}")
        return Finding(OK, f"{text}, sound" if found.checked else text)

    def _clock(self) -> Finding:
        if self._found is None:
            return Finding(NOTE, "the database does not say")
        ahead = self._found.ahead
        hint = "Let both keep time (chrony, systemd-timesyncd): leases and times depend on it."
        if self._found.is_remote:
            text = f"{abs(ahead):.1f} s {'behind' if ahead > 0 else 'ahead of'} the database's"
            return Finding(WARNING if abs(ahead) > _SKEW else OK, text, hint * (abs(ahead) > _SKEW))
        if ahead > _SKEW:
            return Finding(
                WARNING, f"it was set back: what was last done is {ahead:.0f} s ahead", hint
            )
        return Finding(OK, time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime()))

    def _content(self) -> Finding:
        found, config = self._found, self._config
        if found is None or found.damage or found.schema != SCHEMA_VERSION:
            return Finding(NOTE, "looked at once the database is of this version")
        blobs = BlobDir(str(config.blobs))
        with contextlib.closing(Store(config.database_url or config.database)) as store:
            named = sorted(Archives(store, Bundles(blobs), {}).named())
        hint = (
            "Jobs that need it cannot be run again. A backup may have it: copy its file to the same"
            f" place below {config.blobs}."
        )
        lost = blobs.missing(named)
        if lost:
            return Finding(
                FAILURE, f"{len(lost)} of {len(named)} pieces are missing: {lost[0]}", hint
            )
        if not self._deep:
            return Finding(OK, f"all {len(named)} pieces are there (--deep reads them)")
        wrong = damaged(blobs, named, lambda _: None)
        if wrong:
            return Finding(
                FAILURE, f"{len(wrong)} of {len(named)} pieces are damaged: {wrong[0]}", hint
            )
        return Finding(OK, f"all {len(named)} pieces are what they were stored as")

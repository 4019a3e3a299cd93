"""Joins what clears a home away, for its server and for `atlas-server gc`."""

from __future__ import annotations

from dataclasses import dataclass

from atlas_server.archive.bundles import Bundles
from atlas_server.archive.directories import DirectoryArchive
from atlas_server.archive.logs import LogArchive
from atlas_server.archive.samples import SampleArchive
from atlas_server.config import ServerConfig
from atlas_server.domain.ports import Clock
from atlas_server.domain.retention import DIRECTORIES, LOG, MEASUREMENTS, read_retention
from atlas_server.executors.arrivals import unknown_code
from atlas_server.executors.environments import sweep_environments
from atlas_server.services.archives import Archives, JobFiles
from atlas_server.services.clearing import Clearing
from atlas_server.services.feed import Feed
from atlas_server.services.removal import Removal
from atlas_server.services.retention import RetentionRules
from atlas_server.store.engine import Store
from foundations.blobs import BlobDir


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of jobs below a home, besides its database."""

    logs: LogArchive
    synced: DirectoryArchive
    samples: SampleArchive
    bundles: Bundles

    @classmethod
    def of(cls, config: ServerConfig) -> Kept:
        """What a home keeps."""
        return cls(
            LogArchive(config.logs),
            DirectoryArchive(config.archive),
            SampleArchive(config.samples),
            Bundles(BlobDir(str(config.blobs))),
        )

    @property
    def files(self) -> dict[str, JobFiles]:
        """What goes with its job, by what rules of retention call it."""
        return {LOG: self.logs, DIRECTORIES: self.synced, MEASUREMENTS: self.samples}


def make_archives(config: ServerConfig, store: Store, kept: Kept) -> Archives:
    """Return the use cases over what is kept."""
    archives = Archives(store, kept.bundles, kept.files)
    archives.unknown_code = lambda: unknown_code(config.home)
    return archives


def make_clearing(
    config: ServerConfig, store: Store, kept: Kept, archives: Archives, feed: Feed, clock: Clock
) -> Clearing:
    """Return what clears the home away. Raises ConfigError."""
    settings = read_retention(config.retention)
    removal = Removal(store, feed, archives, clock)
    rules = RetentionRules(store, archives, kept.bundles, removal, kept.files, clock, settings)
    home = config.home
    return Clearing(
        store,
        archives,
        rules,
        settings,
        home,
        lambda unused_since, dry: sweep_environments(home, unused_since, dry=dry),
        clock,
    )

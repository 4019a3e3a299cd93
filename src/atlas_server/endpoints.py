"""Joins every endpoint with the use cases that it works with."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter

from atlas_server.api import (
    bulk,
    bundles,
    claims,
    curves,
    exports,
    incoming,
    live,
    pilots,
    results,
    retention,
)  # fmt: skip
from atlas_server.api.directories import DirectoryRoutes
from atlas_server.api.files import FileRoutes
from atlas_server.api.jobs import JobRoutes
from atlas_server.api.limits import LimitRoutes
from atlas_server.api.logs import LogRoutes
from atlas_server.api.projects import ProjectRoutes
from atlas_server.api.searches import SearchRoutes
from atlas_server.api.specs import read_spec
from atlas_server.api.system import Identity, SystemRoutes
from atlas_server.api.tables import TableRoutes
from atlas_server.archive.bundles import Bundles
from atlas_server.archive.directories import DirectoryArchive
from atlas_server.archive.log_lines import LogLines
from atlas_server.archive.logs import LogArchive
from atlas_server.archive.samples import SampleArchive
from atlas_server.domain.ports import Clock
from atlas_server.domain.retention import Retention
from atlas_server.scheduler.loop import Scheduler
from atlas_server.services.access import Access
from atlas_server.services.archives import Archives
from atlas_server.services.batches import Batches
from atlas_server.services.bulk import Bulk
from atlas_server.services.changes import Changes
from atlas_server.services.claims import Claims
from atlas_server.services.completions import Completions
from atlas_server.services.content import Content
from atlas_server.services.curves import CurveReads
from atlas_server.services.directories import Directories
from atlas_server.services.drains import Drains
from atlas_server.services.edits import Edits
from atlas_server.services.executed import ExecutedJobs
from atlas_server.services.exports import Exports
from atlas_server.services.feed import Feed
from atlas_server.services.files import Files
from atlas_server.services.jobs import Jobs
from atlas_server.services.limits import LimitBook
from atlas_server.services.listings import Listings
from atlas_server.services.logs import Logs
from atlas_server.services.pilots import PilotsHeard
from atlas_server.services.projects import Projects
from atlas_server.services.queries import Queries
from atlas_server.services.removal import Removal
from atlas_server.services.results import Results
from atlas_server.services.retention_book import RetentionBook
from atlas_server.services.runners import Runners
from atlas_server.services.search_views import SearchViews
from atlas_server.services.searches import Searches
from atlas_server.services.views import Views
from atlas_server.store.engine import Store


@dataclass(frozen=True, slots=True)
class Parts:
    """What a server is made of, as far as those who ask it have to do with it."""

    identity: Identity
    store: Store
    feed: Feed
    clock: Clock
    logs: LogArchive
    bundles: Bundles
    synced: DirectoryArchive
    samples: SampleArchive
    jobs: Jobs
    executed: ExecutedJobs
    runners: Runners
    claims: Claims
    archives: Archives
    views: Views
    scheduler: Scheduler
    limits: LimitBook
    retention: Retention
    drains: Drains
    searches: Searches
    access: Access
    pilots: PilotsHeard


def routers(parts: Parts) -> list[APIRouter]:
    """Return every endpoint."""
    store, feed, clock, views = parts.store, parts.feed, parts.clock, parts.views
    queries, jobs = Queries(clock), parts.jobs
    content, files = Content(parts.bundles, parts.logs), Files(store, parts.bundles)
    listings, edits = Listings(store, queries, clock), Edits(store, feed, clock, jobs.limits)
    removal = Removal(store, feed, parts.archives, clock)
    batches = Batches(store, feed, parts.bundles, clock, jobs)
    job_routes = JobRoutes(
        jobs, batches, parts.executed, views, listings, parts.archives, edits, removal,
        parts.scheduler, parts.access,
    )  # fmt: skip
    system_routes = SystemRoutes(
        parts.identity, jobs, edits, views, parts.runners, parts.scheduler, parts.access,
        parts.drains,
    )  # fmt: skip
    claiming = claims.routes(parts.claims, parts.identity.instance)
    directories = Directories(store, parts.synced, parts.samples)
    return [
        job_routes.router(),
        LogRoutes(views, content, Logs(LogLines(parts.logs)), feed).router(),
        FileRoutes(views, parts.archives, content, files).router(),
        ProjectRoutes(Projects(store, feed, clock, parts.limits), removal).router(),
        TableRoutes(listings, Completions(store, queries)).router(),
        bulk.routes(Bulk(store, queries, jobs, edits, removal, read_spec, parts.access)),
        curves.routes(CurveReads(store)),
        live.routes(feed, Changes(store), parts.identity.instance),
        system_routes.router(),
        claiming,
        pilots.routes(parts.pilots),
        bundles.routes(content),
        LimitRoutes(parts.limits, parts.scheduler).router(),
        retention.routes(RetentionBook(store, parts.retention)),
        incoming.routes(content),
        results.routes(Results(store, queries), parts.access),
        exports.routes(Exports(store, queries)),
        SearchRoutes(parts.searches, SearchViews(store, clock), feed, parts.access).router(),
        DirectoryRoutes(directories, views, parts.identity.instance).router(),
    ]

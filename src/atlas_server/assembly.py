"""Makes every object of a server and joins them."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fastapi import APIRouter, FastAPI

from atlas_server.api import observing
from atlas_server.api.accounts import AccountRoutes
from atlas_server.api.app import create_app
from atlas_server.api.gate import Gate
from atlas_server.api.specs import read_spec
from atlas_server.api.system import Identity
from atlas_server.api.tensorboards import TensorBoardRoutes
from atlas_server.archive.directories import DirectoryArchive
from atlas_server.clock import SystemClock
from atlas_server.config import ServerConfig, engine_sockets
from atlas_server.domain.placement import Policy
from atlas_server.domain.ports import Nearby
from atlas_server.domain.resources import Node
from atlas_server.domain.retention import read_retention
from atlas_server.endpoints import Parts, routers
from atlas_server.executors.arrivals import Arrivals
from atlas_server.executors.containers import ContainerHost
from atlas_server.executors.registry import clusters_of, make_fleet
from atlas_server.kept import kept
from atlas_server.observation import observe
from atlas_server.samplers.registry import make_study
from atlas_server.scheduler.launch import Launcher
from atlas_server.scheduler.loop import Scheduler
from atlas_server.scheduler.reconcile import Reconciler
from atlas_server.scheduler.searches import Searches as SearchThread
from atlas_server.scheduler.shares import Shares
from atlas_server.services.access import Access
from atlas_server.services.accounts import Accounts, check_somebody
from atlas_server.services.assignments import RunnerSettings
from atlas_server.services.audit import AuditLog
from atlas_server.services.claims import Claims
from atlas_server.services.drains import Drains, OpenMachines
from atlas_server.services.executed import ExecutedJobs, Terms
from atlas_server.services.feed import Feed
from atlas_server.services.health import Health
from atlas_server.services.housekeeping import Housekeeping
from atlas_server.services.identification import Identification
from atlas_server.services.jobs import Jobs
from atlas_server.services.leadership import Alone, Elected, Leadership, Machines
from atlas_server.services.leases import Leases
from atlas_server.services.limits import LimitBook, configured
from atlas_server.services.meters import Meters
from atlas_server.services.permissions import Permissions
from atlas_server.services.pilots import PilotsHeard
from atlas_server.services.places import Places
from atlas_server.services.runners import Runners
from atlas_server.services.searches import Searches
from atlas_server.services.snapshots import Snapshots
from atlas_server.services.tensorboard_program import tensorboard_command
from atlas_server.services.tensorboards import TensorBoards
from atlas_server.services.tokens import Tokens
from atlas_server.services.trials import Trials
from atlas_server.services.views import Views
from atlas_server.services.whereabouts import Whereabouts
from atlas_server.services.workers import Workers
from atlas_server.store.engine import Store
from atlas_server.upkeep import Kept, make_archives, make_clearing


@dataclass
class Surroundings:
    """What a server is told besides its configuration.

    `url` gives the API's address once it is known, `ports` those that are listened on; `umask` is
    the one that jobs get.
    """

    config: ServerConfig
    url: Callable[[], str]
    umask: int
    ports: Callable[[], list[int]] = list


class Assembly:
    """A server's objects. `start` sets its threads to work, `closers` end them, last one first."""

    def __init__(self, around: Surroundings) -> None:
        self.config = around.config
        self.closers: list[Callable[[], None]] = []
        self._around = around
        self._clock, self._feed, self._meters = SystemClock(), Feed(), Meters()
        self._instance = kept(self.config.database.parent / "instance", self._clock.new_id)
        self._make_stores()
        self._make_gate()
        self._fleet = (
            make_fleet(self.config, around.umask, self._instance, self._identification.own_token)
            if self.config.schedules
            else None
        )
        self._leadership, machines, guarded = self._make_leadership()
        self._drains = Drains(self._store, self._feed, self._clock)
        self._machines = OpenMachines(machines, self._drains)
        self._make_scheduler(guarded)
        self._make_searches(guarded)
        self.app = self._make_app()

    @property
    def nodes(self) -> Callable[[], Sequence[Node]]:
        """What jobs can run on."""
        return (self._fleet or self._machines).nodes

    def start(self) -> None:
        """Set every thread to work."""
        self.closers.append(self._store.close)
        if self.config.database_url is not None:
            # Late: most servers are one process and need no driver.
            from atlas_server.services.relay import Relay  # noqa: PLC0415

            relay = Relay(self.config.database_url, self._clock.new_id(), self._feed)
            relay.start()
            self.closers.append(relay.close)
        if self._fleet is not None:
            nearby = Nearby(self._scheduler.runner_ended, self._scheduler.wake)
            self._fleet.prepare(nearby)
            self.closers.append(self._fleet.close)
        self._scheduler.start()
        self._search_thread.start()

        def leadership_changed() -> None:
            self._scheduler.wake()
            self._search_thread.wake()

        self._leadership.start(leadership_changed)
        self._housekeeping.start()
        self._audit.start()
        self.closers += [self._audit.close, self._leadership.close, self._scheduler.close]
        self.closers += [self._search_thread.close, self._housekeeping.close]
        if self._fleet is not None:
            self._arrivals.start()
            self.closers.append(self._arrivals.close)
        self.closers.append(self._boards.close)

    def _make_stores(self) -> None:
        config = self.config
        self._store = open_store(config)
        self._kept = kept = Kept.of(config)
        self._logs, self._bundles = kept.logs, kept.bundles
        self._views = Views(self._store, self._logs)
        self._archives = make_archives(config, self._store, kept)
        clearing = (self._archives, self._feed, self._clock)
        self._housekeeping = Housekeeping(
            self._store,
            self._archives,
            make_clearing(config, self._store, kept, *clearing),
            self._remove_orphans,
            self._leads,
        )

    def _leads(self) -> bool:
        return self._leadership.leads

    def _remove_orphans(self, is_left_over: Callable[[str, int], bool]) -> int | None:
        return self._containers.remove_orphans(is_left_over)

    def _make_gate(self) -> None:
        config, store, clock = self.config, self._store, self._clock
        own = kept(config.database.parent / "key", clock.new_token)
        enabled = bool(config.authentication)
        self._identification = Identification(store, clock, own, enabled=enabled)
        self._audit = AuditLog(store)
        cookie = f"atlas_session_{self._instance[:8]}"
        access = Access(self._views)
        self._gate = Gate(self._identification, access, self._audit, clock, cookie)
        self._accounts = Accounts(store, clock, self._identification.forget)

    def _make_leadership(self) -> tuple[Leadership, Machines, Store]:
        """Whether this process schedules, what jobs can be placed on, and the scheduler's store."""
        if self.config.database_url is None:
            assert self._fleet is not None
            return Alone(), self._fleet, self._store
        elected = Elected(
            self._store,
            self._clock,
            holder=f"{socket.gethostname()}:{self.config.name}:{os.getpid()}",
            seconds=self.config.takeover,
            machines=self._fleet,
            machine=self._fleet.local.nodes()[0].name if self._fleet is not None else "",
        )
        return elected, elected, self._store.guarded(elected.check)

    def _make_scheduler(self, guarded: Store) -> None:
        config, store, clock, fleet = self.config, self._store, self._clock, self._fleet
        self._containers = ContainerHost(self._instance, config.run_dir)
        workers, nodes = _workers(config, self._containers), self._machines.nodes
        offered = fleet.offered if fleet is not None else {}
        own = self._identification.own_token
        clusters = {} if offered else clusters_of(config, self._around.umask, self._instance, own)
        places = Places(nodes, offered, clusters)
        rules = configured(config.limits)
        limits = LimitBook(
            store, self._feed, self._bundles, clock, rules, self._kept.files.values()
        )
        feed = self._feed
        parts = (feed, self._bundles, clock, nodes, workers, limits, places)
        self._jobs, own_jobs = Jobs(store, *parts), Jobs(guarded, *parts)
        settings = _runner_settings(self._around, self._instance, self._identification.own_token)
        self._claims = Claims(store, settings)
        launcher = Launcher(own_jobs, settings, self._drains.by_node)
        self._leases = leases = Leases(guarded, clock, config.lease)
        whereabouts = Whereabouts(guarded, feed, clock, nodes)
        self._scheduler = Scheduler(
            Snapshots(store),
            feed,
            fleet.executors if fleet is not None else {},
            launcher,
            Reconciler(own_jobs, leases, whereabouts, launcher, config.grace),
            clock,
            Policy(patience=config.patience),
            Shares(limits.rules, config.fair_half_life),
            self._meters,
            self._leadership,
            self._machines,
        )

        def take_in(folder: str) -> str:
            assert fleet is not None
            return launcher.take_in(folder, fleet.local)

        self._arrivals = Arrivals(config.home, take_in, self._leads)

    def _make_searches(self, guarded: Store) -> None:
        store, feed, bundles, clock = self._store, self._feed, self._bundles, self._clock
        trials = Trials(guarded, feed, bundles, self._jobs, clock, read_spec)
        self._search_thread = SearchThread(
            trials, feed, make_study, clock, self._machines.nodes, self._leads
        )
        wake = self._search_thread.wake
        self._searches = Searches(store, feed, bundles, self._jobs, clock, make_study, wake)

    def _make_app(self) -> FastAPI:
        config, store, feed, clock = self.config, self._store, self._feed, self._clock
        jobs, bundles, instance = self._jobs, self._bundles, self._instance
        fleet = self._fleet
        terms = Terms(instance, config.heartbeat, config.grace, config.lease)
        parts = Parts(
            identity=Identity(str(config.home), instance, clock.now()),
            store=store,
            feed=feed,
            clock=clock,
            logs=self._logs,
            bundles=bundles,
            synced=self._kept.synced,
            samples=self._kept.samples,
            jobs=jobs,
            executed=ExecutedJobs(store, feed, bundles, jobs, clock, terms),
            runners=Runners(store, feed, self._logs, self._kept.samples, jobs, clock, config.lease),
            claims=self._claims,
            archives=self._archives,
            views=self._views,
            scheduler=self._scheduler,
            limits=self._jobs.limits,
            retention=read_retention(config.retention),
            drains=self._drains,
            searches=self._searches,
            access=self._gate.access,
            pilots=PilotsHeard(fleet.pilots if fleet else {}, self._leads, instance),
        )
        self._boards = _tensorboards(config, self._kept.synced)
        board_routes = TensorBoardRoutes(self._boards, self._views)
        tokens = Tokens(store, clock, config.session_lifetime, self._identification.forget)
        account_routes = AccountRoutes(
            self._accounts, tokens, self._audit, self._gate, self._around.ports
        )
        return create_app(
            *routers(parts),
            board_routes.router(),
            account_routes.router(),
            beside=(board_routes.pages(), self._observing()),
            gate=self._gate,
            config=config,
            answered=self._meters.answered,
        )

    def _observing(self) -> APIRouter:
        health = Health(self._store, self.config.home, self._scheduler)
        parts = (self._scheduler, self._views, health, self._housekeeping, self._leases)
        observe(self._meters, *parts)
        return observing.routes(health, self._meters)


def check_people(config: ServerConfig) -> None:
    """Raise Refused where a server would ask who is there, and nobody could answer."""
    if config.authentication:
        store = open_store(config)
        try:
            check_somebody(Accounts(store, SystemClock()), config.host)
        finally:
            store.close()


def open_store(config: ServerConfig) -> Store:
    """Return the database of a home, brought up to date."""
    return Store(config.database_url or config.database)


def _tensorboards(config: ServerConfig, archive: DirectoryArchive) -> TensorBoards:
    return TensorBoards(
        archive,
        config.run_dir / "tensorboard",
        lambda: tensorboard_command(config.home / "cache"),
        config.tensorboard_idle,
    )


def _workers(config: ServerConfig, containers: ContainerHost) -> Workers:
    permissions = Permissions(
        config.allow_volumes or (),
        config.allow_networks or (),
        config.allow_privileges or (),
        engine_sockets(),
    )
    return Workers(
        config.default_image,
        permissions,
        lambda spec: containers.problem(gpus=spec.resources.gpus),
    )


def _runner_settings(around: Surroundings, instance: str, own_token: str) -> RunnerSettings:
    config = around.config
    return RunnerSettings(
        server=around.url,
        instance=instance,
        home=str(config.home),
        blobs=str(config.blobs),
        interpreter=config.python,
        heartbeat=config.heartbeat,
        grace=config.grace,
        lease=config.lease,
        own_token=own_token,
    )

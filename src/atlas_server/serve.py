"""Builds every object of a server, joins them, and serves until told to stop."""

from __future__ import annotations

import errno
import gc
import json
import logging
import os
import secrets
import shutil
import socket
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn
from fastapi import FastAPI

import foundations
import foundations_contrib
from atlas_server.api import bundles as bundle_routes
from atlas_server.api.app import create_app
from atlas_server.api.directories import DirectoryRoutes
from atlas_server.api.jobs import JobRoutes
from atlas_server.api.system import Identity, SystemRoutes
from atlas_server.archive.bundles import Bundles
from atlas_server.archive.directories import DirectoryArchive
from atlas_server.archive.logs import LogArchive
from atlas_server.archive.samples import SampleArchive
from atlas_server.config import ServerConfig, engine_sockets, environment
from atlas_server.domain.placement import Policy
from atlas_server.domain.resources import Node
from atlas_server.domain.shortage import inventory
from atlas_server.executors.arrivals import Arrivals
from atlas_server.executors.containers import ContainerHost
from atlas_server.executors.inventory import DeclaredInventory
from atlas_server.executors.local import LocalExecutor
from atlas_server.scheduler.launch import Launcher, RunnerSettings
from atlas_server.scheduler.loop import Scheduler
from atlas_server.scheduler.reconcile import Reconciler
from atlas_server.services.archives import Archives
from atlas_server.services.batches import Batches
from atlas_server.services.content import Content
from atlas_server.services.directories import Directories
from atlas_server.services.executed import ExecutedJobs, Terms
from atlas_server.services.feed import Feed
from atlas_server.services.housekeeping import Housekeeping
from atlas_server.services.jobs import Jobs
from atlas_server.services.leases import Leases
from atlas_server.services.permissions import Permissions
from atlas_server.services.runners import Runners
from atlas_server.services.snapshots import Snapshots
from atlas_server.services.views import Views
from atlas_server.services.workers import Workers
from atlas_server.store.engine import Store
from foundations._version import __version__
from foundations.blobs import BlobDir
from foundations.errors import FoundationsError

log = logging.getLogger(__name__)

# Threads hold the interpreter at most this long while another waits: requests, the scheduler and
# the event loop hand a job to each other, and the default of 5 ms would show in every step.
_SWITCH_INTERVAL = 0.0005


class SystemClock:
    """Real time and chance."""

    def now(self) -> float:
        """Return seconds since the epoch."""
        return time.time()

    def new_id(self) -> str:
        """Return a job ID."""
        return str(uuid.uuid4())  # noqa: TID251 - the one place

    def new_token(self) -> str:
        """Return a secret for one attempt."""
        return secrets.token_urlsafe(24)


@dataclass
class Server:
    """Everything that has to be ended again, and the addresses served."""

    config: ServerConfig
    sockets: list[socket.socket]
    umask: int
    nodes: Callable[[], Sequence[Node]] = tuple
    closers: list[Callable[[], None]] = field(default_factory=list)

    @property
    def url(self) -> str:
        """The API's address for clients on this machine."""
        return _url(self.sockets[0])

    @property
    def gui_url(self) -> str:
        """The GUI's address."""
        return _url(self.sockets[-1])


def serve(config: ServerConfig, ready: Callable[[Server], None], umask: int) -> None:
    """Serve until SIGTERM or SIGINT; calls `ready` once requests are answered.

    `umask` is the one that jobs get. Raises FoundationsError when a port is taken or the database
    cannot be opened.
    """
    sys.setswitchinterval(_SWITCH_INTERVAL)
    server = Server(config, _listen(config), umask)
    try:
        _prepare_home(config)
        web = _WebServer(_build(server), lambda: _announce(server, ready))
        web.run(server.sockets)
    finally:
        config.state_file.unlink(missing_ok=True)
        for close in reversed(server.closers):
            close()
        for listening in server.sockets:
            listening.close()


class _WebServer:
    """uvicorn, with a word when it is up."""

    def __init__(self, app: FastAPI, started: Callable[[], None]) -> None:
        settings = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_keep_alive=75,
            # Streams to watchers never end by themselves.
            timeout_graceful_shutdown=1,
            http="httptools",
        )
        self._server = uvicorn.Server(settings)
        self._started = started

    def run(self, sockets: list[socket.socket]) -> None:
        startup = self._server.startup

        async def startup_and_tell(sockets: list[socket.socket] | None = None) -> None:
            await startup(sockets)
            self._started()

        self._server.startup = startup_and_tell
        self._server.run(sockets)


def _build(server: Server) -> FastAPI:
    config, clock, feed = server.config, SystemClock(), Feed()
    instance = _instance(config.database.parent / "instance", clock)
    store = Store(config.database)
    logs, bundles = LogArchive(config.logs), Bundles(BlobDir(str(config.blobs)))
    synced, samples = DirectoryArchive(config.archive), SampleArchive(config.samples)
    views, archives = Views(store, logs), Archives(store, bundles, (logs, synced, samples))
    declared = DeclaredInventory(
        config.cpus, config.memory, config.gpus, config.visible_gpus, config.gpu_check
    )
    executor = LocalExecutor(declared, environment(config, ATLAS_UMASK=f"{server.umask:03o}"))
    containers = ContainerHost(instance, config.run_dir)
    server.nodes = executor.nodes
    jobs = Jobs(store, feed, bundles, clock, executor.nodes, _workers(config, containers))
    launcher = Launcher(jobs, _runner_settings(server, instance))
    scheduler = Scheduler(
        Snapshots(store),
        feed,
        {executor.name: executor},
        launcher,
        Reconciler(jobs, Leases(store, clock, config.lease), launcher, config.grace),
        clock,
        Policy(patience=config.patience),
    )
    runners = Runners(store, feed, logs, samples, jobs, clock, config.lease)
    content = Content(bundles, logs)
    batches = Batches(store, feed, bundles, clock, jobs)
    executed = ExecutedJobs(store, feed, bundles, jobs, clock, _terms(config, instance))
    arrivals = Arrivals(config.home, lambda folder: launcher.take_in(folder, executor))
    archives.also_in_use = arrivals.bundles
    identity = Identity(str(config.home), instance, clock.now())
    app = create_app(
        JobRoutes(jobs, batches, executed, views, archives, content, feed, scheduler).router(),
        SystemRoutes(identity, jobs, views, runners, scheduler).router(),
        bundle_routes.routes(content),
        DirectoryRoutes(Directories(store, synced, samples), views, instance).router(),
    )
    housekeeping = Housekeeping(store, archives, config.home / "work", containers.remove_orphans)
    executor.prepare(scheduler.runner_ended, scheduler.nodes_changed)
    scheduler.start()
    housekeeping.start()
    arrivals.start()
    server.closers += [store.close, executor.close, scheduler.close, housekeeping.close]
    server.closers.append(arrivals.close)
    return app


def _terms(config: ServerConfig, instance: str) -> Terms:
    return Terms(instance, config.heartbeat, config.grace, config.lease)


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


def _runner_settings(server: Server, instance: str) -> RunnerSettings:
    config = server.config
    return RunnerSettings(
        server=lambda: server.url,
        instance=instance,
        home=str(config.home),
        blobs=str(config.blobs),
        interpreter=config.python,
        heartbeat=config.heartbeat,
        grace=config.grace,
        lease=config.lease,
    )


def _announce(server: Server, ready: Callable[[Server], None]) -> None:
    # What was loaded stays: the collector need not look at it again.
    gc.collect()
    gc.freeze()
    (machine,) = server.nodes()
    facts = {
        "url": server.url,
        "gui_url": server.gui_url,
        "pid": os.getpid(),
        "version": __version__,
        "resources": inventory(machine),
        "gpus": sum(gpu.problem is None for gpu in machine.gpus),
        "gpu_trouble": machine.gpu_trouble,
    }
    partial = server.config.state_file.with_suffix(".partial")
    partial.write_text(json.dumps(facts))
    partial.replace(server.config.state_file)
    ready(server)


def _prepare_home(config: ServerConfig) -> None:
    for folder in (config.run_dir, config.home / "work", config.logs, config.blobs):
        folder.mkdir(parents=True, exist_ok=True)
    _link_sdk(config.run_dir)


def _instance(path: Path, clock: SystemClock) -> str:
    """The identity of the server that this home is, made when it first starts."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        partial = path.with_suffix(".partial")
        partial.write_text(clock.new_id())
        partial.replace(path)
    return path.read_text()


def _link_sdk(run_dir: Path) -> None:
    """Put the SDK, and the YAML reader it may need, where any interpreter can import them.

    Links to this installation's own packages: jobs see these and nothing else of it.
    """
    import yaml  # noqa: PLC0415 - only to know where it is

    for folder, packages in (("sdk", (foundations, foundations_contrib)), ("sdk-vendor", (yaml,))):
        place = run_dir / folder
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        for package in packages:
            assert package.__file__ is not None
            (place / package.__name__).symlink_to(Path(package.__file__).parent)


def _listen(config: ServerConfig) -> list[socket.socket]:
    ports = [("port", config.port)]
    if config.gui_port != config.port or config.port == 0:
        ports.append(("gui_port", config.gui_port))
    sockets: list[socket.socket] = []
    try:
        for name, port in ports:
            sockets.append(_bind(config.host, port, name))
    except FoundationsError:
        for listening in sockets:
            listening.close()
        raise
    return sockets


def _bind(host: str, port: int, setting: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, asyncio sends small answers at once (TCP_NODELAY); without, the
    # second part of an answer waits 40 ms for the client's acknowledgement of the first.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        if error.errno != errno.EADDRINUSE:
            raise FoundationsError(f"Port {port} cannot be used: {error.strerror}.") from error
        flag = "--" + setting.replace("_", "-")
        raise FoundationsError(
            f"Port {port} is taken by {_owner_of(port)}.",
            f"Stop that, or choose another port: atlas-server start {flag} PORT",
        ) from error
    listening.listen(512)
    return listening


def _owner_of(port: int) -> str:
    import psutil  # noqa: PLC0415 - only when something is wrong

    try:
        for connection in psutil.net_connections("tcp"):
            if connection.laddr and connection.laddr.port == port and connection.status == "LISTEN":
                process = psutil.Process(connection.pid)
                return f"'{process.name()}' (process {connection.pid})"
    except (psutil.Error, OSError):
        return "another process"
    return "another process, of another user"


def _url(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

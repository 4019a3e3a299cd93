"""Listens, and serves until told to stop."""

from __future__ import annotations

import gc
import json
import logging
import os
import shutil
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn
from fastapi import FastAPI

import foundations
import foundations_contrib
from atlas_server.assembly import Assembly, Surroundings, check_people
from atlas_server.config import ServerConfig
from atlas_server.domain.resources import Node
from atlas_server.domain.shortage import inventories
from atlas_server.listening import JOB_SOCKET, listen, listen_for_jobs, url_of
from foundations._version import __version__

log = logging.getLogger(__name__)

# Threads hold the interpreter at most this long while another waits: requests, the scheduler and
# the event loop hand a job to each other, and the default of 5 ms would show in every step.
_SWITCH_INTERVAL = 0.0005


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
        return url_of(self.sockets[0])

    @property
    def ports(self) -> list[int]:
        """The ports that are listened on."""
        return [listening.getsockname()[1] for listening in self.sockets]

    @property
    def gui_url(self) -> str:
        """The GUI's address."""
        return url_of(self.sockets[-1])


def serve(config: ServerConfig, ready: Callable[[Server], None], umask: int) -> None:
    """Serve until SIGTERM or SIGINT; calls `ready` once requests are answered.

    `umask` is the one that jobs get. Raises FoundationsError when a port is taken or the database
    cannot be opened, or where it would ask who is there and has no users.
    """
    sys.setswitchinterval(_SWITCH_INTERVAL)
    check_people(config)
    server = Server(config, listen(config), umask)
    try:
        _prepare_home(config)
        around = Surroundings(config, lambda: server.url, umask, lambda: server.ports)
        assembly = Assembly(around)
        server.nodes = assembly.nodes
        assembly.start()
        server.closers += assembly.closers
        web = _WebServer(assembly.app, lambda: _announce(server, ready))
        jobs_socket = listen_for_jobs(config)
        server.closers.append(jobs_socket.close)
        web.run([*server.sockets, jobs_socket])
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


def _announce(server: Server, ready: Callable[[Server], None]) -> None:
    # What was loaded stays: the collector need not look at it again.
    gc.collect()
    gc.freeze()
    nodes = server.nodes()
    machine = next((node for node in nodes if node.executor == "local"), None)
    facts = {
        "url": server.url,
        "gui_url": server.gui_url,
        "jobs_url": f"unix://{server.config.run_dir / JOB_SOCKET}",
        "authentication": server.config.authentication,
        "pid": os.getpid(),
        "version": __version__,
        "resources": inventories(nodes),
        "gpus": sum(gpu.problem is None for node in nodes for gpu in node.gpus),
        "gpu_trouble": machine.gpu_trouble if machine is not None else None,
    }
    partial = server.config.state_file.with_suffix(".partial")
    partial.write_text(json.dumps(facts))
    partial.replace(server.config.state_file)
    ready(server)


def _prepare_home(config: ServerConfig) -> None:
    for folder in (config.run_dir, config.home / "work", config.logs, config.blobs):
        folder.mkdir(parents=True, exist_ok=True)
    _link_sdk(config.run_dir)


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

"""Listens, and serves until told to stop."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import shutil
import socket
import ssl
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI

import foundations
import foundations_contrib
from atlas_server.assembly import Assembly, Surroundings, check_people
from atlas_server.config import ServerConfig
from atlas_server.domain.resources import Node
from atlas_server.domain.shortage import inventory
from atlas_server.listening import (
    JOB_SOCKET,
    Listening,
    listen,
    listen_for_jobs,
    listen_for_own,
    secure,
)
from foundations._version import __version__

log = logging.getLogger(__name__)

# Threads hold the interpreter at most this long while another waits: requests, the scheduler and
# the event loop hand a job to each other, and the default of 5 ms would show in every step.
_SWITCH_INTERVAL = 0.0005


@dataclass
class Server:
    """Everything that has to be ended again, and the addresses served."""

    config: ServerConfig
    listening: list[Listening]
    own: Listening
    umask: int
    nodes: Callable[[], Sequence[Node]] = tuple
    closers: list[Callable[[], None]] = field(default_factory=list)

    @property
    def url(self) -> str:
        """The API's address for this machine's own commands and runners."""
        return self.own.url

    @property
    def public_url(self) -> str:
        """The API's address for others."""
        return self.listening[0].url

    @property
    def ports(self) -> list[int]:
        """The ports that are listened on."""
        return [each.port for each in self.listening if each.port is not None]

    @property
    def gui_url(self) -> str:
        """The GUI's address."""
        return self.listening[-1].url


def serve(config: ServerConfig, ready: Callable[[Server], None], umask: int) -> None:
    """Serve until SIGTERM or SIGINT; calls `ready` once requests are answered.

    `umask` is the one that jobs get. Raises FoundationsError when a port is taken or the database
    cannot be opened, or where it would ask who is there and has no users.
    """
    sys.setswitchinterval(_SWITCH_INTERVAL)
    check_people(config)
    context = secure(config)
    listening = listen(config)
    # A certificate is for the name that others know the server by.
    own = listen_for_own(config) if context else listening[0]
    server = Server(config, listening, own, umask)
    try:
        _prepare_home(config)
        around = Surroundings(config, lambda: server.url, umask, lambda: server.ports)
        assembly = Assembly(around)
        server.nodes = assembly.nodes
        assembly.start()
        server.closers += assembly.closers
        web = _WebServer(assembly.app, context, lambda: _announce(server, ready))
        jobs = listen_for_jobs(config)
        server.closers.append(jobs.close)
        web.run([own, *(each for each in listening if each is not own), jobs])
    finally:
        config.state_file.unlink(missing_ok=True)
        for close in reversed(server.closers):
            close()
        for each in (own, *listening):
            each.close()


class _WebServer:
    """uvicorn, with a word when it is up."""

    def __init__(
        self, app: FastAPI, context: ssl.SSLContext | None, started: Callable[[], None]
    ) -> None:
        settings = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            # What proxies say of requests is for the application to believe or not.
            proxy_headers=False,
            lifespan="off",
            timeout_keep_alive=75,
            # Streams to watchers never end by themselves.
            timeout_graceful_shutdown=1,
            http="httptools",
        )
        self._server = uvicorn.Server(settings)
        self._started = started
        self._context = context

    def run(self, listening: list[Listening]) -> None:
        server, startup = self._server, self._server.startup
        plain = [each.socket for each in listening if not each.is_secure]

        async def startup_and_tell(sockets: list[socket.socket] | None = None) -> None:
            await startup(sockets)
            for each in listening:
                if each.is_secure:
                    server.servers.append(await self._listen_securely(each.socket))
            self._started()

        server.startup = startup_and_tell
        server.run(plain)

    async def _listen_securely(self, listening: socket.socket) -> asyncio.Server:
        """Do for TLS what uvicorn does for the others: it knows one kind for all sockets."""
        server, config = self._server, self._server.config
        protocol: Any = config.http_protocol_class

        def connected() -> asyncio.Protocol:
            return protocol(
                config=config, server_state=server.server_state, app_state=server.lifespan.state
            )

        loop = asyncio.get_running_loop()
        return await loop.create_server(
            connected, sock=listening, ssl=self._context, backlog=config.backlog
        )


def _announce(server: Server, ready: Callable[[Server], None]) -> None:
    # What was loaded stays: the collector need not look at it again.
    gc.collect()
    gc.freeze()
    (machine,) = server.nodes()
    facts = {
        "url": server.url,
        "public_url": server.public_url,
        "gui_url": server.gui_url,
        "jobs_url": f"unix://{server.config.run_dir / JOB_SOCKET}",
        "authentication": server.config.authentication,
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

"""Listens, and serves until told to stop."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from fastapi import FastAPI

from atlas_runner.sdk_copies import provide_sdk
from atlas_server import signpost
from atlas_server.assembly import Assembly, Surroundings, check_people
from atlas_server.config import ServerConfig
from atlas_server.database_url import nameable
from atlas_server.domain.resources import Node
from atlas_server.domain.shortage import inventories
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
# Runners of a scheduler that starts before any API look for one there, and then in the home.
_NOWHERE = "http://127.0.0.1:9"


@dataclass
class Server:
    """Everything that has to be ended again, and the addresses served."""

    config: ServerConfig
    listening: list[Listening]
    own: Listening | None
    umask: int
    nodes: Callable[[], Sequence[Node]] = tuple
    closers: list[Callable[[], None]] = field(default_factory=list)

    @property
    def url(self) -> str:
        """The API's address for this machine's own commands and runners.

        Another process's where we have none.
        """
        if self.own is not None:
            return self.own.url
        return str((signpost.read(self.config) or {}).get("url", _NOWHERE))

    @property
    def public_url(self) -> str | None:
        """The API's address for others, where we have one."""
        return self.listening[0].url if self.listening else None

    @property
    def ports(self) -> list[int]:
        """The ports that are listened on."""
        return [each.port for each in self.listening if each.port is not None]

    @property
    def gui_url(self) -> str | None:
        """The GUI's address, where we have one."""
        return self.listening[-1].url if self.listening else None


def serve(config: ServerConfig, ready: Callable[[Server], None], umask: int) -> None:
    """Serve until SIGTERM or SIGINT; calls `ready` once requests are answered.

    `umask` is the one that jobs get. Raises FoundationsError when a port is taken or the database
    cannot be opened, or where it would ask who is there and has no users.
    """
    sys.setswitchinterval(_SWITCH_INTERVAL)
    check_people(config)
    context = secure(config)
    listening = listen(config) if config.serves else []
    own = listening[0] if listening else None
    if listening and context:
        # A certificate is for the name that others know the server by.
        own = listen_for_own(config)
    server = Server(config, listening, own, umask)
    try:
        _prepare_home(config)
        around = Surroundings(config, lambda: server.url, umask, lambda: server.ports)
        assembly = Assembly(around)
        server.nodes = assembly.nodes
        server.closers = assembly.closers
        assembly.start()
        if own is not None:
            web = _WebServer(assembly.app, context, lambda: _announce(server, ready))
            jobs = listen_for_jobs(config)
            server.closers.append(jobs.close)
            web.run([own, *(each for each in listening if each is not own), jobs])
        else:
            _announce(server, ready)
            threading.Event().wait()  # for a signal
    finally:
        for close in reversed(server.closers):
            close()
        for each in ([own] if own else []) + listening:
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
    config = server.config
    facts = {
        "name": config.name,
        "host": config.host,
        "url": server.url if config.serves else None,
        "public_url": server.public_url,
        "gui_url": server.gui_url,
        "jobs_url": f"unix://{config.socket_dir / JOB_SOCKET}",
        "authentication": config.authentication,
        "tls_certificate": str(config.tls_certificate) if config.tls_certificate else None,
        "database": nameable(config.database_url) if config.database_url else None,
        "pid": os.getpid(),
        "version": __version__,
    }
    if config.schedules:
        nodes = server.nodes()
        here = next((node for node in nodes if node.executor == "local"), None)
        facts |= {
            "resources": inventories(nodes),
            "gpus": sum(gpu.problem is None for node in nodes for gpu in node.gpus),
            "gpu_trouble": here.gpu_trouble if here is not None else None,
        }
    post = signpost.Signpost(config, facts)
    # First of all: nobody is to be led to a process that closes.
    server.closers.append(post.close)
    post.start()
    ready(server)


def _prepare_home(config: ServerConfig) -> None:
    for folder in (config.run_dir, config.home / "work", config.logs, config.blobs):
        folder.mkdir(parents=True, exist_ok=True)
    provide_sdk(str(config.home))

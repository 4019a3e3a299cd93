"""The sockets that a server listens on."""

from __future__ import annotations

import errno
import os
import socket

from atlas_server.api.gate import JOB_SOCKET
from atlas_server.config import ServerConfig
from foundations.errors import FoundationsError

# Who listens on every address is reached from this machine here.
_FOR_ALL = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - a name, nothing is bound


def listen(config: ServerConfig) -> list[socket.socket]:
    """Return the listening sockets: the API's, then the GUI's. Raises FoundationsError."""
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


def listen_for_jobs(config: ServerConfig) -> socket.socket:
    """Return the listening socket on which jobs reach the API: below the home, for its owner.

    Nobody gets in there without a token, whoever may elsewhere: what jobs do is code of others.
    """
    path = config.socket_dir / JOB_SOCKET
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # By the folder's descriptor: an address has room for 107 bytes only.
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        listening.bind(f"/proc/self/fd/{folder}/{JOB_SOCKET}")
        path.chmod(0o600)
        listening.listen(512)
    except OSError as error:
        listening.close()
        raise FoundationsError(f"{path} cannot be listened on: {error.strerror}.") from error
    finally:
        os.close(folder)
    return listening


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


def url_of(listening: socket.socket) -> str:
    """Return the address that clients on this machine use."""
    host, port = listening.getsockname()[:2]
    host = str(_FOR_ALL.get(host, host))
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

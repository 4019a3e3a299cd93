"""The sockets that a server listens on: addresses, files, and TLS."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path

from atlas_server.addresses import EVERYWHERE
from atlas_server.api.gate import JOB_SOCKET
from atlas_server.config import UNIX, ServerConfig
from foundations.errors import ConfigError, FoundationsError

_BACKLOG = 512
# A client that was cut off is noticed, and what it holds given back (seconds).
_OPTIONS = ((socket.TCP_KEEPIDLE, 15), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 3))


@dataclass(frozen=True, slots=True)
class Listening:
    """A listening socket, at `path` if that is a file; `is_secure`: only TLS is spoken there."""

    socket: socket.socket
    is_secure: bool = False
    path: str = ""

    @property
    def port(self) -> int | None:
        """The port; None: it is a file."""
        return None if self.path else int(self.socket.getsockname()[1])

    @property
    def url(self) -> str:
        """The address that clients on this machine use."""
        if self.path:
            return UNIX + self.path
        host, port = self.socket.getsockname()[:2]
        host = str(EVERYWHERE.get(host, host))
        scheme = "https" if self.is_secure else "http"
        return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"

    def close(self) -> None:
        """Listen no more; a socket's file goes with it."""
        if self.path:
            Path(self.path).unlink(missing_ok=True)
        self.socket.close()


def listen(config: ServerConfig) -> list[Listening]:
    """Return what is listened on: the API's, then the GUI's. Raises FoundationsError."""
    if config.host.startswith(UNIX):
        return [_listen_at(config.host.removeprefix(UNIX), bool(config.authentication))]
    ports = [("port", config.port)]
    if config.gui_port != config.port or config.port == 0:
        ports.append(("gui_port", config.gui_port))
    found: list[Listening] = []
    try:
        for name, port in ports:
            bound = _bind(config.host, port, name)
            found.append(Listening(bound, config.tls_certificate is not None))
    except FoundationsError:
        for listening in found:
            listening.close()
        raise
    return found


def listen_for_own(config: ServerConfig) -> Listening:
    """Return a socket file for this machine's own commands and runners.

    They need no certificate to know their server by. Raises FoundationsError.
    """
    config.socket_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    return _listen_at(str(config.socket_dir / "api.sock"))


def secure(config: ServerConfig) -> ssl.SSLContext | None:
    """Return what TLS is spoken with, None where it is not. Raises ConfigError.

    A certificate that is renewed in its place counts for every connection made after.
    """
    if config.tls_certificate is None:
        return None
    certificate, key = config.tls_certificate, config.tls_key or config.tls_certificate
    standing = [_context(certificate, key), _times(certificate, key)]

    def renewed(connection: ssl.SSLObject, _name: str | None, _context_: ssl.SSLContext) -> None:
        now = _times(certificate, key)
        if now != standing[1]:
            # Half of it may be written: then the old one goes on.
            with contextlib.suppress(ConfigError):
                standing[:] = [_context(certificate, key), now]
        connection.context = standing[0]

    first = _context(certificate, key)
    first.sni_callback = renewed
    return first


def _context(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2

    def password() -> str:
        raise ConfigError(f"The key {key} has a password.", "Store it without one, mode 600.")

    for path in (certificate, key):
        if not os.access(path, os.R_OK):
            raise ConfigError(f"{path} cannot be read: TLS needs the certificate and its key.")
    try:
        context.load_cert_chain(certificate, key, password)
    except (ssl.SSLError, OSError) as error:
        raise ConfigError(
            f"{certificate} and {key} are no certificate and its key, in PEM form.",
            "Name them as tls_certificate and tls_key.",
        ) from error
    return context


def _times(*paths: Path) -> list[int]:
    try:
        return [path.stat().st_mtime_ns for path in paths]
    except OSError:
        return []


def listen_for_jobs(config: ServerConfig) -> Listening:
    """Return the socket file at which jobs reach the API: below the home, for its owner.

    Nobody gets in there without a token, whoever may elsewhere: what jobs do is code of others.
    """
    path = config.socket_dir / JOB_SOCKET
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return _listen_at(str(path))


def _bind(host: str, port: int, setting: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, asyncio sends small answers at once (TCP_NODELAY); without, the
    # second part of an answer waits 40 ms for the client's acknowledgement of the first.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _OPTIONS:
        listening.setsockopt(socket.IPPROTO_TCP, option, value)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        if error.errno != errno.EADDRINUSE:
            reason = error.strerror or str(error)
            where = f"Port {port} of {host}" if host not in EVERYWHERE else f"Port {port}"
            raise FoundationsError(f"{where} cannot be used: {reason}.") from error
        flag = "--" + setting.replace("_", "-")
        raise FoundationsError(
            f"Port {port} is taken by {_owner_of(port)}.",
            f"Stop that, or choose another port: atlas-server start {flag} PORT",
        ) from error
    listening.listen(_BACKLOG)
    return listening


def _listen_at(path: str, for_all: bool = False) -> Listening:
    """Listen at a socket file, for this user alone; one that nobody listens at is replaced.

    `for_all`: for whoever gets into its folder.
    """
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    folder = -1
    try:
        # By the folder's descriptor: an address has room for 107 bytes only.
        folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        address = f"/proc/self/fd/{folder}/{os.path.basename(path)}"
        if _is_dead(address):
            os.unlink(path)
        listening.bind(address)
        os.chmod(path, 0o666 if for_all else 0o600)
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise FoundationsError(f"{path} is taken: a server listens there.") from error
        reason = error.strerror or str(error)
        raise FoundationsError(f"The socket {path} cannot be made: {reason}.") from error
    finally:
        if folder >= 0:
            os.close(folder)
    listening.listen(_BACKLOG)
    return Listening(listening, path=path)


def _is_dead(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
    return False


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

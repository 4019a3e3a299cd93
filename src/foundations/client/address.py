"""Where a server listens, and a connection to it: TCP, TLS or a Unix socket."""

from __future__ import annotations

import os
import socket

from foundations.errors import Unreachable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Tuple

_CONNECT_TIMEOUT = 10.0


class Address:
    """Where a server listens: scheme http, https or unix, and a path prefix."""

    def __init__(self, url: str) -> None:
        scheme, separator, rest = url.partition("://")
        if not separator or scheme not in ("http", "https", "unix"):
            raise Unreachable(
                "'{}' is not the address of a server.".format(url), "Write it as http://HOST:PORT."
            )
        self.url = url
        self.scheme = scheme
        self.prefix = ""
        self.netloc = "localhost"
        if scheme == "unix":
            self.host, self.port, self.path = "localhost", 0, rest
            return
        host, _, prefix = rest.partition("/")
        self.prefix = "/" + prefix.rstrip("/") if prefix.strip("/") else ""
        self.netloc = host
        self.host, self.port = _split_host(host, 443 if scheme == "https" else 80)

    def connect(self) -> socket.socket:
        """Return an open connection. Raises OSError."""
        if self.scheme == "unix":
            return _connect_by_file(self.path)
        # As bytes: a host given as text loads the tables for names in other alphabets.
        host = self.host.encode("ascii") if self.host.isascii() else self.host
        where: Any = (host, self.port)
        plain = socket.create_connection(where, _CONNECT_TIMEOUT)
        # Requests are small and each waits for its answer: nothing is won by collecting.
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.scheme == "http":
            return plain
        import ssl  # slow to import, and only needed here

        return ssl.create_default_context().wrap_socket(plain, server_hostname=self.host)


def _split_host(netloc: str, default_port: int) -> Tuple[str, int]:
    host, separator, port = netloc.rpartition(":")
    if not separator or port.endswith("]"):
        return netloc.strip("[]"), default_port
    if not port.isdigit():
        raise Unreachable("'{}' has no valid port.".format(netloc))
    return host.strip("[]"), int(port)


def _connect_by_file(path: str) -> socket.socket:
    """Connect to a Unix socket; by its folder, for an address has room for 107 bytes only."""
    found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    folder = -1
    try:
        folder = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        found.settimeout(_CONNECT_TIMEOUT)
        found.connect("/proc/self/fd/{}/{}".format(folder, os.path.basename(path)))
    except BaseException:
        found.close()
        raise
    finally:
        if folder >= 0:
            os.close(folder)
    return found

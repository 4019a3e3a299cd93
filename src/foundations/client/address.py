"""Where a server listens, and a connection to it: TCP, TLS or a Unix socket, through a proxy."""

from __future__ import annotations

import os
import socket

from foundations import network
from foundations.errors import ConfigError, Unreachable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, List, Optional

_CONNECT_TIMEOUT = 10.0
_LONGEST_ANSWER = 65536
_LONGEST_PATH = 100
# A connection counts as lost when the other side has been silent for so many seconds although it
# was asked, or has not confirmed what was sent.
SILENCE = 20
_OPTIONS = (
    ("TCP_KEEPIDLE", SILENCE // 2),
    ("TCP_KEEPINTVL", 5),
    ("TCP_KEEPCNT", 2),
    ("TCP_USER_TIMEOUT", SILENCE * 1000),
)


class Address:
    """Where a server listens: scheme http, https or unix, and a path prefix."""

    def __init__(self, url: str) -> None:
        scheme, separator, rest = url.partition("://")
        if not separator or scheme not in ("http", "https", "unix"):
            raise Unreachable(
                "'{}' is not the address of a server.".format(url),
                "Write it as http://HOST:PORT, https://HOST/PREFIX or unix:///PATH.",
            )
        self.url = url
        self.scheme = scheme
        self.prefix = ""
        self.netloc = "localhost"
        # The proxy of the connection that stands, where it reads what is asked.
        self._reader: Optional[network.Proxy] = None
        if scheme == "unix":
            self.host, self.port, self.path = "localhost", 0, rest
            return
        host, _, prefix = rest.partition("/")
        self.prefix = "/" + prefix.rstrip("/") if prefix.strip("/") else ""
        self.netloc = host
        try:
            self.host, self.port = network.split_host(host, 443 if scheme == "https" else 80)
        except ValueError:
            raise Unreachable("'{}' has no valid host and port.".format(url)) from None

    @property
    def is_here(self) -> bool:
        """Whether the server is on this machine: nothing between can be slow, or cut off."""
        if self.scheme == "unix":
            return True
        return self.host in ("localhost", "::1") or self.host.startswith("127.")

    def target(self, path: str) -> str:
        """Return how a request names `path`: in full where a proxy reads it."""
        if self._reader is None:
            return self.prefix + path
        return "http://{}{}{}".format(self.netloc, self.prefix, path)

    def headers(self) -> List[str]:
        """Return the lines that a request needs on its way."""
        login = self._reader.login if self._reader is not None else None
        return ["Proxy-Authorization: " + login] if login else []

    def connect(self) -> socket.socket:
        """Return an open connection. Raises OSError, Unreachable or ConfigError."""
        if self.scheme == "unix":
            return _connect_by_file(self.path)
        proxy = network.proxy_for(self.scheme, self.host, self.port)
        self._reader = proxy if self.scheme == "http" else None
        if proxy is None:
            return self._encrypted(_connect(self.host, self.port))
        try:
            plain = _connect(proxy.host, proxy.port)
        except OSError as error:
            raise Unreachable(
                "The proxy {} does not answer ({}).".format(proxy.shown, reason(error)),
                "It stands in {}; servers that need none belong in NO_PROXY.".format(
                    proxy.variable
                ),
            ) from error
        try:
            if self.scheme == "https":
                self._tunnel(plain, proxy)
            elif proxy.scheme == "https":
                from foundations.client import tls  # slow to import

                return tls.wrap(plain, proxy.host, proxy.port, None)
        except BaseException:
            plain.close()
            raise
        return self._encrypted(plain)

    def _encrypted(self, plain: socket.socket) -> socket.socket:
        if self.scheme == "http":
            return plain
        from foundations.client import tls  # slow to import, and only needed here

        try:
            return tls.wrap(plain, self.host, self.port, network.ca_file(self.url))
        except BaseException:
            plain.close()
            raise

    def _tunnel(self, plain: socket.socket, proxy: network.Proxy) -> None:
        """Ask the proxy to pass on what follows, unread."""
        if proxy.scheme == "https":
            raise ConfigError(
                "{}: a proxy that is itself reached by TLS cannot lead to {}.".format(
                    proxy.variable, self.url
                ),
                "Name one as http://HOST:PORT: what passes through it is encrypted all the same.",
            )
        host = "[{}]".format(self.host) if ":" in self.host else self.host
        place = "{}:{}".format(host, self.port)
        lines = ["CONNECT {} HTTP/1.1".format(place), "Host: " + place]
        if proxy.login:
            lines.append("Proxy-Authorization: " + proxy.login)
        plain.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
        answer = b""
        # Byte by byte: what comes after the empty line is the server's.
        while not answer.endswith(b"\r\n\r\n"):
            byte = plain.recv(1)
            if not byte or len(answer) > _LONGEST_ANSWER:
                raise Unreachable(
                    "The proxy {} hung up when it was asked for {}.".format(proxy.shown, place)
                )
            answer += byte
        status = answer.split(b" ", 2)[1:2]
        if not status or not status[0].startswith(b"2"):
            raise proxy_refusal(proxy, place, answer.split(b"\r\n")[0].decode("latin-1"))

    def through(self) -> Optional[network.Proxy]:
        """Return the proxy that reads the requests of this connection, if one does."""
        return self._reader


def proxy_refusal(proxy: network.Proxy, place: str, said: str) -> Unreachable:
    """Return the error that a proxy does not lead to a server; `said` is its status line."""
    if " 407" in said:
        return Unreachable(
            "The proxy {} asks for a user and a password.".format(proxy.shown),
            "Write {}=http://USER:PASSWORD@HOST:PORT.".format(proxy.variable),
        )
    return Unreachable(
        "The proxy {} does not lead to {}: {}.".format(
            proxy.shown, place, said.partition(" ")[2] or said
        ),
        "It stands in {}; servers that need none belong in NO_PROXY.".format(proxy.variable),
    )


def reason(error: BaseException) -> str:
    """Return why a connection failed, in words."""
    if isinstance(error, socket.gaierror):
        return "its name is not known"
    if isinstance(error, socket.timeout):
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error)


def _connect(host: str, port: int) -> socket.socket:
    # As bytes: a host given as text loads the tables for names in other alphabets.
    where: Any = (host.encode("ascii") if host.isascii() else host, port)
    plain = socket.create_connection(where, _CONNECT_TIMEOUT)
    # Requests are small and each waits for its answer: nothing is won by collecting.
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _OPTIONS:
        if hasattr(socket, name):  # not on every system
            plain.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return plain


def _connect_by_file(path: str) -> socket.socket:
    """Connect to a Unix socket; by its folder where its address has more than 107 bytes."""
    found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    folder = -1
    try:
        found.settimeout(_CONNECT_TIMEOUT)
        if len(os.fsencode(path)) <= _LONGEST_PATH:
            found.connect(path)
            return found
        folder = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        found.connect("/proc/self/fd/{}/{}".format(folder, os.path.basename(path)))
    except BaseException:
        found.close()
        raise
    finally:
        if folder >= 0:
            os.close(folder)
    return found

"""HTTP/1.1 over one kept-open connection.

The standard library's `http.client` is not used because importing it (it brings the e-mail
package) takes three times as long as starting the interpreter, and every command pays for it.
"""

from __future__ import annotations

import json
import socket

from foundations.client.address import Address, reason
from foundations.client.answers import error_of, moved_to
from foundations.client.messages import (
    LONGEST_LINE,
    PIECE,
    HungUp,
    Pieces,
    Response,
    head_bytes,
    read_head,
)
from foundations.contract.version import API_VERSION, VERSION_HEADER
from foundations.errors import FoundationsError, Unreachable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import (
        Any,
        BinaryIO,
        Callable,
        Dict,
        Iterable,
        Iterator,
        List,
        Optional,
        Union,
    )

    Body = Union[bytes, "Pieces", Iterable[bytes], None]

_READ_TIMEOUT = 60.0


class Connection:
    """One connection to a server; not for several threads at once."""

    def __init__(self, url: str, token: Optional[str] = None) -> None:
        self.address = Address(url)
        self.token = token
        # Called with the address where the server does not know our token: there may be a new one.
        self.renew: Optional[Callable[[str], Optional[str]]] = None
        self._socket: Optional[socket.socket] = None
        self._file: Optional[BinaryIO] = None
        self._unread = False

    def __del__(self) -> None:
        # Those that are kept for a thread go with it.
        if getattr(self, "_socket", None) is not None:
            self.close()

    def close(self) -> None:
        """Hang up; the next request connects again."""
        if self._file is not None:
            self._file.close()
        if self._socket is not None:
            self._socket.close()
        self._socket = self._file = None
        self._unread = False

    @property
    def is_open(self) -> bool:
        """Whether a connection stands, as far as is known here."""
        return self._socket is not None

    def open(self) -> None:
        """Connect now. Raises Unreachable."""
        try:
            if self._socket is None:
                self._connect()
        except OSError as error:
            raise self._unreachable(error) from error

    def limit(self, timeout: float) -> None:
        """Wait at most `timeout` seconds for each further piece of the answer that arrives."""
        if self._socket is not None:
            self._socket.settimeout(timeout)

    def call(
        self, method: str, path: str, payload: Any = None, timeout: Optional[float] = None
    ) -> Any:
        """Send JSON and return the JSON answer (None where there is none).

        Raises the FoundationsError that the server names, or Unreachable.
        """
        body = None if payload is None else json.dumps(payload).encode()
        headers = {"Content-Type": "application/json"} if body else {}
        data = self.request(method, path, body, headers, timeout or _READ_TIMEOUT).read()
        return json.loads(data) if data else None

    def request(
        self,
        method: str,
        path: str,
        body: Body = None,
        headers: Optional[Dict[str, str]] = None,
        timeout: Optional[float] = _READ_TIMEOUT,
    ) -> Response:
        """Send a request and return its response once the headers are there.

        A kept-open connection that the server has closed meanwhile is opened again; a body that
        is an iterator cannot be sent twice and always gets a connection of its own. Raises the
        FoundationsError that the server names, or Unreachable.
        """
        if self._unread:
            # Whoever asked last did not want all of the answer: its rest is not the next one's.
            self.close()
        fresh = self._socket is None
        if not fresh and body is not None and not isinstance(body, (bytes, Pieces)):
            self.close()
            fresh = True
        try:
            response = self._exchange(method, path, body, headers or {}, timeout)
        except (OSError, HungUp) as error:
            self.close()
            if fresh or isinstance(error, socket.timeout):
                raise self._unreachable(error) from error
            try:
                response = self._exchange(method, path, body, headers or {}, timeout)
            except (OSError, HungUp) as again:
                self.close()
                raise self._unreachable(again) from again
        if (
            response.status == 401
            and (body is None or isinstance(body, (bytes, Pieces)))
            and self._renewed()
        ):
            response.read()
            return self.request(method, path, body, headers, timeout)
        if response.status >= 400:
            raise self._error_of(response)
        if response.status in (301, 302, 303, 307, 308):
            raise moved_to(response.headers.get("location", ""), self.address)
        return response

    def _renewed(self) -> bool:
        """Whether somebody has logged in again since we were started."""
        fresh = self.renew(self.address.url) if self.renew is not None else None
        if fresh is None or fresh == self.token:
            return False
        self.token = fresh
        return True

    def _error_of(self, response: Response) -> FoundationsError:
        error = error_of(response.status, response.headers, response.read(), self.address)
        # A server does not know under which name it is known.
        error.hint = error.hint.replace(
            "foundations login URL", "foundations login " + self.address.url
        )
        if response.status == 401 and self.token and self.token == _named_token():
            error.hint = "It is that of FOUNDATIONS_TOKEN, which counts before a login: unset it."
        return error

    def _exchange(
        self,
        method: str,
        path: str,
        body: Body,
        headers: Dict[str, str],
        timeout: Optional[float],
    ) -> Response:
        if self._socket is None:
            self._connect()
        assert self._socket is not None
        self._socket.settimeout(timeout)
        head = [
            "{} {} HTTP/1.1".format(method, self.address.target(path)),
            "Host: {}".format(self.address.netloc),
            "{}: {}".format(VERSION_HEADER, API_VERSION),
            *self.address.headers(),
        ]
        if self.token:
            head.append("Authorization: Bearer {}".format(self.token))
        head.extend("{}: {}".format(name, value) for name, value in headers.items())
        try:
            self._send(head, body, method)
        except socket.timeout:
            raise
        except OSError as error:
            # A server that refuses a body answers before it has read all of it: read that.
            try:
                return self._receive(method)
            except (OSError, HungUp):
                raise error from None
        return self._receive(method)

    def _send(self, head: List[str], body: Body, method: str) -> None:
        assert self._socket is not None
        if body is None:
            if method in ("POST", "PUT", "PATCH"):
                head.append("Content-Length: 0")
            self._socket.sendall(head_bytes(head))
        elif isinstance(body, bytes) and len(body) <= PIECE:
            head.append("Content-Length: {}".format(len(body)))
            self._socket.sendall(head_bytes(head) + body)
        elif isinstance(body, (bytes, Pieces)):
            head.append("Content-Length: {}".format(len(body)))
            self._socket.sendall(head_bytes(head))
            # The time-out is for each piece: a slow line is no dead one.
            for piece in body if isinstance(body, Pieces) else Pieces(body, lambda _: None):
                self._socket.sendall(piece)
        else:
            head.append("Transfer-Encoding: chunked")
            self._socket.sendall(head_bytes(head))
            for chunk in body:
                if chunk:
                    self._socket.sendall(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            self._socket.sendall(b"0\r\n\r\n")

    def _connect(self) -> None:
        self._socket = plain = self.address.connect()
        self._file = plain.makefile("rb")

    def _receive(self, method: str) -> Response:
        assert self._file is not None
        while True:
            status, headers = read_head(self._file)
            if status >= 200:
                break
        closes = headers.get("connection", "").lower() == "close"
        if method == "HEAD" or status in (204, 304):
            body = iter(())  # type: Iterator[bytes]
        elif headers.get("transfer-encoding", "").lower() == "chunked":
            body = self._chunked(closes)
        elif "content-length" in headers:
            body = self._counted(int(headers["content-length"]), closes)
        else:
            body = self._until_closed()
        self._unread = True
        return Response(status, headers, self._watched(body))

    def _watched(self, body: Iterator[bytes]) -> Iterator[bytes]:
        yield from body
        self._unread = False

    def _counted(self, length: int, closes: bool) -> Iterator[bytes]:
        assert self._file is not None
        left = length
        while left:
            data = self._read(min(left, 1 << 20))
            left -= len(data)
            yield data
        if closes:
            self.close()

    def _chunked(self, closes: bool) -> Iterator[bytes]:
        while True:
            size = int(self._line().split(b";")[0], 16)
            if size == 0:
                break
            left = size
            while left:
                data = self._read(min(left, 1 << 20))
                left -= len(data)
                yield data
            self._line()
        while self._line():
            pass
        if closes:
            self.close()

    def _until_closed(self) -> Iterator[bytes]:
        assert self._file is not None
        while True:
            data = self._file.read(1 << 16)
            if not data:
                break
            yield data
        self.close()

    def _read(self, size: int) -> bytes:
        try:
            data = self._file.read1(size) if self._file is not None else b""  # type: ignore[attr-defined]
        except OSError as error:
            self.close()
            raise self._unreachable(error) from error
        if not data:
            self.close()
            raise self._unreachable(HungUp())
        return data

    def _line(self) -> bytes:
        try:
            line = self._file.readline(LONGEST_LINE) if self._file is not None else b""
        except OSError as error:
            self.close()
            raise self._unreachable(error) from error
        if not line:
            self.close()
            raise self._unreachable(HungUp())
        return line.rstrip(b"\r\n")

    def _unreachable(self, error: Exception) -> Unreachable:
        here = self.address.is_here
        return Unreachable(
            "The Atlas server at {} does not answer ({}).".format(self.address.url, reason(error)),
            "Start it with: atlas-server start"
            if here
            else "Find out why: foundations config check",
        )


def _named_token() -> Optional[str]:
    from foundations import config  # rarely needed

    return config.environment_value("FOUNDATIONS_TOKEN")

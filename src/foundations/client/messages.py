"""What HTTP messages are made of: bodies, heads, and answers that may still be arriving."""

from __future__ import annotations

from foundations.errors import ServerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO, Callable, Dict, Iterator, List, Tuple

PIECE = 1 << 16
LONGEST_LINE = 65536


class Pieces:
    """A body that is sent piece by piece, again if need be; `sent` hears how many bytes are out."""

    def __init__(self, data: bytes, sent: Callable[[int], None]) -> None:
        self._data = data
        self._sent = sent

    def __len__(self) -> int:
        return len(self._data)

    def __iter__(self) -> Iterator[bytes]:
        for start in range(0, len(self._data), PIECE):
            piece = self._data[start : start + PIECE]
            yield piece
            self._sent(start + len(piece))


class Response:
    """A status, headers (names in lower case) and a body that may still be arriving."""

    def __init__(self, status: int, headers: Dict[str, str], body: Iterator[bytes]) -> None:
        self.status = status
        self.headers = headers
        self.chunks = body

    def read(self) -> bytes:
        """Return the whole body."""
        return b"".join(self.chunks)


class HungUp(Exception):
    """The server closed the connection where an answer was due."""

    def __str__(self) -> str:
        return "the connection was closed"


def head_bytes(head: List[str]) -> bytes:
    """Return the head of a request as it travels. Raises ServerError."""
    if any("\r" in line or "\n" in line for line in head):
        raise ServerError("A request cannot contain line breaks in its path or headers.")
    return "\r\n".join(head).encode("latin-1") + b"\r\n\r\n"


def read_head(file: BinaryIO) -> Tuple[int, Dict[str, str]]:
    """Read status and headers of an answer. Raises HungUp, ServerError or OSError."""
    line = file.readline(LONGEST_LINE)
    if not line:
        raise HungUp
    parts = line.split(None, 2)
    if len(parts) < 2 or not parts[0].startswith(b"HTTP/1.") or not parts[1].isdigit():
        raise ServerError(
            "What listens there does not speak HTTP.",
            "Look at the scheduler's address: foundations info --env",
        )
    headers = {}
    while True:
        line = file.readline(LONGEST_LINE)
        if not line:
            raise HungUp
        if line in (b"\r\n", b"\n"):
            return int(parts[1]), headers
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()

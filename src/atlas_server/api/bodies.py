"""Request bodies read, and files written out, chunk by chunk from a worker thread."""

from __future__ import annotations

import queue
import re
import threading
import zlib
from collections.abc import Callable, Iterator

import anyio.from_thread
from fastapi import Request
from starlette.requests import ClientDisconnect

from foundations.errors import InvalidRequest

_HEADER_BYTES = 80
_PIECE = 1 << 20
_HEADER = re.compile(rb"([0-9a-f]{64})([0-9a-f]{16})")  # digest and size


def chunks_of(request: Request) -> Iterator[bytes]:
    """Yield the body as it arrives, unpacked; for use in a worker thread of the event loop.

    Raises InvalidRequest.
    """
    coding = request.headers.get("content-encoding", "identity")
    if coding == "deflate":
        return _inflated(_received(request))
    if coding != "identity":
        raise InvalidRequest(f"Bodies packed as {coding!r} cannot be read; `deflate` ones can.")
    return _received(request)


def _inflated(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Unpack, a piece at a time: a few bytes may stand for very many."""
    packed = zlib.decompressobj()
    try:
        for chunk in chunks:
            rest = chunk
            while rest and not packed.eof:
                if piece := packed.decompress(rest, _PIECE):
                    yield piece
                rest = packed.unconsumed_tail
        while piece := packed.flush(_PIECE):
            yield piece
    except zlib.error as error:
        raise InvalidRequest("The body is not packed as it says.") from error
    if not packed.eof:
        raise InvalidRequest("The connection was cut before all had arrived.")


def _received(request: Request) -> Iterator[bytes]:
    stream = request.stream()

    async def next_chunk() -> bytes | None:
        try:
            return await anext(stream, None)
        except ClientDisconnect as error:
            raise InvalidRequest("The connection was cut before all had arrived.") from error

    while (chunk := anyio.from_thread.run(next_chunk)) is not None:
        yield chunk


def unpack(chunks: Iterator[bytes]) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Split a pack into (digest, content); each content is to be read before the next blob."""
    reader = _Reader(chunks)
    while (head := reader.exactly(_HEADER_BYTES)) is not None:
        found = _HEADER.fullmatch(head)
        if found is None:
            raise InvalidRequest("The pack of blobs is malformed.")
        yield found[1].decode(), reader.up_to(int(found[2], 16))


class _Reader:
    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def exactly(self, size: int) -> bytes | None:
        while len(self._rest) < size:
            chunk = next(self._chunks, None)
            if chunk is None:
                if self._rest:
                    raise InvalidRequest("The pack of blobs ends in the middle.")
                return None
            self._rest += chunk
        data, self._rest = self._rest[:size], self._rest[size:]
        return data

    def up_to(self, size: int) -> Iterator[bytes]:
        while size:
            data = self._rest or next(self._chunks, None)
            if data is None:
                raise InvalidRequest("The pack of blobs ends in the middle.")
            taken, self._rest = data[:size], data[size:]
            size -= len(taken)
            yield taken


def written_by(write: Callable[[FileLike], None]) -> Iterator[bytes]:
    """Yield what `write` writes into a file-like object, while it does so in another thread."""
    pipe = FileLike()
    failure: list[BaseException] = []

    def work() -> None:
        try:
            write(pipe)
        except BaseException as error:  # noqa: BLE001 - it is raised again in the reader's thread
            failure.append(error)
        finally:
            pipe.finish()

    thread = threading.Thread(target=work, name="archive-writer", daemon=True)
    thread.start()
    try:
        yield from pipe
    finally:
        pipe.abandon()
        thread.join()
    if failure:
        raise failure[0]


class FileLike:
    """The write end of a bounded pipe between two threads."""

    def __init__(self) -> None:
        self._queue: queue.Queue[bytes | None] = queue.Queue(maxsize=8)
        self._abandoned = threading.Event()

    def write(self, data: bytes) -> int:
        """Pass `data` on; waits while the reader is behind."""
        if self._abandoned.is_set():
            raise BrokenPipeError("the client hung up")
        self._queue.put(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def finish(self) -> None:
        """Tell the reader that this was all."""
        self._queue.put(None)

    def abandon(self) -> None:
        """Tell the writer that nobody reads any more."""
        self._abandoned.set()
        while True:
            try:
                self._queue.get_nowait()
            except queue.Empty:
                return

    def __iter__(self) -> Iterator[bytes]:
        while (data := self._queue.get()) is not None:
            yield data

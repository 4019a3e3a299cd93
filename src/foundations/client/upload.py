"""Contents on their way to a server: in parallel, compressed, and from where a cut has left them.

Small ones travel together in packs, each stored as a whole or not at all. A large one travels in
parts: the server keeps what has come of it, to the byte, and says how much that is.
"""

from __future__ import annotations

from _thread import allocate_lock  # `threading` loads slowly

from foundations.client.messages import Pieces
from foundations.errors import BundleError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, BinaryIO, Callable, Dict, Iterator, List, Optional, Sequence, Tuple

    from foundations.client.api import Api
    from foundations.client.persistence import Persistence

# What is larger than this travels in parts of this size.
PART = 4 << 20
# Contents in a pack, at most so many bytes; on this machine there is no line that could be cut.
_PACK = 4 << 20
_PACK_HERE = 1 << 28
_MOST_IN_PACK = 5000
_CONNECTIONS = 4
# Less is sent faster than a second connection is opened.
_FOR_ONE = 1 << 20
_SAMPLE = 1 << 16
_WORTH_IT = 0.9
_CHUNK = 1 << 18
# Until the server has looked whether a large content is what it should be.
_PATIENCE = 600.0


class Source:
    """Where contents are read from."""

    def size(self, digest: str) -> int:
        """Return the size of a content in bytes."""
        raise NotImplementedError

    def chunks(self, digest: str) -> Iterator[bytes]:
        """Yield a content. Raises BundleError where it is another one by now."""
        raise NotImplementedError

    def open(self, digest: str) -> BinaryIO:
        """Open a content for reading. Raises BundleError."""
        raise NotImplementedError


class Upload:
    """Sends contents that the server lacks; `told` hears bytes done of all, `again` repeats."""

    def __init__(
        self,
        api: Api,
        source: Source,
        again: Persistence,
        told: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        self._api = api
        self._source = source
        self._again = again
        self._told = told
        self._is_here = api.connection.address.is_here
        self._lock = allocate_lock()
        self._done: Dict[int, int] = {}
        self._total = 0
        self._failure: Optional[BaseException] = None

    def send(self, digests: Sequence[str]) -> None:
        """Send them all. Raises FoundationsError; what has arrived by then stays there."""
        sizes = {digest: self._source.size(digest) for digest in digests}
        self._total = sum(sizes.values())
        todo = self._shares(sizes)
        todo.reverse()
        if self._is_here or len(todo) == 1 or self._total <= _FOR_ONE:
            self._work(self._api, todo)
        else:
            self._work_together(todo)
        if self._failure is not None:
            raise self._failure
        self._told(self._total, self._total)

    def _shares(self, sizes: Dict[str, int]) -> List[Tuple[int, List[str]]]:
        """Return numbered shares of the work: large contents one by one, the others in packs."""
        large = [[digest] for digest, size in sizes.items() if size > PART]
        packs: List[List[str]] = []
        room = 0
        for digest, size in sizes.items():
            if size > PART:
                continue
            if size > room or len(packs[-1]) >= _MOST_IN_PACK:
                packs.append([])
                room = _PACK_HERE if self._is_here else _PACK
            packs[-1].append(digest)
            room -= size
        return list(enumerate(large + packs))

    def _work_together(self, todo: List[Tuple[int, List[str]]]) -> None:
        from threading import Thread

        apis = [self._api.another() for _ in range(min(_CONNECTIONS, len(todo)))]
        threads = [Thread(target=self._work, args=(api, todo), daemon=True) for api in apis]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join()
        except BaseException as error:
            self._failure = error  # the others end with what they are at
            raise
        for api in apis:
            api.close()

    def _work(self, api: Api, todo: List[Tuple[int, List[str]]]) -> None:
        try:
            while self._failure is None:
                try:
                    number, digests = todo.pop()
                except IndexError:
                    return
                if self._source.size(digests[0]) > PART:
                    self._send_large(api, number, digests[0])
                else:
                    self._send_pack(api, number, digests)
        except BaseException as error:  # noqa: BLE001 - it is raised again where all are waited for
            self._failure = self._failure or error

    def _send_pack(self, api: Api, number: int, digests: List[str]) -> None:
        if self._is_here:
            self._again(lambda: api.send_blobs(self._packed(number, digests)))
            return
        data = b"".join(self._packed(number, digests))
        body, headers = self._encoded(data)
        self._again(lambda: api.send_blobs(self._pieces(number, 0, len(data), body), headers))

    def _packed(self, number: int, digests: List[str]) -> Iterator[bytes]:
        held: List[bytes] = []
        size = done = 0
        for digest in digests:
            held.append("{}{:016x}".format(digest, self._source.size(digest)).encode())
            for chunk in self._source.chunks(digest):
                held.append(chunk)
                size += len(chunk)
                if size >= _CHUNK:
                    yield b"".join(held)
                    done += size
                    held, size = [], 0
                    if self._is_here:
                        self._tell(number, done)
        yield b"".join(held)

    def _send_large(self, api: Api, number: int, digest: str) -> None:
        tries = 2
        while True:
            try:
                self._send_parts(api, number, digest)
                return
            except BundleError:  # noqa: PERF203 - twice at most
                # The server has found another content than the one announced.
                for _ in self._source.chunks(digest):
                    pass  # says it where the file has changed
                tries -= 1
                if not tries:
                    raise

    def _send_parts(self, api: Api, number: int, digest: str) -> None:
        size = self._source.size(digest)
        known: List[Dict[str, Any]] = []
        with self._source.open(digest) as file:

            def next_part() -> Dict[str, Any]:
                # After a cut the server has a part of the part: only it knows how much.
                held = known.pop() if known else api.incoming(digest)
                if held["complete"]:
                    return held
                return self._send_part(api, number, digest, size, file, int(held["size"]))

            while self._failure is None:
                held = self._again(next_part)
                if held["complete"]:
                    return
                known.append(held)

    def _send_part(
        self, api: Api, number: int, digest: str, size: int, file: BinaryIO, begin: int
    ) -> Dict[str, Any]:
        self._tell(number, begin)
        file.seek(begin)
        data = file.read(PART)
        if not data and begin < size:
            raise BundleError("A file became shorter while it was being sent.", "Submit it again.")
        body, headers = self._encoded(data)
        pieces = self._pieces(number, begin, len(data), body)
        return api.send_part(digest, begin, size, pieces, headers, _PATIENCE)

    def _encoded(self, data: bytes) -> Tuple[bytes, Dict[str, str]]:
        """Return data as it travels, compressed where that makes it smaller, and what says so."""
        if self._is_here or len(data) < 1000:
            return data, {}
        import zlib

        # In the middle, for beginnings are often tables of contents.
        middle = max(0, len(data) // 2 - _SAMPLE // 2)
        sample = data[middle : middle + _SAMPLE]
        if len(zlib.compress(sample, 1)) > _WORTH_IT * len(sample):
            return data, {}
        return zlib.compress(data, 1), {"Content-Encoding": "deflate"}

    def _pieces(self, number: int, begin: int, size: int, body: bytes) -> Pieces:
        """Return a body that tells how far it is; compressed or not, `size` bytes of content."""

        def sent(count: int) -> None:
            self._tell(number, begin + size * count // max(1, len(body)))

        return Pieces(body, sent)

    def _tell(self, number: int, done: int) -> None:
        with self._lock:
            self._done[number] = done
            self._told(min(sum(self._done.values()), self._total), self._total)

"""Log and journal reach the server whole, once and in order, whatever happens on the way."""

from __future__ import annotations

import base64
import json
import os
import random
import socket
import socketserver
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atlas_runner import shipper as shipping
from atlas_runner.shipper import Shipper
from atlas_runner.workspace import Workspace
from atlas_server.archive.logs import LogArchive
from foundations.blobs import BlobDir
from foundations.contract import manifest
from foundations.contract.report import Assignment, Result
from foundations.journal.spool import Writer
from foundations.staging import stage

JOB = "0a000000-0000-4000-8000-000000000001"
# What may go wrong with one request.
FINE = "fine"
REFUSED = "hangs up before it reads"
CUT = "hangs up in the middle of its answer"
UNANSWERED = "takes the report in and hangs up"
FULL = "has no space"
FAILED = "fails"
MOVED = "goes away and comes back on another port"
FENCED = "has given the attempt up"
TROUBLE = [FINE, REFUSED, CUT, UNANSWERED, FULL, FAILED, MOVED]


class Receiver:
    """What a server keeps of the reports of one attempt, by the rules of the real one."""

    def __init__(self, root: Path) -> None:
        self.log = LogArchive(root)
        self.events: dict[str, list[dict[str, Any]]] = {}
        self._positions: dict[str, int] = {}
        self.environment: dict[str, Any] | None = None
        self.result: dict[str, Any] | None = None
        self.reports: list[dict[str, Any]] = []
        self.stop = False

    def take(self, report: dict[str, Any]) -> dict[str, Any]:
        self.reports.append(report)
        assert report["instance"] == "this one"
        data = base64.b64decode(report["log"], validate=True)
        size = self.log.append(JOB, 1, report["log_offset"], data)
        for batch in report["journal"]:
            known = self._positions.get(batch["writer"], 0)
            fresh = batch["events"][max(0, known - batch["first"] + 1) :]
            self.events.setdefault(batch["writer"], []).extend(fresh)
            last = batch["first"] + len(batch["events"]) - 1
            self._positions[batch["writer"]] = max(known, last)
        self.environment = report["environment"] or self.environment
        self.result = report["result"] or self.result
        return {"log_size": size, "stop": self.stop}

    @property
    def bytes(self) -> bytes:
        return self.log.read(JOB, 1, 0, 1 << 30)


class Flaky:
    """An HTTP server to which one thing after the other happens, and then nothing more."""

    def __init__(self, receiver: Receiver, home: Path, trouble: list[str]) -> None:
        self.receiver = receiver
        self.troubles = iter(trouble)
        self._state = home / "run" / "server.json"
        self._state.parent.mkdir(exist_ok=True)
        self.open()

    def open(self) -> None:
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self.url = "http://127.0.0.1:{}".format(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        partial = self._state.with_suffix(".partial")
        partial.write_text(json.dumps({"url": self.url}))
        partial.replace(self._state)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def move(self) -> None:
        """Stop listening; the new server announces itself where the old one did."""
        old, thread = self._server, self._thread
        self.open()
        old.shutdown()
        old.server_close()
        thread.join()


class _Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 20


def _handler(flaky: Flaky) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            trouble = next(flaky.troubles, FINE)
            self.close_connection = trouble != FINE
            if trouble == REFUSED:
                return
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if trouble == FULL:
                self.answer(507, {"error": {"code": "storage_full", "message": "Full."}})
            elif trouble == FAILED:
                self.answer(500, {"error": {"code": "server_error", "message": "Oh."}})
            elif trouble == FENCED:
                self.answer(410, {"error": {"code": "fenced", "message": "Given up."}})
            elif trouble == MOVED:
                flaky.move()
            else:
                reply = flaky.receiver.take(json.loads(body))
                if trouble != UNANSWERED:
                    self.answer(200, reply, cut=trouble == CUT)

        def answer(self, status: int, value: object, *, cut: bool = False) -> None:
            data = json.dumps(value).encode()
            head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(data)}\r\n\r\n".encode()
            self.wfile.write((head + data)[: -3 if cut else None])

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


class Attempt:
    """A workspace whose shipper talks to a flaky server."""

    def __init__(self, root: Path, trouble: list[str]) -> None:
        self.root = root
        self.workspace = Workspace.create(str(root), JOB, 1)
        self.receiver = Receiver(root / "received")
        self.server = Flaky(self.receiver, root, trouble)
        self.blobs = BlobDir(str(root / "blobs"))
        self.stopped = threading.Event()

    def shipper(self, **changes: Any) -> Shipper:
        values: dict[str, Any] = {
            "attempt": 1, "token": "t", "job_id": JOB, "number": 1, "server": self.server.url,
            "instance": "this one", "home": str(self.root), "blobs": str(self.root / "blobs"),
            "spec": {}, "heartbeat": 60.0,
        }  # fmt: skip
        assignment = Assignment(**{**values, **changes})
        return Shipper(assignment, self.workspace, "1:1", self.stopped.set)

    def write(self, data: bytes) -> None:
        with self.workspace.log_path.open("ab") as file:
            file.write(data)

    def writer(self) -> Writer:
        return Writer(str(self.workspace.journal_dir))

    def close(self) -> None:
        self.server.close()
        os.close(self.workspace.lock_fd)


@pytest.fixture
def begin(tmp_path, monkeypatch):
    """Make an attempt to which such things happen."""
    monkeypatch.setattr(shipping, "_FIRST_PAUSE", 0.001)
    monkeypatch.setattr(shipping, "_LONGEST_PAUSE", 0.01)
    monkeypatch.setattr(shipping, "_PACE", 0.005)
    begun: list[Attempt] = []

    def begin(*trouble: str) -> Attempt:
        root = tmp_path / str(len(begun))
        root.mkdir()
        begun.append(Attempt(root, list(trouble)))
        return begun[-1]

    yield begin
    for attempt in begun:
        attempt.close()


Begin = Callable[..., Attempt]


@pytest.mark.parametrize("trouble", TROUBLE)
def test_one_trouble_at_every_step(begin: Begin, trouble):
    for step in range(3):
        attempt = begin(*[FINE] * step, trouble)
        attempt.write(b"before\n")
        shipper = attempt.shipper()
        shipper.worker_started({"python": "3.11"})
        attempt.writer().append("metric", {"key": "loss", "value": 1, "step": None})
        attempt.write(b"after\n")
        shipper.finish(Result(exit_code=0, usage={"cpu_seconds": 1.0}))
        assert attempt.receiver.bytes == b"before\nafter\n"
        (events,) = attempt.receiver.events.values()
        assert [event["key"] for event in events] == ["loss"]
        assert attempt.receiver.environment == {"python": "3.11"}
        assert attempt.receiver.result is not None
        assert attempt.receiver.result["exit_code"] == 0
        assert attempt.receiver.reports[-1]["phase"] == "finished"


@given(
    trouble=st.lists(st.sampled_from(TROUBLE), max_size=25),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=25, deadline=None)
def test_everything_arrives_once_and_in_order(tmp_path_factory, trouble, seed):
    chance = random.Random(seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shipping, "_FIRST_PAUSE", 0.0005)
        patch.setattr(shipping, "_LONGEST_PAUSE", 0.004)
        patch.setattr(shipping, "_PACE", 0.001)
        # Small pieces, so that much is sent in many reports.
        patch.setattr(shipping, "_CHUNK_BYTES", chance.choice([7, 100, 256 * 1024]))
        attempt = Attempt(tmp_path_factory.mktemp("ship"), trouble)
        try:
            written = _random_work(attempt, chance)
        finally:
            attempt.close()
    receiver = attempt.receiver
    assert receiver.bytes == written
    for name, events in receiver.events.items():
        assert [event["n"] for event in events] == list(range(1, len(events) + 1)), name
    values = sorted(event["value"] for events in receiver.events.values() for event in events)
    assert values == list(range(len(values)))
    assert len(values) == _METRICS


_METRICS = 30


def _random_work(attempt: Attempt, chance: random.Random) -> bytes:
    """Print and log while the shipper sends; returns what was printed."""
    writers = [attempt.writer() for _ in range(2)]
    shipper = attempt.shipper()
    shipper.worker_started({})
    written = b""
    for number in range(_METRICS):
        chance.choice(writers).append("metric", {"key": "k", "value": number, "step": number})
        data = chance.randbytes(chance.choice([0, 1, 50]))
        attempt.write(data)
        written += data
    shipper.finish(Result(exit_code=3))
    assert attempt.receiver.result is not None
    return written


def test_a_second_runner_goes_on_where_the_first_died(begin: Begin):
    # The first one sent things and vanished; the second begins with everything.
    attempt = begin()
    attempt.write(b"one\n")
    writer = attempt.writer()
    writer.append("tag", {"key": "a", "value": "1"})
    first = attempt.shipper()
    first.worker_started({})
    first.finish(Result(exit_code=0))
    attempt.write(b"two\n")
    writer.append("tag", {"key": "b", "value": "2"})
    second = attempt.shipper(recover=True)
    second.start()
    second.finish(Result(reason="lost"))
    assert attempt.receiver.bytes == b"one\ntwo\n"
    (events,) = attempt.receiver.events.values()
    assert [event["key"] for event in events] == ["a", "b"]


def test_stop_is_passed_on(begin: Begin):
    attempt = begin()
    attempt.receiver.stop = True
    shipper = attempt.shipper()
    shipper.worker_started({})
    assert attempt.stopped.wait(60)
    shipper.finish(Result(reason="stop_requested"))


def test_attempt_that_was_given_up_ends_its_worker(begin: Begin):
    attempt = begin(FULL, FENCED)
    shipper = attempt.shipper()
    shipper.worker_started({})
    assert attempt.stopped.wait(60)
    shipper.finish(Result(exit_code=0))
    assert shipper.fenced


def test_server_that_is_not_there_yet(begin: Begin):
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))  # not listening: connections are refused
        attempt = begin()
        shipper = attempt.shipper(server="http://127.0.0.1:%d" % reserved.getsockname()[1])
        attempt.write(b"said\n")
        shipper.start()
        shipper.finish(Result(exit_code=0))
    assert attempt.receiver.bytes == b"said\n"


# -- artifacts


def test_artifacts_are_stored_before_they_are_told_of(begin: Begin, tmp_path):
    attempt = begin(UNANSWERED, FULL, CUT)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").write_bytes(b"w" * 1000)
    (tmp_path / "model" / "newest").symlink_to("weights")
    (tmp_path / "notes.txt").write_bytes(b"notes")
    writer = attempt.writer()
    for source in ("notes.txt", "model"):
        staged = stage(str(tmp_path / source), str(attempt.workspace.artifacts_dir))
        fields = {"staged": staged.staged, "filename": staged.filename, "size": staged.size}
        writer.append("artifact", {"key": source, "folder": staged.folder, **fields})
    shipper = attempt.shipper()
    shipper.start()
    shipper.finish(Result(exit_code=0))
    (events,) = attempt.receiver.events.values()
    notes, model = events
    with attempt.blobs.open(notes["digest"]) as file:
        assert file.read() == b"notes"
    with attempt.blobs.open(model["digest"]) as file:
        entries = manifest.decode(file.read())
    weights = manifest.digest(b"w" * 1000)
    assert [tuple(entry) for entry in entries] == [
        ("newest", "l", "weights", 0),
        ("weights", "f", weights, 1000),
    ]
    assert model["size"] == 1000
    assert attempt.blobs.has(weights)


@pytest.mark.parametrize(
    "fields",
    [
        {"key": "a"},
        {"key": "a", "staged": 5},
        {"key": "a", "staged": "missing/file", "filename": "file", "size": 1},
        {"key": "a", "staged": "../../../../outside", "filename": "outside", "size": 1},
        {"key": "a", "staged": ".", "filename": "x", "size": "large"},
        {"key": "a", "staged": "a\0b", "filename": "x", "size": 1},
    ],
)
def test_odd_artifact_does_not_hold_up_the_attempt(begin: Begin, fields):
    attempt = begin()
    outside = attempt.root / "outside"
    outside.write_text("not the job's")
    (attempt.workspace.artifacts_dir / "somefolder").mkdir()
    writer = attempt.writer()
    writer.append("artifact", fields)
    writer.append("tag", {"key": "after", "value": "1"})
    shipper = attempt.shipper()
    shipper.start()
    shipper.finish(Result(exit_code=0))
    (events,) = attempt.receiver.events.values()
    assert not events[0].get("digest")
    assert events[1]["key"] == "after"
    assert outside.read_text() == "not the job's"
    assert b"artifact 'a' cannot be kept" in attempt.receiver.bytes


def test_broken_line_of_a_journal_is_told_in_the_log(begin: Begin):
    attempt = begin()
    journal = attempt.workspace.journal_dir / "w.jsonl"
    journal.write_bytes(b'{"k":"tag","key":"a","value":"1"}\nrubbish\n{"k":"tag","key":"b"}\n')
    shipper = attempt.shipper()
    shipper.start()
    shipper.finish(Result(exit_code=0))
    assert attempt.receiver.bytes.count(b"rubbish") == 1
    numbers = [event["n"] for event in attempt.receiver.events["w"] if event["k"] == "tag"]
    assert numbers == [1, 3]

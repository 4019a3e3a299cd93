"""Large contents in parts: whatever is cut, repeated or sent twice, what is stored is right."""

from __future__ import annotations

import hashlib
import os
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atlas_server.archive.incoming import Incoming
from atlas_server.domain.freed import Freed
from foundations.blobs import BlobDir
from foundations.errors import BundleError, InvalidRequest, StorageFull

CONTENT = bytes(range(256)) * 40
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@given(
    st.lists(
        st.tuples(st.integers(0, len(CONTENT)), st.integers(1, 4000), st.booleans()), max_size=12
    )
)
@settings(max_examples=25, deadline=None)
def test_parts_of_any_kind_make_the_content(tmp_path_factory, parts):
    blobs = BlobDir(str(tmp_path_factory.mktemp("blobs")))
    incoming = Incoming(blobs)
    for offset, length, restarted in parts:
        if restarted:
            incoming = Incoming(blobs)
        before = incoming.held(DIGEST).size
        held = incoming.receive(DIGEST, len(CONTENT), offset, [CONTENT[offset : offset + length]])
        assert held == incoming.held(DIGEST)
        # Nothing is lost, and nothing stands behind a gap.
        assert held.size >= before
        assert held.size <= max(before, offset + length)
    held = incoming.held(DIGEST)
    if not held.complete:
        held = incoming.receive(DIGEST, len(CONTENT), held.size, [CONTENT[held.size :]])
    assert held.complete
    with blobs.open(DIGEST) as file:
        assert file.read() == CONTENT


def test_what_came_before_a_cut_stays(tmp_path):
    blobs = BlobDir(str(tmp_path))

    def cut_off():
        yield CONTENT[:1001]
        raise InvalidRequest("The connection was cut before all had arrived.")

    with pytest.raises(InvalidRequest):
        Incoming(blobs).receive(DIGEST, len(CONTENT), 0, cut_off())
    assert Incoming(blobs).held(DIGEST).size == 1001
    assert not blobs.has(DIGEST)


def test_a_sender_that_was_thought_dead_is_harmless(tmp_path):
    blobs = BlobDir(str(tmp_path))
    incoming = Incoming(blobs)
    begun, finished = threading.Event(), threading.Event()

    def stalled():
        yield CONTENT[:100]
        begun.set()
        assert finished.wait(30)
        yield b"x" * 500  # long after the content is stored

    late = []
    arguments = (DIGEST, len(CONTENT), 0, stalled())
    thread = threading.Thread(target=lambda: late.append(incoming.receive(*arguments)))
    thread.start()
    assert begun.wait(30)
    assert incoming.receive(DIGEST, len(CONTENT), 100, [CONTENT[100:]]).complete
    finished.set()
    thread.join()
    assert late[0].complete
    with blobs.open(DIGEST) as file:
        assert file.read() == CONTENT


def test_another_content_than_announced_is_not_kept(tmp_path):
    incoming = Incoming(BlobDir(str(tmp_path)))
    with pytest.raises(BundleError, match="digest"):
        incoming.receive(DIGEST, 5, 0, [b"wrong"])
    assert incoming.held(DIGEST).size == 0
    with pytest.raises(InvalidRequest):
        incoming.receive(DIGEST, 5, 0, [b"more than was announced"])


def test_a_disk_without_room_is_told_of_at_once(tmp_path):
    incoming = Incoming(BlobDir(str(tmp_path)))
    with pytest.raises(StorageFull, match="has no room"):
        incoming.receive(DIGEST, 1 << 60, 0, [b"the first bytes"])
    assert incoming.held(DIGEST).size == 0


def test_what_nobody_goes_on_with_is_swept(tmp_path):
    incoming = Incoming(BlobDir(str(tmp_path)))
    incoming.receive(DIGEST, 100, 0, [b"begun"])
    assert incoming.sweep(time.time() - 60) == Freed()
    (file,) = (tmp_path / "incoming").iterdir()
    os.utime(file, (1, 1))
    assert incoming.sweep(time.time() - 60).files == 1
    assert incoming.held(DIGEST).size == 0

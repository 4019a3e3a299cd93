"""Content is removed when nothing needs it, never before, whoever is killed in between."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
import warnings

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from atlas_server.archive.bundles import Bundles, InUse
from foundations.blobs import BlobDir
from foundations.contract import manifest
from foundations.errors import BlobsMissing

CONTENTS = [bytes([n]) * (n + 1) for n in range(2)]
SOME = st.frozensets(st.sampled_from(CONTENTS), min_size=1)
PROCESS = st.sampled_from([0, 1])


def manifest_of(contents: frozenset[bytes]) -> bytes:
    return manifest.encode(
        [(f"f{each[0]}", "f", manifest.digest(each), len(each)) for each in sorted(contents)]
    )


class Clients(RuleBasedStateMachine):
    """Two processes of a server, what clients and runners ask of them, and what is removed."""

    def __init__(self) -> None:
        super().__init__()
        self.root = tempfile.mkdtemp()
        self.blobs = BlobDir(os.path.join(self.root, "blobs"))
        self.processes = [Bundles(self.blobs), Bundles(self.blobs)]
        self.jobs: list[str] = []
        self.attempt: tuple[float, str | None, frozenset[str]] | None = None

    def teardown(self) -> None:
        try:
            self.attempt = None
            self.grow_old()
            self.processes[0].sweep(self.in_use)
            used = set[str]().union(*map(self.processes[0].everything, self.jobs))
            assert set(self.blobs.iter_digests()) == used
        finally:
            shutil.rmtree(self.root)

    def in_use(self) -> InUse:
        return InUse(dict.fromkeys(self.jobs, True), self.attempt[0] if self.attempt else None)

    @rule(process=PROCESS, contents=SOME)
    def send_manifest(self, process: int, contents: frozenset[bytes]) -> None:
        self.processes[process].receive(manifest_of(contents))

    @rule(content=st.sampled_from(CONTENTS))
    def upload(self, content: bytes) -> None:
        self.blobs.put_bytes(content, durable=False)

    @rule(process=PROCESS, contents=SOME)
    def submit(self, process: int, contents: frozenset[bytes]) -> None:
        digest = manifest.digest(manifest_of(contents))
        try:
            with self.processes[process].in_use(digest):
                self.jobs.append(digest)
        except BlobsMissing:
            pass  # a client sends them and asks again

    @precondition(lambda self: self.jobs)
    @rule(process=PROCESS, data=st.data(), killed=st.none() | st.integers(0, 3))
    def delete(self, process: int, data: st.DataObject, killed: int | None) -> None:
        job = data.draw(st.sampled_from(self.jobs))
        self.jobs.remove(job)
        bundles = self.processes[process]
        self.carry_out(lambda: bundles.release(bundles.everything(job), self.in_use), killed)

    @rule(process=PROCESS, killed=st.none() | st.integers(0, 3))
    def gc(self, process: int, killed: int | None) -> None:
        bundles = self.processes[process]
        would = bundles.sweep(self.in_use, dry=True)
        before = set(self.blobs.iter_digests())
        if not self.carry_out(lambda: bundles.sweep(self.in_use), killed):
            assert len(before) - len(set(self.blobs.iter_digests())) == would.files

    @precondition(lambda self: self.attempt is None)
    @rule()
    def grow_old(self) -> None:
        then = time.time() - 2 * 86400
        for digest in self.blobs.iter_digests():
            os.utime(self.blobs.path(digest), (then, then))

    @precondition(lambda self: self.attempt is None)
    @rule()
    def begin_attempt(self) -> None:
        self.attempt = (time.time(), None, frozenset())

    @precondition(lambda self: self.attempt is not None)
    @rule(process=PROCESS, contents=SOME)
    def attempt_asks_what_is_missing(self, process: int, contents: frozenset[bytes]) -> None:
        assert self.attempt is not None
        digest, missing = self.processes[process].receive(manifest_of(contents))
        self.attempt = (self.attempt[0], digest, frozenset(missing))

    @precondition(lambda self: self.attempt is not None)
    @rule()
    def attempt_sends_that_and_ends(self) -> None:
        assert self.attempt is not None
        _, digest, missing = self.attempt
        for content in CONTENTS:
            if manifest.digest(content) in missing:
                self.blobs.put_bytes(content, durable=False)
        # What the job made is its own from the moment of the report on.
        self.jobs += [digest] if digest else []
        self.attempt = None

    @invariant()
    def every_job_is_whole(self) -> None:
        for job in self.jobs:
            assert not self.blobs.missing(self.processes[0].everything(job))

    def carry_out(self, work, killed: int | None) -> bool:
        """Do it, or begin it in a process that is killed at its `killed`th change; whether so."""
        if killed is None:
            work()
            return False
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that we have threads: the child uses none of theirs
            child = os.fork()
        if not child:
            left = [killed]

            def dying(change):
                def changed(*arguments, **named):
                    if not left[0]:
                        os._exit(0)
                    left[0] -= 1
                    return change(*arguments, **named)

                return changed

            os.rename, os.unlink, os.pwrite = map(dying, (os.rename, os.unlink, os.pwrite))
            try:
                work()
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        # What was moved aside by it is back as soon as anybody removes anything.
        with self.processes[0]._guard.removing():
            self.blobs.put_back()
        return True


Clients.TestCase.settings = settings(max_examples=15, stateful_step_count=30, deadline=None)
TestClients = Clients.TestCase

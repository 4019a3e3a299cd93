"""What nobody needs is removed over and over, and killed on the way, while jobs come and go."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tarfile
from io import BytesIO
from pathlib import Path

from tests.live import LiveServer, make_folder

from foundations.errors import BlobsMissing

JOB = """
import sys, foundations
open("made.txt", "w").write("what all of them make")
open("own.txt", "w").write(sys.argv[1])
foundations.save_artifact("made.txt", "made")
"""
# Collects everything that is unused at this moment, not of yesterday, but for what is just being
# written; every other time it is killed, a little later each time.
COLLECTOR = """
import os, signal, sys, time
from atlas_server import assembly, main, upkeep
from atlas_server.archive import bundles
from atlas_server.services import archives
bundles.GRACE_SECONDS = archives.GRACE_SECONDS = 0.0
sys.stdout = open(os.devnull, "w")
rounds = 0
while True:
    rounds += 1
    child = os.fork()
    if not child:
        os._exit(main.main(["gc"]))
    if rounds % 2:
        time.sleep(rounds % 50 / 500)
        os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    if not rounds % 2 and status:
        sys.exit(f"gc ended with {status}")
    print(rounds, file=sys.stderr, flush=True)
"""


def test_collecting_in_a_loop_beside_jobs(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "project", main=JOB)
    output = tmp_path / "collected"
    with LiveServer(tmp_path, cpus=4) as server, output.open("wb") as file:
        first = server.send(folder, "main.py", "0")
        server.completed(first)
        command = [sys.executable, "-c", COLLECTOR]
        collector = subprocess.Popen(command, env=server.env, stdout=file, stderr=file)
        try:
            server.wait_for(lambda: output.stat().st_size, "first collection")
            kept = {first: "0"}
            for number in range(1, 7):
                job = _submit(server, folder, str(number))
                server.completed(job)
                _assert_whole(server, job, str(number))
                if number % 2:
                    server.api().delete(job)
                else:
                    kept[job] = str(number)
                # The code of those to come is nobody's, now and then.
                server.api().delete(first) if number == 5 else None
            del kept[first]
            rounds = output.read_text().count("\n")
            server.wait_for(lambda: output.read_text().count("\n") > rounds + 1, "last one")
            assert collector.poll() is None, output.read_text()
        finally:
            collector.kill()
            collector.wait()
        for job, number in kept.items():
            _assert_whole(server, job, number)
        assert "Traceback" not in server.log()


def _submit(server: LiveServer, folder: Path, number: str) -> str:
    while True:
        server._sent.clear()
        # Nothing holds what was sent but this, and here it may go at any moment.
        with contextlib.suppress(BlobsMissing):
            return server.send(folder, "main.py", number)


def _assert_whole(server: LiveServer, job: str, number: str) -> None:
    with tarfile.open(fileobj=BytesIO(b"".join(server.api().archive(job)))) as archive:
        found = {Path(each).name for each in archive.getnames()}
        own = archive.extractfile(f"{job}/own.txt")
        assert own is not None
        assert own.read().decode() == number
    assert {"main.py", "made.txt", "own.txt"} <= found
    artifacts = b"".join(server.api().artifacts_archive(job))
    with tarfile.open(fileobj=BytesIO(artifacts)) as archive:
        assert archive.getnames()

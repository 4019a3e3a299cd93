"""A PostgreSQL database that is full, crowded, stands still, or goes on elsewhere."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.live import LiveServer, make_folder
from tests.postgres import Cluster
from tests.programs import MARKER, TALKER

from foundations.errors import FoundationsError

pytestmark = pytest.mark.postgres

CUT_OFF = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE "


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system that PostgreSQL can use."""
    disk = Path(f"/tmp/{tmp_path.parent.name}-{tmp_path.name}-disk")  # which it can enter
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=40m,mode=777", "none", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        disk.rmdir()
        pytest.skip("no file system can be mounted here")
    (disk / "space").mkdir()
    if os.geteuid() == 0:
        shutil.chown(disk / "space", "postgres", "postgres")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)
        disk.rmdir()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_folder(tmp_path / "project", talk=TALKER, mark=MARKER)


def refusal(server: LiveServer, *words: str) -> str:
    """What somebody who submits is told, once it is that the database cannot be used."""

    def refused() -> str | None:
        try:
            server.api().edit("last", {"tags": {"some": os.urandom(4000).hex()}})
        except FoundationsError as error:
            text = str(error)
            return text if any(word in text for word in words) else None
        return None

    return server.wait_for(refused, f"refusal with {words}")


def test_database_that_cannot_be_used_for_a_while(
    own_cluster: Cluster, small_disk: Path, folder: Path, tmp_path: Path
) -> None:
    cluster = own_cluster
    cluster.sql(f"CREATE TABLESPACE small LOCATION '{small_disk}/space'")
    cluster.sql("CREATE ROLE lab LOGIN")
    cluster.sql("CREATE DATABASE lab OWNER lab TABLESPACE small")
    url = cluster.url("lab").replace(f"{cluster.user}@", "lab@") + "&connect_timeout=2"
    marks, end = tmp_path / "marks", tmp_path / "end"
    with LiveServer(tmp_path, settings={"database_url": url}) as server:
        talker = server.send(folder, "talk.py", str(end))
        server.has_logged(talker, b"line 20\n")

        ballast = small_disk / "ballast"
        with ballast.open("wb", buffering=0) as file:
            size = 1 << 20
            while size >= 1024:
                try:
                    if file.write(b"\0" * size) < size:
                        size //= 2
                except OSError:
                    size //= 2
        assert "The disk of the database is full" in refusal(server, "disk of the database")
        ballast.unlink()
        server.completed(server.send(folder, "mark.py", str(marks)))

        # Others have all connections.
        cluster.sql("ALTER ROLE lab CONNECTION LIMIT 0")
        cluster.sql(CUT_OFF + "usename = 'lab'")
        assert "too many connections" in refusal(server, "too many connections")
        cluster.sql("ALTER ROLE lab CONNECTION LIMIT -1")
        server.completed(server.send(folder, "mark.py", str(marks)))

        # It stands still, and its machine goes on to answer for it.
        cluster.signal(signal.SIGSTOP)
        try:
            assert "does not answer" in refusal(server, "does not answer")
        finally:
            cluster.signal(signal.SIGCONT)
        server.completed(server.send(folder, "mark.py", str(marks)))
        end.touch()
        assert server.completed(talker)["attempts"] == 1
        everything_is_there(server, talker)
        assert len(marks.read_text().split()) == 3
        assert "Traceback" not in server.log(), server.log()


def test_standby_that_takes_over(folder: Path, tmp_path: Path) -> None:
    marks, end = tmp_path / "marks", tmp_path / "end"
    with Cluster() as primary, Cluster(primary) as standby:
        hosts = f"host={primary.folder},{standby.folder}&connect_timeout=2"
        primary.sql("CREATE DATABASE lab")
        url = f"postgresql://{primary.user}@/lab?{hosts}"
        # What was acknowledged is on both.
        primary.sql("ALTER SYSTEM SET synchronous_standby_names = '*'")
        primary.sql("SELECT pg_reload_conf()")
        with LiveServer(tmp_path, settings={"database_url": url}) as server:
            talker = server.send(folder, "talk.py", str(end))
            server.has_logged(talker, b"line 20\n")
            accepted = [server.send(folder, "mark.py", str(marks)) for _ in range(3)]
            primary.kill()
            standby.promote()
            accepted.append(server.send(folder, "mark.py", str(marks)))
            for job in accepted:
                assert server.completed(job)["attempts"] == 1
            # Made to refuse what is written, as before it is moved.
            standby.sql("ALTER DATABASE lab SET default_transaction_read_only = on")
            standby.sql(CUT_OFF + "datname = 'lab'")
            refusal(server, "can only be read", "session is read-only")
            standby.sql("ALTER DATABASE lab RESET default_transaction_read_only")
            end.touch()
            assert server.completed(talker)["attempts"] == 1
            everything_is_there(server, talker)
            assert sorted(marks.read_text().split()) == sorted(accepted)
            assert "Traceback" not in server.log(), server.log()


def everything_is_there(server: LiveServer, job_id: str) -> None:
    """Every line and every point, once, in order."""
    log = server.job_log(job_id).decode()
    total = int(re.search(r"total (\d+)", log)[1])  # type: ignore[index]
    everything = list(range(1, total + 1))
    assert [int(n) for n in re.findall(r"^line (\d+)$", log, re.MULTILINE)] == everything
    assert [point[3] for point in server.api().metric(job_id, "n")] == everything

"""A real PostgreSQL cluster of the tests' own, which they may kill and start again."""

from __future__ import annotations

import contextlib
import glob
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",  # it outlives its processes, not the machine
    "max_connections": "200",
    "shared_buffers": "32MB",
    "log_min_messages": "fatal",
}


def programs() -> Path | None:
    """The folder of PostgreSQL's programs; Debian keeps them out of PATH."""
    known = shutil.which("initdb")
    found = [known] if known else sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))
    return Path(os.path.realpath(found[-1])).parent if found else None


class Cluster:
    """A cluster that only its own socket leads to. A context manager that leaves nothing behind.

    With a `primary` it is a standby of that one; `settings` are some of postgresql.conf.

    PostgreSQL refuses to run as root: it runs as `postgres` then.
    """

    def __init__(self, primary: Cluster | None = None, **settings: str) -> None:
        self._primary = primary
        self._settings = {**_SETTINGS, **settings}
        self._programs = programs()
        self.user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        self.folder = Path(tempfile.mkdtemp(prefix="atlas-postgres-"))
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
        self._data = self.folder / "data"
        self._made = 0
        self._lock = threading.Lock()

    def __enter__(self) -> Cluster:
        if self._primary is not None:
            source = ["-h", str(self._primary.folder), "-U", self.user]
            options = ["-R", "-X", "stream", "-c", "fast", "--no-sync"]
            self._run("pg_basebackup", "-D", str(self._data), *source, *options)
        else:
            options = ["-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
            self._run("initdb", "-D", str(self._data), "-U", self.user, *options)
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self) -> None:
        """Start it, for the first time or again, and wait until it answers."""
        settings = " ".join(
            f"-c {name}={value or chr(39) * 2}" for name, value in self._settings.items()
        )
        log = str(self.folder / "log")
        self._run(
            "pg_ctl", "-D", str(self._data), "-w", "-l", log, "-o", f"{settings} -k {self.folder}",
            "start",
        )  # fmt: skip

    def stop(self, mode: str = "fast") -> None:
        """Stop it as its owner would."""
        self._run("pg_ctl", "-D", str(self._data), "-w", "-m", mode, "stop")

    def promote(self) -> None:
        """Make a standby the primary."""
        self._run("pg_ctl", "-D", str(self._data), "-w", "promote")

    def kill(self) -> None:
        """Kill it with SIGKILL; returns when all of its processes are gone."""
        import psutil

        psutil.wait_procs(self.signal(signal.SIGKILL), timeout=30)

    def signal(self, number: int) -> list[psutil.Process]:
        """Send all of its processes a signal (SIGSTOP: it stands still); returns them."""
        import psutil

        everything: list[psutil.Process] = []
        with contextlib.suppress(OSError, psutil.Error):
            pid = int((self._data / "postmaster.pid").read_text().split("\n")[0])
            server = psutil.Process(pid)
            everything = [server, *server.children(recursive=True)]
            for process in everything:
                with contextlib.suppress(psutil.Error):
                    process.send_signal(number)
        return everything

    def url(self, database: str) -> str:
        """The address of a database."""
        return f"postgresql://{self.user}@/{database}?host={self.folder}"

    def create(self, template: str | None = None) -> str:
        """Make a database, empty or as another one, and return its name."""
        with self._lock:
            self._made += 1
            name = f"atlas_{os.getpid()}_{self._made}"
        self.sql(f"CREATE DATABASE {name}" + (f" TEMPLATE {template}" if template else ""))
        return name

    def sql(self, statement: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Execute a statement and return its rows."""
        import psycopg

        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def _run(self, program: str, *arguments: str) -> None:
        assert self._programs is not None
        as_owner: list[str] = []
        if os.geteuid() == 0:
            as_owner = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--init-groups"]
        with (self.folder / f"{program}.out").open("w+") as output:
            done = subprocess.run(
                [*as_owner, str(self._programs / program), *arguments],
                cwd=self.folder, stdout=output, stderr=output, stdin=subprocess.DEVNULL, timeout=60,
                start_new_session=True,
            )  # fmt: skip
            output.seek(0)
            assert done.returncode == 0, output.read()

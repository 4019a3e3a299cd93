"""A Ray cluster of its own on this machine: two nodes with GPUs that are none, from nothing.

Ray comes from an environment of its own (scripts/ray-environment), not from the project's. What it
starts carries a mark in its environment and is killed by that, jobs included; another Ray on the
machine is not touched.
"""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import json
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
from tests.live import LiveServer
from tests.processes import kill_all
from tests.slurm import free_ports

RAY = Path(__file__).parents[1] / "build" / "ray" / "bin" / "ray"
NODES = ("n1", "n2")
GPUS = 2
CPUS = 16
_MARK = "ATLAS_TESTS_RAY"
_PATIENCE = 60.0
_NODE = [
    f"--num-cpus={CPUS}", f"--num-gpus={GPUS}", "--memory=4000000000",
    "--object-store-memory=78643200", "--disable-usage-stats",
]  # fmt: skip


def serving(ray: RayCluster, root: Path, **settings: object) -> LiveServer:
    """A server for a cluster whose nodes share no files with it: it stays at its address."""
    server = _ServerInTurn(ray.root / "turn", root)
    told = {"address": ray.url, "token_file": str(ray.token_file), "cache": str(root / "cache")}
    config = server.home / "config" / "server.config.yaml"
    config.parent.mkdir(parents=True)
    config.write_text(json.dumps({"executors": {"ray": {**told, **settings}}}))
    return server


class _ServerInTurn(LiveServer):
    """One that has the cluster to itself: jobs of others would keep its own waiting.

    It ends with what Ray has started for it, pilots say, which waits for a server otherwise.
    """

    def __init__(self, turn: Path, root: Path) -> None:
        super().__init__(root, 16, {"executors": "ray", "port": free_ports(1)[0]})
        self._turn = turn.open("a")
        self._cache = str(root / "cache")

    def __enter__(self) -> LiveServer:
        fcntl.flock(self._turn, fcntl.LOCK_EX)
        return super().__enter__()

    def processes(self) -> list[psutil.Process]:
        found = super().processes()
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get("FOUNDATIONS_HOME", "").startswith(self._cache):
                    found.append(process)
        return found

    def close(self) -> None:
        super().close()
        self._turn.close()


@contextlib.contextmanager
def shared_cluster(folder: Path) -> Iterator[RayCluster]:
    """One cluster for all processes that name the same folder; the last one to leave ends it."""
    notes, turn = folder / "ray.json", folder / "ray.lock"

    def change(by: int) -> RayCluster:
        with turn.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            kept = json.loads(notes.read_text()) if notes.exists() else {"users": 0}
            cluster = RayCluster(kept.get("facts"))
            if not kept["users"]:
                cluster.__enter__()
            users = kept["users"] + by
            if users:
                notes.write_text(json.dumps({"users": users, "facts": cluster.facts}))
            else:
                notes.unlink()
                cluster.close()
            return cluster

    cluster = change(1)
    try:
        yield cluster
    finally:
        change(-1)


class RayCluster:
    """Two nodes of 16 declared CPUs, 4 GB and two GPUs each; a context manager.

    `url` is where the dashboard's API is, `token_file` holds what it wants to see. n1 is in zone a,
    n2 in zone b. What runs on a cluster that another process of these tests has started is told in
    its `facts`.
    """

    def __init__(self, facts: dict[str, Any] | None = None) -> None:
        # Sockets' paths are short.
        self._facts = facts or {
            "root": tempfile.mkdtemp(prefix="ray-"),
            "ports": free_ports(5),
            "mark": secrets.token_hex(8),
        }
        self.root = Path(self._facts["root"])
        self._port, self._http, *_ = self._facts["ports"]
        self.url = f"http://127.0.0.1:{self._http}"
        self.token_file = self.root / "token"

    @property
    def facts(self) -> dict[str, Any]:
        """What another process needs to use it."""
        return self._facts

    def __enter__(self) -> RayCluster:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start both nodes, and wait until jobs can be submitted."""
        self.token_file.touch(0o600)
        self.token_file.write_text(secrets.token_hex(24))
        self._start_head()
        self.start_node("n2", *_NODE, "--labels=zone=b")
        self.wait(lambda: self.states() == dict.fromkeys(NODES, "ALIVE"))
        self.wait(lambda: self.ask("GET", "/api/jobs/") is not None)

    def _start_head(self) -> None:
        _, dashboard, client, agent, grpc = self._facts["ports"]
        self._run(
            "n1", "--head", f"--port={self._port}", f"--dashboard-port={dashboard}",
            "--dashboard-host=127.0.0.1", f"--ray-client-server-port={client}",
            f"--dashboard-agent-listen-port={agent}", f"--dashboard-agent-grpc-port={grpc}",
            f"--temp-dir={self.root}/t", "--labels=zone=a", *_NODE,
        )  # fmt: skip

    def start_node(self, name: str, *options: str) -> None:
        """Add a node, and wait until it has joined."""
        address = (self.root / "t" / "ray_current_cluster").read_text().strip()
        self._run(name, f"--address={address}", *options)
        self.wait(lambda: self.states().get(name) == "ALIVE")

    def kill_node(self, name: str, how: signal.Signals = signal.SIGKILL) -> None:
        """Kill or stop what makes a node one; what runs there goes on."""
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                if process.name() == "raylet" and process.environ()[f"{_MARK}_NODE"] == name:
                    process.send_signal(how)

    def states(self) -> dict[str, str]:
        """The state of each node; of several of one name the last."""
        told = self.ask("GET", "/api/v0/nodes?detail=true")
        nodes = told["data"]["result"]["result"] if told else []
        nodes.sort(key=lambda node: node["start_time_ms"])
        return {node["node_name"]: node["state"] for node in nodes}

    def jobs(self) -> dict[str, Any]:
        """Every job that Ray knows, by its name."""
        return {job["submission_id"]: job for job in self.ask("GET", "/api/jobs/") or []}

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """What the dashboard answers; None where it does not."""
        connection = http.client.HTTPConnection("127.0.0.1", self._http, timeout=30)
        headers = {
            "Authorization": f"Bearer {self.token_file.read_text()}",
            "Content-Type": "application/json",
        }
        try:
            data = None if body is None else json.dumps(body)
            connection.request(method, path, data, headers)
            answer = connection.getresponse()
            return json.loads(answer.read()) if answer.status == 200 else None
        except OSError:
            return None
        finally:
            connection.close()

    def wait(self, condition, patience: float = _PATIENCE) -> None:
        deadline = time.monotonic() + patience
        while not condition():
            assert time.monotonic() < deadline, self._logs()
            time.sleep(0.05)

    def processes(self) -> list[psutil.Process]:
        """What was started for this cluster and lives, jobs included."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                # Those that write a title over their environment are children of others.
                if process.environ().get(_MARK) == self._facts["mark"]:
                    found += [process, *process.children(recursive=True)]
        return list(dict.fromkeys(found))

    def close(self) -> None:
        """Kill everything, and leave nothing behind."""
        while found := self.processes():
            kill_all(process.pid for process in found)
        shutil.rmtree(self.root, ignore_errors=True)

    def _run(self, name: str, *options: str) -> None:
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("RAY_")},
            "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(self.token_file),
            _MARK: self._facts["mark"], f"{_MARK}_NODE": name,
        }  # fmt: skip
        done = subprocess.run(
            [str(RAY), "start", f"--node-name={name}", *options],
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr + self._logs()

    def _logs(self) -> str:
        folder = self.root / "t" / "session_latest" / "logs"
        files = sorted(folder.glob("*.err")) + sorted(folder.glob("dashboard*.log"))
        return "\n".join(
            f"== {file.name}\n{file.read_text()[-1500:]}" for file in files if file.stat().st_size
        )

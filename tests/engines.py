"""A Docker engine of one's own: killed, stopped, hung and started again without harm to others."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import docker
import psutil
from docker.errors import DockerException
from tests import images
from tests.processes import kill_all, kill_process

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "scripts" / "docker-engine"
HOOK = ROOT / "tests" / "stand_ins" / "nvidia-container-runtime-hook"
PATIENCE = 60.0
_INTERVAL = 0.02


def can_start() -> bool:
    """Whether a second engine can be started here."""
    return os.geteuid() == 0 and bool(
        shutil.which("dockerd", path=f"{os.environ['PATH']}:/usr/sbin")
    )


class PrivateEngine:
    """A second dockerd with a socket, images and containers of its own; a context manager.

    Its networks, the one it takes for the host's too, reach nothing outside, so it cannot pull.
    With `nvidia` it serves device requests for GPUs; what a container was given is in its
    NVIDIA_VISIBLE_DEVICES. `options` are dockerd's, as in "--live-restore".
    """

    def __init__(self, *options: str, nvidia: bool = False) -> None:
        # Not below a test's folder: Linux allows 107 bytes for the name of a socket.
        self.home = Path(tempfile.mkdtemp(prefix="atlas-engine-"))
        self.socket = self.home / "docker.sock"
        self.env = {"DOCKER_HOST": f"unix://{self.socket}"}
        self._options = options
        self._path = f"{os.environ['PATH']}{os.pathsep}/usr/sbin"
        if nvidia:
            # As NVIDIA's installation does: a runtime by that name, and the hook where it is found.
            runtime = shutil.which("runc", path=self._path)
            self._options = (*options, "--add-runtime", f"nvidia={runtime}")
            self._path = f"{HOOK.parent}{os.pathsep}{self._path}"

    def __enter__(self) -> PrivateEngine:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- what a fault or an administrator would do

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._script("start")

    def stop(self) -> None:
        """Stop it in good order, which ends its containers."""
        self._script("stop")

    def kill(self) -> None:
        """Kill the daemon with SIGKILL; containers go on."""
        kill_process(self.pid)

    def hang(self) -> None:
        """Let it accept connections and answer nothing until `go_on`."""
        daemon = psutil.Process(self.pid)
        daemon.suspend()
        # Each of its threads stops when it is told so.
        while daemon.status() != psutil.STATUS_STOPPED:
            time.sleep(0.01)

    def go_on(self) -> None:
        """Answer again."""
        os.kill(self.pid, signal.SIGCONT)

    # -- what it is

    @property
    def pid(self) -> int:
        """The daemon's process number."""
        return int((self.home / "docker.pid").read_text())

    def answers(self) -> bool:
        """Whether the daemon answers within two seconds."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(2)
            try:
                connection.connect(str(self.socket))
                connection.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
                return b" 200 " in connection.recv(64)
            except OSError:
                return False

    def client(self, timeout: float = PATIENCE) -> contextlib.closing[docker.DockerClient]:
        """A connection to it: `with engine.client() as client`."""
        return contextlib.closing(docker.DockerClient(self.env["DOCKER_HOST"], timeout=timeout))

    def image(self, name: str) -> str:
        """Make an image of tests/images.py in it; return the reference."""
        with self.client(images.PATIENCE) as client:
            images.provide(name, client=client)
        return images.reference(name)

    def log(self) -> str:
        """What the daemon has logged."""
        return (self.home / "dockerd.log").read_text(errors="replace")

    # -- cleaning up

    def close(self) -> None:
        """End it with everything that it started and remove what it kept."""
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            self.go_on()
        self._remove_containers()
        with contextlib.suppress(AssertionError):
            self.stop()
        until(self._is_empty)
        # Deepest first: mounts of containers that outlived their daemon.
        for mount in sorted(self._mounts(), key=len, reverse=True):
            subprocess.run(["umount", "--lazy", mount], check=True)
        shutil.rmtree(self.home)

    def _remove_containers(self) -> None:
        with contextlib.suppress(DockerException, OSError, AssertionError):
            if not self.answers():
                self.start()
            with self.client() as client:
                for container in client.containers.list(all=True):
                    container.remove(force=True, v=True)

    def _is_empty(self) -> bool:
        found = self._processes()
        kill_all(process.pid for process in found)
        return not found

    def _processes(self) -> list[psutil.Process]:
        """Daemon, containerd, shims and what runs below them."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.status() == psutil.STATUS_ZOMBIE:
                    continue
                if any(str(self.home) in word for word in process.cmdline()):
                    found += [process, *process.children(recursive=True)]
        return [process for process in found if process.pid != os.getpid()]

    def _mounts(self) -> list[str]:
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
        points = [line.split()[4] for line in lines]
        return [point for point in points if point.startswith(f"{self.home}/")]

    def _script(self, action: str) -> None:
        done = subprocess.run(
            [SCRIPT, action, "--home", self.home, *self._options],
            env={**os.environ, "PATH": self._path},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=2 * PATIENCE,
        )
        assert done.returncode == 0, done.stderr


def until(condition: Callable[[], object]) -> None:
    """Wait until `condition` is true."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, condition
        time.sleep(_INTERVAL)

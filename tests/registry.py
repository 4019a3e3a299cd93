"""A real image registry on this machine, with or without a password."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import docker
from docker.errors import ImageNotFound

USER, PASSWORD = "atlas", "not-a-secret"
# bcrypt of PASSWORD, which the registry insists on.
HTPASSWD = f"{USER}:$2b$04$.iWU81eIMFseU7Iw/tFtmOz9u64xZcDWr4DZh0Yu98Fna8XLAIx2C\n"
PATIENCE = 60.0
_INTERVAL = 0.02
_ADDRESS = re.compile(r"listening on (127\.0\.0\.1:\d+)")


def is_installed() -> bool:
    """Whether Debian's docker-registry is there."""
    return shutil.which("docker-registry") is not None


class Registry:
    """A registry that keeps its images below `root`; a context manager that ends it.

    A Docker engine trusts registries on the loopback interface without TLS.
    """

    def __init__(self, root: Path, with_password: bool = False) -> None:
        self.with_password = with_password
        root.mkdir(parents=True, exist_ok=True)
        self._root = root
        self._log = root / "registry.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.address = "127.0.0.1:0"

    def __enter__(self) -> Registry:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it, at the address that it had before if it was stopped."""
        config: dict[str, object] = {
            "version": "0.1",
            "storage": {"filesystem": {"rootdirectory": str(self._root / "data")}},
            "http": {"addr": self.address, "secret": "of one registry"},
        }
        if self.with_password:
            passwords = self._root / "htpasswd"
            passwords.write_text(HTPASSWD, encoding="ascii")
            config["auth"] = {"htpasswd": {"realm": "tests", "path": str(passwords)}}
        # JSON is YAML.
        written = self._root / "registry.json"
        written.write_text(json.dumps(config), encoding="utf-8")
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                ["docker-registry", "serve", str(written)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "OTEL_TRACES_EXPORTER": "none"},
            )
        self.address = self._announced()

    def _announced(self) -> str:
        assert self._process is not None
        deadline = time.monotonic() + PATIENCE
        while True:
            said = self._log.read_text(errors="replace")
            if found := _ADDRESS.search(said):
                return found[1]
            assert self._process.poll() is None, said
            assert time.monotonic() < deadline, said
            time.sleep(_INTERVAL)

    def stop(self) -> None:
        """End it; what was published stays."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def hang(self) -> None:
        """Let it accept connections and answer nothing until `go_on`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Answer again."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def publish(
        self, name: str, base: str = "atlas-test/busybox", *lines: str, size: int = 100_000
    ) -> str:
        """Publish an image that no engine has; return its reference.

        It is `base` with a layer of `size` random bytes and the Dockerfile's `lines`. It is
        made in the engine of the environment, and forgotten there, so that using it means to pull.
        """
        reference = f"{self.address}/{name}:latest"
        with contextlib.closing(docker.from_env(timeout=PATIENCE)) as client:
            with tempfile.TemporaryDirectory() as folder:
                (Path(folder) / "layer").write_bytes(os.urandom(size))
                recipe = "\n".join([f"FROM {base}", "COPY layer /layer", *lines, ""])
                (Path(folder) / "Dockerfile").write_text(recipe, encoding="utf-8")
                client.images.build(path=folder, tag=reference, rm=True, forcerm=True)
            login = {"username": USER, "password": PASSWORD} if self.with_password else None
            for event in client.api.push(reference, stream=True, decode=True, auth_config=login):
                assert "error" not in event, event
            forget(client, reference)
        return reference

    def digest(self, reference: str, client: docker.DockerClient) -> str:
        """What an engine says is the digest behind a published name; needs no password."""
        return client.images.get(reference).attrs["RepoDigests"][0].partition("@")[2]

    def docker_config(self, folder: Path) -> Path:
        """Write a Docker config with the password, as `docker login` does; for DOCKER_CONFIG."""
        folder.mkdir(parents=True, exist_ok=True)
        login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        content = {"auths": {self.address: {"auth": login}}}
        (folder / "config.json").write_text(json.dumps(content), encoding="utf-8")
        return folder


def forget(client: docker.DockerClient, reference: str) -> None:
    """Remove an image from an engine, so that the next use pulls it."""
    with contextlib.suppress(ImageNotFound):
        client.images.remove(reference, force=True)

"""The container engine of this machine: Docker, or Podman through its compatible socket."""

from __future__ import annotations

import contextlib
import os
import re
import select
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from atlas_runner.errors import EngineUnavailable, PreparationStopped, StartFailed
from foundations.host_settings import engine_address

if TYPE_CHECKING:
    from docker import APIClient, DockerClient

Write = Callable[[bytes], object]

# Seconds that one answer may take. Starting a container is slow on a busy engine.
_ANSWER_SECONDS = 120
# Seconds between two looks whether an engine that is away has come back.
_LOOK_INTERVAL = 0.5
# How runtimes name the program that they could not execute. Of a folder or device that is not there
# they say the rest of it, too.
_NO_PROGRAM = re.compile(r'exec: "|executable file .*not found|exec format error', re.IGNORECASE)
_HINT = "Start it (systemctl start docker), or say where it is: DOCKER_HOST=unix:///path."


@dataclass(frozen=True)
class EngineFacts:
    """What decides how containers are made.

    `rootless`: root in a container is the user who runs the engine. `podman`: not Docker. `init`:
    it can give containers an init process. `nvidia`: it has NVIDIA's runtime.
    """

    name: str
    version: str
    rootless: bool
    podman: bool
    init: bool
    nvidia: bool


class Engine:
    """A connection to the engine. Threads may share it.

    `labels` go onto every container that is made through it, so that whoever tidies up knows whose
    it was.
    """

    def __init__(self, client: DockerClient) -> None:
        self.client = client
        self.labels: dict[str, str] = {}
        self._facts: EngineFacts | None = None

    @classmethod
    def connect(cls) -> Engine:
        """Return a connection to the engine that DOCKER_HOST names, else the one found here.

        Raises EngineUnavailable when none answers.
        """
        from docker import DockerClient, from_env  # noqa: PLC0415 - only where containers are used
        from docker.errors import DockerException  # noqa: PLC0415

        place = address()
        try:
            if place is None:
                client = from_env(version="auto", timeout=_ANSWER_SECONDS, max_pool_size=10)
            else:
                client = DockerClient(
                    base_url=place, version="auto", timeout=_ANSWER_SECONDS, max_pool_size=10
                )
        except DockerException as error:
            where = place or os.environ.get("DOCKER_HOST")
            raise EngineUnavailable(
                f"The container engine at {where} does not answer: {_root_cause(error)}.", _HINT
            ) from error
        return cls(client)

    @property
    def api(self) -> APIClient:
        """The engine's API, a method an endpoint."""
        return self.client.api

    @property
    def facts(self) -> EngineFacts:
        """What the engine says of itself."""
        if self._facts is None:
            with words():
                self._facts = _facts(self.client.info(), self.client.version())
        return self._facts

    def close(self) -> None:
        """Close the connection."""
        self.client.close()


def kept_log(engine: Engine) -> Any:
    """Return a log that keeps every byte: nothing is lost that is printed while nobody listens."""
    from docker.types import LogConfig  # noqa: PLC0415 - loaded with the engine

    if engine.facts.podman:
        return LogConfig(type="json-file")
    return LogConfig(
        type="local", config={"max-size": "1000t", "max-file": "1", "compress": "false"}
    )


def address() -> str | None:
    """Return the socket to use where DOCKER_HOST does not say: the first that exists here."""
    return engine_address(os.environ, os.getuid())


def socket_path() -> str | None:
    """Return the socket of the engine that will be used, None for one behind the network."""
    place = os.environ.get("DOCKER_HOST") or str(address())
    return place.removeprefix("unix://") if place.startswith("unix://") else None


def await_engine(
    patience: float, write: Write, stop_fd: int, before_waiting: Callable[[], object] = lambda: None
) -> Engine:
    """Return a connection; where the engine is away, wait for it up to `patience` seconds.

    `before_waiting` is called before that. Raises EngineUnavailable when the time is up,
    PreparationStopped when `stop_fd` becomes readable.
    """
    deadline = time.monotonic() + patience
    told = False
    while True:
        try:
            return Engine.connect()
        except EngineUnavailable as error:
            if time.monotonic() >= deadline:
                raise
            if not told:
                before_waiting()
                write(f"Foundations WARNING: {error.message} Waiting for it.\n".encode())
            told = True
        if select.select([stop_fd], [], [], _LOOK_INTERVAL)[0]:
            raise PreparationStopped("The job was stopped while it waited for the engine.")


@contextlib.contextmanager
def words() -> Iterator[None]:
    """Turn what the engine refuses into StartFailed, its silence into EngineUnavailable."""
    # What docker is built on; noise to whoever uses no containers.
    import requests  # noqa: PLC0415
    import urllib3  # noqa: PLC0415
    from docker.errors import APIError, DockerException  # noqa: PLC0415

    silent = (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, DockerException)
    try:
        yield
    except APIError as error:
        raise StartFailed(f"The container engine refused: {refusal(error)}") from error
    except silent as error:
        raise EngineUnavailable(
            f"The container engine does not answer: {_root_cause(error)}.", _HINT
        ) from error


def refusal(error: Any) -> str:
    """Return the engine's own sentence out of an APIError."""
    text = str(error.explanation or error).strip()
    return text if text.endswith((".", "!", "?")) else text + "."


def lacks_program(error: StartFailed) -> bool:
    """Whether the engine refused because the image has no such program, or none of that kind."""
    if isinstance(error, EngineUnavailable):
        return False  # "no such file" is said of its socket
    return _NO_PROGRAM.search(error.message) is not None


def is_missing(error: BaseException) -> bool:
    """Whether the engine says that there is no such thing."""
    return getattr(error, "status_code", None) == 404


def interruptible(call: Callable[[], Any], stop_fd: int, what: str) -> Any:
    """Return what `call` returns; raises PreparationStopped when `stop_fd` becomes readable.

    The call then goes on in its thread until this process ends: a pull is given up by the engine
    when the connection closes.
    """
    done = os.eventfd(0, os.EFD_CLOEXEC)
    outcome: list[tuple[Any, BaseException | None]] = []

    def work() -> None:
        try:
            outcome.append((call(), None))
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            outcome.append((None, error))
        os.eventfd_write(done, 1)

    thread = threading.Thread(target=work, name=what, daemon=True)
    thread.start()
    watched = [done, stop_fd] if stop_fd >= 0 else [done]
    ready = select.select(watched, [], [])[0]
    if done not in ready:
        raise PreparationStopped(f"The job was stopped: {what}.")
    thread.join()
    os.close(done)
    value, error = outcome[0]
    if error is not None:
        raise error
    return value


def _facts(info: dict[str, Any], version: dict[str, Any]) -> EngineFacts:
    components = {part.get("Name", "") for part in version.get("Components") or []}
    podman = any("podman" in name.lower() for name in components)
    options = " ".join(info.get("SecurityOptions") or [])
    runtimes = info.get("Runtimes") or {}
    return EngineFacts(
        name="Podman" if podman else "Docker",
        version=str(version.get("Version", "")),
        rootless="rootless" in options or bool(info.get("Rootless")),
        podman=podman,
        init=_has_podmans_init() if podman else bool(info.get("InitBinary")),
        nvidia="nvidia" in runtimes or _has_nvidia_hook(),
    )


def _has_podmans_init() -> bool:
    places = ("/usr/libexec/podman", "/usr/lib/podman", "/usr/bin", "/usr/local/bin")
    return any(os.path.exists(f"{place}/catatonit") for place in places)


def _has_nvidia_hook() -> bool:
    """Whether the program is there that Docker runs for `--gpus` without a runtime of its own."""
    folders = {*os.environ.get("PATH", os.defpath).split(os.pathsep), "/usr/bin", "/usr/local/bin"}
    name = "nvidia-container-runtime-hook"
    return any(os.path.exists(os.path.join(folder, name)) for folder in folders)


def _root_cause(error: BaseException) -> str:
    """Return the words of the first failure in a chain: outer ones only repeat each other."""
    cause = error
    while cause.__cause__ or cause.__context__:
        cause = cause.__cause__ or cause.__context__ or cause
    if isinstance(cause, OSError) and cause.errno:
        return os.strerror(cause.errno).lower()
    return str(cause).rstrip(".") or type(cause).__name__

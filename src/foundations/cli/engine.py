"""The container engine of this machine, as commands use it: Docker, or Podman's Docker socket."""

from __future__ import annotations

import contextlib
import os
import sys

from foundations.errors import ConfigError, EngineError
from foundations.host_settings import engine_address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterator

# Seconds in which an engine that is well says who it is.
_PATIENCE = 30
# Pulling, installing and keeping an image take minutes, in which nothing may be said.
_LONG = 24 * 3600
_INSTALL = "Install Docker (Debian: apt-get install docker.io), or name an engine: DOCKER_HOST."
_START = "Start it (systemctl start docker), or name another: DOCKER_HOST=unix:///path."
_PERMIT = "Let this user in (usermod -aG docker USER, then log in again), or use Podman."


@contextlib.contextmanager
def connected() -> Iterator[Any]:
    """Give the client of docker-py, whose calls may take as long as they need.

    Raises EngineError where no engine answers, and turns what the engine refuses into it.
    """
    import requests
    from docker import DockerClient
    from docker.errors import APIError, DockerException

    place = engine_address(os.environ, os.getuid())
    where = place or os.environ["DOCKER_HOST"]
    try:
        if place is None:
            client = DockerClient.from_env(version="auto", timeout=_PATIENCE)
        else:
            client = DockerClient(place, version="auto", timeout=_PATIENCE)
    except DockerException as error:
        raise _away(where, error) from error
    client.api.timeout = _LONG
    try:
        yield client
    except APIError as error:
        raise EngineError("The container engine refused: {}".format(refusal(error))) from error
    except (DockerException, requests.exceptions.RequestException) as error:
        raise _away(where, error) from error
    finally:
        client.close()


def base_image(client: Any, name: str, show: Callable[[str], None]) -> Any:
    """Return the image of this name; pull it where it is missing, which `show` is told.

    Raises EngineError with the engine's words where it cannot be had.
    """
    from docker.errors import APIError, ImageNotFound

    try:
        return client.images.get(name)
    except ImageNotFound:
        show("Pulling {}.".format(name))
    repository, _, tag = name.rpartition(":")
    if "@" in name:
        repository, _, tag = name.partition("@")
    try:
        _watch(client.api.pull(repository, tag=tag, stream=True, decode=True))
        return client.images.get(name)
    except (APIError, EngineError) as error:
        said = refusal(error) if isinstance(error, APIError) else error.message
        raise EngineError(
            "The image {} cannot be had: {}".format(name, said),
            "Name one that can, with --base; for a private registry: docker login REGISTRY.",
        ) from error


def _watch(events: Any) -> None:
    """Follow a pull; on a terminal with a bar of what has come."""
    layers: Dict[str, tuple[int, int]] = {}
    bar = None
    try:
        for event in events:
            if "error" in event:
                raise EngineError(str(event["error"]))
            detail = event.get("progressDetail") or {}
            if event.get("status") == "Downloading" and detail.get("total"):
                layers[event["id"]] = (detail["current"], detail["total"])
            elif event.get("status") == "Download complete" and event.get("id") in layers:
                total = layers[event["id"]][1]
                layers[event["id"]] = (total, total)
            if layers and sys.stderr.isatty():
                if bar is None:
                    from foundations.cli.tables import ByteBar

                    bar = ByteBar()
                done, total = (sum(sizes) for sizes in zip(*layers.values()))
                bar.show("Pulling", done, total)
    finally:
        if bar is not None:
            bar.close()


def refusal(error: Any) -> str:
    """Return the engine's own sentence out of an APIError."""
    text = str(error.explanation or error).strip()
    return text if text.endswith((".", "!", "?")) else text + "."


def image_name(option: str, name: str) -> str:
    """Return the full name of an image. Raises ConfigError."""
    from foundations.contract.images import PROCESS, read_image

    full = read_image(option, name)
    if full == PROCESS:
        raise ConfigError(
            "{}: '{}' stands for no image.".format(option, name), "Write it as NAME or NAME:TAG."
        )
    return full


def _away(where: str, error: BaseException) -> EngineError:
    cause = error
    while cause.__cause__ or cause.__context__:
        cause = cause.__cause__ or cause.__context__ or cause
    hint = _START
    if isinstance(cause, FileNotFoundError):
        hint = _INSTALL
    elif isinstance(cause, PermissionError):
        hint = _PERMIT
    said = cause.strerror if isinstance(cause, OSError) and cause.strerror else str(cause)
    return EngineError(
        "No container engine answers at {}: {}.".format(where, said.lower().rstrip(".")), hint
    )

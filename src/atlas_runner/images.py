"""Images: found, or pulled with progress in the job's log; and what is known of each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from atlas_runner.engine import Engine, Write, interruptible, is_missing, refusal, words
from atlas_runner.errors import StartFailed

_PROGRESS_INTERVAL = 2.0
_PULL_HINT = "Check worker.image in job.config.yaml; for a private registry: docker login REGISTRY."


@dataclass(frozen=True)
class Image:
    """An image that is on this machine.

    `name` is what was asked for, `id` its content's; `digests` are those that registries know it
    by. The rest is what its Dockerfile says.
    """

    name: str
    id: str
    digests: tuple[str, ...]
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    environment: dict[str, str]
    stop_signal: str | None

    @classmethod
    def of(cls, name: str, found: dict[str, Any]) -> Image:
        """Return the image that the engine describes in `found`."""
        config: dict[str, Any] = found.get("Config") or {}
        pairs = (line.partition("=") for line in config.get("Env") or [])
        return cls(
            name=name,
            id=str(found["Id"]),
            digests=tuple(found.get("RepoDigests") or ()),
            entrypoint=tuple(config.get("Entrypoint") or ()),
            command=tuple(config.get("Cmd") or ()),
            environment={key: value for key, _, value in pairs},
            stop_signal=config.get("StopSignal"),
        )

    def recorded(self) -> dict[str, Any]:
        """Return what a job remembers of the image, so that a rerun gets the same."""
        return {"name": self.name, "id": self.id, "digests": list(self.digests)}


def obtain(
    engine: Engine,
    worker: dict[str, Any],
    write: Write,
    stop_fd: int,
    before_pull: Callable[[], object],
) -> Image:
    """Return the image of a job's `worker` block; pull it where it is missing.

    One that the job is pinned to (`image_id`, `image_digest`: a rerun) is taken whatever its name
    stands for now. `before_pull` is called where it will take long. Raises StartFailed with the
    engine's words, PreparationStopped when `stop_fd` becomes readable.
    """
    name = str(worker["image"])  # with a tag or digest, see foundations.contract.images
    pinned_id, pinned_digest = worker.get("image_id"), worker.get("image_digest")
    for wanted in (pinned_id, pinned_digest) if pinned_id or pinned_digest else (name,):
        found = _find(engine, wanted) if wanted else None
        if found is not None:
            return Image.of(name, found)
    if pinned_id and not pinned_digest:
        raise StartFailed(
            f"The image '{name}' that the job ran in ({_short(pinned_id)}) is not on this machine"
            " any more, and came from no registry.",
            "Take the image of today: foundations rerun --image " + name,
        )
    wanted = str(pinned_digest or name)
    if wanted.startswith("sha256:"):
        raise StartFailed(f"The image {name} is not on this machine; an ID cannot be pulled.")
    before_pull()
    return _pull(engine, name, wanted, worker.get("platform"), write, stop_fd)


def _find(engine: Engine, name: str) -> dict[str, Any] | None:
    from docker.errors import APIError  # noqa: PLC0415 - loaded with the engine

    with words():
        try:
            return engine.api.inspect_image(name)
        except APIError as error:
            if not is_missing(error):
                raise
    return None


def _pull(
    engine: Engine, name: str, wanted: str, platform: str | None, write: Write, stop_fd: int
) -> Image:
    write(f"Pulling image {wanted}\n".encode())
    begin = time.monotonic()

    def pull() -> None:
        repository, tag = _split(wanted)
        events = engine.api.pull(repository, tag=tag, stream=True, decode=True, platform=platform)
        for line in _progress(events):
            write(line.encode())

    try:
        interruptible(lambda: _in_words(pull, wanted, write), stop_fd, f"pulling image {wanted}")
    except StartFailed as error:
        raise StartFailed(error.message, _PULL_HINT) from error
    found = _find(engine, wanted)
    if found is None:
        raise StartFailed(f"The image '{wanted}' was pulled and is not there.", _PULL_HINT)
    write(f"Pulled {_short(found['Id'])} in {time.monotonic() - begin:.1f} s\n".encode())
    return Image.of(name, found)


def _in_words(pull: Callable[[], None], name: str, write: Write) -> None:
    from docker.errors import APIError  # noqa: PLC0415 - loaded with the engine

    with words():
        try:
            pull()
        except APIError as error:
            write(f"{error}\n".encode())
            raise StartFailed(f"The image '{name}' cannot be had: {refusal(error)}") from error


def _split(name: str) -> tuple[str, str]:
    if "@" in name:
        repository, _, digest = name.partition("@")
        return repository, digest
    repository, _, tag = name.rpartition(":")
    return repository, tag


def _progress(events: Any) -> Iterator[str]:
    """Yield lines about a pull: how many layers and bytes have come, not one for each event."""
    layers: dict[str, tuple[int, int, bool]] = {}
    told = time.monotonic()
    for event in events:
        if "error" in event:
            raise StartFailed(f"The image cannot be pulled: {event['error']}.")
        status, layer = str(event.get("status", "")), event.get("id")
        detail = event.get("progressDetail") or {}
        if status.startswith(("Pulling fs layer", "Downloading", "Download complete")):
            done, total, _ = layers.get(str(layer), (0, 0, False))
            if status.startswith("Downloading"):
                done, total = int(detail.get("current") or done), int(detail.get("total") or total)
            over = status == "Download complete"
            layers[str(layer)] = (total if over else done, total, over)
        elif status in ("Pull complete", "Already exists"):
            _, total, _ = layers.get(str(layer), (0, 0, True))
            layers[str(layer)] = (total, total, True)
        elif status.startswith(("Digest:", "Status:")):
            yield f"{status}\n"
        if layers and time.monotonic() - told >= _PROGRESS_INTERVAL:
            told = time.monotonic()
            yield _standing(list(layers.values()))


def _standing(layers: list[tuple[int, int, bool]]) -> str:
    whole = sum(over for _, _, over in layers)
    done, total = (sum(layer[place] for layer in layers) / 1e6 for place in (0, 1))
    return f"  {whole} of {len(layers)} layers, {done:.0f} of {total:.0f} MB\n"


def _short(image_id: str) -> str:
    return image_id.removeprefix("sha256:")[:12]

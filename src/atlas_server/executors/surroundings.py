"""What this machine offers runners: looked at by whoever asks whether jobs could run here."""

from __future__ import annotations

import os
from dataclasses import dataclass

from atlas_runner import engine, inotify, installer, limits


@dataclass(frozen=True, slots=True)
class ContainerEngine:
    """The container engine; `has_wanted`: the image that was asked for is there."""

    name: str
    version: str
    nvidia: bool
    images: int
    has_wanted: bool


def container_engine(wanted: str | None) -> ContainerEngine | None:
    """Return the engine, None where none is set up. Raises StartFailed: it does not answer."""
    place = engine.socket_path()
    if place is not None and not os.path.exists(place):
        return None
    connection = engine.Engine.connect()
    try:
        with engine.words():
            images = connection.client.images.list()
        tags = {tag for image in images for tag in image.tags}
        facts = connection.facts
        there = wanted in tags or f"{wanted}:latest" in tags
        return ContainerEngine(facts.name, facts.version, facts.nvidia, len(images), there)
    finally:
        connection.close()


def inotify_trouble() -> str | None:
    """Return why no file can be watched; None: files can be."""
    try:
        inotify.Watcher().close()
    except OSError as error:
        return error.strerror or str(error)
    return None


def installer_path() -> str:
    """Return where uv is. Raises StartFailed."""
    return installer.find_uv()


def memory_groups() -> int | None:
    """Return the version of the control groups that limit jobs' memory; None: none do."""
    parent = limits.parent_group()
    return None if parent is None else parent.version

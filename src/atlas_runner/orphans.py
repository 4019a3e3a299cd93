"""Containers that nobody answers for any more, of this home."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from atlas_runner.engine import Engine, words
from atlas_runner.errors import StartFailed


def remove_orphans(instance: str, is_over: Callable[[str, int], bool]) -> int | None:
    """Remove the containers of attempts that are over; return how many of ours are left.

    `instance` is the server's identity; `is_over` takes a job's ID and the attempt's number. None
    where there is no engine, or none that answers.
    """
    with contextlib.suppress(StartFailed, ImportError):
        engine = Engine.connect()
        try:
            return _remove(engine, instance, is_over)
        finally:
            engine.close()
    return None


def _remove(engine: Engine, instance: str, is_over: Callable[[str, int], bool]) -> int:
    with words():
        wanted = {"label": [f"atlas.instance={instance}"]}
        found = engine.api.containers(all=True, filters=wanted)
    left = 0
    for container in found:
        labels = container["Labels"]
        job, number = labels.get("atlas.job"), labels.get("atlas.number", "")
        if job is None or not number.isdecimal():
            continue  # somebody else's, whatever its label says
        if is_over(job, int(number)):
            with contextlib.suppress(StartFailed), words():
                engine.api.remove_container(container["Id"], v=True, force=True)
        else:
            left += 1
    return left

"""The container engine of this machine as the server sees it: what it can do, what is left."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from atlas_runner import engine
from atlas_runner.engine import EngineFacts
from atlas_runner.errors import StartFailed
from atlas_runner.orphans import remove_orphans
from foundations.errors import FoundationsError, Refused

_FACTS_SECONDS = 60.0


class ContainerHost:
    """Answers for the engine. Its SDK is loaded once there is a job for it, and not before."""

    def __init__(self, instance: str, run_dir: Path) -> None:
        self._instance = instance
        self._used = run_dir / "containers-used"
        self._facts: EngineFacts | None = None
        self._asked_at = -_FACTS_SECONDS

    def problem(self, *, gpus: float) -> FoundationsError | None:
        """Return why a job with an image could not run here at all; None where it can.

        An engine that is away for the moment is no such reason: jobs wait for it.
        """
        place = engine.socket_path()
        if place is not None and not os.path.exists(place):
            return Refused(
                f"The job names an image, and no container engine runs here: there is no {place}.",
                "Start or install Docker or Podman, or run the job as a process: --image none.",
            )
        facts = self._ask() if gpus else None
        if facts is not None and not facts.nvidia:
            return Refused(
                f"The job asks for a GPU in a container, and {facts.name} here has no NVIDIA"
                " runtime.",
                "Install nvidia-container-toolkit, or remove `worker.image` from job.config.yaml.",
            )
        return None

    def remove_orphans(self, is_over: Callable[[str, int], bool]) -> int | None:
        """Remove our containers whose attempt is over; return how many are left.

        `is_over` takes a job's ID and an attempt's number. None where nobody has ever used the
        engine, or it does not answer.
        """
        return remove_orphans(self._instance, is_over) if self._used.exists() else None

    def _ask(self) -> EngineFacts | None:
        if time.monotonic() - self._asked_at >= _FACTS_SECONDS:
            self._asked_at = time.monotonic()
            try:
                connection = engine.Engine.connect()
                self._facts = connection.facts
                connection.close()
            except StartFailed:
                self._facts = None
        return self._facts

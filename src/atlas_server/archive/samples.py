"""What runners measured of jobs: one file a job, one JSON object a line, oldest first."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

Sample = tuple[float, dict[str, float]]


class SampleArchive:
    """Keeps (time, values) pairs; a file, for nobody asks for one among many."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def append(self, job_id: str, samples: Sequence[Sample]) -> None:
        """Add samples. Where there is no room they are lost: the job is worth more."""
        path = self._path(job_id)
        text = "".join(json.dumps([at, values]) + "\n" for at, values in samples)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a") as file:
                file.write(text)
        except OSError as error:
            log.warning("Measurements of job %s are lost: %s", job_id, error)

    def read(self, job_id: str) -> list[Sample]:
        """Return all samples, each moment once: what is sent twice is there twice."""
        found: dict[float, dict[str, float]] = {}
        for line in self._lines(job_id):
            try:
                at, values = json.loads(line)
            except ValueError:
                continue  # the disk was full in the middle of it
            found[float(at)] = values
        return sorted(found.items())

    def remove(self, job_id: str) -> None:
        """Delete a job's samples."""
        self._path(job_id).unlink(missing_ok=True)

    def size(self, job_id: str) -> int:
        """Return what a job's samples come to, in bytes."""
        try:
            return self._path(job_id).stat().st_size
        except FileNotFoundError:
            return 0

    def written(self) -> Iterator[tuple[str, float]]:
        """Yield the ID of each job that has samples, and when the last ones came."""
        for path in self._root.glob("??/*.jsonl"):
            with suppress(FileNotFoundError):
                yield path.stem, path.stat().st_mtime

    def _lines(self, job_id: str) -> list[str]:
        try:
            return self._path(job_id).read_text().splitlines()
        except FileNotFoundError:
            return []

    def _path(self, job_id: str) -> Path:
        return self._root / job_id[:2] / f"{job_id}.jsonl"


def thinned(samples: Sequence[Sample], most: int) -> dict[str, Any]:
    """Return samples column by column: means over equal stretches where there are more than `most`.

    `{"time": [...], "values": {name: [...]}}`, None where a stretch has no such value.
    """
    step = max(1, -(-len(samples) // most))
    stretches = [samples[start : start + step] for start in range(0, len(samples), step)]
    names = sorted({name for _, values in samples for name in values})
    return {
        "time": [_mean([at for at, _ in stretch]) for stretch in stretches],
        "values": {
            name: [
                _mean([values[name] for _, values in stretch if name in values])
                for stretch in stretches
            ]
            for name in names
        },
    }


def _mean(numbers: Sequence[float]) -> float | None:
    return sum(numbers) / len(numbers) if numbers else None

"""Curves of metrics for charts: of many jobs at once, and not more points than can be seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from atlas_server.domain.answers.curves import Curve, Curves
from atlas_server.store import curves
from atlas_server.store.curves import Known, Range, Sample
from atlas_server.store.engine import Store


@dataclass(frozen=True, slots=True)
class CurveAsked:
    """One curve: of a job (its whole ID), and only what comes after point number `after`."""

    job: str
    metric: str
    after: int = 0


class CurveReads:
    """Reads of curves."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def curves(
        self,
        asked: Sequence[CurveAsked],
        points: int,
        axis: str,
        first: float | None,
        last: float | None,
    ) -> Curves:
        """Return the curves; one that does not exist (yet) has no points."""
        # A transaction each: reading many long curves must not hold back the database's clean-up.
        with self._store.read() as connection:
            known = curves.find(connection, [(one.job, one.metric) for one in asked])
        found: list[Curve] = []
        for one in asked:
            curve = known.get((one.job, one.metric))
            sample = Sample()
            if curve is not None:
                part = Range(axis, first, last, one.after)
                with self._store.read() as connection:
                    sample = curves.sample(connection, curve, part, points)
            found.append(_told(one, curve, sample))
        return {"curves": found}


def _told(one: CurveAsked, curve: Known | None, sample: Sample) -> Curve:
    count = curve.count if curve is not None else 0
    return {
        "job_id": one.job,
        "metric": one.metric,
        "count": count,
        "last": count,
        "sampled": sample.sampled,
        "seq": [point[0] for point in sample.points],
        "step": [point[2] for point in sample.points],
        "time": [point[1] for point in sample.points],
        "value": [(point[3] or 0.0) if point[4] is None else point[4] for point in sample.points],
        "marks": [
            {"seq": seq, "time": time, "step": step, "value": text, "count": number}
            for seq, time, step, text, number in sample.marks
        ],
    }

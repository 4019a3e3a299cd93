"""How much each dimension of a space matters to the score."""

from __future__ import annotations

import json
import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

from atlas_server.domain.search.space import Dimension, Range, Space

_FEWEST = 10
_MOST_BINS = 10


def importance(space: Space, trials: Sequence[tuple[Mapping[str, Any], float]]) -> dict[str, float]:
    """The share of the scores' spread that each dimension explains by itself, the largest first.

    Scores count by their rank, so that a few that went far astray do not decide; numbers are put
    into bins with as many trials each. What chance alone would explain is taken off. Empty where
    there are too few trials to tell. Shares add up to 1 at most.
    """
    varied = [d for d in space.dimensions if len({_key(p.get(d.name)) for p, _ in trials}) > 1]
    if len(trials) < _FEWEST or not varied:
        return {}
    ranks = _ranks([score for _, score in trials])
    shares = {d.name: _explained(d, [p for p, _ in trials], ranks) for d in varied}
    total = max(1.0, sum(shares.values()))
    found = {name: share / total for name, share in shares.items()}
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _explained(
    dimension: Dimension, points: Sequence[Mapping[str, Any]], ranks: Sequence[float]
) -> float:
    group_of = _grouping(dimension, points)
    groups: dict[Hashable, list[float]] = defaultdict(list)
    for point, rank in zip(points, ranks, strict=True):
        groups[group_of(point)].append(rank)
    count, mean = len(ranks), sum(ranks) / len(ranks)
    total = sum((rank - mean) ** 2 for rank in ranks)
    if total == 0 or len(groups) == count:
        return 0.0
    within = sum(
        sum((rank - sum(group) / len(group)) ** 2 for rank in group) for group in groups.values()
    )
    # As adjusted R squared does.
    left = (within / (count - len(groups))) / (total / (count - 1))
    return max(0.0, 1.0 - left)


def _grouping(
    dimension: Dimension, points: Sequence[Mapping[str, Any]]
) -> Callable[[Mapping[str, Any]], Hashable]:
    name = dimension.name
    values = sorted(
        {point[name] for point in points if name in point}
        if isinstance(dimension.distribution, Range)
        else ()
    )
    bins = min(_MOST_BINS, max(2, math.isqrt(len(points) // 2)))
    if len(values) <= bins:
        return lambda point: _key(point.get(name))
    ordered = sorted(point[name] for point in points if name in point)
    edges = [ordered[len(ordered) * n // bins] for n in range(1, bins)]
    return lambda point: bisect_right(edges, point[name]) if name in point else None


def _ranks(scores: Sequence[float]) -> list[float]:
    places: dict[float, list[int]] = defaultdict(list)
    for place, score in enumerate(sorted(scores)):
        places[score].append(place)
    middle = {score: sum(found) / len(found) for score, found in places.items()}
    return [middle[score] for score in scores]


def _key(value: Any) -> str:
    return json.dumps(value, sort_keys=True)

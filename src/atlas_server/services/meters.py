"""Figures for Prometheus: counted while things happen, or looked up when they are asked for.

No name of a user, project or job is among them: what they are labelled with are words of this
program, so that there are never more than some hundred series.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from foundations.contract.states import JobState

_WAITS = (0.1, 1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 12 * 3600, 24 * 3600, 72 * 3600)
_STEPS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10)
_REQUESTS = (0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30)

# What can be looked up: (name, help, labels) -> {label values: number}.
Look = Callable[[], dict[tuple[str, ...], float]]


class Meters:
    """All figures of one server."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        registry = self._registry
        self.waits = Histogram(
            "atlas_queue_wait_seconds",
            "From queued to started, of each attempt",
            buckets=_WAITS,
            registry=registry,
        )
        self.steps = Histogram(
            "atlas_scheduler_step_seconds",
            "One look of the scheduler",
            buckets=_STEPS,
            registry=registry,
        )
        self._requests = Histogram(
            "atlas_request_seconds",
            "Until the answer to a request begins",
            ("method", "route", "status"),
            buckets=_REQUESTS,
            registry=registry,
        )
        self._attempts = Counter(
            "atlas_attempts",
            "Attempts that are over, by how they ended",
            ("state", "reason"),
            registry=registry,
        )

    def attempt_ended(self, state: JobState, reason: str | None) -> None:
        """Count an attempt; one that is queued again has the state queued."""
        self._attempts.labels(state.value, reason or "").inc()

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request. `route` is the pattern of its path, never the path."""
        self._requests.labels(method, route, f"{status // 100}xx").observe(seconds)

    def look_up(self, name: str, about: str, labels: tuple[str, ...], look: Look) -> None:
        """Have something looked up whenever the figures are asked for."""
        self._registry.register(_Lookup(name, about, labels, look))

    def text(self) -> bytes:
        """Return all figures in Prometheus's text format."""
        return generate_latest(self._registry)


class _Lookup(Collector):
    def __init__(self, name: str, about: str, labels: tuple[str, ...], look: Look) -> None:
        self._family = (name, about)
        self._labels = labels
        self._look = look

    def describe(self) -> Iterable[Metric]:
        """Return nothing: registering must not look anything up."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield the one figure that this is about."""
        metric = GaugeMetricFamily(*self._family, labels=self._labels)
        for labels, value in self._look().items():
            metric.add_metric(labels, value)
        yield metric

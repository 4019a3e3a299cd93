"""The order of `foundations list --sort`."""

from __future__ import annotations

from foundations.cli.wording import running_time
from foundations.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Tuple

    Json = Dict[str, Any]

_COLUMNS = ("job", "project", "name", "state", "submitted", "duration", "user", "priority")


def sorted_jobs(jobs: List[Json], order: str, now: float) -> List[Json]:
    """Return listing rows by `NAME`, `NAME:asc` or `NAME:desc`, those without a value last.

    NAME is a column, metric or parameter, in this order; `metric:NAME` and `param:NAME` say which.
    Raises ConfigError where none of the jobs has it.
    """
    name, _, direction = order.rpartition(":")
    if direction not in ("asc", "desc"):
        name, direction = order, "asc"
    found = [(_value(job, name, now), job) for job in jobs]
    if all(value is None for value, _ in found):
        raise ConfigError(
            "None of these jobs can be sorted by '{}'.".format(name),
            "Known: {}.".format(", ".join([*_COLUMNS, *_recorded(jobs)])),
        )
    having = sorted(
        (item for item in found if item[0] is not None),
        key=lambda item: _key(item[0]),
        reverse=direction == "desc",
    )
    return [job for _, job in having] + [job for value, job in found if value is None]


def _value(job: Json, name: str, now: float) -> Any:
    kind, _, own = name.partition(":")
    if kind == "metric":
        return job["metrics"].get(own, {}).get("value")
    if kind == "param":
        return job["params"].get(own)
    columns = {
        "job": job["job_id"],
        "submitted": job["submitted_at"],
        "duration": running_time(job, now),
    }
    if name in _COLUMNS:
        return columns[name] if name in columns else job[name]
    point = job["metrics"].get(name)
    return job["params"].get(name) if point is None else point["value"]


def _key(value: Any) -> Tuple[bool, Any]:
    """Numbers come before texts."""
    is_number = isinstance(value, (int, float))
    return (not is_number, value if is_number else str(value))


def _recorded(jobs: List[Json]) -> List[str]:
    metrics = {name: None for job in jobs for name in job["metrics"]}
    params = {name: None for job in jobs for name in job["params"]}
    return ["metric:" + name for name in metrics] + ["param:" + name for name in params]

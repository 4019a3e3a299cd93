"""What came of all jobs of a project, as one table."""

from __future__ import annotations

import sys

from foundations import config, context
from foundations.client.server import connect
from foundations.contract.flattening import flatten
from foundations.contract.numbers import from_text
from foundations.errors import NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

    Row = Dict[str, Any]
    # (kind, name): what tells a parameter from a metric of the same name.
    Column = Tuple[str, str]

_NO_TIME = "No time available"
_MISSING = float("nan")
_JOB, _PARAM, _METRIC, _TAG = "job", "param", "metric", "tag"
_JOB_COLUMNS = (
    "project_name", "job_id", "user", "status", "start_time", "completed_time", "creation_time",
    "tags",
)  # fmt: skip
# A job that waits, or was stopped, as older versions called it.
_STATUS = {
    "starting": "queued", "stopping": "running", "stopped": "failed", "pruned": "completed",
}  # fmt: skip


def get_metrics_for_all_jobs(
    project_name: str,
    as_: str = "pandas",
    *,
    query: str = "",
    scheduler_config: Optional[str] = None,
) -> Any:
    """Return one row for each job of a project, the newest first.

    With a `query` (`metrics.loss < 0.3 sort:-metrics.loss`, see `foundations query`) only for those
    jobs that fit, in its order; InvalidQuery says what is wrong with it.

    The columns are `project_name`, `job_id`, `user`, `status`, `start_time`, `completed_time` (ISO
    texts in local time), `creation_time` (seconds since the epoch) and `tags` (a dict), then one
    for each parameter, one for each metric (its newest value) and one called `tag_NAME` for each
    tag. A metric called like a column before it is `metric_NAME`, such a parameter `param_NAME`.

    `as_` is "pandas" or "polars" for a DataFrame of that library, or "records" for a list of dicts,
    in which a job has only what it has recorded. Raises ValueError for an unknown project or
    `as_`, ImportError where the library is not installed.
    """
    if as_ not in _FORMS:
        raise ValueError("as_ should be one of {}, not {!r}.".format(", ".join(_FORMS), as_))
    context.asks_for_others()
    found = _Jobs()
    context.asks_for_others()
    api = connect(config.wanted_scheduler(scheduler_config))
    try:
        for row in api.results(project_name, query):
            found.add(project_name, row)
    except NotFound as error:
        raise ValueError("Project `{}` does not exist.".format(project_name)) from error
    finally:
        api.close()
    return _FORMS[as_](found)


class _Jobs:
    """Jobs column by column: rows of dicts would take ten times the memory."""

    def __init__(self) -> None:
        self.count = 0
        self.columns: Dict[Column, List[Any]] = {(_JOB, name): [] for name in _JOB_COLUMNS}

    def add(self, project: str, row: List[Any]) -> None:
        """Take in what the server tells of a job."""
        job_id, user, state, submitted, started, finished, given, params, metrics, tags = row
        about = (
            project, job_id, user, _STATUS.get(state, state), _local(started), _local(finished),
            submitted, tags,
        )  # fmt: skip
        for name, value in zip(_JOB_COLUMNS, about):
            self._put(_JOB, name, value)
        if given:
            params = {**flatten(given), **params}
        for kind, values in ((_PARAM, params), (_METRIC, metrics), (_TAG, tags)):
            for name, value in values.items():
                self._put(kind, name, from_text(value) if kind != _TAG else value)
        self.count += 1

    def _put(self, kind: str, name: str, value: Any) -> None:
        column = self.columns.get((kind, name))
        if column is None:
            column = self.columns[kind, sys.intern(name)] = []
        if len(column) < self.count:
            column.extend([_MISSING] * (self.count - len(column)))
        column.append(value)

    def filled(self, missing: Any) -> Iterator[Tuple[str, List[Any]]]:
        """Yield (label, values) of each column, with `missing` where a job has none."""
        for label, column in self._labelled():
            values = column + [_MISSING] * (self.count - len(column))
            if missing is not _MISSING:
                values = [missing if value is _MISSING else value for value in values]
            yield label, values

    def _labelled(self) -> Iterator[Tuple[str, List[Any]]]:
        metrics = {name for kind, name in self.columns if kind == _METRIC}
        order = {kind: place for place, kind in enumerate((_JOB, _PARAM, _METRIC, _TAG))}
        # Stable: the columns about the job stay as they are, the others follow by name.
        for kind, name in sorted(
            self.columns, key=lambda column: (order[column[0]], column[0] != _JOB and column[1])
        ):
            clashes = name in _JOB_COLUMNS or (kind == _PARAM and name in metrics)
            prefixed = kind == _TAG or (kind != _JOB and clashes)
            label = "{}_{}".format(kind, name) if prefixed else name
            yield label, self.columns[kind, name]


def _local(seconds: Any) -> str:
    from datetime import datetime

    # Without a zone, as programs written for older versions parse it.
    return _NO_TIME if seconds is None else datetime.fromtimestamp(seconds).isoformat()  # noqa: DTZ006


def _pandas(found: _Jobs) -> Any:
    return _library("pandas").DataFrame(dict(found.filled(_MISSING)))


def _polars(found: _Jobs) -> Any:
    import json

    columns = dict(found.filled(None))
    # A struct of every tag of every job would not be a dict of this one's.
    columns["tags"] = [json.dumps(tags) for tags in columns["tags"]]
    return _library("polars").DataFrame(columns, strict=False, infer_schema_length=None)


def _library(name: str) -> Any:
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError(
            "{} is not installed. Install it, or ask for as_='records'.".format(name)
        ) from error


def _records(found: _Jobs) -> List[Row]:
    records: List[Row] = [{} for _ in range(found.count)]
    for label, values in found.filled(_MISSING):
        for record, value in zip(records, values):
            if value is not _MISSING:
                record[label] = value
    return records


_FORMS: Dict[str, Callable[[_Jobs], Any]] = {
    "pandas": _pandas,
    "polars": _polars,
    "records": _records,
}

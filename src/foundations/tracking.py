"""What a training program records: each call becomes events in the job's journal.

Outside of a job nothing is recorded; the values are checked all the same, so that a mistake shows
before the program is submitted.
"""

from __future__ import annotations

import errno
import math
import os

from foundations import context
from foundations.contract import environment, events
from foundations.errors import ConfigError, JournalError
from foundations.notices import warn
from foundations.scalars import NotScalar, plain_scalar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Mapping, Optional, Set, Tuple, Union

    from foundations.journal.spool import Writer

_NOT_IN_JOB = "Script not run with Foundations."
_NO_ARTIFACT_OUTSIDE = "Cannot save artifact outside of job."
_SHOWN_CHARACTERS = 30

_PLAIN = frozenset({float, int, bool, str})
# Attempt's folder -> the writer of its journal. A program has one; tests and shells see several.
_writers: Dict[str, Writer] = {}
_saved_artifacts: Set[Tuple[str, str]] = set()
_set_tags: Dict[Tuple[str, str], str] = {}
_given_warnings: Set[str] = set()


# --- metrics ---------------------------------------------------------------------------------


def log_metric(key: str, value: Any, step: Optional[float] = None) -> None:
    """Append a value to the metric `key`.

    `value` is a text, number or boolean, a scalar or 0-d array of NumPy, PyTorch, JAX or
    TensorFlow, or a list of those: a list appends each of its elements in order, all at the same
    `step`. `step`, the value's place on the x axis, is any finite number. NaN and infinities are
    kept. Raises ValueError for a key that is no text, TypeError for other values and steps;
    then nothing is recorded.
    """
    if type(key) is str and type(value) in _PLAIN and (step is None or type(step) is int):
        # Nearly always, and in the middle of a training: there is nothing to look at twice.
        record(events.METRIC, [{"key": key, "value": value, "step": step}])
    else:
        log_metrics({key: value}, step)


def log_metrics(metrics: Mapping[str, Any], step: Optional[float] = None) -> None:
    """Do `log_metric` for each item of `metrics`, or for none if one cannot be recorded."""
    if not hasattr(metrics, "items"):
        raise TypeError(
            "log_metrics takes a dictionary of names and values, not a {}.".format(
                type(metrics).__name__
            )
        )
    place = _plain_step(step)
    found: List[Dict[str, Any]] = []
    for key, value in metrics.items():
        if not isinstance(key, str):
            # Not the TypeError that one expects: programs catch what older versions raised.
            raise ValueError("Invalid metric name `{}`.".format(key))  # noqa: TRY004
        values = _metric_values(key, value)
        found.extend({"key": key, "value": element, "step": place} for element in values)
    record(events.METRIC, found)


def _metric_values(key: str, value: Any) -> List[Any]:
    try:
        if isinstance(value, list):
            return [plain_scalar(element) for element in value]
        return [plain_scalar(value)]
    except NotScalar as error:
        raise TypeError(
            'Invalid metric with key="{}" of value={} with type {}. Value should be of type '
            "string or number, or a list of strings / numbers ({}).".format(
                key, _shortened(value), type(value), error
            )
        ) from error


def _shortened(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + " ..."


def _plain_step(step: Any) -> Union[int, float, None]:
    if step is None:
        return None
    try:
        number = plain_scalar(step)
    except NotScalar:
        number = ""
    if isinstance(number, str) or not math.isfinite(number):
        raise TypeError(
            "A step should be a finite number, not {} ({}).".format(
                _shortened(step), type(step).__name__
            )
        )
    return number


# --- parameters ------------------------------------------------------------------------------


def log_param(key: str, value: Any) -> None:
    """Set the job's parameter `key`; the last value wins.

    `value` is anything that JSON can hold; scalars of NumPy and the like become Python numbers and
    tuples become lists. Raises TypeError, naming the key, for anything else.
    """
    _record_params({key: value})


def log_params(parameters: Mapping[str, Any]) -> None:
    """Set many parameters at once; nested ones are flattened first.

    See `flatten_parameter_dictionary` for the names that come out. Raises TypeError as `log_param`
    does, before anything is recorded.
    """
    from foundations.parameters.flattening import flatten_parameter_dictionary

    if not hasattr(parameters, "items"):
        raise TypeError(
            "log_params takes a dictionary of names and values, not a {}.".format(
                type(parameters).__name__
            )
        )
    _record_params(flatten_parameter_dictionary(dict(parameters)))


def load_parameters(log_parameters: bool = True, required: bool = False) -> Dict[str, Any]:
    """Return the parameters in `foundations_job_parameters.json`, nested as they are there.

    The file is looked for in the current directory and then, in a job, in the folder that the job
    started in. Without a file, or with an empty one, the result is `{}`. They are also recorded as
    the job's parameters, unless `log_parameters` is false. Raises FileNotFoundError for a missing
    file if `required`, json.JSONDecodeError for a malformed one, ConfigError if it holds no object.
    """
    import json

    path = _find_parameters_file()
    if path is None:
        if required:
            raise FileNotFoundError(
                errno.ENOENT, "no parameter file", os.path.abspath(environment.PARAMETERS_FILE)
            )
        return {}
    with open(path, encoding="utf-8-sig") as file:
        text = file.read()
    parameters = json.loads(text) if text.strip() else {}
    if not isinstance(parameters, dict):
        raise ConfigError(
            "{} should hold one JSON object.".format(path),
            'Write parameters as {"name": value, ...}.',
        )
    if log_parameters:
        log_params(parameters)
    return parameters


def _find_parameters_file() -> Optional[str]:
    places = [environment.PARAMETERS_FILE]
    job = context.current()
    if job is not None:
        places.append(os.path.join(job.code_dir, environment.PARAMETERS_FILE))
    return next((place for place in places if os.path.exists(place)), None)


def _record_params(values: Dict[Any, Any]) -> None:
    plain = dict(_plain_param(key, value) for key, value in values.items())
    record(events.PARAMS, _params_events(plain))


def _plain_param(key: Any, value: Any) -> Tuple[str, Any]:
    try:
        return _json_key(key), _json_value(value)
    except (TypeError, RecursionError) as error:
        raise TypeError(
            'Parameter "{}" of value={} with type {} cannot be recorded: {}.'.format(
                key, _shortened(value), type(value), error
            )
        ) from error


def _params_events(values: Dict[str, Any]) -> List[Dict[str, Any]]:
    """Return the events that set `values`: one, or as many as their size calls for."""
    from foundations.journal import spool

    if not values:
        return []
    try:
        spool.encode(events.PARAMS, {"values": values})
    except JournalError:
        if len(values) == 1:
            raise
        items = list(values.items())
        half = len(items) // 2
        return _params_events(dict(items[:half])) + _params_events(dict(items[half:]))
    return [{"values": values}]


def _json_value(value: Any) -> Any:
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, dict):
        return {_json_key(key): _json_value(element) for key, element in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json_value(element) for element in value]
    return plain_scalar(value)


def _json_key(key: Any) -> str:
    if isinstance(key, str):
        return key
    if key is None or isinstance(key, (int, float)):
        import json

        return json.dumps(key)  # as JSON itself writes such names: 1 -> "1", True -> "true"
    raise TypeError("{!r} is not a text and cannot be a name".format(key))


# --- tags and the project --------------------------------------------------------------------


def set_tag(key: str, value: Any = "") -> None:
    """Put the tag `key` on the job, with a value if one is given; both are kept as text."""
    set_tags({key: value})


def set_tags(tags: Mapping[str, Any]) -> None:
    """Put many tags on the job."""
    if not hasattr(tags, "items"):
        raise TypeError(
            "set_tags takes a dictionary of tags and values, not a {}.".format(type(tags).__name__)
        )
    plain = {str(key): str(value) for key, value in tags.items()}
    record(events.TAG, [{"key": key, "value": value} for key, value in plain.items()])
    job = context.current()
    if job is None:
        return
    for key, value in plain.items():
        known = _set_tags.setdefault((job.attempt_dir, key), value)
        if known != value:
            _set_tags[job.attempt_dir, key] = value
            warn('Tag "{}" is updated to "{}".'.format(key, value))


def set_project_name(project_name: str = "default") -> None:
    """Move the job to the project `project_name`. Raises ValueError for what no project can be."""
    from foundations.contract.request import check_request

    if not isinstance(project_name, str) or not project_name.strip():
        raise ValueError("A project's name should be a text that is not empty.")
    try:
        check_request({"project_name": project_name})
    except ConfigError as error:
        raise ValueError(str(error)) from error
    record(events.PROJECT, [{"name": project_name}])
    job = context.current()
    if job is not None:
        job.project = project_name


# --- artifacts -------------------------------------------------------------------------------


def save_artifact(
    filepath: Union[str, os.PathLike[str]],
    key: Optional[str] = None,
    step: Optional[float] = None,
) -> None:
    """Keep a copy of a file, or of a whole folder, with the job.

    It is called `key`, or as the file is if no key is given; an artifact of the same key replaces
    the one before, with a warning unless it is of a `step`: those are a series. The copy is
    made at once. Raises FileNotFoundError for a missing file, ValueError for a key that is no
    text or a file that cannot be copied, TypeError for other steps. A full disk only warns.
    """
    path = os.fsdecode(filepath)
    if key is not None and not isinstance(key, str):
        raise ValueError("Invalid artifact key `{}`: it should be a text.".format(key))
    place = _plain_step(step)
    job = context.for_recording()
    if job is None:
        warn(_NO_ARTIFACT_OUTSIDE)
        return
    from foundations import staging

    name = staging.readable(key if key is not None else os.path.basename(os.path.abspath(path)))
    try:
        copy = staging.stage(path, job.artifacts_dir)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        warn('Artifact "{}" is not saved: {}. The program goes on.'.format(name, error))
        return
    if place is None and (job.attempt_dir, name) in _saved_artifacts:
        warn('Artifact "{}" already exists - overwriting.'.format(name))
    _saved_artifacts.add((job.attempt_dir, name))
    artifact = {
        "key": name,
        "staged": copy.staged,
        "filename": copy.filename,
        "size": copy.size,
        "folder": copy.folder,
        **({} if place is None else {"step": place}),
    }
    record(events.ARTIFACT, [artifact])


# --- the journal -----------------------------------------------------------------------------


def record(kind: str, found: List[Dict[str, Any]]) -> None:
    """Write events to the job's journal, all or, if one is too large, none (JournalError)."""
    job = context.for_recording()
    if job is None:
        if _NOT_IN_JOB not in _given_warnings:
            _given_warnings.add(_NOT_IN_JOB)
            warn(_NOT_IN_JOB)
        return
    writer = _writers.get(job.attempt_dir) or _new_writer(job)
    encode = writer.encode
    writer.append_encoded([encode(kind, fields) for fields in found])


def _new_writer(job: context.JobContext) -> Writer:
    from foundations import config
    from foundations.execution import ranks
    from foundations.journal import spool

    writer = spool.Writer(job.journal_dir, ranks.rank(), config.journal_limit())
    return _writers.setdefault(job.attempt_dir, writer)


def forget(job: context.JobContext) -> None:
    """Let go of what is kept for a job that is over."""
    writer = _writers.pop(job.attempt_dir, None)
    if writer is not None:
        writer.close()

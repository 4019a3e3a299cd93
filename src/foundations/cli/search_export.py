"""A search as a study that Optuna and optuna-dashboard open."""

from __future__ import annotations

import datetime
import json
import os
import shutil
import sys
import tempfile
import warnings

from foundations.errors import ConfigError, Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

    from foundations.client.api import Api

    Json = Dict[str, Any]

_PAGE = 500


def export(api: Api, name: str, path: str) -> int:
    """Write a search to a new file and return how many trials it has. Raises FoundationsError.

    A name that ends with .log becomes a journal, which is written much faster; any other a SQLite
    database.
    """
    try:
        import optuna
    except ImportError as error:
        raise ConfigError(
            "Writing a study needs Optuna, which is not installed here.",
            "pip install 'foundations-atlas[search]'",
        ) from error
    if os.path.exists(path):
        raise Refused("{} is there already.".format(path), "Name a file that is not there yet.")
    search = api.search(name)
    trials = api.search(name, "/trials")["trials"]
    curves = _curves(api, name, trials)
    # Optuna waits for the disk after every trial: in memory it need not.
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - mkdtemp makes a private one
    folder = tempfile.mkdtemp(prefix="foundations-", dir=memory)
    partial = os.path.join(folder, "study")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        # What is experimental in Optuna is no news here.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _write(optuna, search, trials, curves, partial, path.endswith(".log"))
        shutil.move(partial, path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return len(trials)


def _write(
    optuna: Any, search: Json, trials: List[Json], curves: Json, path: str, journal: bool
) -> None:
    study = optuna.create_study(
        study_name=search["name"],
        storage=_storage(optuna, path, journal),
        directions=[objective["goal"] + "imize" for objective in search["objectives"]],
    )
    study.set_metric_names([objective["metric"] for objective in search["objectives"]])
    study.set_user_attr("atlas", {key: search[key] for key in ("project", "user", "definition")})
    dimensions = {one["name"]: one for one in search["parameters"]}
    # Made once: thousands of trials have the same ones.
    distributions = {name: _distribution(optuna, one) for name, one in dimensions.items()}
    for trial in _counted(trials):
        points = curves.get(str(trial["number"]), [])
        study.add_trial(_frozen(optuna, trial, dimensions, distributions, points))
    if not journal:
        study._storage.remove_session()


def _storage(optuna: Any, path: str, journal: bool) -> Any:
    if journal:
        from optuna.storages.journal import JournalFileBackend

        return optuna.storages.JournalStorage(JournalFileBackend(path))
    return optuna.storages.RDBStorage("sqlite:///" + path)


def _curves(api: Api, name: str, trials: List[Json]) -> Json:
    """What trials logged of the objective on their way, by number."""
    found: Json = {}
    for start in range(0, len(trials), _PAGE):
        page = "/curves?after={}".format(trials[start]["number"] - 1)
        found.update(api.search(name, page)["curves"])
    return found


def _frozen(
    optuna: Any, trial: Json, dimensions: Json, distributions: Json, points: List[List[float]]
) -> Any:
    own = {name: value for name, value in trial["params"].items() if name in dimensions}
    steps = {int(step): value for step, value in points if step >= 0}
    states = optuna.trial.TrialState
    state = {
        "queued": states.WAITING, "running": states.RUNNING, "completed": states.COMPLETE,
        "pruned": states.PRUNED,
    }.get(trial["state"], states.FAIL)  # fmt: skip
    values: Optional[List[float]] = trial["values"] if state == states.COMPLETE else None
    if state == states.PRUNED and steps:
        values = [steps[max(steps)]]
    frozen = optuna.trial.create_trial(
        state=state,
        params={name: _inner(dimensions[name], value) for name, value in own.items()},
        distributions={name: distributions[name] for name in own},
        values=values,
        intermediate_values=steps,
        user_attrs={"job_id": trial["job_id"], "message": trial["message"]},
    )
    if state != states.WAITING:
        frozen.datetime_start = _moment(trial["started_at"] or trial["created_at"])
    if state.is_finished():
        frozen.datetime_complete = _moment(trial["finished_at"])
    return frozen


def _distribution(optuna: Any, dimension: Json) -> Any:
    kinds = optuna.distributions
    if dimension["kind"] == "choice":
        choices = [_inner(dimension, value) for value in dimension["choices"]]
        return kinds.CategoricalDistribution(choices)
    low, high, step, log = (dimension[key] for key in ("low", "high", "step", "log"))
    if dimension["kind"] == "int":
        return kinds.IntDistribution(int(low), int(high), log=log, step=int(step or 1))
    return kinds.FloatDistribution(low, high, log=log, step=step)


def _inner(dimension: Json, value: Any) -> Any:
    """A choice that Optuna cannot tell from the others, or not keep, as JSON."""
    if dimension["kind"] != "choice":
        return value
    choices = dimension["choices"]
    plain = all(isinstance(one, (str, int, float, bool)) or one is None for one in choices)
    if plain and len(set(choices)) == len(choices):
        return value
    return json.dumps(value, sort_keys=True)


def _moment(seconds: float) -> datetime.datetime:
    # Optuna's own are local times without a zone.
    zone = datetime.timezone.utc
    return datetime.datetime.fromtimestamp(seconds, zone).astimezone().replace(tzinfo=None)


def _counted(trials: List[Json]) -> Any:
    """The trials, with a bar where it takes a while."""
    if len(trials) < 1000 or not sys.stderr.isatty():
        return trials
    from rich.console import Console
    from rich.progress import track

    return track(trials, "Writing", console=Console(stderr=True), transient=True)

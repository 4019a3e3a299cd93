"""Optuna's samplers and pruners, by our names or by the dotted names of their classes."""

from __future__ import annotations

import hashlib
import importlib
import inspect
from collections.abc import Mapping
from typing import Any

import optuna

from atlas_server.domain.search.definition import Definition, Method
from foundations.errors import InvalidRequest

_SAMPLERS = {
    "random": "RandomSampler", "tpe": "TPESampler", "cmaes": "CmaEsSampler", "qmc": "QMCSampler",
    "nsga2": "NSGAIISampler", "nsga3": "NSGAIIISampler", "gp": "GPSampler",
    # What a grid chooses is handed to Optuna for the sake of its pruners.
    "grid": "RandomSampler",
}  # fmt: skip
_PRUNERS = {
    "median": "MedianPruner", "percentile": "PercentilePruner", "hyperband": "HyperbandPruner",
    "asha": "SuccessiveHalvingPruner", "patient": "PatientPruner", "threshold": "ThresholdPruner",
}  # fmt: skip
# What a package is called where its name is not that of its module.
_NEEDED = {"cmaes": "cmaes", "gp": "torch"}
_HOMES = ("optuna.samplers.", "optuna.pruners.", "optuna_integration.")
# Their sequence is fixed by the seed, and where it stands is remembered otherwise.
_SEQUENCES = frozenset({"QMCSampler"})


def make_sampler(search: Definition, begun: int) -> optuna.samplers.BaseSampler:
    """Return the sampler of a search that has begun so many trials. Raises InvalidRequest."""
    method = search.sampler
    cls = _class("sampler", method, _SAMPLERS, "optuna.samplers.")
    arguments = dict(method.arguments)
    if "seed" in arguments and cls.__name__ not in _SEQUENCES:
        arguments["seed"] = fresh_seed(arguments["seed"], begun)
    if len(search.objectives) > 1 and method.name in ("cmaes", "gp"):
        raise InvalidRequest(
            f"sampler: {method.name} is for searches with one metric.", "Use nsga2, nsga3 or tpe."
        )
    return _made("sampler", method, cls, arguments, optuna.samplers.BaseSampler)


def make_pruner(method: Method) -> optuna.pruners.BasePruner:
    """Return a pruner. Raises InvalidRequest."""
    cls = _class("pruner", method, _PRUNERS, "optuna.pruners.")
    arguments = dict(method.arguments)
    if method.name == "patient":
        inner = arguments.pop("pruner", None)
        if isinstance(inner, str):
            inner = {"name": inner}
        if isinstance(inner, Mapping):
            rest = {key: value for key, value in inner.items() if key != "name"}
            inner = make_pruner(Method(str(inner.get("name")), rest))
        arguments["wrapped_pruner"] = inner
    if method.name == "percentile":
        arguments.setdefault("percentile", 25.0)
    return _made("pruner", method, cls, arguments, optuna.pruners.BasePruner)


def fresh_seed(seed: int | None, begun: int) -> int | None:
    """Return a seed that goes on where a study with `begun` trials stopped, not at the start."""
    if seed is None or begun == 0:
        return seed
    digest = hashlib.sha256(f"{seed}:{begun}".encode()).digest()
    return int.from_bytes(digest[:4], "big")


def _class(what: str, method: Method, known: Mapping[str, str], home: str) -> type[Any]:
    dotted = home + known[method.name] if method.name in known else method.name
    # Nothing else: whoever may start a search could otherwise run anything in the server.
    if not dotted.startswith(_HOMES):
        raise InvalidRequest(
            f"{what}: {method.name!r} cannot be used.",
            f"It is one of {', '.join(known)}, or a class of {home.rstrip('.')} or"
            " optuna_integration.",
        )
    module, _, name = dotted.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise InvalidRequest(f"{what}: there is no {dotted}: {error}.") from error
    if not isinstance(found, type):
        raise InvalidRequest(f"{what}: {dotted} is no class.")
    return found


def _made(
    what: str, method: Method, cls: type[Any], arguments: dict[str, Any], wanted: type[Any]
) -> Any:
    if not issubclass(cls, wanted):
        raise InvalidRequest(f"{what}: {method.name} is no {what}.")
    parameters = inspect.signature(cls).parameters
    for name in arguments:
        if name not in parameters:
            raise InvalidRequest(
                f"{what}: {method.name} has no argument {name!r}.",
                f"It has {', '.join(parameters)}.",
            )
    try:
        return cls(**arguments)
    except ImportError as error:
        needed = _NEEDED.get(method.name, "more")
        raise InvalidRequest(
            f"{what}: {method.name} needs the package {needed} where the server runs: {error}.",
            "pip install 'foundations-atlas[search]'",
        ) from error
    except (TypeError, ValueError) as error:
        raise InvalidRequest(f"{what}: {method.name}: {error}.") from error

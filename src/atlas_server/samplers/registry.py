"""Makes the study that a search asks for."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

from atlas_server.domain.search.definition import Definition
from atlas_server.domain.search.ports import Known, Study
from atlas_server.samplers import plain
from foundations.errors import InvalidRequest


def make_study(search: Definition, known: Sequence[Known]) -> Study:
    """Return the study of a search with these trials. Raises InvalidRequest."""
    learns_nothing = plain.study(search, known)
    if learns_nothing is not None:
        return learns_nothing
    if importlib.util.find_spec("optuna") is None:
        what = search.pruner.name if search.pruner else search.sampler.name
        raise InvalidRequest(
            f"{what} needs Optuna, which is not installed where the server runs.",
            "pip install 'foundations-atlas[search]', or search with grid or random, unpruned.",
        )
    # Late: it takes a third of a second and brings NumPy.
    from atlas_server.samplers.optuna_study import OptunaStudy  # noqa: PLC0415

    return OptunaStudy(search, known)

"""XGBoost: `xgboost.train(..., callbacks=[FoundationsCallback()])`, or of its estimators.

    from foundations.integrations.xgboost import FoundationsCallback

Every evaluation becomes a metric `DATA_METRIC` at its iteration; the best iteration and its score
are recorded at the end where there is early stopping. In a distributed training rank 0 records.
"""

from __future__ import annotations

from foundations import tracking

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping, Sequence

    FoundationsCallback: Any


class _Recording:
    """What XGBoost calls; `FoundationsCallback` is this and XGBoost's own class.

    `model`: keep the model as the artifact `model` at the end of the training.
    """

    def __init__(self, model: bool = False) -> None:
        super().__init__()
        self._model = model

    def after_iteration(
        self, model: Any, epoch: int, evals_log: Mapping[str, Mapping[str, Sequence[Any]]]
    ) -> bool:
        """Record the newest evaluations; the training goes on."""
        del model
        if _is_first():
            newest = {
                "{}_{}".format(data, name): _value(values[-1])
                for data, found in evals_log.items()
                for name, values in found.items()
            }
            tracking.log_metrics(newest, epoch)
        return False

    def after_training(self, model: Any) -> Any:
        """Record the best iteration, and keep the model where that is wanted."""
        if _is_first():
            for name in ("best_iteration", "best_score"):
                value = model.attr(name)
                if value is not None:
                    tracking.log_metric(name, float(value))
            if self._model:
                _save(model)
        return model


def _value(value: Any) -> Any:
    # Of a cross-validation: mean and deviation.
    return value[0] if isinstance(value, tuple) else value


def _is_first() -> bool:
    from importlib import import_module

    return import_module("xgboost.collective").get_rank() == 0


def _save(model: Any) -> None:
    import os
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.json")
        model.save_model(path)
        tracking.save_artifact(path, "model")


def __getattr__(name: str) -> Any:
    if name != "FoundationsCallback":
        raise AttributeError("module {!r} has no attribute {!r}".format(__name__, name))
    from importlib import import_module

    base = import_module("xgboost").callback.TrainingCallback
    made = type(name, (_Recording, base), {"__doc__": __doc__, "__module__": __name__})
    globals()[name] = made
    return made

"""Keras: `model.fit(..., callbacks=[FoundationsCallback()])`.

    from foundations.integrations.keras import FoundationsCallback

The settings of the fit and of the optimizer become parameters of the job; what Keras measures at
the end of each epoch becomes metrics at that epoch. Works with Keras 3 and with tf.keras.
"""

from __future__ import annotations

from foundations import tracking
from foundations.integrations.settings import numbers_in, recordable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional

    FoundationsCallback: Any


class _Recording:
    """What Keras calls; `FoundationsCallback` is this and Keras' own class.

    `every_batches`: record the training's own metrics also every so many batches, at the batch
    counted from the beginning of the fit, as `batch_NAME`.
    """

    def __init__(self, every_batches: int = 0, log_parameters: bool = True) -> None:
        super().__init__()
        self._every_batches = every_batches
        self._log_parameters = log_parameters
        self._batches = 0
        self._fitting = False
        self.model: Any
        self.params: Any

    def on_train_begin(self, logs: Optional[Dict[str, Any]] = None) -> None:
        """Record what is fitted, and how."""
        del logs
        self._fitting, self._batches = True, 0
        if not self._log_parameters:
            return
        settings = {name: self.params.get(name) for name in ("epochs", "steps")}
        optimizer = getattr(self.model, "optimizer", None)
        if optimizer is not None:
            settings["optimizer"] = optimizer.get_config()
        tracking.log_params(recordable(settings))

    def on_train_end(self, logs: Optional[Dict[str, Any]] = None) -> None:
        """Note the end of the fit."""
        del logs
        self._fitting = False

    def on_train_batch_end(self, batch: int, logs: Optional[Dict[str, Any]] = None) -> None:
        """Record a batch, where that is wanted."""
        del batch
        self._batches += 1
        if self._every_batches and self._batches % self._every_batches == 0:
            found = {"batch_" + name: value for name, value in numbers_in(logs).items()}
            tracking.log_metrics(found, self._batches)

    def on_epoch_end(self, epoch: int, logs: Optional[Dict[str, Any]] = None) -> None:
        """Record an epoch."""
        tracking.log_metrics(numbers_in(logs), epoch)

    def on_test_end(self, logs: Optional[Dict[str, Any]] = None) -> None:
        """Record an evaluation on its own; those of a fit are part of its epochs."""
        if not self._fitting:
            found = {"test_" + name: value for name, value in numbers_in(logs).items()}
            tracking.log_metrics(found)


def _base() -> type:
    import sys
    from importlib import import_module

    for name in ("keras", "tensorflow"):
        if name in sys.modules:
            module = sys.modules[name]
            return (module if name == "keras" else module.keras).callbacks.Callback
    return import_module("keras").callbacks.Callback


def __getattr__(name: str) -> Any:
    if name != "FoundationsCallback":
        raise AttributeError("module {!r} has no attribute {!r}".format(__name__, name))
    made = type(name, (_Recording, _base()), {"__doc__": __doc__, "__module__": __name__})
    globals()[name] = made
    return made

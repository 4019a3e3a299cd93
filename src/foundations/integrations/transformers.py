"""Hugging Face: `Trainer(..., callbacks=[FoundationsCallback()])`.

    from foundations.integrations.transformers import FoundationsCallback

The arguments of the training become parameters of the job; what the trainer logs becomes metrics
at its global step. Only the main process of the training records.
"""

from __future__ import annotations

from foundations import tracking
from foundations.integrations.settings import numbers_in, recordable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional

    FoundationsCallback: Any


class _Recording:
    """What the trainer calls; `FoundationsCallback` is this and the trainer's own class.

    `model`: keep the model as the artifact `model` at the end of the training.
    """

    def __init__(self, log_parameters: bool = True, model: bool = False) -> None:
        super().__init__()
        self._log_parameters = log_parameters
        self._model = model

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Record the arguments."""
        del control, kwargs
        if state.is_world_process_zero and self._log_parameters:
            tracking.log_params(recordable(args.to_sanitized_dict()))

    def on_log(
        self,
        args: Any,
        state: Any,
        control: Any,
        logs: Optional[Dict[str, Any]] = None,
        **kwargs: Any,
    ) -> None:
        """Record what is logged."""
        del args, control, kwargs
        if state.is_world_process_zero:
            tracking.log_metrics(numbers_in(logs), state.global_step)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Keep the model, where that is wanted."""
        del args, control
        if state.is_world_process_zero and self._model:
            from tempfile import TemporaryDirectory

            with TemporaryDirectory() as folder:
                kwargs["model"].save_pretrained(folder)
                tracking.save_artifact(folder, "model")


def __getattr__(name: str) -> Any:
    if name != "FoundationsCallback":
        raise AttributeError("module {!r} has no attribute {!r}".format(__name__, name))
    from importlib import import_module

    base = import_module("transformers").TrainerCallback
    made = type(name, (_Recording, base), {"__doc__": __doc__, "__module__": __name__})
    globals()[name] = made
    return made

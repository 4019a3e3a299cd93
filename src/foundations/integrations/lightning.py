"""PyTorch Lightning: `Trainer(logger=FoundationsLogger())`.

    from foundations.integrations.lightning import FoundationsLogger

Hyperparameters become parameters of the job, metrics its metrics at the trainer's step. Only the
process of rank 0 records. Works with `lightning` and with `pytorch_lightning`.
"""

from __future__ import annotations

from foundations import context, tracking
from foundations.integrations.settings import numbers_in, recordable, whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping, Optional, Union

    FoundationsLogger: Any

_CHECKPOINT = "checkpoint"


class _Logging:
    """What a Lightning logger has to do; `FoundationsLogger` is this and Lightning's own class.

    `checkpoints`: keep the best checkpoint as the artifact `checkpoint` at the end.
    """

    def __init__(self, prefix: str = "", checkpoints: bool = False) -> None:
        super().__init__()
        self._prefix = prefix
        self._checkpoints = checkpoints
        self._callback: Any = None

    @property
    def name(self) -> Optional[str]:
        """The project."""
        job = context.for_recording()
        return None if job is None else job.project

    @property
    def version(self) -> Optional[Union[int, str]]:
        """The job's ID."""
        job = context.for_recording()
        return None if job is None else job.job_id

    @property
    def experiment(self) -> Any:
        """What records: the package itself."""
        import foundations

        return foundations

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Record hyperparameters, a dict or a namespace."""
        del args, kwargs
        if params is not None and _is_first():
            tracking.log_params(recordable(params))

    def log_metrics(self, metrics: Mapping[str, Any], step: Optional[int] = None) -> None:
        """Record metrics at a step."""
        if _is_first():
            named = {self._prefix + name: value for name, value in numbers_in(metrics).items()}
            tracking.log_metrics(named, whole(step))

    def after_save_checkpoint(self, checkpoint_callback: Any) -> None:
        """Remember who knows the best checkpoint."""
        self._callback = checkpoint_callback

    def finalize(self, status: str) -> None:
        """Keep the best checkpoint."""
        best = getattr(self._callback, "best_model_path", None)
        if self._checkpoints and best and status == "success" and _is_first():
            tracking.save_artifact(best, _CHECKPOINT)


def _is_first() -> bool:
    from importlib import import_module

    found = import_module("lightning_utilities.core.rank_zero").rank_zero_only
    return getattr(found, "rank", None) in (None, 0)


def _base() -> type:
    import sys
    from importlib import import_module

    # The one that the program uses: their classes are not each other's.
    if "lightning" not in sys.modules and "pytorch_lightning" in sys.modules:
        return import_module("pytorch_lightning.loggers.logger").Logger
    try:
        return import_module("lightning.pytorch.loggers.logger").Logger
    except ImportError:
        return import_module("pytorch_lightning.loggers.logger").Logger


def __getattr__(name: str) -> Any:
    if name != "FoundationsLogger":
        raise AttributeError("module {!r} has no attribute {!r}".format(__name__, name))
    made = type(name, (_Logging, _base()), {"__doc__": __doc__, "__module__": __name__})
    globals()[name] = made
    return made

"""TensorBoard: what SummaryWriters write as scalars becomes metrics, too.

    from foundations.integrations.tensorboard import mirror_scalars

    mirror_scalars()

From then on every scalar that a SummaryWriter of PyTorch (`torch.utils.tensorboard`), of
tensorboardX or of TensorBoard itself writes in this process is also recorded as a metric of its
tag, at its step.
"""

from __future__ import annotations

import os
import sys

from foundations import tracking

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional

# Where the writers' class is: all of them hand their events to it.
_WRITERS = ("tensorboard.summary.writer.event_file_writer", "tensorboardX.event_file_writer")
_mirrored: Dict[str, Callable[..., Any]] = {}
# The first writer's folder: a writer below it, as add_scalars makes them, is named by its path.
_root: List[str] = []


def mirror_scalars() -> None:
    """Begin to record scalars; doing it twice is harmless.

    Raises ImportError where neither TensorBoard nor tensorboardX is installed.
    """
    found = [module for module in (_module(name) for name in _WRITERS) if module is not None]
    if not found:
        raise ImportError("Neither tensorboard nor tensorboardX is installed.")
    for module in found:
        if module.__name__ not in _mirrored:
            original = module.EventFileWriter.add_event
            _mirrored[module.__name__] = original
            module.EventFileWriter.add_event = _recording(original)


def stop_mirroring() -> None:
    """Record scalars no more."""
    for name, original in _mirrored.items():
        sys.modules[name].EventFileWriter.add_event = original
    _mirrored.clear()
    _root.clear()


def _module(name: str) -> Any:
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError:
        return None


def _recording(original: Callable[..., Any]) -> Callable[..., Any]:
    def add_event(self: Any, event: Any, *args: Any, **kwargs: Any) -> Any:
        for value in event.summary.value:
            number = _scalar(value)
            if number is not None:
                tracking.log_metric(_prefix(self) + value.tag, number, step=event.step)
        return original(self, event, *args, **kwargs)

    return add_event


def _scalar(value: Any) -> Optional[float]:
    """Return the number in a summary's value, old style or new; None for anything else."""
    kind = value.WhichOneof("value")
    if kind == "simple_value":
        return value.simple_value
    if kind == "tensor" and value.metadata.plugin_data.plugin_name == "scalars":
        for field in ("float_val", "double_val", "int_val", "int64_val", "half_val"):
            numbers = getattr(value.tensor, field)
            if numbers:
                return float(numbers[0])
    return None


def _prefix(writer: Any) -> str:
    folder = os.path.abspath(writer.get_logdir())
    if not _root:
        _root.append(folder)
    inside = os.path.relpath(folder, _root[0])
    return "" if inside == "." or inside.startswith("..") else inside.replace(os.sep, "/") + "/"

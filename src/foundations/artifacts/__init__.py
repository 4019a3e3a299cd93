"""Files that belong to a job: single ones, and folders that are kept in step with the server."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from foundations.artifacts.syncable_directory import (
        SyncableDirectory,
        create_syncable_directory,
    )
    from foundations.tracking import save_artifact

__all__ = ["SyncableDirectory", "create_syncable_directory", "save_artifact"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError("module 'foundations.artifacts' has no attribute {!r}".format(name))
    from foundations import tracking
    from foundations.artifacts import syncable_directory

    return getattr(tracking if name == "save_artifact" else syncable_directory, name)

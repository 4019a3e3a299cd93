"""Locks of files, which end with the process that holds them."""

from __future__ import annotations

import fcntl

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from typing import Union


def is_locked(path: Union[str, os.PathLike[str]]) -> bool:
    """Whether a living process holds the lock of a file; nobody does where there is none."""
    try:
        with open(path, "rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False

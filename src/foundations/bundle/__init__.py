"""A job's folder as content-addressed files: listing, hashing, unpacking, archives.

The names below are loaded when they are first used: a client that only submits never pays for
unpacking.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from foundations.bundle.archive import extract_tar, write_tar
    from foundations.bundle.hashing import Bundle, hash_listing, read_verified
    from foundations.bundle.scan import Listing, human_size, list_folder, size_warning
    from foundations.bundle.unpack import Snapshot, changed_files, materialize

_MODULES = {
    "Bundle": "hashing",
    "Listing": "scan",
    "Snapshot": "unpack",
    "changed_files": "unpack",
    "extract_tar": "archive",
    "hash_listing": "hashing",
    "human_size": "scan",
    "list_folder": "scan",
    "materialize": "unpack",
    "read_verified": "hashing",
    "size_warning": "scan",
    "write_tar": "archive",
}

__all__ = [
    "Bundle",
    "Listing",
    "Snapshot",
    "changed_files",
    "extract_tar",
    "hash_listing",
    "human_size",
    "list_folder",
    "materialize",
    "read_verified",
    "size_warning",
    "write_tar",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError("module {!r} has no attribute {!r}".format(__name__, name))
    from importlib import import_module

    return getattr(import_module("foundations.bundle." + _MODULES[name]), name)

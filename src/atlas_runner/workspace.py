"""The folder of one attempt: the code before, what the job made of it after."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atlas_runner.errors import StartFailed
from foundations.blobs import BlobDir
from foundations.bundle.unpack import Snapshot, changed_files, materialize
from foundations.contract import manifest
from foundations.contract.environment import PARAMETERS_FILE
from foundations.errors import BundleError, NotFound

_FOLDERS = ("job", "journal", "artifacts")


class AlreadyTaken(Exception):
    """Another runner works on this attempt, or has done so."""


@dataclass(frozen=True)
class Workspace:
    """`root` holds `job` (where the code runs), `journal`, `artifacts` (staged) and `log`."""

    root: Path
    lock_fd: int

    @classmethod
    def create(cls, home: str, job_id: str, number: int) -> Workspace:
        """Make the folder. Raises AlreadyTaken if it exists: no attempt is run twice."""
        root = _root(home, job_id, number)
        root.parent.mkdir(parents=True, exist_ok=True)
        try:
            root.mkdir(mode=0o700)
        except FileExistsError as error:
            raise AlreadyTaken(f"{root} exists") from error
        for name in _FOLDERS:
            (root / name).mkdir()
        return cls(root, _lock(root))

    @classmethod
    def reopen(cls, home: str, job_id: str, number: int) -> Workspace | None:
        """Return the folder that a dead runner left, or None when there is none.

        Waits while its runner lives: the server may take one for dead that it has not heard of.
        """
        root = _root(home, job_id, number)
        try:
            lock = _lock(root, wait=True)
        except FileNotFoundError:
            return None
        if not root.is_dir():
            os.close(lock)  # it has ended well and tidied up while this one waited
            return None
        for name in _FOLDERS:
            (root / name).mkdir(exist_ok=True)
        return cls(root, lock)

    @property
    def job_dir(self) -> Path:
        """Where the code is and runs."""
        return self.root / "job"

    @property
    def log_path(self) -> Path:
        """What the worker prints, and what the runner says about it."""
        return self.root / "log"

    @property
    def journal_dir(self) -> Path:
        """What the training program records."""
        return self.root / "journal"

    @property
    def artifacts_dir(self) -> Path:
        """Files that the training program has saved, until they are stored."""
        return self.root / "artifacts"

    def fill(self, blobs: BlobDir, bundle: str, params: dict[str, Any] | None) -> None:
        """Lay out the code as it was submitted, and the job's parameters beside it.

        Raises StartFailed when content is missing from the store.
        """
        try:
            with blobs.open(bundle) as file:
                entries = manifest.decode(file.read())
            snapshot = materialize(entries, blobs, str(self.job_dir))
        except (OSError, NotFound) as error:
            raise StartFailed(f"The job's code could not be laid out: {error}") from error
        snapshot.save(str(self.root / "snapshot"))
        if params is not None:
            # Never through a link that came with the code.
            target = self.job_dir / PARAMETERS_FILE
            target.unlink(missing_ok=True)
            target.write_text(json.dumps(params, indent=4))

    def collect(
        self, blobs: BlobDir, write: Any, entries: list[tuple[str, str, str, int]]
    ) -> str | None:
        """Move what the job made or changed into the store; return the manifest's digest.

        `entries` gets what has been moved: give the same list again after StorageFull.

        None when there is nothing. What cannot be kept is named in the log.
        """
        try:
            snapshot = Snapshot.load(str(self.root / "snapshot"))
        except BundleError:
            return None  # the code was never laid out, so nothing was run

        def skipped(path: str, reason: str) -> None:
            write(f"Foundations WARNING: {path!r} is not kept: {reason}\n".encode())

        for path in changed_files(str(self.job_dir), snapshot, skipped):
            try:
                manifest.check_path(path)
            except BundleError as error:
                skipped(path[:200], error.message)
                continue
            full = self.job_dir / path
            if full.is_symlink():
                target = os.readlink(full)
                entries.append((path, manifest.SYMLINK, target, 0))
                continue
            executable = os.access(full, os.X_OK)
            digest, size = blobs.adopt(str(full), durable=False)
            kind = manifest.EXECUTABLE if executable else manifest.FILE
            entries.append((path, kind, digest, size))
        return blobs.put_bytes(manifest.encode(sorted(entries)), durable=False) if entries else None

    def remove(self) -> None:
        """Delete the folder, and the job's when it holds no other attempt."""
        shutil.rmtree(self.root, ignore_errors=True)
        try:
            self.root.parent.rmdir()
        except OSError:
            return  # another attempt's folder is still there


def _root(home: str, job_id: str, number: int) -> Path:
    return Path(home) / "work" / job_id / str(number)


def _lock(root: Path, *, wait: bool = False) -> int:
    """Hold the attempt for as long as this process lives."""
    descriptor = os.open(root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError as error:
        os.close(descriptor)
        raise AlreadyTaken(f"{root} belongs to a living runner") from error
    return descriptor

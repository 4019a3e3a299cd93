"""The folder of one attempt: the code before, what the job made of it after."""

from __future__ import annotations

import fcntl
import json
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atlas_runner.errors import StartFailed
from foundations.blobs import BlobDir
from foundations.bundle.unpack import Snapshot, changed_files, materialize
from foundations.contract import manifest
from foundations.contract.codec import plain
from foundations.contract.environment import PARAMETERS_FILE
from foundations.contract.report import Result
from foundations.disk import remove_tree
from foundations.errors import BundleError, NotFound, StorageFull

Write = Callable[[bytes], None]

_FEW = 20
_FOLDERS = ("job", "journal", "artifacts", "home")


class AlreadyTaken(Exception):
    """Another runner works on this attempt, or has done so."""


@dataclass(frozen=True)
class Workspace:
    """`root` holds `job` (where the code runs), `journal`, `artifacts` (staged), `log` and more."""

    root: Path
    lock_fd: int

    @classmethod
    def create(cls, home: str, job_id: str, number: int, rank: int = 0) -> Workspace:
        """Make the folder. Raises AlreadyTaken if it exists: no attempt is run twice.

        A further node of an attempt, of a `rank` above 0, has a folder of its own.
        """
        root = _root(home, job_id, number, rank)
        root.parent.mkdir(parents=True, exist_ok=True)
        try:
            root.mkdir(mode=0o700)
        except FileExistsError as error:
            raise AlreadyTaken(f"{root} exists") from error
        for name in _FOLDERS:
            (root / name).mkdir()
        _write(root / "identity", _identity(root / "job"))
        (root / "log").touch()
        return cls(root, _lock(root))

    @classmethod
    def reopen(cls, home: str, job_id: str, number: int, rank: int = 0) -> Workspace | None:
        """Return the folder that a dead runner left, or None when there is none.

        Waits while its runner lives: the server may take one for dead that it has not heard of.
        """
        root = _root(home, job_id, number, rank)
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

    @classmethod
    def adopted(cls, root: Path, *, wait: bool) -> Workspace:
        """Return the folder of a job that runs without a runner, once nobody else has it.

        Raises FileNotFoundError when it is gone by then, AlreadyTaken without `wait`.
        """
        lock = _lock(root, wait=wait)
        if not (root / "facts.json").exists():
            os.close(lock)
            raise FileNotFoundError(root)
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

    @property
    def home_dir(self) -> Path:
        """A home for users whom the worker's image does not know."""
        return self.root / "home"

    def own_blobs(self) -> BlobDir:
        """Where contents are kept on their way to a server that shares no files with us."""
        return BlobDir(str(self.root / "blobs"))

    def open_to_all(self) -> None:
        """Let a worker of another user write here; nobody else gets past the folder itself."""
        for folder in (self.job_dir, self.journal_dir, self.artifacts_dir, self.home_dir):
            for place, _, names in os.walk(folder):
                os.chmod(place, 0o777)  # noqa: S103 - the folder around it is closed
                for name in names:
                    path = os.path.join(place, name)
                    if not os.path.islink(path):
                        os.chmod(path, os.stat(path).st_mode | 0o666)  # noqa: S103 - as above

    def remark(self, data: bytes) -> None:
        """Append something of ours to the log. Raises OSError."""
        # Counted first: a line of the worker that is told twice is better than one that is lost.
        with (self.root / "remarks").open("ab") as file:
            file.write(b"%d\n" % len(data))
        with self.log_path.open("ab") as file:
            file.write(data)

    def output_begins(self) -> None:
        """Note that what comes into the log from now on is the worker's, but for remarks."""
        (self.root / "remarks").unlink(missing_ok=True)
        size = self.log_path.stat().st_size if self.log_path.exists() else 0
        _write(self.root / "output", str(size))

    def output_written(self) -> int:
        """Return how many bytes of the worker's output are in the log."""
        begin = int(_read(self.root / "output") or 0)
        remarks = sum(int(line) for line in (_read(self.root / "remarks") or "").split())
        return max(0, self.log_path.stat().st_size - begin - remarks)

    def note_facts(self, facts: dict[str, Any]) -> None:
        """Write down what the job remembers of its environment, for whoever comes after us."""
        _write(self.root / "facts", json.dumps(facts))

    def facts(self) -> dict[str, Any]:
        """Return what was noted."""
        return json.loads(_read(self.root / "facts") or "{}")

    @property
    def lost_path(self) -> Path:
        """Why the attempt counts as lost, where one of its nodes was."""
        return self.root / "lost"

    def lost(self) -> str | None:
        """Return what stands there."""
        return _read(self.lost_path)

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

    def collect(self, blobs: BlobDir, write: Write) -> str | None:
        """Move what the job made or changed into the store; return the manifest's digest.

        None when there is nothing. What cannot be kept is named in the log. What has been moved
        is noted on the disk: after StorageFull, or the end of this process, call it again.
        """
        try:
            snapshot = Snapshot.load(str(self.root / "snapshot"))
        except BundleError:
            return None  # the code was never laid out, so nothing was run

        def skipped(path: str, reason: str) -> None:
            write(f"Foundations WARNING: {path[:200]!r} is not kept: {reason}\n".encode())

        if _identity(self.job_dir) != _read(self.root / "identity"):
            # Whoever put something else in its place must not have it moved into the store.
            skipped("the job's folder", "it was replaced")
            return None
        paths = changed_files(str(self.job_dir), snapshot, skipped)
        # Each on the disk by itself, or, where they are many, all that the machine has to write.
        one_by_one = len(paths) <= _FEW
        with Ledger(self.root / "kept") as kept:
            for path in paths:
                try:
                    kept.note(path, *self._keep(blobs, path, durable=one_by_one))
                except StorageFull:
                    raise
                except (BundleError, OSError) as error:
                    skipped(path, str(error))
            if not kept.entries:
                return None
            entries = sorted((path, *entry) for path, entry in kept.entries.items())
            digest = blobs.put_bytes(manifest.encode(entries), durable=one_by_one)
        if not one_by_one:
            os.sync()
        return digest

    def _keep(self, blobs: BlobDir, path: str, *, durable: bool) -> tuple[str, str, int]:
        manifest.check_path(path)
        full = self.job_dir / path
        if full.is_symlink():
            return manifest.SYMLINK, os.readlink(full), 0
        executable = os.access(full, os.X_OK)
        digest, size = blobs.adopt(str(full), durable=durable)
        return (manifest.EXECUTABLE if executable else manifest.FILE), digest, size

    def artifacts_kept(self) -> Ledger:
        """Return the notes of which staged artifacts are in the store already."""
        return Ledger(self.root / "artifacts-kept")

    def note_worker(self, identity: str) -> None:
        """Write down which process the worker is, for whoever has to end it after us."""
        _write(self.root / "worker", identity)

    def worker(self) -> str | None:
        """Return the worker's identity, None when none was started."""
        return _read(self.root / "worker")

    def has_container(self) -> bool:
        """Whether the worker was, or was about to become, a container."""
        return (self.worker() or "").startswith("container:")

    def note_result(self, result: Result) -> None:
        """Write down how the attempt ended, before anybody is told."""
        _write(self.root / "result", json.dumps(plain(result)))

    def result(self) -> Result | None:
        """Return how the attempt ended, where that was written down."""
        text = _read(self.root / "result")
        return Result(**json.loads(text)) if text else None

    def remove(self) -> None:
        """Delete the folder, and the job's when it holds no other attempt."""
        remove_tree(str(self.root))
        try:
            self.root.parent.rmdir()
        except OSError:
            return  # another attempt's folder is still there


class Ledger:
    """Notes of what has been moved into the store: name -> (kind, digest or target, size).

    Each is on the disk when `note` returns, so that a runner that takes over knows of it.
    """

    def __init__(self, path: Path) -> None:
        self.entries: dict[str, tuple[str, str, int]] = {}
        self._file = path.open("a+")
        self._file.seek(0)
        for line in self._file:
            if line.endswith("\n"):
                name, kind, value, size = json.loads(line)
                self.entries[name] = (kind, value, size)

    def note(self, name: str, kind: str, value: str, size: int) -> None:
        """Add one; the last one of a name counts."""
        self.entries[name] = (kind, value, size)
        self._file.write(json.dumps([name, kind, value, size]) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _identity(folder: Path) -> str:
    try:
        found = os.lstat(folder)
    except OSError:
        return ""  # the job has removed it
    # The kind too: numbers of inodes are given out again.
    return f"{stat.S_IFMT(found.st_mode)}:{found.st_dev}:{found.st_ino}"


def _write(path: Path, text: str) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text(text)
    partial.replace(path)


def _read(path: Path) -> str | None:
    try:
        return path.read_text()
    except FileNotFoundError:
        return None


def _root(home: str, job_id: str, number: int, rank: int) -> Path:
    return Path(home) / "work" / job_id / (f"{number}-{rank}" if rank else str(number))


def _lock(root: Path, *, wait: bool = False) -> int:
    """Hold the attempt for as long as this process lives."""
    descriptor = os.open(root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError as error:
        os.close(descriptor)
        raise AlreadyTaken(f"{root} belongs to a living runner") from error
    return descriptor

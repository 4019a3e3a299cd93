"""What an executed job leaves on the disk, whether a server is there or not.

    FOUNDATIONS_HOME/local/<job ID>/
      facts.json     what is known when the job begins; never changed
      processes/     <process>.json for each process that is the job, <process>.end.json at its end
      journal/  artifacts/  log     as in the folder of an attempt
      spec.json      what the server is told of the job, once its code has been kept
      remote.json    which server is to have the job, if not this machine's
      attempt.json   how the server knows the job, once it does
      lock           held by whoever takes the job in, or throws it away
    FOUNDATIONS_HOME/local/<job ID>.ready      the job may be taken in now

A folder appears with its facts and its first process in it. All of this outlives every process.
"""

from __future__ import annotations

import os

from foundations.contract import events
from foundations.contract.environment import LOCAL_FOLDER, READY_SUFFIX, REMOTE_FILE, TAKEN_FILE
from foundations.execution.members import Member, hold
from foundations.execution.processes import is_alive

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterator, List, Optional

    Json = Dict[str, Any]

_END = ".end.json"
_JOURNAL_SUFFIX = ".jsonl"
_MEASURED = '"k":"{}"'.format(events.SYSTEM).encode()
_FIRST_BYTES = 100
# A launcher that lives on although all that it started has ended: the training is over, too.
_LINGERING = 60.0


class JobFolder:
    """The folder of one executed job."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.job_id = os.path.basename(root)

    @classmethod
    def create(cls, place: str, job_id: str, facts: Json, process: Json) -> JobFolder:
        """Make the folder in `place`, with its first process. Raises FileExistsError."""
        partial = JobFolder(os.path.join(place, ".{}-{}".format(job_id, os.urandom(4).hex())))
        os.mkdir(partial.root, 0o700)
        for name in ("journal", "artifacts", "processes"):
            os.mkdir(os.path.join(partial.root, name))
        _write(partial._path("facts.json"), facts)
        partial.add_process(process)
        root = os.path.join(place, job_id)
        try:
            os.rename(partial.root, root)
        except OSError:
            import shutil

            shutil.rmtree(partial.root, ignore_errors=True)
            if os.path.exists(root):
                raise FileExistsError(root) from None
            raise
        return cls(root)

    @property
    def journal_dir(self) -> str:
        """The folder that events are written to."""
        return self._path("journal")

    @property
    def log_path(self) -> str:
        """The copy of what the program prints."""
        return self._path("log")

    @property
    def blobs_dir(self) -> str:
        """The content store of a job that is for a server on another machine."""
        return self._path("blobs")

    @property
    def ready_path(self) -> str:
        """The mark beside the folder that says that a server may take the job in."""
        return self.root + READY_SUFFIX

    def call_also(self, job_id: str) -> None:
        """Let the job be found by the ID that a server has given it, too."""
        try:
            os.symlink(self.root, self._link(job_id))
        except FileExistsError:
            pass

    def facts(self) -> Json:
        """Return what was known at the beginning. Raises OSError, ValueError."""
        return _read(self._path("facts.json"))

    def spec(self) -> Optional[Json]:
        """Return the JSON form of the job's JobSpec; None: its code has not been kept yet."""
        try:
            return _read(self._path("spec.json"))
        except (OSError, ValueError):
            return None

    def set_spec(self, spec: Json) -> None:
        """Write the spec down."""
        _write(self._path("spec.json"), spec)

    def remote(self) -> Optional[str]:
        """Return the address of the server that is to have the job; None: this machine's own."""
        try:
            return str(_read(self._path(REMOTE_FILE))["url"])
        except FileNotFoundError:
            return None

    def set_remote(self, url: str) -> None:
        """Note that the job is for a server on another machine."""
        _write(self._path(REMOTE_FILE), {"url": url})

    def taken(self) -> Optional[Json]:
        """Return how the server knows the job; None: it does not, yet."""
        try:
            return _read(self._path(TAKEN_FILE))
        except FileNotFoundError:
            return None

    def set_taken(self, attempt: Json) -> None:
        """Note that the server knows the job: it need not be offered any more."""
        _write(self._path(TAKEN_FILE), attempt)
        try:
            os.unlink(self.ready_path)
        except FileNotFoundError:
            pass

    def add_process(self, process: Json) -> None:
        """Note that a process is a part of the job."""
        _write(self._process_path(process["process"], ".json"), process)

    def hold(self, identity: str) -> int:
        """Return the descriptor by which others see that this process lives, until it is closed."""
        return hold(self._process_path(identity, ".json"))

    def has_process(self, identity: str) -> bool:
        """Whether this very process is a part of the job."""
        return os.path.exists(self._process_path(identity, ".json"))

    def note_end(self, identity: str, end: Json) -> None:
        """Write down how a process that is a part of the job ends."""
        _write(self._process_path(identity, _END), end)

    def members(self) -> List[Member]:
        """Return the processes that are the job, in the order in which they began."""
        found: List[Member] = []
        for name in self._names("processes"):
            if name.endswith(".json") and not name.endswith(_END):
                try:
                    path = self._path("processes", name)
                    end = self._end(name[: -len(".json")] + _END)
                    found.append(Member(path, _read(path), end))
                except (OSError, KeyError, TypeError, ValueError):
                    continue  # half written by a process that was killed just then
        return sorted(found, key=lambda member: member.started_at)

    def is_over(self, now: float) -> bool:
        """Whether nothing more is to come: every process has ended, and none will be started."""
        members = self.members()
        if not all(member.is_over for member in members):
            return False
        group = self.facts().get("group") or {}
        if not group.get("agent") or not is_alive(group["launcher"]):
            return True
        ends = [member.end["ended_at"] for member in members if member.end is not None]
        return bool(ends) and now - max(ends) > _LINGERING

    def goes_on(self, now: float) -> bool:
        """Whether there is such a job, and it is not over."""
        try:
            return not self.is_over(now)
        except (OSError, ValueError):
            return False

    def has_records(self) -> bool:
        """Whether the program has recorded anything."""
        return any(self._names("artifacts")) or any(
            self._is_of_program(name)
            for name in self._names("journal")
            if name.endswith(_JOURNAL_SUFFIX)
        )

    def is_withdrawn(self) -> bool:
        """Whether every process has said that it is no job after all."""
        members = self.members()
        return bool(members) and all((member.end or {}).get("withdrawn") for member in members)

    def mark_ready(self) -> None:
        """Let a server take the job in."""
        with open(self.ready_path, "w"):
            pass

    def remove(self) -> None:
        """Delete the folder and what lies beside it."""
        import shutil

        beside = [self.ready_path]
        try:
            known = self.taken()
            if known is not None and known["job_id"] != self.job_id:
                beside.append(self._link(known["job_id"]))
            meeting = (self.facts().get("group") or {}).get("meeting")
            if meeting is not None:
                beside.append(meeting)
        except (OSError, ValueError):
            pass  # only half of it is there, and now nothing will be
        # At once, so that nobody can put anything into what is being emptied.
        place = os.path.dirname(self.root)
        gone = os.path.join(place, ".{}-{}".format(self.job_id, os.urandom(4).hex()))
        try:
            os.rename(os.path.realpath(self.root), gone)
        except OSError:
            gone = os.path.realpath(self.root)
        shutil.rmtree(gone, ignore_errors=True)
        if os.path.islink(self.root):
            beside.append(self.root)
        for path in beside:
            try:
                os.unlink(path)
            except FileNotFoundError:  # noqa: PERF203 - each by itself
                pass

    def remove_unless_taken(self) -> None:
        """Delete the folder, or leave it to the one who is about to take the job in."""
        import fcntl

        lock = self.open_lock()
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.remove()
        except BlockingIOError:
            pass  # the runner sees that the job was withdrawn
        finally:
            os.close(lock)

    def open_lock(self) -> int:
        """Return a descriptor to lock. Raises FileNotFoundError when the folder is gone."""
        return os.open(self._path("lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def _is_of_program(self, name: str) -> bool:
        """Whether a journal is not the one of whoever measures the program."""
        with open(self._path("journal", name), "rb") as file:
            return _MEASURED not in file.read(_FIRST_BYTES)

    def _link(self, job_id: str) -> str:
        return os.path.join(os.path.dirname(self.root), job_id)

    def _end(self, name: str) -> Optional[Json]:
        try:
            return _read(self._path("processes", name))
        except FileNotFoundError:
            return None

    def _names(self, folder: str) -> Iterator[str]:
        try:
            with os.scandir(self._path(folder)) as entries:
                for entry in entries:
                    yield entry.name
        except FileNotFoundError:
            return

    def _process_path(self, identity: str, suffix: str) -> str:
        pid, start, _ = identity.split(":", 2)
        return self._path("processes", "{}-{}{}".format(pid, start, suffix))

    def _path(self, *names: str) -> str:
        return os.path.join(self.root, *names)


def meet(place: str, key: str, begin: Callable[[str], JobFolder], now: float) -> JobFolder:
    """Return the folder of the job that all who give the same `key` share.

    Whoever comes first makes it with `begin`, which is given the file by which the others find it.
    """
    import fcntl

    from foundations.contract.manifest import digest

    path = os.path.join(place, ".groups", digest(key.encode())[:32])
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    with open(path, "a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        folder = JobFolder(os.path.join(place, file.read().strip() or ".none"))
        if not folder.goes_on(now):
            folder = begin(path)
            file.truncate(0)
            file.write(folder.job_id)
        return folder


def place_of(home: str) -> str:
    """Return where a home keeps the folders of executed jobs."""
    return os.path.join(home, LOCAL_FOLDER)


def _read(path: str) -> Json:
    import json  # slow, and not needed to begin a job

    with open(path, "rb") as file:
        values = json.loads(file.read())
    if not isinstance(values, dict):
        raise ValueError("{} does not hold an object".format(path))  # noqa: TRY004 - as bad JSON
    return values


def _write(path: str, values: Json) -> None:
    partial = "{}.{}.partial".format(path, os.urandom(4).hex())
    with open(partial, "w", encoding="ascii") as file:
        file.write(_as_text(values))
    os.replace(partial, path)


def _as_text(values: Json) -> str:
    """Return JSON, by the part of the module `json` that takes no time to load."""
    try:
        from _json import encode_basestring_ascii, make_encoder
    except ImportError:  # another Python than CPython
        import json

        return json.dumps(values)
    form = (None, _refuse, encode_basestring_ascii, None, ": ", ", ", False, False, True)
    return "".join(make_encoder(*form)(values, 0))


def _refuse(value: Any) -> Any:
    raise TypeError("{!r} cannot be written as JSON".format(value))

"""`foundations get logs|job|artifacts`: what a job printed, consisted of and left behind."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time

from foundations.cli import wording
from foundations.cli.output import Console, error_text
from foundations.cli.targets import REFERENCES, add_jobs, before_job, new_parser, open_job
from foundations.client.persistence import Persistence
from foundations.client.server import is_remote
from foundations.errors import BundleError, Refused, Removed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterator, List, Optional

    Json = Dict[str, Any]

_EPILOG = """\
examples:
  foundations get logs scheduler 3f2a
  foundations get logs last --follow
  foundations get job last --save_dir results
  foundations get artifacts last"""
_LOGS_EPILOG = (
    REFERENCES
    + """

examples:
  foundations get logs scheduler 3f2a
  foundations get logs last --tail 20 --follow"""
)
_JOB_EPILOG = (
    REFERENCES
    + """

Makes the folder SAVE_DIR/ID: the code as it was submitted and, over it, every
file that the job made or changed. What a job saved as artifacts is fetched
with `foundations get artifacts`.

examples:
  foundations get job scheduler 3f2a
  foundations get job last --save_dir results
  foundations get job last --source_dir code_of_my_best_job
  foundations get job last --archive"""
)
_ARTIFACTS_EPILOG = (
    REFERENCES
    + """

Makes the folder SAVE_DIR/ID-artifacts with the newest version of each
artifact.

examples:
  foundations get artifacts scheduler 3f2a
  foundations get artifacts last --save_dir results"""
)
# A bar appears only for what takes longer than this many seconds.
_PATIENCE = 0.5
# How long a server elsewhere may be away before a download is given up, in seconds.
_LONGEST_CUT = 600.0


def add_parser(subparsers: Any, name: str, text: str) -> None:
    """Add the command with its three kinds."""
    parser = subparsers.add_parser(
        name,
        help=text,
        description="Fetch what belongs to a job.",
        epilog=_EPILOG,
    )
    kinds = parser.add_subparsers(metavar="WHAT", required=True, dest="what")
    _add_logs(kinds)
    job = _add_fetching(kinds, "job", "its code and results", _JOB_EPILOG)
    job.add_argument(
        "--source_dir",
        "--source-dir",
        metavar="DIR",
        help="fetch the code as submitted and nothing else, into this new folder",
    )
    job.add_argument("--archive", action="store_true", help="write ID.tgz instead of a folder")
    job.set_defaults(run=get_job)
    artifacts = _add_fetching(kinds, "artifacts", "what it saved as artifacts", _ARTIFACTS_EPILOG)
    artifacts.set_defaults(run=get_artifacts)


def _add_logs(kinds: Any) -> None:
    usage = "foundations get logs [options] [SCHEDULER] JOB"
    parser = new_parser(
        kinds, "logs", "what the job printed", "Print a job's log.", _LOGS_EPILOG, usage
    )
    parser.add_argument("--follow", "-f", action="store_true", help="go on until the job is over")
    parser.add_argument("--tail", "-n", type=_count, metavar="N", help="only the last N lines")
    parser.set_defaults(run=get_logs)
    add_jobs(parser, "the job")


def _add_fetching(kinds: Any, name: str, what: str, epilog: str) -> argparse.ArgumentParser:
    usage = "foundations get {} [options] [SCHEDULER] JOB".format(name)
    parser = new_parser(kinds, name, what, "Fetch of a job {}.".format(what), epilog, usage)
    parser.add_argument(
        "--save_dir", "--save-dir", metavar="DIR", help="where to put it (default: here)"
    )
    add_jobs(parser, "the job")
    return parser


def get_logs(arguments: argparse.Namespace) -> int:
    """Print a job's log, to its end with --follow."""
    api, job = open_job(arguments)
    job_id = job["job_id"]
    _refuse_removed(job, "log")
    if arguments.follow:
        return _follow(api, job, arguments)
    if job["state"] == "queued" and job["attempts"] == 0:
        raise Refused(
            "Job '{}' is queued and has not produced any logs.".format(job_id),
            "Wait for them with: foundations get logs --follow {}{}".format(
                before_job(arguments), job_id
            ),
        )
    if job["attempts"] == 0:
        raise Refused(
            "Job '{}' was {} before it started: it has no log.".format(job_id, job["state"])
        )
    for chunk in api.logs(job_id, arguments.tail, _again(api)):
        sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()
    return 0


def get_job(arguments: argparse.Namespace) -> int:
    """Fetch a job's code and results."""
    api, job = open_job(arguments)
    job_id = job["job_id"]
    if arguments.source_dir is not None:
        if arguments.archive or arguments.save_dir is not None:
            raise BundleError("--source_dir goes without --save_dir and --archive.")
        target = os.path.abspath(arguments.source_dir)
        return _fetch(
            target, "Code of job", job, lambda: api.archive(job_id, True, False, _again(api))
        )
    if job["state"] not in ("completed", "failed", "stopped"):
        error_text(
            "WARNING", "Job '{}' is not over: this is its code without results.".format(job_id)
        )
    for removed in _removed(job, "results"):
        error_text("WARNING", "What job '{}' made was {}.".format(job_id, wording.gone(removed)))
    folder = os.path.abspath(arguments.save_dir or ".")
    name = job_id + (".tgz" if arguments.archive else "")
    return _fetch(
        os.path.join(folder, name),
        "Job",
        job,
        lambda: api.archive(job_id, again=_again(api)),
        _save if arguments.archive else _unpack,
    )


def get_artifacts(arguments: argparse.Namespace) -> int:
    """Fetch a job's artifacts."""
    api, job = open_job(arguments)
    _refuse_removed(job, "artifacts")
    if not job["artifacts"]:
        raise Refused(
            "Job '{}' has no artifacts.".format(job["job_id"]),
            "Its files are fetched with: foundations get job {}{}".format(
                before_job(arguments), job["job_id"]
            ),
        )
    folder = os.path.abspath(arguments.save_dir or ".")
    return _fetch(
        os.path.join(folder, job["job_id"] + "-artifacts"),
        "Artifacts of job",
        job,
        lambda: api.artifacts_archive(job["job_id"], _again(api)),
    )


def _removed(job: Json, what: str) -> List[Json]:
    # Servers of older versions do not tell.
    return [each for each in job.get("removed", ()) if each["what"] == what]


def _refuse_removed(job: Json, what: str) -> None:
    """Raise Removed where a rule of the server has removed what is asked for."""
    for removed in _removed(job, what):
        verb = "were" if what == "artifacts" else "was"
        text = "The {} of job '{}' {} {}."
        raise Removed(text.format(what, job["job_id"], verb, wording.gone(removed)))


def _again(api: Any) -> Persistence:
    """What goes on fetching from a server elsewhere when the line was cut."""
    return Persistence(
        lambda error: error_text(
            "WARNING", "{} Trying again, to go on where it stopped.".format(error.message)
        ),
        _LONGEST_CUT if is_remote(api.url) else 0.0,
    )


def _follow(api: Any, job: Json, arguments: argparse.Namespace) -> int:
    from foundations.cli.follow import JobFollower

    if job["state"] == "queued" and sys.stderr.isatty():
        error_text("INFO", "Job '{}' is queued: waiting for its log.".format(job["job_id"]))
    console = Console(silent=True)
    follower = JobFollower(
        api, job["job_id"], console, tail=arguments.tail, scheduler=arguments.scheduler or ""
    )
    state = follower.run()
    return 130 if state == "left" else 1 if state == "deleted" else 0


def _fetch(
    target: str,
    what: str,
    job: Json,
    begin: Callable[[], Iterator[bytes]],
    write: Optional[Callable[[Iterator[bytes], str, str], None]] = None,
) -> int:
    """Fetch a tarball into `target`, which appears complete or not at all."""
    from tempfile import mkdtemp

    if os.path.lexists(target):
        raise BundleError(
            "{} exists; nothing was fetched.".format(target),
            "Delete it, or choose another place with --save_dir.",
        )
    parent = os.path.dirname(target)
    try:
        os.makedirs(parent, exist_ok=True)
        staging = mkdtemp(prefix=".fetching-", dir=parent)
        try:
            (write or _unpack)(_watched(begin()), staging, target)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    except OSError as error:
        raise BundleError(
            "{} cannot be written: {}.".format(error.filename or target, error.strerror or error)
        ) from error
    Console().info("{} '{}' saved in {}.".format(what, job["job_id"], os.path.relpath(target)))
    return 0


def _unpack(chunks: Iterator[bytes], staging: str, target: str) -> None:
    from foundations.bundle.archive import extract_tar

    names = extract_tar(_Chunks(chunks), staging)  # type: ignore[arg-type]
    if len(names) > 1:
        raise BundleError("The archive holds more than one folder.")
    if names:
        os.rename(os.path.join(staging, names[0]), target)
    else:
        os.mkdir(target)


def _save(chunks: Iterator[bytes], staging: str, target: str) -> None:
    path = os.path.join(staging, "archive")
    with open(path, "xb") as file:
        file.writelines(chunks)
    os.rename(path, target)


def _watched(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the chunks, with a bar on a terminal when they take long."""
    bar = None
    begun, done = time.monotonic(), 0
    try:
        for chunk in chunks:
            done += len(chunk)
            if bar is None and time.monotonic() - begun > _PATIENCE and sys.stderr.isatty():
                from foundations.cli.tables import ByteBar

                bar = ByteBar()
            if bar is not None:
                bar.show("Fetching", done, None)
            yield chunk
    finally:
        if bar is not None:
            bar.close()


class _Chunks:
    """Chunks as a file that can be read."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def read(self, size: int) -> bytes:
        """Return `size` bytes, fewer only at the end."""
        parts, length = [self._rest], len(self._rest)
        while length < size:
            chunk = next(self._chunks, b"")
            if not chunk:
                break
            parts.append(chunk)
            length += len(chunk)
        data = b"".join(parts)
        self._rest = data[size:]
        return data[:size]


def _count(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError("'{}' is not a number of lines".format(text))
    return int(text)

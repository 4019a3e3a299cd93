"""Keeps the code of an executed job as it was when the job began, then offers the job to a server.

A process of its own, for it reads files: see `keeping`. Nobody reads what it prints: what there is
to say goes into the job's log.
"""

from __future__ import annotations

import os
import sys
import time

from foundations import config
from foundations.blobs import BlobDir
from foundations.bundle.hashing import Bundle, hash_listing
from foundations.bundle.scan import Listing, human_size, list_folder
from foundations.contract import manifest
from foundations.contract.environment import COMMAND_LINE
from foundations.errors import BundleError, FoundationsError
from foundations.execution import program
from foundations.execution.companion import accompany
from foundations.execution.folder import JobFolder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

    Json = Dict[str, Any]

# What a folder may hold to be kept whole. In a larger one lie data and results, too.
MOST_BYTES = 200_000_000
MOST_FILES = 20_000
# Of such a folder only what looks like code is kept.
_CODE = (
    ".py", ".ipynb", ".sh", ".yaml", ".yml", ".toml", ".json", ".cfg", ".ini", ".txt", ".md",
    ".r", ".jl", ".c", ".h", ".cc", ".cpp", ".cu", ".cuh", ".pyx", ".sql",
)  # fmt: skip
_SHARED = ("/root", "/tmp", "/var/tmp", "/usr", "/var", "/etc", "/opt", "/mnt", "/srv")  # noqa: S108
_LARGEST_CODE = 1_000_000
_NOTEBOOK = ("-m", "nbconvert", "--to", "notebook", "--execute")
_OUTPOST = (
    "import sys; sys.path.extend(sys.argv[2:]); "
    "from atlas_runner.outpost import main; main(sys.argv[1])"
)
_LOOK_INTERVAL = 0.05
# A program that has recorded nothing for this long may still turn out to be none that trains.
_PATIENCE = 2.0
# How long a server takes at most, if one runs, to take a job.
_TAKING = 1.0


def main(root: str) -> None:
    """Keep the code of the job in `root`, and let a server have the job once it is one."""
    try:
        os.setsid()  # a Ctrl-C is meant for the program
    except OSError:
        pass
    os.nice(5)
    folder = JobFolder(root)
    try:
        facts = folder.facts()
        # A YAML parser may be among the program's packages.
        sys.path.extend(path for path in facts["search_path"] if path not in sys.path)
        url = _remote_server(folder)
        if url is not None:
            folder.set_remote(url)
        folder.set_spec(_spec(folder, facts))
        _await_first_record(folder, facts)
        if url is None:
            folder.mark_ready()
            accompany(folder, _TAKING)
        else:
            accompany(folder, 0.0)
            _ship(folder, facts)
    except FileNotFoundError:
        pass  # the program was no job after all, and the folder is gone
    if not os.path.exists(root):
        folder.remove()


def _remote_server(folder: JobFolder) -> Optional[str]:
    """Return where jobs of this home go, unless that is this machine's own server."""
    try:
        scheduler = config.scheduler(config.default_scheduler())
    except FoundationsError as error:
        _say(folder, ["The job stays on this machine: {}".format(error)])
        return None
    return None if scheduler.is_local else scheduler.url


def _ship(folder: JobFolder, facts: Json) -> None:
    """Become the process that brings the job to its server."""
    # Behind the standard library: what a program calls its own modules does not matter.
    known = facts["search_path"]
    if not any(os.path.isdir(os.path.join(path, "atlas_runner")) for path in known):
        remark = "The job is not brought to its server: {} lacks the package foundations-atlas."
        _say(folder, [remark.format(sys.executable)])
        return
    command = [sys.executable, "-I", "-c", _OUTPOST, folder.root, *known]
    os.execv(command[0], command)  # noqa: S606 - a shell has nothing to do here


def spec_without_code(facts: Json) -> Json:
    """Return the spec of a job whose code was not kept."""
    return _described(facts, _command(facts, ""), manifest.digest(manifest.encode([])))


def _spec(folder: JobFolder, facts: Json) -> Json:
    path = str(facts["path"])
    root = _root(str(facts["directory"]), path)
    remarks: List[str] = []
    try:
        bundle = _bundle(root, path, remarks)
        digest = _store(bundle, folder, remarks)
    except (FoundationsError, OSError) as error:
        remarks.append("The job's code is not kept: {}".format(error))
        return spec_without_code(facts)
    finally:
        _say(folder, remarks)
    spec = _described(facts, _command(facts, root), digest)
    spec["origin"]["git"] = _git(root)
    return spec


# --- the code --------------------------------------------------------------------------------


def _root(directory: str, path: str) -> str:
    """Return the folder whose code a script is: where it was started, or where it lies."""
    own = os.path.dirname(path) if path else directory
    return (
        directory if _contains(directory, path or directory) and not is_private(directory) else own
    )


def _bundle(root: str, path: str, remarks: List[str]) -> Bundle:
    skipped: List[BundleError] = []
    if not is_private(root):
        listing = list_folder(root, config.home(), skipped.append)
        if listing.total_size > MOST_BYTES or listing.count > MOST_FILES:
            _reduce(listing, path, remarks)
    else:
        listing = Listing(root)
        if path:
            listing.files.append((os.path.basename(path), os.stat(path)))
        what = "Only the script" if path else "Nothing"
        remarks.append("{} is kept of {}, which is no project's folder.".format(what, root))
    bundle = hash_listing(listing, config.cache_dir("hashes"), None, skipped.append)
    remarks.extend("Not kept with the code: {}".format(error.message) for error in skipped)
    return bundle


def is_private(folder: str) -> bool:
    """Whether a folder is somebody's home, a place for everything, or ours: never to be kept."""
    real = os.path.realpath(folder)
    homes = [os.path.realpath(os.path.expanduser("~")), os.path.realpath(config.home())]
    return (
        any(_contains(real, home) for home in homes)
        or _contains(homes[1], real)
        or os.path.dirname(real) in ("/home", "/Users")
        or real in (*_SHARED, os.path.realpath(_temporary()))
    )


def _reduce(listing: Listing, path: str, remarks: List[str]) -> None:
    found = "{} in {:,} files".format(human_size(listing.total_size), listing.count)
    script = os.path.relpath(path, listing.root) if path else ""
    listing.files = [
        (name, status)
        for name, status in listing.files
        if name == script or (name.lower().endswith(_CODE) and status.st_size <= _LARGEST_CODE)
    ][:MOST_FILES]
    listing.empty = []
    remarks.append(
        "The folder holds {}: only what looks like code is kept of it. What jobs do not need can "
        "be named in .foundationsignore.".format(found)
    )


def _store(bundle: Bundle, folder: JobFolder, remarks: List[str]) -> str:
    """Put the code where whoever takes the job in finds it; return its manifest's digest."""
    of_home = os.path.join(config.home(), "blobs")
    blobs = BlobDir(of_home if folder.remote() is None else folder.blobs_dir)
    lost = set()
    for digest in blobs.renew(sorted(manifest.blob_digests(bundle.entries))):
        try:
            blobs.put_file(bundle.path_of(digest), digest, durable=False)
        except BundleError as error:  # noqa: PERF203 - one that has changed keeps no other
            lost.add(digest)
            remarks.append("Not kept with the code: {}".format(error.message))
    kept = [entry for entry in bundle.entries if entry[2] not in lost]
    return blobs.put_bytes(manifest.encode(kept), durable=False)


def _say(folder: JobFolder, remarks: List[str]) -> None:
    lines = ["Foundations WARNING: {}\n".format(remark) for remark in remarks]
    if lines:
        with open(folder.log_path, "ab") as file:
            file.write("".join(lines).encode("utf-8", "replace"))


# --- what the server is told -----------------------------------------------------------------


def _command(facts: Json, root: str) -> List[str]:
    """Return what was run, as Python could be given it again in the folder that was kept."""
    if facts["kind"] == program.INTERACTIVE:
        notebook = facts["notebook"]
        return [*_NOTEBOOK, _inside(notebook, root)] if notebook else ["-i"]
    words = [str(word) for word in facts["words"]]
    if words and words[0] == facts["path"]:
        words[0] = _inside(words[0], root)
    return words


def _inside(path: str, root: str) -> str:
    return os.path.relpath(path, root) if root and _contains(root, path) else path


def _described(facts: Json, command: List[str], bundle: str) -> Json:
    spec = {**_asked_for(facts), "bundle": bundle}
    spec.update(
        project=facts["project"],
        name=facts["name"],
        user=facts["user"],
        command=command,
        entrypoint=None,
        interpreter=facts["executable"] or None,
        parent=facts["parent"],
        params=None,
    )
    spec["origin"] = {
        "host": facts["host"],
        "directory": facts["directory"],
        "python": facts["python"],
        "client": facts["client"],
        "environment_keys": [key for key in config.environment_keys() if key != COMMAND_LINE],
    }
    return _readable(spec)


def _readable(value: Any) -> Any:
    """Return a JSON value with `?` for what is no character, such as odd bytes of a file's name."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {_readable(name): _readable(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_readable(item) for item in value]
    return value


def _asked_for(facts: Json) -> Json:
    """Return what job.config.yaml says, for whoever runs the job again with a scheduler."""
    from foundations.sending import Submission

    try:
        return dict(Submission(str(facts["directory"]), {}).spec)
    except FoundationsError:
        return {}


def _git(root: str) -> Any:
    from foundations.bundle.git import GitLook

    return GitLook(root, config.variables()).result()


def _await_first_record(folder: JobFolder, facts: Json) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not facts["explicit"] and time.monotonic() < deadline:
        if folder.has_records() or folder.is_over(time.time()):
            return
        time.sleep(_LOOK_INTERVAL)


def _contains(folder: str, path: str) -> bool:
    return path == folder or path.startswith(os.path.join(folder, ""))


def _temporary() -> str:
    from tempfile import gettempdir

    return gettempdir()

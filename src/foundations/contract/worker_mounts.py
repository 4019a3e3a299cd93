"""What the worker block brings into a container from outside, and where it appears. Pure.

Paths below /atlas in the container are Atlas' own. No engine's socket is ever shown to a job:
whoever can write to it is root on the machine.
"""

from __future__ import annotations

import posixpath

from foundations.contract.worker_values import (
    flag,
    items,
    mapping,
    mapping_or_lines,
    one_of,
    record,
    scalar,
    size,
    text,
    whole,
    wrong,
)
from foundations.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, Iterator, List, Mapping, Optional, Tuple

OWN_FOLDER = "/atlas"
WORKING_DIR = "/job/job_source"
"""Where the job's folder is in a container that says nothing else."""

ENGINE_SOCKETS = (
    "/var/run/docker.sock",
    "/run/docker.sock",
    "/run/podman/podman.sock",
    "/run/containerd/containerd.sock",
    "/run/crio/crio.sock",
    "/run/user",  # those of engines without root
)
_SOCKET_NAMES = ("docker.sock", "podman.sock", "containerd.sock", "crio.sock")
# Through a process's folder there its whole file system is reached.
PROCESSES = "/proc"
_NO_FOLDERS = ("/proc", "/sys", "/dev")
_ACCESS = ("rw", "ro")
_MODES = (
    *_ACCESS, "z", "Z", "nocopy", "cached", "delegated", "consistent",
    "private", "rprivate", "slave", "rslave", "shared", "rshared",
)  # fmt: skip
_VOLUME_FORM = "Write it as: volumes: {/path/on/the/machine: {bind: /path/in/the/job, mode: ro}}"
_NAME_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")


def is_within(path: str, folder: str) -> bool:
    """Whether an absolute path, without `..` and links, is a folder or lies below it."""
    return folder == "/" or path == folder or path.startswith(folder + "/")


def shown_socket(path: str, sockets: Iterable[str] = ENGINE_SOCKETS) -> Optional[str]:
    """Return the socket of an engine that mounting `path` would show, None where there is none."""
    if posixpath.basename(path) in _SOCKET_NAMES:
        return path
    return next(
        (one for one in sockets if is_within(one, path) or is_within(path, one)),
        None,
    )


def outside_path(where: str, value: Any) -> str:
    """Read a path of the machine that runs the job."""
    path = _absolute(where, value, "a path of the machine that begins with '/'")
    socket = shown_socket(path)
    if socket is not None:
        raise ConfigError(
            "{}: {} cannot be mounted: it shows the container engine's socket.".format(where, path),
            "Mount the folders that the job needs; with the socket it would be root here.",
        )
    if is_within(path, PROCESSES):
        raise ConfigError("{}: {} cannot be mounted.".format(where, path))
    return path


def inside_path(where: str, value: Any) -> str:
    """Read a path in the container that something is put at."""
    path = _absolute(where, value, "a path in the container that begins with '/'")
    if path == "/" or path in _NO_FOLDERS:
        raise ConfigError("{}: nothing can be put at {}.".format(where, path))
    if is_within(path, OWN_FOLDER):
        raise ConfigError(
            "{}: what lies at or below {} belongs to Atlas.".format(where, OWN_FOLDER),
            "Choose another path in the container.",
        )
    return path


def _absolute(where: str, value: Any, right: str) -> str:
    path = text(where, value)
    if not path.startswith("/"):
        hint = "There is no folder that it could be relative to; the submitted one is in the job."
        raise wrong(where, right, value, hint if path[0] in ".~" or "/" in path else "")
    if ".." in path.split("/"):
        raise wrong(where, "a path without '..'", value)
    return "/" + posixpath.normpath(path).lstrip("/")


# -- volumes


def volumes(where: str, value: Any) -> Dict[str, Dict[str, str]]:
    """Read `{host path or volume's name: {bind, mode}}`, or a list of 'HOST:BIND[:MODE]'."""
    if isinstance(value, (list, tuple)):
        value = dict(_volume_line(where, line) for line in _distinct(where, value))
    if not isinstance(value, dict):
        raise wrong(where, "a mapping", value, _VOLUME_FORM)
    found = {}  # type: Dict[str, Dict[str, str]]
    for key, item in value.items():
        source = volume_source(where, key)
        if ":" in source:
            raise ConfigError(
                "{}: the path {!r} has a colon.".format(where, source),
                "The option `mounts` takes such paths.",
            )
        if source in found:
            raise ConfigError("{} names {} twice.".format(where, source), "Use `mounts` for that.")
        found[source] = _bind(where, key, item)
    return found


def volume_source(where: str, value: Any) -> str:
    """Read a path of the machine, or the name of one of the engine's volumes."""
    name = text(where, value)
    if len(name) > 1 and set(name) <= _NAME_LETTERS and name[0] not in "_.-":
        return name
    return outside_path(where, name)


def _bind(where: str, key: Any, item: Any) -> Dict[str, str]:
    if not isinstance(item, dict) or "bind" not in item or set(item) - {"bind", "mode"}:
        right = "a mapping of bind and mode"
        raise wrong("{}.{}".format(where, key), right, item, _VOLUME_FORM)
    mode = item.get("mode") or "rw"
    parts = mode.split(",") if isinstance(mode, str) else [""]
    if set(parts) - set(_MODES) or len(set(parts) & set(_ACCESS)) > 1:
        raise wrong("{}.{}: the mode".format(where, key), "'rw' or 'ro'", mode)
    return {"bind": inside_path("{}.{}: bind".format(where, key), item["bind"]), "mode": mode}


def _volume_line(where: str, line: Any) -> Tuple[str, Dict[str, str]]:
    if isinstance(line, dict):
        raise wrong(where, "a mapping", line, _VOLUME_FORM)
    source, _, rest = text(where, line).partition(":")
    bind, _, mode = rest.partition(":")
    if not bind:
        raise wrong(where, "'HOST:BIND' or 'HOST:BIND:MODE'", line)
    return source, {"bind": bind, "mode": mode or "rw"}


def _distinct(where: str, lines: Iterable[Any]) -> Iterator[Any]:
    seen = set()
    for line in lines:
        source = str(line).partition(":")[0]
        if source in seen:
            raise ConfigError("{} names {} twice.".format(where, source), "Use `mounts` for that.")
        seen.add(source)
        yield line


# -- mounts, tmpfs, devices

_mount = record(
    "target",
    target=inside_path, source=text, type=one_of("bind", "volume", "tmpfs"), read_only=flag,
    consistency=text, no_copy=flag, labels=mapping(scalar), subpath=text, tmpfs_size=size,
    propagation=one_of("private", "rprivate", "shared", "rshared", "slave", "rslave"),
    tmpfs_mode=whole(0, 0o7777),
)  # fmt: skip
_ONLY_OF = {
    "bind": ("propagation",),
    "volume": ("no_copy", "labels", "subpath"),
    "tmpfs": ("tmpfs_size", "tmpfs_mode"),
}


def _one_mount(where: str, value: Any) -> Dict[str, Any]:
    if isinstance(value, dict) and any("driver" in str(key).lower() for key in value):
        raise ConfigError(
            "{}: a mount cannot configure a volume's driver.".format(where),
            "Make the volume first (docker volume create) and name it as the source.",
        )
    found = _mount(where, value)
    source = found.get("source")
    kind = found.setdefault("type", "bind" if (source or "").startswith("/") else "volume")
    if kind == "bind":
        found["source"] = outside_path(where + ".source", source)
    elif kind == "tmpfs" and source:
        raise ConfigError("{}: a mount of type tmpfs has no source.".format(where))
    elif kind == "volume" and source and volume_source(where + ".source", source)[0] == "/":
        raise wrong(where + ".source", "the name of a volume", source, "A path needs type: bind.")
    for other, names in _ONLY_OF.items():
        misplaced = [name for name in names if name in found and other != kind]
        if misplaced:
            only = "{}: {} is for mounts of type {}.".format(where, misplaced[0], other)
            raise ConfigError(only)
    return found


mounts = items(_one_mount)
tmpfs = mapping_or_lines(scalar, ":", inside_path)

_device = record(
    "path_on_host",
    path_on_host=text, path_in_container=text, cgroup_permissions=text,
)  # fmt: skip


def _one_device(where: str, value: Any) -> str:
    if isinstance(value, dict):
        given = _device(where, value)
        parts = [given["path_on_host"], given.get("path_in_container", "")]
        parts.append(given.get("cgroup_permissions", ""))
    else:
        parts = text(where, value).split(":")
    host, inside, access = (parts + ["", ""])[:3]
    if len(parts) > 3 or not host.startswith("/") or set(access) - set("rwm"):
        raise wrong(where, "'/dev/HOST', or '/dev/HOST:/dev/INSIDE:rwm'", value)
    if posixpath.normpath(host).startswith("/dev/nvidia"):
        raise ConfigError("{}: GPUs are given out by the scheduler.".format(where), USE_NUM_GPUS)
    return ":".join((host, inside or host, access or "rwm"))


USE_NUM_GPUS = "Ask for them with num_gpus, outside of the worker block."
devices = items(_one_device)


# -- where it all appears


def mounted_at(worker: Dict[str, Any]) -> List[Tuple[str, str]]:
    """Return (path in the container, option) of all that a read block puts there."""
    found = [(item["bind"], "volumes") for item in worker.get("volumes", {}).values()]
    found += [(item["target"], "mounts") for item in worker.get("mounts", ())]
    found += [(path, "tmpfs") for path in worker.get("tmpfs", ())]
    return found


def check_places(worker: Dict[str, Any]) -> None:
    """Raise ConfigError where two things are put at one path."""
    start = worker.get("working_dir", WORKING_DIR)
    # A start below the usual place is a folder of the job's own, which lies where it always does.
    code = WORKING_DIR if is_within(start, WORKING_DIR) else start
    taken = {code: "the job's own folder"}
    for path, option in mounted_at(worker):
        if path in taken:
            raise ConfigError(
                "worker.{}: {} is taken by {} already.".format(option, path, taken[path]),
                "Two things cannot be at one path in the container.",
            )
        taken[path] = "worker." + option


def outside_paths(worker: Mapping[str, Any]) -> Iterator[Tuple[str, str]]:
    """Yield (source, option) of what a read block mounts: paths, and names of volumes."""
    for source in worker.get("volumes", ()):
        yield source, "volumes"
    for item in worker.get("mounts", ()):
        if item.get("source"):
            yield item["source"], "mounts"

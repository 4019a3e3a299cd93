"""What jobs may ask of the machine: folders, networks, privileges. Looks at its file system."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from foundations.contract.worker import is_container, requests
from foundations.contract.worker_mounts import (
    ENGINE_SOCKETS,
    PROCESSES,
    is_within,
    shown_socket,
)
from foundations.contract.worker_options import NETWORK, OUTSIDE, PRIVILEGE
from foundations.errors import Refused

ANY = "*"
PROCESS = "process"
"""The privilege to run as a process: with all that the server's user may do."""
_DEFAULT_NETWORK = "bridge"


@dataclass(frozen=True, slots=True)
class Permissions:
    """What jobs may have; ("*",) is everything.

    `volumes` are folders, with all below them, and names of volumes; `networks` network modes and
    names, of which a job that names none gets the first where it must not have the usual one;
    `privileges` names of options. `sockets` are those of engines besides the usual ones: no
    folder that shows one is mounted, whatever is allowed.
    """

    volumes: tuple[str, ...] = (ANY,)
    networks: tuple[str, ...] = (ANY,)
    privileges: tuple[str, ...] = (ANY,)
    sockets: tuple[str, ...] = ()

    def granted(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return options that were read, as the job gets them. Raises Refused.

        Where volumes are restricted, links in paths are followed now: what they lead to later
        does not count.
        """
        if not is_container(options):
            if not _allows(self.privileges, PROCESS):
                raise Refused(
                    "This server runs jobs in containers only.", _setting("privileges", PROCESS)
                )
            return dict(options)
        for kind, name, detail in requests(options):
            if kind == OUTSIDE:
                self._check_source(name, detail)
            elif kind == NETWORK and not _allows(self.networks, detail):
                raise Refused(
                    f"worker.{name}: this server's jobs may not use the network {detail!r}.",
                    _setting("networks", detail),
                )
            elif kind == PRIVILEGE and not _allows(self.privileges, name):
                raise Refused(
                    f"worker.{name}: this server's jobs may not have {name}={detail!r}.",
                    _setting("privileges", name),
                )
        return self._completed(options)

    def _completed(self, options: Mapping[str, Any]) -> dict[str, Any]:
        given = dict(options)
        named = any(name in given for name in ("network", "network_mode", "network_disabled"))
        if not named and not _allows(self.networks, _DEFAULT_NETWORK):
            given["network_mode"] = self.networks[0] if self.networks else "none"
        if ANY not in self.volumes:
            given |= _links_followed(given)
        return given

    def _check_source(self, option: str, source: str) -> None:
        try:
            real = os.path.realpath(source) if source.startswith("/") else source
        except OSError as error:
            raise Refused(
                f"worker.{option}: {source} cannot be followed: {error.strerror}.",
                "Mount the folder itself, not a link to it.",
            ) from error
        shown = source if real == source else f"{source} (which is {real})"
        if is_within(real, PROCESSES):
            raise Refused(
                f"worker.{option}: {shown} cannot be mounted: it shows the whole machine.",
                "Mount the folders that the job needs.",
            )
        if self._shows_socket(real):
            raise Refused(
                f"worker.{option}: {shown} cannot be mounted: it shows the container engine's"
                " socket.",
                "Mount the folders that the job needs; with the socket it would be root here.",
            )
        if ANY in self.volumes or any(_covers(allowed, real) for allowed in self.volumes):
            return
        raise Refused(
            f"worker.{option}: this server's jobs may not mount {shown}.",
            _setting("volumes", real),
        )

    def _shows_socket(self, path: str) -> bool:
        if not path.startswith("/"):
            return False
        sockets = [*ENGINE_SOCKETS, *self.sockets]
        real = [os.path.realpath(socket) for socket in sockets]
        return shown_socket(path, [*sockets, *real]) is not None or any(
            _same_file(path, socket) for socket in real
        )


def _allows(allowed: tuple[str, ...], name: str) -> bool:
    return ANY in allowed or name in allowed


def _covers(allowed: str, source: str) -> bool:
    if not allowed.startswith("/") or not source.startswith("/"):
        return allowed == source
    return is_within(source, os.path.realpath(allowed))


def _same_file(path: str, other: str) -> bool:
    try:
        return os.path.samefile(path, other)
    except OSError:
        return False  # one of them is not there


def _links_followed(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that name folders, with their real paths, and the mark that they do."""
    found: dict[str, Any] = {}
    if "volumes" in options:
        found["volumes"] = {_real(source): volume for source, volume in options["volumes"].items()}
        if len(found["volumes"]) < len(options["volumes"]):
            raise Refused("worker.volumes: two of the paths lead to one folder.")
    if "mounts" in options:
        found["mounts"] = [
            {**one, "source": _real(one["source"])} if one["type"] == "bind" else one
            for one in options["mounts"]
        ]
    return {**found, "links_followed": True} if found else found


def _real(source: str) -> str:
    return os.path.realpath(source) if source.startswith("/") else source


def _setting(name: str, missing: str) -> str:
    return f"Whoever runs the server can allow it: add {missing} to its setting allow_{name}."

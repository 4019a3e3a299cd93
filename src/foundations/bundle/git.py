"""The state of the git repository that a job's folder lies in."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Mapping, Optional

_SECONDS = 5.0


class GitLook:
    """Asks git in the background while the folder is read; nothing is asked outside of one."""

    def __init__(self, folder: str, variables: Mapping[str, str]) -> None:
        self._pid = 0
        self._reading = -1
        if _repository(folder) is not None:
            # Only looking: no lock may be left in the user's repository.
            self._start(folder, {**variables, "GIT_OPTIONAL_LOCKS": "0"})

    def result(self) -> Optional[Dict[str, Any]]:
        """Return commit, branch and whether there are uncommitted changes; None: not known."""
        if not self._pid:
            return None
        from select import select

        output = b""
        while select([self._reading], [], [], _SECONDS)[0]:
            part = os.read(self._reading, 1 << 16)
            if not part:
                break
            output += part
        else:
            os.kill(self._pid, 9)  # a repository too large to wait for
        os.close(self._reading)
        os.waitpid(self._pid, 0)
        return _parse(output.decode("utf-8", "replace"))

    def _start(self, folder: str, variables: Mapping[str, str]) -> None:
        reading, writing = os.pipe()
        null = os.open(os.devnull, os.O_RDWR)
        actions = [
            (os.POSIX_SPAWN_DUP2, null, 0),
            (os.POSIX_SPAWN_DUP2, writing, 1),
            (os.POSIX_SPAWN_DUP2, null, 2),
        ]
        command = ["git", "-C", folder, "status", "--porcelain=v2", "--branch"]
        try:
            self._pid = os.posix_spawnp("git", command, variables, file_actions=actions)
            self._reading = reading
        except OSError:
            os.close(reading)  # git is not installed
        os.close(writing)
        os.close(null)


def _repository(folder: str) -> Optional[str]:
    while True:
        if os.path.exists(os.path.join(folder, ".git")):
            return folder
        parent = os.path.dirname(folder)
        if parent == folder:
            return None
        folder = parent


def _parse(text: str) -> Optional[Dict[str, Any]]:
    facts = {}
    dirty = False
    for line in text.splitlines():
        if line.startswith("# "):
            name, _, value = line[2:].partition(" ")
            facts[name] = value
        else:
            dirty = True
    commit = facts.get("branch.oid", "(initial)")
    if commit == "(initial)":
        return None
    branch = facts.get("branch.head")
    return {
        "commit": commit,
        "branch": None if branch == "(detached)" else branch,
        "dirty": dirty,
    }

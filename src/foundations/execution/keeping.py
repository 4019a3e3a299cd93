"""Starts the process that keeps a job's code, beside the program that has other things to do."""

from __future__ import annotations

import os
import sys

from foundations.contract import environment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List

    from foundations.execution.folder import JobFolder

_PROGRAM = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from foundations.execution.snapshot import main; main(sys.argv[2])"
)
_INTERPRETERS = ("python", "pypy")
# The shell ends at once and leaves it to the system: no child of ours that a program could meet in
# its own os.wait().
_SHELL = ["/bin/sh", "-c", '"$@" &', "sh"]


def keep_code(folder: JobFolder) -> None:
    """Have the job's code kept as it is now, and the job offered to a server.

    Takes about a millisecond; the process itself has nothing to do with this one any more. Raises
    OSError.
    """
    name = os.path.basename(sys.executable or "")
    if getattr(sys, "frozen", False) or not name.startswith(_INTERPRETERS):
        # Part of another program, which must not be started in Python's place.
        folder.mark_ready()
        return
    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    # Nothing of the user's environment is imported: neither slow nor broken packages matter.
    command = [sys.executable, "-I", "-S", "-c", _PROGRAM, package, folder.root]
    hidden = (environment.ATTEMPT_DIR, environment.JOB_ID, environment.OUTPUTS)
    variables = {name: value for name, value in os.environ.items() if name not in hidden}
    variables[environment.COMMAND_LINE] = "True"
    detach(command, variables)


def detach(command: List[str], variables: Dict[str, str]) -> None:
    """Start a process that has nothing to do with this one any more. Raises OSError."""
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDWR, 0),
        (os.POSIX_SPAWN_DUP2, 0, 1),
        (os.POSIX_SPAWN_DUP2, 0, 2),
    ]
    pid = os.posix_spawn(_SHELL[0], [*_SHELL, *command], variables, file_actions=actions)
    os.waitpid(pid, 0)

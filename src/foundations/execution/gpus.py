"""What the GPUs do that some processes use, as `nvidia-smi` tells.

A program of its own, with a time limit: the driver may hang.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess

from foundations.execution.processes import variables_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Collection, Dict, List

_VALUES = (
    ("utilization", "utilization.gpu", 1.0),
    ("memory", "memory.used", 1024.0 * 1024.0),
    ("power", "power.draw", 1.0),
    ("temperature", "temperature.gpu", 1.0),
)
_PATIENCE = 5.0
_NUMBER = re.compile(r"\d+(\.\d+)?$")
_VISIBLE = b"CUDA_VISIBLE_DEVICES="


class GpuLook:
    """Asks now and then; after a failure never again."""

    def __init__(self) -> None:
        self._program = shutil.which("nvidia-smi")

    def read(self, pids: Collection[int], main: int) -> Dict[str, float]:
        """Return `gpu0_utilization` (percent), `_memory` (bytes), `_power` (W), `_temperature`.

        The numbers count the GPUs that these processes use; where they cannot be told, as in a
        container, those that `main` was started to use. What a device does not tell is left out.
        """
        if self._program is None:
            return {}
        used = self._ask("--query-compute-apps=pid,gpu_uuid")
        uuids = {row[1] for row in used if row[0].isdigit() and int(row[0]) in pids}
        names = [name for _, name, _ in _VALUES]
        devices = self._ask("--query-gpu=uuid,index,{}".format(",".join(names)))
        wanted = _given_to(main)
        theirs = [
            row
            for row in devices
            if row[0] in uuids
            or (not uuids and any(row[1] == word or row[0].startswith(word) for word in wanted))
        ]
        found: Dict[str, float] = {}
        for number, row in enumerate(theirs):
            for (name, _, factor), text in zip(_VALUES, row[2:]):
                if _NUMBER.match(text):  # else [N/A] or the like
                    found["gpu{}_{}".format(number, name)] = float(text) * factor
        return found

    def _ask(self, query: str) -> List[List[str]]:
        if self._program is None:
            return []
        try:
            done = subprocess.run(
                [self._program, query, "--format=csv,noheader,nounits"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                timeout=_PATIENCE,
                check=True,
            )
        except (OSError, subprocess.SubprocessError):
            self._program = None
            return []
        lines = os.fsdecode(done.stdout).splitlines()
        return [[word.strip() for word in line.split(",")] for line in lines if "," in line]


def _given_to(pid: int) -> List[str]:
    """Return what a process's CUDA_VISIBLE_DEVICES names."""
    for variable in variables_of(pid) or ():
        if variable.startswith(_VISIBLE):
            words = os.fsdecode(variable[len(_VISIBLE) :]).split(",")
            return [word.strip() for word in words if word.strip() not in ("", "-1")]
    return []

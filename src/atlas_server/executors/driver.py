"""What the NVIDIA driver of this machine says of its GPUs, whatever state it is in."""

from __future__ import annotations

import ctypes
import json
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

NO_DRIVER = "no NVIDIA driver was found"
NOT_LOADED = "the NVIDIA driver is not loaded"

# A driver that has to wake eight GPUs first may need several seconds.
_ANSWER_SECONDS = 30
_LIBRARY = "libnvidia-ml.so.1"


@dataclass(frozen=True, slots=True)
class Device:
    """One GPU as the driver has it; `memory` in bytes, 0 where it has none of its own.

    `uuid` is empty where not even that can be told. `problem` says why it should not be used.
    `parts` are its MIG instances, None where it is used as a whole.
    """

    uuid: str
    name: str
    memory: int
    problem: str | None = None
    parts: tuple[Device, ...] | None = None

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Device:
        """Read what `executors.nvml` printed."""
        parts = value["parts"]
        return cls(
            value["uuid"],
            value["name"],
            value["memory"],
            value["problem"],
            None if parts is None else tuple(cls.from_json(part) for part in parts),
        )


@dataclass(frozen=True, slots=True)
class Look:
    """The devices in the driver's order; `trouble` says why it told nothing of any."""

    devices: tuple[Device, ...] = ()
    trouble: str | None = None


class Driver:
    """The NVIDIA driver, asked by a process of its own each time (`executors.nvml` says why)."""

    def __init__(self) -> None:
        self._asking: subprocess.Popen[bytes] | None = None

    def is_installed(self) -> bool:
        """Whether the driver's library is here; its devices may still be out of reach."""
        try:
            ctypes.CDLL(_LIBRARY)
        except OSError:
            return False
        return True

    def look(self) -> Look:
        """Ask it. Takes a tenth of a second, or as long as the driver needs, with a limit."""
        if self._asking is not None and self._asking.poll() is None:
            return _silent()  # the last question hangs in the kernel, where no signal reaches it
        self._asking = subprocess.Popen(
            [sys.executable, "-P", "-m", "atlas_server.executors.nvml", str(_ANSWER_SECONDS)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            answer, complaint = self._asking.communicate(timeout=_ANSWER_SECONDS + 5)
        except subprocess.TimeoutExpired:
            self._asking.kill()
            return _silent()
        return _read(self._asking.returncode, answer, complaint)

    def close(self) -> None:
        """End a question that is being asked."""
        if self._asking is not None and self._asking.poll() is None:
            self._asking.kill()


def _read(code: int, answer: bytes, complaint: bytes) -> Look:
    try:
        said = json.loads(answer)
        return Look(tuple(Device.from_json(device) for device in said["devices"]), said["trouble"])
    except (ValueError, KeyError, TypeError):
        if code == -signal.SIGALRM:
            return _silent()
        last = complaint.decode(errors="replace").strip().rpartition("\n")[2]
        return Look(trouble=f"asking the NVIDIA driver failed ({last or f'exit code {code}'})")


def _silent() -> Look:
    return Look(trouble=f"the NVIDIA driver does not answer within {_ANSWER_SECONDS} s")

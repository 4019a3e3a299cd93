"""GPUs for machines without any: a library in the place of the NVIDIA driver's (nvml.c)."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

SOURCE = Path(__file__).parent / "nvml.c"
MODEL = "NVIDIA H100 80GB HBM3"

LOST = 15  # NVML_ERROR_GPU_IS_LOST
NO_PERMISSION = 4
NOT_LOADED = 9
MISMATCH = 18
UNKNOWN = 999

Facts = dict[str, str | int]


def build(folder: Path) -> Path:
    """Compile the library into `folder` and return that."""
    library = folder / "libnvidia-ml.so.1"
    flags = ["-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    subprocess.run(["cc", *flags, "-o", str(library), str(SOURCE)], check=True)
    return folder


def uuid(number: int) -> str:
    """The UUID of a fake GPU; no two begin alike."""
    return f"GPU-{(number + 1) * 0x11111111:08x}-d72c-4106-c12f-20bd9faed9f6"


def gpu(number: int, **facts: str | int) -> Facts:
    """One GPU; nvml.c names the facts."""
    return {"kind": "gpu", "uuid": uuid(number), "name": MODEL, **facts}


def mig(number: int, part: int) -> Facts:
    """A MIG instance of the GPU before it."""
    facts = {"uuid": f"MIG-{number}-{part}", "name": f"{MODEL} MIG 1g.10gb", "memory": 10 << 30}
    return {"kind": "mig", **facts}


class FakeNvml:
    """What the driver answers from now on; `environment` is for the processes that ask it."""

    def __init__(self, folder: Path, library: Path) -> None:
        self._file = folder / "nvml"
        inherited = os.environ.get("LD_LIBRARY_PATH")
        paths = [str(library), *([inherited] if inherited else [])]
        self.environment = {
            "LD_LIBRARY_PATH": os.pathsep.join(paths),
            "FAKE_NVML": str(self._file),
        }
        self.show()

    def show(self, *devices: Facts, **driver: int) -> None:
        """Have these devices, in this order; `init=CODE` or `hang=1` is about the driver."""
        lines = [{"kind": "driver", **driver}, *devices]
        text = "".join(_line(**facts) for facts in lines)
        partial = self._file.with_suffix(".partial")
        partial.write_text(text)
        partial.replace(self._file)


def _line(kind: str | int, **facts: str | int) -> str:
    words = [str(kind), *(f"{name}={value}" for name, value in facts.items())]
    return "\t".join(words) + "\n"

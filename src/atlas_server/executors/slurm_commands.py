"""Runs Slurm's commands, each with a limit to its patience."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence

from atlas_server.executors.engine import EngineAway, EngineRefused

# What Slurm says when its controller cannot be talked to, not when it refuses.
_AWAY = re.compile(
    "contact slurm controller|Socket timed out|Zero Bytes|Communication connection|"
    "standby mode|temporarily unable|Connection refused|Transport endpoint|Munge|munge"
)
_PREFIX = re.compile(
    r"^((sbatch|scancel|scontrol|squeue|sinfo|sacct|error|fatal|allocation failure): )+"
)
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "USER", "LOGNAME", "SLURM_CONF")


class SlurmCommands:
    """Slurm's commands on this machine. `environment` is the server's, `conf` its slurm.conf."""

    def __init__(self, environment: Mapping[str, str], conf: str | None, patience: float) -> None:
        # SBATCH_... and the like would change what our options say.
        self._environment = {name: environment[name] for name in _PASSED_ON if name in environment}
        # Lists of an array's tasks as long as they are.
        self._environment["SLURM_BITSTR_LEN"] = "0"
        if conf is not None:
            self._environment["SLURM_CONF"] = conf
        self._patience = patience

    def run(self, words: Sequence[str], text: str = "") -> str:
        """Return what a command prints. Raises EngineAway or EngineRefused."""
        try:
            done = subprocess.run(
                words,
                input=text,
                capture_output=True,
                env=self._environment,
                timeout=self._patience,
                check=False,
                encoding="utf-8",
                errors="replace",
            )
        except FileNotFoundError as error:
            raise EngineAway(f"there is no {words[0]} on this machine") from error
        except OSError as error:
            raise EngineAway(f"{words[0]} cannot be run: {error}") from error
        except subprocess.TimeoutExpired as error:
            raise EngineAway(f"{words[0]} took longer than {self._patience:g} s") from error
        if done.returncode == 0:
            return done.stdout
        said = _told(done.stderr) or f"{words[0]} ended with {done.returncode}"
        raise (EngineAway if _AWAY.search(done.stderr) else EngineRefused)(said)


def _told(complaint: str) -> str:
    """Return what a command complained of, in one line."""
    lines = [_PREFIX.sub("", line) for line in complaint.splitlines()]
    return "; ".join(dict.fromkeys(line.strip().rstrip(".") for line in lines if line.strip()))

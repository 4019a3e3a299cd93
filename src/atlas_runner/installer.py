"""uv as the installer: where it is, its settings, and running it with its output passed on."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from atlas_runner.descendants import identify
from atlas_runner.errors import PreparationStopped, RequirementsFailed, StartFailed
from atlas_runner.interpreter import InterpreterInfo
from foundations.host_settings import pip_settings

# Bytes of an installer's output in which its error is looked for.
TAIL = 16_384
_MESSAGE_LINES = 20
_ERROR_MARKS = ("error:", "\N{MULTIPLICATION SIGN}")
# They would make uv work on another environment than the one it is told.
_FOREIGN = ("VIRTUAL_ENV", "CONDA_PREFIX", "UV_PYTHON", "UV_SYSTEM_PYTHON", "UV_WORKING_DIRECTORY",
            "UV_PROJECT", "PYTHONPATH", "PYTHONHOME", "__PYVENV_LAUNCHER__")  # fmt: skip
# pip's setting -> uv's variable, and what uv puts between several values.
_FROM_PIP = {
    "index-url": ("UV_INDEX_URL", " "),
    "extra-index-url": ("UV_EXTRA_INDEX_URL", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "trusted-host": ("UV_INSECURE_HOST", " "),
    "no-index": ("UV_NO_INDEX", " "),
    "cert": ("SSL_CERT_FILE", " "),
}


def find_uv() -> str:
    """Return the path of uv: the one that was installed with Atlas, else the PATH's.

    Raises StartFailed when there is none.
    """
    with contextlib.suppress(ImportError, FileNotFoundError):
        from uv import find_uv_bin  # noqa: PLC0415 - only builds need it

        return os.fspath(find_uv_bin())
    found = shutil.which("uv")
    if found is None:
        raise StartFailed("uv, which installs a job's requirements, was not found.",
                          "Install it: pip install uv.")  # fmt: skip
    return found


@dataclass(frozen=True)
class Installer:
    """uv, set up to build one environment.

    While uv runs, its identity stands in the file `lock`: whoever gets the lock after this
    process was killed knows what to end before building in the same place.
    """

    uv: str
    env: dict[str, str]
    cwd: Path
    write: Callable[[bytes], object]
    stop_fd: int
    lock: int

    @classmethod
    def create(
        cls,
        home: Path,
        info: InterpreterInfo,
        job_dir: Path,
        write: Callable[[bytes], object],
        stop_fd: int,
        lock: int,
    ) -> Installer:
        """Find uv and settle its environment variables; the user's own settings win."""
        env = settings(os.environ, home, info.prefix)
        return cls(find_uv(), env, job_dir, write, stop_fd, lock)

    def run(self, arguments: Sequence[str]) -> None:
        """Run uv to its end.

        Raises RequirementsFailed with uv's own error, PreparationStopped when told to stop.
        """
        process = subprocess.Popen(
            [self.uv, *arguments],
            env=self.env,
            cwd=self.cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            self._name_in_lock(identify(process.pid))
            tail = self._pass_on(process)
            code = process.wait()
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        finally:
            if process.stdout is not None:
                process.stdout.close()
            self._name_in_lock("")
        if code != 0:
            raise RequirementsFailed(error_in(tail, code))

    def _name_in_lock(self, text: str) -> None:
        os.ftruncate(self.lock, 0)
        os.pwrite(self.lock, text.encode(), 0)

    def _pass_on(self, process: subprocess.Popen[bytes]) -> str:
        """Hand on the output as it comes; return the end of it."""
        assert process.stdout is not None
        output = process.stdout.fileno()
        watched = [output, self.stop_fd] if self.stop_fd >= 0 else [output]
        tail = b""
        while True:
            ready = select.select(watched, [], [])[0]
            if self.stop_fd in ready:
                raise PreparationStopped("The job was stopped while its environment was built.")
            chunk = os.read(output, 65536)
            if not chunk:
                return tail.decode(errors="replace")
            self.write(chunk)
            tail = (tail + chunk)[-TAIL:]


def error_in(output: str, code: int) -> str:
    """Return uv's error, which runs to the end from the line that starts with one of its marks."""
    lines = output.rstrip().splitlines()
    starts = [i for i, line in enumerate(lines) if line.lstrip().startswith(_ERROR_MARKS)]
    said = lines[starts[0] :] if starts else lines[-5:]
    if not said:
        how = f"was ended by signal {-code}" if code < 0 else f"failed with code {code}"
        return f"uv {how} and said nothing."
    if len(said) > _MESSAGE_LINES:  # a failed build: the reason is at its end
        said = [said[0], "...", *said[-_MESSAGE_LINES:]]
    return "\n".join(said)


def settings(environ: Mapping[str, str], home: Path, prefix: str | None) -> dict[str, str]:
    """Return uv's environment variables; pip's index settings count where uv's are not set.

    `prefix` is the interpreter's, which may have settings of its own.
    """
    env = {name: value for name, value in environ.items() if name not in _FOREIGN}
    env.setdefault("UV_CACHE_DIR", str(home / "cache" / "uv"))
    env.setdefault("UV_COMPILE_BYTECODE", "1")
    env.setdefault("UV_LINK_MODE", _link_mode(env["UV_CACHE_DIR"], home))
    env["UV_PYTHON_DOWNLOADS"] = "never"
    env["UV_NO_PROGRESS"] = "1"
    for name, value in pip_settings(_FROM_PIP, env, prefix):
        variable, separator = _FROM_PIP[name]
        if variable == "UV_INDEX_URL" and "UV_DEFAULT_INDEX" in env:
            continue
        if variable == "UV_EXTRA_INDEX_URL" and variable not in env:
            # Who gave pip several indexes relies on its rule: the best version of them all. uv by
            # itself takes the first index that has the package, in whatever version.
            env.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")
        env.setdefault(variable, separator.join(value.split()))
    return env


def _link_mode(cache: str, home: Path) -> str:
    """Return "hardlink" where the cache and the environments share a file system."""
    os.makedirs(cache, exist_ok=True)
    envs = home / "envs"
    envs.mkdir(parents=True, exist_ok=True)
    return "hardlink" if os.stat(cache).st_dev == os.stat(envs).st_dev else "copy"

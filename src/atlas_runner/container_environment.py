"""Environments of requirements for images: built inside of the image, kept outside, used read-only.

They lie below `image-envs/` of the home, in a folder for each user: what is installed may run
programs of its own, and these can write there. In each are

    <key>/              the environment; complete when it holds the file `.atlas-complete`
    <key>.satisfied     the image has everything: no environment is needed
    <key>.lock          held by the builder
    uv/                 uv's cache, under the same mount so that it can be linked from

`uv` comes from outside: the image needs Python alone.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from atlas_runner import overlay
from atlas_runner.container_layout import ENVIRONMENTS, ROOT, Bind, Layout
from atlas_runner.engine import Engine, Write, interruptible, kept_log, words
from atlas_runner.environment import build_lock, read, touch, used
from atlas_runner.errors import RequirementsFailed, StartFailed
from atlas_runner.image_python import ImagePython
from atlas_runner.images import Image
from atlas_runner.installer import TAIL, error_in, find_uv, settings
from atlas_runner.requirements import Requirements

_UV = f"{ROOT}/uv"
_BUILD = f"{ROOT}/build"
_CERTIFICATES = f"{ROOT}/certificates.pem"
_CERTIFICATE_NAMES = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
# What of this machine's settings a build in a container gets.
_PASSED = ("UV_", "PIP_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY",
           "http_proxy", "https_proxy", "no_proxy", "all_proxy")  # fmt: skip
# Places of this machine, which mean nothing inside.
_OWN = ("UV_CACHE_DIR", "UV_PYTHON", "UV_LINK_MODE", "UV_CONFIG_FILE", "UV_NATIVE_TLS",
        "UV_SYSTEM_CERTS", "PIP_CONFIG_FILE", "PIP_CACHE_DIR")  # fmt: skip
_PLACES = ("UV_FIND_LINKS", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX")


@dataclass(frozen=True)
class ImageEnvironments:
    """The environments for one image.

    `options` are those of the job's container that decide what it can reach (network, DNS).
    Nobody but jobs of `user` gets what a job of theirs has built.
    """

    engine: Engine
    image: Image
    python: ImagePython
    home: Path
    options: dict[str, Any]
    user: str

    def find(self, requirements: Path, job_dir: Path, job_key: str) -> Path | str | None:
        """Return the environment that fits; "" where the image has everything; None: not built."""
        asked = read(requirements, job_dir)
        if asked.empty:
            return ""
        place = self._place(asked, job_key)
        with used(place) as is_there:
            return self._ready(place) if is_there else None

    def build(
        self, requirements: Path, layout: Layout, job_key: str, write: Write, stop_fd: int
    ) -> Path | str:
        """Return what `find` returns once it is built.

        Raises RequirementsFailed with the installer's words, PreparationStopped when `stop_fd`
        becomes readable. A failed environment is removed.
        """
        place = self._place(read(requirements, layout.workspace.job_dir), job_key)
        place.parent.mkdir(parents=True, exist_ok=True)
        (place.parent / "uv").mkdir(exist_ok=True)
        with build_lock(place, write, stop_fd):
            ready = self._ready(place)
            if ready is None:
                self._build(place, requirements.name, layout, write, stop_fd)
                ready = self._ready(place)
        if ready is None:
            raise RequirementsFailed(f"The environment {place} vanished while it was being built.")
        return ready

    def _place(self, asked: Requirements, job_key: str) -> Path:
        python = self.python
        parts = [asked.digest, self.image.id, python.executable, python.version, self.user]
        if asked.local:
            parts.append(job_key)
        key = hashlib.sha256(repr(parts).encode()).hexdigest()[:32]
        owner = hashlib.sha256(self.user.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        return self.home / "image-envs" / owner / key

    def _ready(self, place: Path) -> Path | str | None:
        if (place / overlay.COMPLETE).exists():
            touch(place / overlay.COMPLETE)
            return place
        if overlay.satisfied(place).exists():
            touch(overlay.satisfied(place))
            return ""
        return None

    def _build(self, place: Path, file: str, layout: Layout, write: Write, stop_fd: int) -> None:
        shutil.rmtree(place, ignore_errors=True)
        name = f"atlas-build-{place.name}"
        binds, environment = self._surroundings(place.parent, layout, write)
        options = {
            **self.options,
            "name": name,
            "entrypoint": [self.python.executable, "-m", "atlas_runner.overlay"],
            "command": [_UV, f"{ENVIRONMENTS}/{place.name}", file],
            "working_dir": layout.code,
            "environment": environment,
            "labels": self.engine.labels,
            "log_config": kept_log(self.engine),
        }
        self._remove(name)  # what a builder left that was killed
        with words():
            container = self.engine.client.containers.create(
                self.image.id, mounts=mounts(binds), **options
            )
        try:
            code, tail = self._run(container, write, stop_fd)
        finally:
            self._remove(name)
        if code != 0:
            shutil.rmtree(place, ignore_errors=True)
            raise RequirementsFailed(error_in(tail.decode(errors="replace"), code))

    def _run(self, container: Any, write: Write, stop_fd: int) -> tuple[int, bytes]:
        tail = bytearray()

        def follow() -> int:
            with words():
                container.start()
                for chunk in container.logs(stream=True, follow=True):
                    write(chunk)
                    tail.extend(chunk)
                    del tail[:-TAIL]
                return int(container.wait()["StatusCode"])

        return interruptible(follow, stop_fd, "installing its requirements"), bytes(tail)

    def _remove(self, name: str) -> None:
        with contextlib.suppress(StartFailed), words():
            self.engine.api.remove_container(name, v=True, force=True)

    def _surroundings(
        self, envs: Path, layout: Layout, write: Write
    ) -> tuple[list[Bind], dict[str, str]]:
        """Return what a build sees of this machine: uv with its settings, certificates, indexes."""
        source = Path(overlay.__file__).parent
        binds = [
            Bind(str(envs), ENVIRONMENTS),
            Bind(str(layout.workspace.job_dir), layout.code),
            Bind(str(layout.workspace.home_dir), f"{ROOT}/home"),
            Bind(str(uv_for_images(self.home, write)), _UV, read_only=True),
            *(
                Bind(str(source / file), f"{_BUILD}/atlas_runner/{file}", read_only=True)
                for file in ("__init__.py", "overlay.py", "distributions.py")
            ),
        ]
        ours = settings(os.environ, self.home, None)
        environment = {
            name: value
            for name, value in ours.items()
            if name.startswith(_PASSED) and name not in _OWN
        }
        environment |= {
            "HOME": f"{ROOT}/home",
            "PYTHONPATH": _BUILD,
            "PYTHONDONTWRITEBYTECODE": "1",
            "UV_CACHE_DIR": f"{ENVIRONMENTS}/uv",
            "UV_LINK_MODE": "hardlink",
        }
        certificates = next((ours[name] for name in _CERTIFICATE_NAMES if ours.get(name)), None)
        if certificates and os.path.isfile(certificates):
            binds.append(Bind(os.path.realpath(certificates), _CERTIFICATES, read_only=True))
            environment |= dict.fromkeys(_CERTIFICATE_NAMES, _CERTIFICATES)
        binds += [Bind(place, place, read_only=True) for place in _local_places(ours)]
        return binds, environment


def mounts(binds: list[Bind]) -> list[Any]:
    """Return binds as the engine's SDK wants them."""
    from docker.types import Mount  # noqa: PLC0415 - loaded with the engine

    return [
        Mount(bind.target, bind.source, type="bind", read_only=bind.read_only) for bind in binds
    ]


def _local_places(environment: Mapping[str, str]) -> Iterator[str]:
    """Yield the folders of this machine that uv's settings name as places of packages."""
    found: set[str] = set()
    for name in _PLACES:
        for word in environment.get(name, "").replace(",", " ").split():
            place = unquote(urlsplit(word).path) if word.startswith("file:") else word
            if place.startswith("/") and os.path.isdir(place):
                found.add(os.path.normpath(place))
    yield from sorted(found)


def uv_for_images(home: Path, write: Write) -> Path:
    """Return a uv that runs in any image, fetched once from the package index.

    The one beside this program is linked to one C library; the one for musl is linked to none.
    Where it cannot be had, this machine's own has to do: it runs in most images.
    """
    own = find_uv()
    version = subprocess.run(
        [own, "--version"], capture_output=True, text=True, check=True
    ).stdout.split()[1]
    folder = home / "cache" / "tools" / f"uv-{version}"
    if not (folder / "bin" / "uv").exists():
        write(b"Fetching the installer for images\n")
        partial = folder.with_name(f"{folder.name}.{os.getpid()}")
        command = [own, "pip", "install", "--quiet", "--target", str(partial), "--no-deps",
                   "--only-binary", ":all:", f"uv=={version}",
                   "--python-platform", f"{os.uname().machine}-unknown-linux-musl"]  # fmt: skip
        done = subprocess.run(
            command,
            env=settings(os.environ, home, None),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0 or not (partial / "bin" / "uv").exists():
            shutil.rmtree(partial, ignore_errors=True)
            write(b"Foundations WARNING: it cannot be had; this machine's own is tried.\n")
            return Path(own)
        with contextlib.suppress(OSError):  # somebody else was quicker
            partial.rename(folder)
        shutil.rmtree(partial, ignore_errors=True)
    return folder / "bin" / "uv"

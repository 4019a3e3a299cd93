"""Making an image for jobs: a base image with a project's requirements installed in it.

pip runs in a container of the base image, and what it has changed becomes one layer. A Dockerfile
would be given this machine's package indexes as build arguments, which everybody who has the image
can read; here they are the environment of pip alone, and leave no trace.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import tarfile

from foundations.cli.engine import refusal
from foundations.cli.image_requirements import CERTIFICATE_NAMES, REQUIREMENTS
from foundations.errors import ConfigError, EngineError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

KEY_LABEL = "atlas.worker.key"
BASE_LABEL = "atlas.worker.base"
_FOLDER = "/atlas-build"
_CERTIFICATES = _FOLDER + "/certificates.pem"
# It ends with its input, which ends with this program, whatever becomes of it.
_WAIT = "import sys; sys.stdin.read()"
_REMOVE = "import shutil; shutil.rmtree({!r})".format(_FOLDER)
_MESSAGE = "foundations build-worker: pip install --requirement requirements.txt"
_TAIL = 16_384


def is_up_to_date(client: Any, tag: str, key: str) -> bool:
    """Whether the image `tag` was made from what `key` stands for."""
    from docker.errors import ImageNotFound

    try:
        return client.images.get(tag).labels.get(KEY_LABEL) == key
    except ImageNotFound:
        return False


class WorkerBuild:
    """One image in the making: `install`, then `keep`; a context manager that leaves no container.

    `base` is an image of docker-py and `name` what it is called.
    """

    def __init__(self, client: Any, base: Any, name: str, network: Optional[str]) -> None:
        self._client = client
        self._base = base
        self._name = name
        self._network = network
        self._config: Dict[str, Any] = base.attrs.get("Config") or {}
        self._stack = contextlib.ExitStack()
        self._container = ""
        self.python = ""

    def __enter__(self) -> WorkerBuild:
        entrypoint = self._config.get("Entrypoint") or [""]
        own = entrypoint[:1] if re.match(r"python[\d.]*$", os.path.basename(entrypoint[0])) else []
        with contextlib.ExitStack() as stack:
            self.python = next(
                (name for name in (*own, "python", "python3") if self._starts(name, stack)), ""
            )
            self._stack = stack.pop_all()
        if not self.python:
            raise ConfigError(
                "The image {} has no Python to install requirements for.".format(self._name),
                "Take one that has, or install it in a Dockerfile and give that with --file.",
            )
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _starts(self, python: str, stack: contextlib.ExitStack) -> bool:
        """Start the container with this interpreter; False where the image does not have it."""
        from docker.errors import APIError

        api = self._client.api
        config = api.create_host_config(network_mode=self._network, auto_remove=True)
        container = api.create_container(
            self._base.id,
            entrypoint=[python],
            command=["-c", _WAIT],
            stdin_open=True,
            host_config=config,
            labels={BASE_LABEL: self._name},
            use_config_proxy=False,
        )["Id"]
        with contextlib.ExitStack() as attempt:
            attempt.callback(self._remove, container)
            attempt.enter_context(
                contextlib.closing(api.attach_socket(container, {"stdin": 1, "stream": 1}))
            )
            try:
                api.start(container)
            except APIError as error:
                if "not found" in refusal(error) or "no such file" in refusal(error):
                    return False
                raise
            stack.push(attempt.pop_all())
        self._container = container
        return True

    def _remove(self, container: str) -> None:
        from docker.errors import APIError

        try:
            self._client.api.remove_container(container, v=True, force=True)
        except APIError as error:
            # It has ended, and the engine is removing it or has.
            if error.status_code not in (404, 409):
                raise

    def install(
        self, files: Mapping[str, bytes], environment: Dict[str, str], trusted: bytes,
        show: Callable[[bytes], object],
    ) -> None:  # fmt: skip
        """Install requirements; what pip prints is handed to `show` as it comes.

        Raises ConfigError with pip's own words where it fails.
        """
        sent = {os.path.join(_FOLDER, path): content for path, content in files.items()}
        if trusted:
            sent[_CERTIFICATES] = trusted
            environment = {**environment, **dict.fromkeys(CERTIFICATE_NAMES, _CERTIFICATES)}
        self._client.api.put_archive(self._container, "/", _packed(sent))
        if self._run(["-m", "pip", "--version"], environment, lambda _: None)[0] != 0:
            raise ConfigError(
                "The image {} has no pip.".format(self._name),
                "Take one that has, or install it in a Dockerfile and give that with --file.",
            )
        command = ["-m", "pip", "install", "--no-cache-dir", "--progress-bar", "off"]
        code, said = self._run([*command, "--requirement", REQUIREMENTS], environment, show)
        if code != 0:
            raise ConfigError(
                "pip failed in {}: {}".format(self._name, _pip_error(said, code)),
                "Mend requirements.txt, or name another base image with --base.",
            )
        code, said = self._run(["-c", _REMOVE], {}, lambda _: None)
        if code != 0:
            raise EngineError("{} cannot be removed again: {}".format(_FOLDER, said.strip()))

    def keep(self, tag: str, key: str) -> Any:
        """Make the container's files the image `tag`; return the image."""
        config = {
            **self._config,
            "Entrypoint": [self.python],
            "Cmd": [],
            "Labels": {
                **(self._config.get("Labels") or {}),
                KEY_LABEL: key,
                BASE_LABEL: self._name,
            },
        }
        repository, _, version = tag.rpartition(":")
        # Nothing runs in it but a process that waits.
        made = self._client.api.commit(
            self._container, repository, version, _MESSAGE, conf=config, pause=False
        )
        return self._client.images.get(made["Id"])

    def _run(
        self, command: List[str], environment: Dict[str, str], show: Callable[[bytes], object]
    ) -> Tuple[int, str]:
        """Run the image's Python as root; return its exit code and the end of its output."""
        api = self._client.api
        started = api.exec_create(
            self._container, [self.python, *command], user="0:0", environment=environment,
            workdir=_FOLDER,
        )  # fmt: skip
        tail = b""
        for chunk in api.exec_start(started, stream=True):
            show(chunk)
            tail = (tail + chunk)[-_TAIL:]
        return api.exec_inspect(started)["ExitCode"], tail.decode(errors="replace")


def build_dockerfile(
    client: Any, folder: str, file: str, tag: str, network: Optional[str], proxies: Dict[str, str],
    show: Callable[[str], object],
) -> Any:  # fmt: skip
    """Build a Dockerfile of the user's own with the project's folder; return the image.

    `proxies` are the one setting of this machine that the engine does not keep in the image.
    """
    events = client.api.build(
        path=folder, dockerfile=file, tag=tag, rm=True, forcerm=True, decode=True,
        buildargs=proxies, network_mode=network,
    )  # fmt: skip
    for event in events:
        if "error" in event:
            raise EngineError(
                "{} cannot be built: {}".format(file, str(event["error"]).strip()),
                "What went before is above.",
            )
        show(str(event.get("stream", "")))
    return client.images.get(tag)


def _packed(files: Mapping[str, bytes]) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for path, data in files.items():
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return content.getvalue()


def _pip_error(said: str, code: int) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if line.upper().startswith("ERROR:")]
    return (errors or lines or ["exit code {}.".format(code)])[-1]

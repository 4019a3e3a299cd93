"""What this machine's owner has set up for other programs and Atlas heeds: Docker's and pip's.

The environment is handed in, for who may read it is settled elsewhere.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Collection, Iterator, Mapping, Optional, Tuple


def engine_address(environ: Mapping[str, str], uid: int) -> Optional[str]:
    """Return where the container engine listens, None where DOCKER_HOST says so.

    The first usual socket that exists: Docker's, a user's own Docker, Podman's.
    """
    if environ.get("DOCKER_HOST"):
        return None
    runtime = environ.get("XDG_RUNTIME_DIR") or "/run/user/{}".format(uid)
    usual = "/var/run/docker.sock"
    places = (
        usual,
        runtime + "/docker.sock",
        runtime + "/podman/podman.sock",
        "/run/podman/podman.sock",
    )
    found = [place for place in places if os.path.exists(place)]
    return "unix://" + (found or [usual])[0]


def pip_settings(
    names: Collection[str], environ: Mapping[str, str], prefix: Optional[str] = None
) -> Iterator[Tuple[str, str]]:
    """Yield pip's settings of these names, the strongest first: variables, then files.

    `prefix` is an interpreter's, which may have settings of its own.
    """
    import configparser

    for name in names:
        value = environ.get("PIP_" + name.upper().replace("-", "_"))
        if value:
            yield name, value
    if environ.get("PIP_CONFIG_FILE") == os.devnull:
        return
    for path in _pip_files(environ, prefix):
        parser = configparser.RawConfigParser()
        try:
            parser.read(path, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError):
            continue  # pip itself would refuse it; the index then is the default one
        for section in ("install", "global"):
            for name in names:
                value = parser.get(section, name, fallback="")
                if value.strip():
                    yield name, value


def _pip_files(environ: Mapping[str, str], prefix: Optional[str]) -> Iterator[str]:
    if "PIP_CONFIG_FILE" in environ:
        yield environ["PIP_CONFIG_FILE"]
    if prefix is not None:
        yield os.path.join(prefix, "pip.conf")
    user = os.path.expanduser("~")
    config = environ.get("XDG_CONFIG_HOME") or os.path.join(user, ".config")
    yield os.path.join(config, "pip", "pip.conf")
    if sys.platform == "darwin":
        yield os.path.join(user, "Library", "Application Support", "pip", "pip.conf")
    yield os.path.join(user, ".pip", "pip.conf")
    yield "/etc/pip.conf"

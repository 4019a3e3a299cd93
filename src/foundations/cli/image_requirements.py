"""What an image's requirements are, and what this machine has pip know to get them."""

from __future__ import annotations

import hashlib
import os
import re
import ssl

from foundations.errors import ConfigError
from foundations.host_settings import pip_settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Mapping, Tuple

REQUIREMENTS = "requirements.txt"
CERTIFICATE_NAMES = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
# Raised with every change of how images are made: older ones are then not up to date.
_RECIPE = "1"
_INCLUDE = re.compile(r"^\s*(?:-r|-c|--requirement|--constraint)[\s=]*([^#\n]+)", re.MULTILINE)
_INDEXES = ("index-url", "extra-index-url", "find-links", "trusted-host", "no-index", "timeout",
            "proxy", "pre", "prefer-binary", "only-binary", "no-binary")  # fmt: skip
_PLACES = ("index-url", "extra-index-url", "find-links")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY")


def requirement_files(folder: str) -> Dict[str, bytes]:
    """Return requirements.txt and the files that it includes: path below `folder` -> content.

    Raises ConfigError where there is none or one lies outside.
    """
    found: Dict[str, bytes] = {}
    todo = [REQUIREMENTS]
    while todo:
        path = os.path.normpath(todo.pop())
        if path in found:
            continue
        if path.startswith((os.pardir, os.sep)):
            raise ConfigError(
                "{} includes {}, which is not in its folder.".format(REQUIREMENTS, path),
                "Copy it there, or write a Dockerfile and give it with --file.",
            )
        try:
            with open(os.path.join(folder, path), "rb") as file:
                found[path] = file.read()
        except OSError as error:
            raise ConfigError(
                "{} cannot be read: {}.".format(os.path.join(folder, path), error.strerror),
                "Write down there what the image is to have; pip freeze > requirements.txt.",
            ) from error
        for name in _INCLUDE.findall(found[path].decode(errors="replace")):
            if "://" not in name:
                todo.append(os.path.join(os.path.dirname(path), name.strip().strip("'\"")))
    return found


def key_of(base_id: str, files: Mapping[str, bytes]) -> str:
    """Return what tells whether an image has this base and these requirements."""
    digest = hashlib.sha256("{} {}".format(_RECIPE, base_id).encode())
    for path, content in sorted(files.items()):
        digest.update("{}:{}:".format(path, len(content)).encode() + content)
    return digest.hexdigest()


def pip_environment(environ: Mapping[str, str]) -> Tuple[Dict[str, str], List[str]]:
    """Return pip's settings as its environment, and the places that mean nothing in an image."""
    found = {
        "PIP_BREAK_SYSTEM_PACKAGES": "1",  # the image's Python is nobody's but the jobs'
        "PIP_ROOT_USER_ACTION": "ignore",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_INPUT": "1",
    }
    left_out: List[str] = []
    for name, value in pip_settings(_INDEXES, environ):
        words = value.split()
        if name in _PLACES:
            local = [word for word in words if word.startswith(("/", "file:", "~", "."))]
            left_out += local
            words = [word for word in words if word not in local]
        if words:
            found.setdefault("PIP_" + name.upper().replace("-", "_"), " ".join(words))
    return found, list(dict.fromkeys(left_out))


def proxies(environ: Mapping[str, str]) -> Dict[str, str]:
    """Return this machine's proxies, else those that Docker's client is told to give containers."""
    from docker.utils.config import load_general_config

    configured = (load_general_config().get("proxies") or {}).get("default") or {}
    found = {}
    for name in _PROXIES:
        camel = name.partition("_")[0].lower() + "Proxy"
        value = environ.get(name) or environ.get(name.lower()) or configured.get(camel)
        if value:
            found[name] = found[name.lower()] = value
    return found


def certificates(environ: Mapping[str, str]) -> bytes:
    """Return the certificates that this machine trusts, a company's own among them."""
    places = [environ.get(name) for name in CERTIFICATE_NAMES]
    places += [value for _, value in pip_settings(("cert",), environ)]
    places += [ssl.get_default_verify_paths().cafile, "/etc/ssl/certs/ca-certificates.crt"]
    for place in places:
        if place and os.path.isfile(place):
            with open(place, "rb") as file:
                return file.read()
    return b""

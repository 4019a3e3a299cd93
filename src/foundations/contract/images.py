"""Names of container images, as people write them and as the engine takes them. Pure."""

from __future__ import annotations

from foundations.errors import ConfigError

PROCESS = "none"
"""In place of an image: the job runs as a process, whatever the server's default image."""

_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz")
_DIGITS = frozenset("0123456789")
_HEX = _DIGITS | frozenset("abcdef")
_HOST = _LETTERS | _DIGITS | frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ.-[]:")
_PATH = _LETTERS | _DIGITS | frozenset("._-")
_TAG = _PATH | frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_FORM = "Write it as NAME, NAME:TAG, REGISTRY/NAME:TAG or NAME@sha256:DIGEST, in small letters."
# Where the images of the former Atlas were; `worker`, `worker-gpu` and the like.
_FORMER_OWNERS = ("atlas-ce", "dessa-atlas")


def read_image(where: str, value: object) -> str:
    """Return the image that `value` names, with the tag that is meant. Raises ConfigError.

    `where` is how the message names the value. PROCESS stands for no image.
    """
    if not isinstance(value, str) or not value.strip():
        raise ConfigError("{} must be the name of an image, not {!r}.".format(where, value), _FORM)
    name = value.strip()
    if name.lower() == PROCESS:
        return PROCESS
    if _is_id(name):
        return name
    bare, at, digest = name.partition("@")
    repository, tag = _split_tag(bare)
    if not _is_repository(repository) or (at and not _is_id(digest)) or not _is_tag(tag):
        raise ConfigError("{}: no image can be called {!r}.".format(where, value), _FORM)
    return name if tag or at else name + ":latest"


def is_former(image: str) -> bool:
    """Whether `image` is a worker of the former Atlas, which no registry has any more."""
    repository = _split_tag(image.partition("@")[0])[0]
    owner, _, name = repository.rpartition("/")
    registry, _, owner = owner.rpartition("/")
    gone = not registry or registry == "gcr.io" or registry.endswith(".gcr.io")
    return gone and owner in _FORMER_OWNERS and name.startswith("worker")


def _split_tag(name: str) -> tuple[str, str]:
    """Split at the colon after the last slash: one before it belongs to a registry's port."""
    head, slash, last = name.rpartition("/")
    base, colon, tag = last.partition(":")
    # "name:" has a tag, and a wrong one.
    return head + slash + base, (tag or " ") if colon else ""


def _is_repository(name: str) -> bool:
    parts = name.split("/")
    first = parts[0]
    if len(parts) > 1 and ("." in first or ":" in first or first == "localhost"):
        if not set(first) <= _HOST:
            return False
        parts = parts[1:]
    return len(name) <= 255 and all(
        part and set(part) <= _PATH and part[0] not in "._-" and part[-1] not in "._-"
        for part in parts
    )


def _is_tag(tag: str) -> bool:
    return not tag or (len(tag) <= 128 and set(tag) <= _TAG and tag[0] not in ".-")


def _is_id(text: str) -> bool:
    kind, _, digits = text.partition(":")
    return kind == "sha256" and len(digits) == 64 and set(digits) <= _HEX

"""Files of jobs as the API shows them."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict

from atlas_server.domain.answers.jobs import Artifact


class Artifacts(TypedDict):
    """Every version of every artifact of a job, by key and version."""

    artifacts: list[Artifact]


class File(TypedDict):
    """A file (`x`: executable), a link with its target, or an empty folder; a media type."""

    path: str
    kind: Literal["f", "x", "l", "d"]
    size: int
    digest: str | None
    target: str | None
    type: str


class Files(TypedDict):
    """The files of a folder, by path."""

    files: list[File]

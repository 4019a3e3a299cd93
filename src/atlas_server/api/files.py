"""Endpoints of jobs' files: one by one for browsers, as tarballs for the command line."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse, Response

from atlas_server.api.contents import content
from atlas_server.api.rights import Router, needs
from atlas_server.api.schema import answers
from atlas_server.api.tarballs import tarball
from atlas_server.domain.answers.files import Artifacts
from atlas_server.domain.answers.files import Files as FileList
from atlas_server.domain.rights import Right
from atlas_server.services.archives import Archives
from atlas_server.services.content import Content
from atlas_server.services.files import Files
from atlas_server.services.views import Views

_Version = Annotated[int | None, Query(ge=1, lt=1 << 31)]
_Whole = Annotated[int, Query(ge=0, lt=1 << 62)]
_Part = Annotated[Literal["code", "results"], Query(alias="of")]


class FileRoutes:
    """The endpoints, and what they work with."""

    def __init__(self, views: Views, archives: Archives, content: Content, files: Files) -> None:
        self._views = views
        self._archives = archives
        self._content = content
        self._files = files

    def router(self) -> APIRouter:
        """Return the endpoints."""
        router = Router(prefix="/jobs/{reference}", tags=["files"])
        add = partial(router.add_api_route, methods=["GET"])
        add("/archive", self.archive, response_class=Response)
        add("/artifacts.tgz", self.artifacts_archive, response_class=Response)
        add("/artifacts", self.artifacts, **answers(Artifacts))
        add("/artifacts/files", self.artifact_files, **answers(FileList))
        add("/artifacts/content", self.artifact_content, response_class=Response)
        add("/files", self.files, **answers(FileList))
        add("/files/content", self.file_content, response_class=Response)
        return router

    @needs(Right.READ_JOB)
    def artifacts(self, reference: str) -> Response:
        """Return every version of every artifact of a job."""
        job = self._views.resolve(reference)
        return JSONResponse({"artifacts": self._files.artifacts(job)})

    @needs(Right.READ_JOB)
    def artifact_files(self, reference: str, key: str, version: _Version = None) -> Response:
        """Return what is in an artifact that is a folder."""
        job = self._views.resolve(reference)
        return JSONResponse({"files": self._files.artifact_files(job, key, version)})

    @needs(Right.READ_JOB)
    def artifact_content(
        self,
        request: Request,
        reference: str,
        key: str,
        version: _Version = None,
        path: str | None = None,
        download: bool = False,
    ) -> Response:
        """Return an artifact's content, or that of the file at `path` in a folder."""
        found = self._files.artifact(self._views.resolve(reference), key, version, path)
        return content(request, self._files, found, download=download)

    @needs(Right.READ_JOB)
    def files(self, reference: str, part: _Part = "code") -> Response:
        """Return the files of a job: its code as submitted, or what it made."""
        job = self._views.resolve(reference)
        return JSONResponse({"files": self._files.files(job, part)})

    @needs(Right.READ_JOB)
    def file_content(
        self,
        request: Request,
        reference: str,
        path: str,
        part: _Part = "code",
        download: bool = False,
    ) -> Response:
        """Return the content of one of a job's files."""
        found = self._files.file(self._views.resolve(reference), part, path)
        return content(request, self._files, found, download=download)

    @needs(Right.READ_JOB)
    def archive(
        self,
        reference: str,
        source: bool = True,
        results: bool = True,
        offset: _Whole = 0,
        tag: str | None = None,
    ) -> Response:
        """Return a gzipped tarball of the code as submitted and the files the job made.

        After a cut it goes on at `offset`; `tag` is the ETag that the beginning had.
        """
        job = self._views.resolve(reference)
        members = self._archives.members(job, source=source, results=results)
        return tarball(self._content, job, members, offset, tag)

    @needs(Right.READ_JOB)
    def artifacts_archive(
        self, reference: str, offset: _Whole = 0, tag: str | None = None
    ) -> Response:
        """Return a gzipped tarball of the newest version of each artifact, as `archive` does."""
        job = self._views.resolve(reference)
        return tarball(self._content, job, self._archives.artifact_members(job), offset, tag)

"""Endpoints of projects and the notes on them."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict
from starlette.responses import JSONResponse, Response

from atlas_server.api.schema import answers
from atlas_server.domain.answers.projects import (
    Note,
    Notes,
    Project,
    ProjectGone,
)
from atlas_server.domain.answers.projects import Projects as ProjectList
from atlas_server.services.projects import Projects
from atlas_server.services.removal import Removal

_Number = Annotated[int, Path(ge=1, lt=1 << 62)]


class ProjectChange(BaseModel):
    """What to change of a project; what is not there stays."""

    model_config = ConfigDict(extra="forbid")

    name: str = ""
    description: str | None = None
    archived: bool = False
    metric: str | None = None
    goals: dict[str, Literal["min", "max"]] | None = None


class NoteWritten(BaseModel):
    """A note; the body is Markdown."""

    model_config = ConfigDict(extra="forbid")

    body: str
    author: str = ""


class ProjectRoutes:
    """The endpoints, and what they work with."""

    def __init__(self, projects: Projects, removal: Removal) -> None:
        self._projects = projects
        self._removal = removal

    def router(self) -> APIRouter:
        """Return the endpoints."""
        router = APIRouter(prefix="/projects", tags=["projects"])
        add = router.add_api_route
        add("", self.listing, methods=["GET"], **answers(ProjectList))
        add("/{project}", self.show, methods=["GET"], **answers(Project))
        add("/{project}", self.change, methods=["PATCH"], **answers(Project))
        add("/{project}", self.delete, methods=["DELETE"], **answers(ProjectGone))
        notes = "/{project}/notes"
        add(notes, self.notes, methods=["GET"], **answers(Notes))
        add(notes, self.add_note, methods=["POST"], status_code=201, **answers(Note))
        add(notes + "/{note}", self.change_note, methods=["PATCH"], **answers(Note))
        add(notes + "/{note}", self.remove_note, methods=["DELETE"], status_code=204)
        return router

    def listing(self, archived: Literal["true", "false", "all"] = "false") -> Response:
        """Return projects with the number of their jobs in each state."""
        wanted = {"true": True, "false": False, "all": None}[archived]
        return JSONResponse({"projects": self._projects.listing(wanted)})

    def show(self, project: str) -> Response:
        """Return one project."""
        return JSONResponse(self._projects.project(project))

    def change(self, project: str, change: ProjectChange) -> Response:
        """Rename, archive or describe a project."""
        values = change.model_dump(include=change.model_fields_set)
        return JSONResponse(self._projects.change(project, values))

    def delete(self, project: str) -> Response:
        """Delete a project with all its jobs, which must be over."""
        return JSONResponse({"project": project, "deleted": self._removal.delete_project(project)})

    def notes(self, project: str) -> Response:
        """Return the notes on a project, the newest first."""
        return JSONResponse({"notes": self._projects.notes(project)})

    def add_note(self, project: str, note: NoteWritten) -> Response:
        """Add a note."""
        return JSONResponse(self._projects.add_note(project, note.author, note.body), 201)

    def change_note(self, project: str, note: _Number, change: NoteWritten) -> Response:
        """Change what a note says."""
        return JSONResponse(self._projects.change_note(project, note, change.body))

    def remove_note(self, project: str, note: _Number) -> None:
        """Delete a note."""
        self._projects.remove_note(project, note)

"""Endpoints of projects and the notes on them."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict
from starlette.responses import JSONResponse, Response

from atlas_server.api.rights import Router, Who, needs
from atlas_server.api.schema import answers
from atlas_server.domain.answers.projects import (
    Note,
    Notes,
    Project,
    ProjectGone,
)
from atlas_server.domain.answers.projects import Projects as ProjectList
from atlas_server.domain.rights import Right
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
        router = Router(prefix="/projects", tags=["projects"])
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

    @needs(Right.READ)
    def listing(self, archived: Literal["true", "false", "all"] = "false") -> Response:
        """Return projects with the number of their jobs in each state."""
        wanted = {"true": True, "false": False, "all": None}[archived]
        return JSONResponse({"projects": self._projects.listing(wanted)})

    @needs(Right.READ)
    def show(self, project: str) -> Response:
        """Return one project."""
        return JSONResponse(self._projects.project(project))

    @needs(Right.CHANGE)
    def change(self, who: Who, project: str, change: ProjectChange) -> Response:
        """Rename, archive or describe a project; the first two where it is nobody else's, too."""
        values = change.model_dump(include=change.model_fields_set)
        if values.keys() & {"name", "archived"}:
            self._projects.check_own(who, project)
        return JSONResponse(self._projects.change(project, values))

    @needs(Right.CHANGE)
    def delete(self, who: Who, project: str) -> Response:
        """Delete a project with all its jobs, which must be over, and nobody else's."""
        self._projects.check_own(who, project)
        return JSONResponse({"project": project, "deleted": self._removal.delete_project(project)})

    @needs(Right.READ)
    def notes(self, project: str) -> Response:
        """Return the notes on a project, the newest first."""
        return JSONResponse({"notes": self._projects.notes(project)})

    @needs(Right.CHANGE)
    def add_note(self, who: Who, project: str, note: NoteWritten) -> Response:
        """Add a note; its author is whoever is logged in."""
        author = note.author if who.is_trusted else who.name
        return JSONResponse(self._projects.add_note(project, author, note.body), 201)

    @needs(Right.CHANGE)
    def change_note(self, who: Who, project: str, note: _Number, change: NoteWritten) -> Response:
        """Change what a note of one's own says."""
        self._projects.check_author(who, project, note)
        return JSONResponse(self._projects.change_note(project, note, change.body))

    @needs(Right.CHANGE)
    def remove_note(self, who: Who, project: str, note: _Number) -> None:
        """Delete a note of one's own."""
        self._projects.check_author(who, project, note)
        self._projects.remove_note(project, note)

"""What people look for in a job, as one text, kept beside it."""

from __future__ import annotations

from shlex import join
from typing import Any

from sqlalchemy import Connection, bindparam, select

from atlas_server.store.tables import job_texts, jobs, params, tags
from atlas_server.store.upserts import replacing

_LONGEST = 20_000  # characters; parameters may hold whole files


def add(connection: Connection, job: int, spec: dict[str, Any]) -> None:
    """Make the text of a job that has just been inserted, with its tags and parameters."""
    words = [*(spec.get("entrypoint") or ["python"]), *(spec.get("command") or ())]
    _store(connection, job, join(words))


def refresh(connection: Connection, job: int) -> None:
    """Make the text anew from what the job is, has and says now."""
    command = connection.execute(_COMMAND, {"wanted": job}).scalar()
    if command is not None:
        _store(connection, job, command)


def _store(connection: Connection, job: int, command: str) -> None:
    job_id, name, user, message, notes = connection.execute(_JOB, {"wanted": job}).one()
    parts = [job_id, name, user, command, message, notes]
    for key, value in connection.execute(_TAGS, {"wanted": job}):
        parts.append(f"{key}={value}" if value else key)
    parts += connection.execute(_PARAMS, {"wanted": job}).scalars()
    text = "\n".join(part for part in parts if part)[:_LONGEST].casefold()
    connection.execute(_SET.on(connection), {"job": job, "command": command, "text": text})


# Built once: composing a statement costs several times as much as executing it.
_WANTED = bindparam("wanted")
_JOB = select(jobs.c.job_id, jobs.c.name, jobs.c.user, jobs.c.message, jobs.c.notes).where(
    jobs.c.id == _WANTED
)
_COMMAND = select(job_texts.c.command).where(job_texts.c.job == _WANTED)
_TAGS = select(tags.c.key, tags.c.value).where(tags.c.job == _WANTED).order_by(tags.c.key)
_PARAMS = (
    select(params.c.text)
    .where(params.c.job == _WANTED, params.c.text.is_not(None))
    .order_by(params.c.key)
)
_SET = replacing(job_texts, ["job"])

"""What a job had until a rule removed it, told to whoever asks for it."""

from __future__ import annotations

import time

from sqlalchemy import Connection

from atlas_server.domain.records import JobRecord
from atlas_server.domain.retention import ARTIFACTS, DIRECTORIES, LOG, RESULTS
from atlas_server.store import retention
from foundations.errors import Removed

_WORDS = {
    LOG: "The log of job '{}' was",
    RESULTS: "What job '{}' made was",
    ARTIFACTS: "The artifacts of job '{}' were",
    DIRECTORIES: "The synchronised directories of job '{}' were",
}


def refuse_removed(connection: Connection, job: JobRecord, what: str) -> None:
    """Raise Removed where a job had `what` (a word of `domain.retention`) and has it no more."""
    for removal in retention.of_job(connection, job.id):
        if removal.what == what:
            day = time.strftime("%Y-%m-%d", time.localtime(removal.time))
            raise Removed(
                f"{_WORDS[what].format(job.job_id)} removed on {day} by the rule '{removal.rule}'.",
                "Rules of what is kept are the server's setting `retention`.",
            )

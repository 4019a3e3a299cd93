"""What a job's spec says for people to find it by."""

from __future__ import annotations

from sqlalchemy import Connection

from atlas_server.store import texts, tracking
from foundations.contract.codec import finite, plain
from foundations.contract.flattening import flatten
from foundations.contract.spec import JobSpec


def describe(connection: Connection, key: int, spec: JobSpec) -> None:
    """Write down what a new job's spec says for people to find it by: tags, parameters, words."""
    if spec.tags:
        tracking.set_tags(connection, key, spec.tags)
    if spec.params:
        tracking.set_params(connection, key, finite(flatten(spec.params)))
    texts.add(connection, key, plain(spec))

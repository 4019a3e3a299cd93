"""All checks, in the order in which one thing rests on another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from atlas_server.config import ServerConfig
from atlas_server.doctor import home, machine, network, places
from atlas_server.doctor.database import DatabaseChecks
from atlas_server.doctor.findings import Finding, examined


def examinations(
    config: ServerConfig, state: Mapping[str, Any] | None, deep: bool
) -> Iterator[tuple[str, str, Finding]]:
    """Yield part, name and finding of each check, as soon as it is made.

    `state` is what the running server says of itself, None where none runs.
    """
    for part, checks in (
        ("Machine", machine.checks(config)),
        ("Home", home.checks(config)),
        ("Database", DatabaseChecks(config, deep).checks()),
        ("Network", network.checks(config, state)),
        ("Executors", places.checks(config)),
    ):
        for name, found in examined(checks):
            yield part, name, found

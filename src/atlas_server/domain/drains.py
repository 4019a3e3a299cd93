"""Nodes that somebody keeps new jobs from, until what runs there has ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from atlas_server.domain.resources import Node


@dataclass(frozen=True, slots=True)
class Drain:
    """Who keeps new jobs from a node, why, and since when."""

    by: str
    reason: str
    since: float

    def words(self) -> str:
        """Return it in a few words: "drained by ada: new disk"."""
        return f"drained by {self.by}" + (f": {self.reason}" if self.reason else "")


def without_drained(nodes: Iterable[Node], drains: Mapping[str, Drain]) -> list[Node]:
    """Return the nodes as they are to be used: those that are drained take no new jobs."""
    return [
        replace(node, accepting=False, drained=drains[node.name].words())
        if node.name in drains
        else node
        for node in nodes
    ]

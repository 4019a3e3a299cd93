"""Where a job may run: what it asks for of executors and nodes, and what it cannot do without."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from atlas_server.domain.resources import Node


class Wish(NamedTuple):
    """Equal for jobs that may run in the same places.

    `executor` and `pool` (a partition, say) are names, None where any will do; `container` means
    that the nodes must have a container engine; `labels` are those that they must all have;
    `nodes` is on how many of one executor the job runs at once: on each with all that it asks for.
    """

    executor: str | None = None
    pool: str | None = None
    container: bool = False
    labels: tuple[str, ...] = ()
    nodes: int = 1

    def allows(self, node: Node) -> bool:
        """Whether the job may run on this node, were it free."""
        return (
            (self.executor is None or self.executor == node.executor)
            and (node.containers or not self.container)
            and (node.is_open if self.pool is None else self.pool in node.pools)
            and (not self.labels or set(self.labels).issubset(node.labels))
        )

    def among(self, nodes: Iterable[Node]) -> list[Node]:
        """Those of the nodes on which the job may run."""
        return [node for node in nodes if self.allows(node)]

    def to_text(self) -> str | None:
        """Return what `from_text` reads; None where the job runs anywhere."""
        return None if self == ANYWHERE else json.dumps(list(self))

    @staticmethod
    def from_text(text: str | None) -> Wish:
        """Return the wish that was written down."""
        return ANYWHERE if text is None else _read(text)


ANYWHERE = Wish()


def wish_of(spec: Mapping[str, Any]) -> Wish:
    """Return what the JSON form of a settled JobSpec asks for."""
    cluster: Mapping[str, Any] = spec.get("cluster") or {}
    worker: Mapping[str, Any] = spec.get("worker") or {}
    asked: Mapping[str, str] = cluster.get("node_labels") or {}
    labels = [f"{name}={value}" for name, value in asked.items()]
    labels += cluster.get("node_resources") or ()
    return Wish(
        spec.get("executor"),
        cluster.get("partition"),
        bool(worker.get("image")),
        tuple(sorted(labels)),
        spec.get("num_nodes", 1),
    )


# Very many waiting jobs have very few different wishes.
@lru_cache(maxsize=1024)
def _read(text: str) -> Wish:
    # Older versions have written fewer of them.
    wish = Wish(*json.loads(text))
    return wish._replace(labels=tuple(wish.labels))

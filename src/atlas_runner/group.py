"""A node's place among those of its attempt, as what the engine has started there is told it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

# Said to the anchor (by ray_group) and to the launcher, which import nothing of ours.
GROUP = "ATLAS_GROUP"


@dataclass(frozen=True, slots=True)
class Group:
    """A node's place among `nodes`: the first one (`rank` 0) listens at `address` and `port`.

    `key` shows it that somebody belongs to it. All claim the attempt with the same `token`.
    """

    rank: int
    nodes: int
    address: str
    port: int
    master_port: int
    key: str
    token: str

    @classmethod
    def told(cls, variables: Mapping[str, str]) -> Group | None:
        """Return what the engine's part (ray_group) has said; None: there is one node."""
        text = variables.get(GROUP)
        return None if text is None else cls(**json.loads(text))

    def variables(self, given: Mapping[str, str]) -> dict[str, str]:
        """Return the environment of this node's process; what the submitter has set stays."""
        first = {"MASTER_ADDR": self.address, "MASTER_PORT": str(self.master_port), **given}
        own = {
            "RANK": self.rank, "WORLD_SIZE": self.nodes, "LOCAL_RANK": 0, "LOCAL_WORLD_SIZE": 1,
            "NODE_RANK": self.rank, "NNODES": self.nodes,
            "PET_NODE_RANK": self.rank, "PET_NNODES": self.nodes,
            "PET_MASTER_ADDR": first["MASTER_ADDR"], "PET_MASTER_PORT": first["MASTER_PORT"],
        }  # fmt: skip
        return {**first, **{name: str(value) for name, value in own.items()}}

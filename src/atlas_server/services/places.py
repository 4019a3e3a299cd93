"""Which executors a job may run on, settled when it is submitted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from atlas_server.domain.leases import LOCAL
from atlas_server.domain.ports import Executor
from atlas_server.domain.resources import Node
from atlas_server.domain.shortage import can_ever_fit
from atlas_server.domain.wishes import Wish, wish_of
from foundations.contract.cluster import read_cluster
from foundations.contract.codec import plain
from foundations.contract.request import suggestion
from foundations.contract.spec import JobSpec
from foundations.errors import ConfigError, FoundationsError, InvalidRequest, Refused

# Labels named to somebody who has asked for one that there is not.
_SHOWN = 20


class Places:
    """What this server makes of where jobs ask to run.

    In a process that does not schedule there are no `executors`, but `nodes` are known, as the one
    that does has told, and `clusters` can be asked what they would refuse.
    """

    def __init__(
        self,
        nodes: Callable[[], Sequence[Node]],
        executors: Mapping[str, Executor] | None = None,
        clusters: Mapping[str, Executor] | None = None,
    ) -> None:
        self._nodes = nodes
        self._executors = executors or {}
        self._clusters = clusters or {}

    def settled(self, spec: JobSpec) -> JobSpec:
        """Return the spec with its executor named where only one can run it.

        Raises InvalidRequest or Refused.
        """
        spec = self._read(spec)
        wish = wish_of(plain(spec))
        refusal = self._unknown_pool(wish) or self._unknown_label(wish)
        if refusal:
            raise Refused(f"The job {refusal}.", "See `foundations nodes`.")
        able = self._able(spec)
        if len(able) == 1 and len(self._executors) > 1:
            spec = replace(spec, executor=able[0])
        wish = wish_of(plain(spec))
        nodes = wish.among(self._nodes())
        if self._is_unheard_of(able):
            return spec  # it waits until its executor tells what it has
        refusal = can_ever_fit(spec.resources, nodes, spec.num_nodes)
        if refusal:
            raise Refused(f"The job {refusal}.", "Ask for less, or see `foundations info`.")
        return spec

    def _read(self, spec: JobSpec) -> JobSpec:
        try:
            cluster = read_cluster(spec.cluster)
        except ConfigError as error:
            raise InvalidRequest(error.message, error.hint) from error
        unknown = sorted(set(spec.cluster) - set(cluster))
        if unknown:
            raise InvalidRequest(f"cluster: there is no {unknown[0]!r}.")
        name = spec.executor
        if name is not None and self._executors and name not in self._executors:
            raise Refused(
                f"There is no executor '{name}' here.{suggestion(name, self._executors)}",
                f"This server has: {', '.join(self._executors)}.",
            )
        if cluster and name is None and not self._executors and self._clusters:
            able = [each for each, one in self._clusters.items() if one.objection(spec) is None]
            spec = replace(spec, executor=[*able, *self._clusters][0])
        return replace(spec, cluster=cluster)

    def _able(self, spec: JobSpec) -> list[str]:
        """Return the executors that take such a job. Raises why where none does."""
        if not self._executors:
            cluster = self._clusters.get(spec.executor or "")
            objection = cluster.objection(spec) if cluster is not None else None
            if objection is not None:
                raise objection
            return []
        asked = [spec.executor] if spec.executor else list(self._executors)
        objections: dict[str, FoundationsError] = {}
        for name in asked:
            objection = self._executors[name].objection(spec)
            if objection is not None:
                objections[name] = objection
        if len(objections) == len(asked):
            # An engine knows best why it does not run what this machine could not run anyway.
            raise objections[next((name for name in asked if name != LOCAL), asked[0])]
        return [name for name in asked if name not in objections]

    def _is_unheard_of(self, able: Sequence[str]) -> bool:
        return any(not self._executors[name].nodes() for name in able)

    def _unknown_pool(self, wish: Wish) -> str | None:
        if wish.pool is None or self._is_unheard_of(list(self._executors)):
            return None
        near = [node for node in self._nodes() if wish.executor in (None, node.executor)]
        pools = {pool for node in near for pool in node.pools}
        if wish.pool in pools:
            return None
        listed = ", ".join(sorted(pools)) or "none"
        return f"asks for the partition '{wish.pool}'; there is {listed}"

    def _unknown_label(self, wish: Wish) -> str | None:
        if not wish.labels or self._is_unheard_of(list(self._executors)):
            return None
        near = [node for node in self._nodes() if wish.executor in (None, node.executor)]
        if any(set(wish.labels).issubset(node.labels) for node in near):
            return None
        there = sorted({label for node in near for label in node.labels if "ray.io/" not in label})
        listed = ", ".join(there[:_SHOWN]) or "none"
        return f"asks for a node with {' and '.join(wish.labels)}; there is {listed}"

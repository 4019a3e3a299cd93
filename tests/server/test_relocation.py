"""Where an engine has put an attempt, and with which devices."""

from __future__ import annotations

import pytest

from atlas_server.domain.relocation import relocated
from atlas_server.domain.resources import Allocation, Gpu, Node


def node(name: str) -> Node:
    gpus = tuple(Gpu(f"{name}:{number}", "gpu", 0, number=str(number)) for number in range(3))
    return Node(name, 8.0, 0, gpus)


NODES = [node("a"), node("b")]
PLANNED = Allocation("a", 1.0, 0, (("a:0", 1.0),))


@pytest.mark.parametrize(
    ("given", "device"),
    [((), "b:1"), (("2",), "b:2"), (("b:0",), "b:0"), (("GPU-77",), "b:1"), (("1", "2"), "b:1")],
)
def test_devices_are_those_that_were_given_where_the_node_knows_them(
    given: tuple[str, ...], device: str
) -> None:
    other = Allocation("b", 1.0, 0, (("b:0", 1.0),))
    found = relocated(PLANNED, ["b"], NODES, [other], given)
    assert (found.node, found.gpus) == ("b", ((device, 1.0),))

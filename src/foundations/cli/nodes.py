"""`foundations nodes`: the machines that jobs run on, and what runs there."""

from __future__ import annotations

from foundations.cli import wording
from foundations.cli.output import print_json
from foundations.cli.targets import new_parser, open_api

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any, Dict, List

    from foundations.cli.tables import Cell

    Json = Dict[str, Any]

_EPILOG = """\
examples:
  foundations nodes
  foundations nodes --executor slurm --json"""


def add_parser(subparsers: Any, name: str, text: str) -> None:
    """Add the command."""
    parser = new_parser(
        subparsers,
        name,
        text,
        "List machines: what they have, what of it jobs hold, what state they are in.",
        _EPILOG,
    )
    parser.add_argument("--executor", metavar="NAME", help="those of one executor")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the nodes."""
    nodes = open_api(arguments.scheduler).nodes()
    if arguments.executor:
        nodes = [node for node in nodes if node["executor"] == arguments.executor]
    if arguments.json:
        print_json({"nodes": nodes})
    else:
        _print(nodes)
    return 0


def _print(nodes: List[Json]) -> None:
    from foundations.cli.tables import Column, print_table, short_ids

    if not nodes:
        print("There is no node.")
        return
    ids = short_ids([job["job_id"] for node in nodes for job in node["jobs"]])
    columns = [
        Column("NODE", least=8),
        Column("CPUS", right=True),
        Column("MEMORY", right=True, rank=2),
        Column("GPUS", right=True),
        Column("STATE", least=8),
        Column("PARTITIONS", rank=3),
        Column("JOBS", least=8, rank=1),
    ]
    if not any(node["pools"] for node in nodes):
        del columns[5]
    print_table(columns, [_row(node, ids, len(columns) == 7) for node in nodes])


def _row(node: Json, ids: Dict[str, str], with_pools: bool) -> List[Cell]:
    used = node["used"]
    gpus = len(node["gpus"])
    state = (
        node.get("drained")
        or node["condition"]
        or ("takes jobs" if node["accepting"] else "takes no jobs")
    )
    cells: List[Cell] = [
        node["name"],
        "{:g} of {:g}".format(used["cpus"], node["cpus"]),
        "{} of {}".format(wording.memory(used["memory"]), wording.memory(node["memory"])),
        "{} of {}".format(len(used["gpus"]), gpus) if gpus else "none",
        (state, wording.GREEN if node["accepting"] else wording.YELLOW),
    ]
    if with_pools:
        cells.append(", ".join(node["pools"]))
    return [*cells, ", ".join(ids[job["job_id"]] for job in node["jobs"])]

"""`foundations info`: the server and what it has, or the schedulers known here."""

from __future__ import annotations

import os
import sys
import time

from foundations import config
from foundations.cli import wording
from foundations.cli.output import paint, print_json, printable
from foundations.cli.targets import new_parser, open_api

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any, Dict, List

    from foundations.cli.tables import Cell

    Json = Dict[str, Any]

_EPILOG = """\
examples:
  foundations info
  foundations info --env"""


def add_parser(subparsers: Any, name: str, text: str) -> None:
    """Add the command."""
    parser = new_parser(
        subparsers, name, text, "Show the server, its nodes, and what of them is in use.", _EPILOG
    )
    parser.add_argument("--env", action="store_true", help="show the known schedulers instead")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the server, or the schedulers."""
    if arguments.env:
        return _environments(arguments.json)
    api = open_api(arguments.scheduler)
    server = {**api.health(), **api.server(), "url": api.url}
    # The pages are at the API's address, too.
    server["gui_url"] = None if api.url.startswith("unix:") else api.url
    state = config.server_state(config.home())
    if state and state.get("url") == api.url:
        server["gui_url"] = state.get("gui_url")
    if arguments.json:
        print_json(server)
    else:
        _print(server)
    return 0


def _print(server: Json) -> None:
    from foundations.cli.tables import print_fields

    jobs = server["jobs"]
    counts = [
        "{} {}".format(jobs[state], state)
        for state in ("queued", "starting", "running", "stopping", "completed", "failed", "stopped")
        if jobs.get(state)
    ]
    print_fields(
        [
            ("Server", "Atlas {}, API {}".format(server["version"], server["api"])),
            ("Address", server["url"]),
            ("GUI", server.get("gui_url") or ""),
            ("Home", server["home"]),
            ("Running", wording.duration(time.time() - server["started_at"])),
            ("Jobs", ", ".join(counts) or "none yet"),
        ]
    )
    sys.stdout.write("\n")
    _print_nodes(server["nodes"])
    _print_gpus(server["nodes"])
    for node in server["nodes"]:
        _print_problems(node, " on " + node["name"] if len(server["nodes"]) > 1 else "")


def _print_nodes(nodes: List[Json]) -> None:
    from foundations.cli.tables import Column, print_table

    columns = [
        Column("NODE", least=8),
        Column("CPUS", right=True),
        Column("MEMORY", right=True),
        Column("GPUS", right=True),
        Column("", rank=1),
    ]
    print_table(columns, [_node(node) for node in nodes])


def _node(node: Json) -> List[Cell]:
    used = node["used"]
    gpus = len(node["gpus"])
    return [
        node["name"],
        "{:g} of {:g}".format(used["cpus"], node["cpus"]),
        "{} of {}".format(wording.memory(used["memory"]), wording.memory(node["memory"])),
        "{} of {}".format(len(used["gpus"]), gpus) if gpus else "none",
        "" if node["accepting"] else ("takes no jobs", wording.YELLOW),
    ]


def _print_gpus(nodes: List[Json]) -> None:
    """One line for each device: what it is, how much of it is in use and by which jobs."""
    from foundations.cli.tables import Column, print_table, short_ids

    ids = short_ids([job_id for node in nodes for gpu in node["gpus"] for job_id in gpu["jobs"]])
    rows = [
        _gpu(node["name"] if len(nodes) > 1 else "", gpu, ids)
        for node in nodes
        for gpu in node["gpus"]
    ]
    if rows:
        sys.stdout.write("\n")
        columns = [
            Column("NODE", least=8),
            Column("GPU", right=True),
            Column("MODEL", rank=1),
            Column("MEMORY", rank=2, right=True),
            Column("STATE"),
            Column("JOBS", least=8),
            Column("UUID", rank=3),
        ]
        print_table(columns, rows)


def _gpu(node: str, gpu: Json, ids: Dict[str, str]) -> List[Cell]:
    state: Cell = ("free", wording.GREEN)
    if gpu["used"]:
        state = (_in_use(gpu["used"]), wording.CYAN)
    if gpu["problem"]:
        state = ("out of order", wording.RED)
    jobs = ", ".join(ids[job_id] for job_id in gpu["jobs"])
    memory = wording.memory(gpu["memory"]) if gpu["memory"] else ""
    return [node, gpu["number"], gpu["name"], memory, state, jobs, gpu["uuid"]]


def _in_use(share: float) -> str:
    return "in use" if share > 0.995 else "{:.0f} % in use".format(100 * share)


def _print_problems(node: Json, where: str) -> None:
    """Say what is wrong with which devices, once where it is the same, or why there are none."""
    broken: Dict[str, List[str]] = {}
    for gpu in node["gpus"]:
        if gpu["problem"]:
            broken.setdefault(gpu["problem"], []).append(gpu["number"])
    for problem, numbers in broken.items():
        which = "GPU {}{} gets".format(numbers[0], where)
        if len(numbers) > 1:
            which = "GPUs {} and {}{} get".format(", ".join(numbers[:-1]), numbers[-1], where)
        _say("{} no new jobs: {}.".format(which, problem), wording.RED)
    trouble = node["gpu_trouble"]
    if trouble and not node["gpus"]:
        _say("No GPU is used{}: {}.".format(where, trouble), wording.DIM)
    elif trouble and trouble not in broken:
        _say("Not all GPUs are used{}: {}.".format(where, trouble), wording.YELLOW)


def _say(line: str, colour: str) -> None:
    sys.stdout.write(paint(printable(line, sys.stdout), colour, sys.stdout) + "\n")


def _url(scheduler: config.SchedulerConfig) -> str:
    """Where the scheduler is; this machine's server may have been told to listen elsewhere."""
    state = config.server_state(config.home()) if scheduler.is_local else None
    return str(state["url"]) if state else scheduler.url


def _environments(as_json: bool) -> int:
    from foundations.cli.tables import Column, print_table, print_title

    submission = [
        {"env_name": item.name, "env_path": item.path or "", "url": _url(item)}
        for item in config.schedulers()
    ]
    path = os.path.join(config.home(), "config", "execution", "default.config.yaml")
    execution = [{"env_name": "default", "env_path": path}] if os.path.exists(path) else []
    if as_json:
        print_json({"submission": submission, "execution": execution})
        return 0
    for title, group in (("submission configs", submission), ("execution configs", execution)):
        print_title(title)
        if not group:
            sys.stdout.write("No {} environments available\n".format(title.split()[0]))
            continue
        print_table(
            [Column("env_name"), Column("env_path", least=20)],
            [
                [item["env_name"], item["env_path"] or "(this machine, no file needed)"]
                for item in group
            ],
        )
    return 0

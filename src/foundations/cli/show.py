"""`foundations show JOB`: everything about a job."""

from __future__ import annotations

import sys
import time

from foundations.cli import wording
from foundations.cli.output import paint, print_json, printable
from foundations.cli.targets import REFERENCES, add_jobs, before_job, new_parser, open_job

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any, Dict, List, Tuple

    from foundations.cli.tables import Cell

    Json = Dict[str, Any]

_EPILOG = (
    REFERENCES
    + """

examples:
  foundations show last
  foundations show 3f2a
  foundations show last --json"""
)


def add_parser(subparsers: Any, name: str, text: str) -> None:
    """Add the command."""
    parser = new_parser(
        subparsers,
        name,
        text,
        "Show everything about a job.",
        _EPILOG,
        "foundations show [options] [SCHEDULER] JOB",
    )
    add_jobs(parser, "the job")
    parser.add_argument("--json", action="store_true", help="print JSON, with every detail")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the job."""
    _, job = open_job(arguments)
    if arguments.json:
        print_json(job)
    else:
        _print(job, time.time(), before_job(arguments))
    return 0


def _print(job: Json, now: float, scheduler: str) -> None:
    from foundations.cli.tables import print_fields

    title = paint("Job {}".format(job["job_id"]), wording.BOLD, sys.stdout)
    sys.stdout.write(title + "\n")
    print_fields(_fields(job, now))
    _print_values("Parameters", job["params"])
    _print_values("Environment variables", job["spec"]["environment"])
    _print_gpus(job)
    _print_metrics(job)
    _print_artifacts(job)
    if job["attempts"] > 1:
        _print_attempts(job)
    _print_history(job)
    if job["error"] and job["state"] == "failed":
        _print_error(job["error"])
    if job["state"] == "failed" and job["attempts"]:
        short = job["job_id"][:8]
        sys.stdout.write("\nIts log: foundations get logs {}{}\n".format(scheduler, short))


def _fields(job: Json, now: float) -> List[Tuple[str, Cell]]:
    usage = job["usage"] or {}
    origin = job["spec"]["origin"]
    environment = job["environment"] or {}
    where = ":".join(part for part in (origin["host"], origin["directory"]) if part)
    return [
        ("Name", job["name"] or ""),
        ("State", _state(job)),
        ("Message", "" if job["state"] in ("completed", "stopped") else job["message"] or ""),
        ("Exit code", _exit_code(job)),
        ("Run", wording.kind(job)),
        ("Project", job["project"]),
        ("Command", wording.command(job)),
        ("User", job["user"]),
        ("Priority", str(job["priority"]) if job["priority"] else ""),
        (
            "Submitted",
            "{}, {}".format(
                wording.date(job["submitted_at"]), wording.ago(job["submitted_at"], now)
            ),
        ),
        ("Started", wording.date(job["started_at"])),
        ("Finished", wording.date(job["finished_at"])),
        ("Duration", wording.duration(wording.running_time(job, now))),
        ("Time limit", wording.duration(job["timeout"])),
        ("Retries", str(job["retries"]) if job["retries"] else ""),
        ("Asked for", "" if wording.kind(job) else _asked(job)),
        ("Nodes", _nodes(job)),
        ("Used", _used(usage)),
        ("From", where),
        ("Git", _git(origin["git"])),
        ("Image", _image(job["spec"]["worker"], environment)),
        ("Python", _python(environment)),
        ("Ran on", environment.get("host") or ""),
        ("Search", job["search"] or ""),
        ("Rerun of", job["spec"]["rerun_of"] or ""),
        ("Submitted by", job["spec"]["parent"] or ""),
        (
            "Tags",
            ", ".join(key + ("=" + text if text else "") for key, text in job["tags"].items()),
        ),
        ("Not kept", _not_kept(job)),
    ]


def _not_kept(job: Json) -> str:
    # Servers of older versions do not tell.
    removed = job.get("removed", ())
    return "; ".join("{}, {}".format(each["what"], wording.gone(each)) for each in removed)


def _state(job: Json) -> Cell:
    state, colour = wording.state_cell(job)
    if job["state"] == "queued" and job.get("waits_because"):
        state += ": " + job["waits_because"]
    if job["state"] == "starting" and job["message"]:
        state = "starting: " + job["message"]
    return state, colour


def _exit_code(job: Json) -> str:
    """Nothing where the state says it already."""
    if job["exit_code"] in (None, 0) or job["reason"] == "nonzero_exit":
        return ""
    return str(job["exit_code"])


def _asked(job: Json) -> str:
    asked, nodes = wording.resources(job["resources"]), job.get("num_nodes", 1)
    return "{} nodes, each {}".format(nodes, asked) if nodes > 1 else asked


def _nodes(job: Json) -> str:
    """Where the newest attempt is, where that is more than one node."""
    held = job["attempt_list"][-1]["allocation"] if job["attempt_list"] else {}
    others = held.get("others") or []
    return ", ".join(part["node"] for part in [held, *others]) if others else ""


def _used(usage: Json) -> str:
    parts = []
    if usage.get("cpu_seconds") is not None:
        parts.append("{} of CPU".format(wording.duration(usage["cpu_seconds"])))
    if usage.get("peak_memory"):
        parts.append("{} of memory at its peak".format(wording.memory(usage["peak_memory"])))
    return ", ".join(parts)


def _image(worker: Json, environment: Json) -> str:
    image = worker.get("image") or ""
    found = (environment.get("image") or {}).get("id", "")
    return "{} ({})".format(image, found[:19]) if found else image


def _git(git: Any) -> str:
    if not git:
        return ""
    text = git["commit"][:12]
    if git["branch"]:
        text += " on " + git["branch"]
    if git["dirty"]:
        text += ", with changes that are not committed"
    return text


def _python(environment: Json) -> str:
    if not environment.get("python"):
        return ""
    packages = len(environment.get("packages") or {})
    return "{}, {}".format(environment["python"], wording.counted(packages, "package"))


def _print_values(title: str, values: Json) -> None:
    from foundations.cli.tables import print_fields, print_title

    if values:
        print_title(title)
        print_fields(
            [(name, wording.value(item) or '""') for name, item in sorted(values.items())], indent=2
        )


def _print_gpus(job: Json) -> None:
    """The devices that the newest attempt has or had."""
    from foundations.cli.tables import Column, print_table, print_title

    allocation = job["attempt_list"][-1]["allocation"] if job["attempt_list"] else {}
    names = allocation.get("gpu_names") or {}
    if allocation.get("gpus"):
        print_title("GPUs")
        print_table(
            [Column("UUID", least=12), Column("MODEL", least=10), Column("SHARE", right=True)],
            [
                [uuid, names.get(uuid, ""), "" if share == 1 else "{:g}".format(share)]
                for uuid, share in allocation["gpus"]
            ],
            indent=2,
        )


def _print_metrics(job: Json) -> None:
    from foundations.cli.tables import Column, print_table, print_title

    if job["metrics"]:
        print_title("Metrics")
        columns = [
            Column("NAME", least=12),
            Column("LAST", least=8),
            Column("STEP", right=True),
            Column("POINTS", right=True),
        ]
        print_table(
            columns,
            [
                [
                    name,
                    wording.value(point["value"]),
                    "" if point["step"] is None else wording.value(point["step"]),
                    str(point["count"]),
                ]
                for name, point in job["metrics"].items()
            ],
            indent=2,
        )


def _print_artifacts(job: Json) -> None:
    from foundations.bundle.scan import human_size
    from foundations.cli.tables import Column, print_table, print_title

    if job["artifacts"]:
        print_title("Artifacts")
        newest = {item["key"]: item for item in job["artifacts"]}
        columns = [
            Column("NAME", least=12),
            Column("FILE", least=12),
            Column("SIZE", right=True),
            Column("VERSION", right=True),
        ]
        print_table(
            columns,
            [
                [
                    key,
                    item["filename"] + ("/" if item["folder"] else ""),
                    human_size(item["size"]),
                    str(item["version"]),
                ]
                for key, item in newest.items()
            ],
            indent=2,
        )


def _print_attempts(job: Json) -> None:
    from foundations.cli.tables import Column, print_table, print_title

    print_title("Attempts")
    columns = [
        Column("", right=True),
        Column("BEGAN"),
        Column("TOOK", rank=1),
        Column("NODE", rank=2, least=6),
        Column("EXIT", right=True),
        Column("WHY", least=16),
    ]
    rows = []
    for attempt in job["attempt_list"]:
        ended = attempt["ended_at"]
        took = None if ended is None else ended - (attempt["started_at"] or attempt["created_at"])
        rows.append(
            [
                str(attempt["number"]),
                wording.date(attempt["created_at"]),
                wording.duration(took),
                str(attempt["allocation"].get("node") or ""),
                "" if attempt["exit_code"] is None else str(attempt["exit_code"]),
                attempt["message"] or (attempt["reason"] or "").replace("_", " "),
            ]
        )
    print_table(columns, rows, indent=2)


def _print_error(error: Json) -> None:
    from foundations.cli.tables import print_title

    rank = "" if error.get("rank") is None else " of rank {}".format(error["rank"])
    print_title("Error" + rank)
    sys.stdout.writelines(
        "  {}\n".format(line) for line in printable(error["traceback"], sys.stdout).splitlines()
    )


def _print_history(job: Json) -> None:
    from foundations.cli.tables import Column, print_table, print_title

    rows = []
    begun = job["submitted_at"]
    for event in job["history"]:
        what = event.get("state") or event["kind"]
        note = (event.get("reason") or "").replace("_", " ") or event.get("message") or ""
        rows.append(
            [wording.date(event["time"]), "+" + wording.duration(event["time"] - begun), what, note]
        )
    print_title("History")
    print_table(
        [Column(""), Column("", rank=1, right=True), Column(""), Column("", least=8)],
        rows,
        indent=2,
    )

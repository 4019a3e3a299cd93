"""Searches and trials as tables."""

from __future__ import annotations

import sys
import time

from foundations.cli import wording

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Sequence, Tuple

    from foundations.cli.tables import Cell

    Json = Dict[str, Any]

_COLOURS = {
    "queued": wording.YELLOW,
    "running": wording.CYAN,
    "stopping": wording.YELLOW,
    "completed": wording.GREEN,
    "pruned": wording.DIM,
    "failed": wording.RED,
    "stopped": wording.DIM,
}
_SHOWN = 10


def print_list(rows: Sequence[Json]) -> None:
    """Print searches, and jobs that programs submitted together."""
    from foundations.cli.tables import Column, print_table

    now = time.time()
    columns = [
        Column("SEARCH", least=12), Column("PROJECT", rank=3, least=8), Column("STATE"),
        Column("SAMPLER", rank=4), Column("TRIALS", right=True), Column("RUNNING", 5, right=True),
        Column("FAILED", rank=6, right=True), Column("BEST", least=10),
        Column("USER", rank=7, least=6), Column("STARTED", rank=2),
    ]  # fmt: skip
    print_table(
        columns,
        [
            [
                row["name"],
                row["project"],
                (row["state"], _COLOURS.get(row["state"], "")),
                row["sampler"] or "a program",
                _of(row["counts"]["total"], row["budget"]["trials"]),
                _count(row, "running"),
                _count(row, "failed"),
                _best(row),
                row["user"],
                wording.ago(row["created_at"], now),
            ]
            for row in rows
        ],
    )


def print_status(row: Json, trials: Sequence[Json]) -> None:
    """Print how far a search is, what runs, and its best trials."""
    from foundations.cli.output import paint
    from foundations.cli.tables import print_fields, print_title

    sys.stdout.write(paint("Search {}".format(row["name"]), wording.BOLD, sys.stdout) + "\n")
    print_fields(_fields(row))
    open_trials = [trial for trial in trials if trial["state"] in ("running", "queued")]
    if open_trials:
        print_title("Going on")
        print_trials(open_trials[:_SHOWN], [])
    done = best_first(trials, row["objectives"])
    if done:
        print_title("Best trials")
        print_trials(done[:_SHOWN], row["objectives"])
    failed = [trial for trial in trials if trial["state"] == "failed"]
    if failed:
        print_title("Failed last")
        print_trials(failed[-3:], [])


def best_first(trials: Sequence[Json], objectives: Sequence[Json]) -> List[Json]:
    """Return the completed trials, sorted by the only objective where there is one."""
    done = [trial for trial in trials if trial["state"] == "completed" and trial["values"]]
    if len(objectives) != 1:
        return done
    sign = 1 if objectives[0]["goal"] == "min" else -1
    return sorted(done, key=lambda trial: sign * trial["values"][0])


def print_trials(
    trials: Sequence[Json], objectives: Sequence[Json], whole_ids: bool = False
) -> None:
    """Print trials with their parameters; a column for each objective."""
    from foundations.cli.tables import Column, print_table, short_ids

    names = short_ids([trial["job_id"] for trial in trials])
    columns = [Column("TRIAL", right=True), Column("JOB"), Column("STATE")]
    columns += [Column(objective["metric"].upper(), right=True) for objective in objectives]
    columns += [Column("RAN", rank=2), Column("PARAMETERS", least=20)]
    columns.append(Column("MESSAGE", rank=1, least=12))
    rows = []  # type: List[List[Cell]]
    for trial in trials:
        values = trial["values"] or []
        shown = [wording.value(value) for value in values]
        shown += [""] * (len(objectives) - len(shown))
        rows.append(
            [
                str(trial["number"]),
                trial["job_id"] if whole_ids else names[trial["job_id"]],
                (trial["state"], _COLOURS.get(trial["state"], "")),
                *shown[: len(objectives)],
                wording.duration(_ran(trial)),
                wording.pairs(trial["params"]),
                trial["message"] or "",
            ]
        )
    print_table(columns, rows)


def progress(row: Json) -> str:
    """Return how far a search is, in one line."""
    counts = row["counts"]
    parts = ["{} trials".format(_of(counts["total"], row["budget"]["trials"]))]
    parts += [
        "{} {}".format(counts[word], word)
        for word in ("queued", "running", "completed", "pruned", "failed", "stopped")
        if counts[word]
    ]
    best = _best(row)
    return ", ".join(parts) + (", best {}".format(best) if best else "")


def _fields(row: Json) -> List[Tuple[str, Cell]]:
    budget, spent = row["budget"], row["spent"]
    state = row["state"] + (": " + row["message"] if row["message"] else "")
    objectives = ", ".join(
        "{} ({})".format(one["metric"], one["goal"]) for one in row["objectives"]
    )
    taken = []
    if row["kind"] == "search":
        taken.append(_limited(wording.duration(spent["seconds"]), budget["seconds"]))
    if spent["gpu_hours"]:
        limit = budget["gpu_hours"]
        taken.append("{:.3g}{} GPU hours".format(
            spent["gpu_hours"], "" if limit is None else " of {:g}".format(limit)
        ))  # fmt: skip
    best = row["best"]
    return [
        ("State", (state, _COLOURS.get(row["state"], ""))),
        ("Project", row["project"]),
        ("User", row["user"]),
        ("Metric", objectives),
        ("Sampler", row["sampler"] or "a program that submits jobs"),
        ("Pruner", row["pruner"] or ""),
        ("Trials", progress({**row, "best": None})),
        ("At once", str(row["concurrency"]) if row["concurrency"] else ""),
        ("Spent", ", ".join(taken)),
        ("Best", _best(row)),
        ("", "trial {}: {}".format(best["number"], wording.pairs(best["params"])) if best else ""),
        ("Jobs", "foundations list --query 'search:{}'".format(row["name"])),
    ]


def _limited(text: str, limit: Any) -> str:
    return text if limit is None else "{} of {}".format(text, wording.duration(limit))


def _best(row: Json) -> str:
    if not row["best"] or not row["best"]["values"]:
        return ""
    metric = row["objectives"][0]["metric"]
    return "{} {}".format(metric, wording.value(row["best"]["values"][0]))


def _of(number: int, limit: Any) -> str:
    return str(number) if limit is None else "{} of {}".format(number, limit)


def _count(row: Json, word: str) -> Cell:
    number = row["counts"][word]
    return (str(number), _COLOURS[word]) if number else ""


def _ran(trial: Json) -> Any:
    if trial["started_at"] is None:
        return None
    return (trial["finished_at"] or time.time()) - trial["started_at"]

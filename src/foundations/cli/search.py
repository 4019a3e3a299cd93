"""`foundations search`: searches for good parameters, run by the server."""

from __future__ import annotations

import os
import sys

from foundations import config
from foundations.cli import options
from foundations.cli.output import Console, print_json
from foundations.cli.search_tables import print_list, print_status, print_trials
from foundations.cli.targets import (
    complete_projects,
    new_parser,
    open_api,
    positive,
    running_api,
    set_completer,
)
from foundations.client.server import connect
from foundations.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any, Dict, List

    from foundations.client.api import Api

_EPILOG = """\
examples:
  foundations search start space.yaml
  foundations search start space.yaml --trials 50 --concurrency 4 --watch
  foundations search status space-1
  foundations search best space-1
  foundations search extend space-1 --trials 100

The file says what is searched, and how: see docs/search.md. A search runs in
the server; its trials are jobs: foundations list --query 'search:space-1'."""
_START_EPILOG = """\
examples:
  foundations search start space.yaml
  foundations search start space.yaml --name digits --sampler random --trials 20
  foundations search start space.yaml cluster --num-gpus 1 --time 8h --watch

exit codes: 0 the search was started (--watch: has completed), 1 it was refused
(--watch: failed or was stopped), 130 watching was ended with Ctrl-C."""


def add_parser(subparsers: Any, name: str, text: str) -> None:
    """Add the command and what it can do."""
    parser = new_parser(
        subparsers, name, text, "Search for good parameters: every trial is a job.", _EPILOG
    )
    deeds = parser.add_subparsers(metavar="ACTION", title="actions")
    parser.set_defaults(run=lambda _: parser.print_help())
    _add_start(deeds)
    listing = new_parser(deeds, "list", "list searches", "List searches.", "")
    set_completer(
        listing.add_argument("--project", metavar="NAME", help="only of this project"),
        complete_projects,
    )
    listing.add_argument("--limit", type=positive, default=100, metavar="N", help="default 100")
    listing.add_argument("--json", action="store_true", help="print JSON")
    listing.set_defaults(run=show_list)
    status = _of_one(deeds, "status", "show how far a search is, and its best trials", show)
    status.add_argument("--watch", "-w", action="store_true", help="until it is over, live")
    _of_one(deeds, "trials", "list every trial", show_trials)
    best = _of_one(deeds, "best", "show the best trial, or those that no other beats", show_best)
    best.add_argument("--quiet", "-q", action="store_true", help="print IDs of jobs alone")
    stop = _of_one(deeds, "stop", "stop a search and its trials", change)
    stop.add_argument("--let-run", action="store_true", help="let trials that run end")
    _of_one(deeds, "resume", "let a stopped search go on", change)
    extend = _of_one(deeds, "extend", "add to a search's budget", change)
    _add_budget(extend)
    export = _of_one(deeds, "export", "write a search as a study of Optuna's", write_study)
    export.add_argument("file", metavar="FILE", help="study.db (SQLite), or study.log (a journal)")


def _add_start(deeds: Any) -> None:
    parser = new_parser(deeds, "start", "start a search", "Start a search.", _START_EPILOG)
    add = parser.add_argument
    add("file", metavar="FILE", help="the YAML file that describes the search")
    add("scheduler_config", nargs="?", metavar="SCHEDULER", help="default: scheduler")
    add("--name", help="default: the file's name and a number")
    add("--directory", metavar="DIR", help="the folder of the code; default: the file's")
    add("--sampler", help="grid, random, tpe, cmaes, qmc, nsga2, ...")
    add("--pruner", help="median, percentile, hyperband, asha, ..., or none")
    add("--metric", help="the metric that the search is about")
    add("--goal", choices=("min", "max"), help="default: as the metric's name suggests")
    _add_budget(parser)
    add("--project-name", help="default: the folder's name")
    add("--num-gpus", type=options.number, metavar="N", help="GPUs of each trial (default 0)")
    add("--num-cpus", type=options.number, metavar="N", help="CPUs of each trial (default 1)")
    add("--ram", metavar="SIZE", help="memory limit of each trial, as in 8GB")
    add("--priority", type=int, metavar="N", help="higher starts earlier (default 0)")
    add("--watch", "-w", action="store_true", help="show how it goes until it is over")
    add("--json", action="store_true", help="print the search as JSON")
    add("--quiet", "-q", action="store_true", help="print its name and nothing else")
    parser.set_defaults(run=start)


def _add_budget(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--trials", type=positive, metavar="N", help="how many")
    add("--time", metavar="TIME", help="seconds, or as in 90m, 8h")
    add("--gpu-hours", type=float, metavar="N", help="hours of one GPU")
    add("--concurrency", type=positive, metavar="N", help="trials at once")


def _of_one(deeds: Any, name: str, text: str, run: Any) -> argparse.ArgumentParser:
    parser = new_parser(deeds, name, text, text[:1].upper() + text[1:] + ".", "")
    set_completer(parser.add_argument("name", metavar="SEARCH", help="its name"), _complete)
    if name != "export":
        parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run, deed=name)
    return parser


def start(arguments: argparse.Namespace) -> int:
    """Start a search."""
    from foundations.cli.submit import Reporter
    from foundations.searching import start as start_file

    progress = Reporter(silent=arguments.quiet or arguments.json)
    scheduler = config.scheduler(
        arguments.scheduler_config or arguments.scheduler or config.LOCAL_SCHEDULER, os.getcwd()
    )
    row, _ = start_file(
        arguments.file,
        scheduler,
        _given(arguments),
        arguments.directory,
        lambda wanted: connect(wanted, progress.console.info),
        progress,
    )
    progress.close()
    if arguments.watch:
        return _watch(connect(scheduler), row["name"], arguments.json)
    if arguments.json:
        print_json(row)
    elif arguments.quiet:
        sys.stdout.write(row["name"] + "\n")
    else:
        progress.console.info("Search '{}' has started.".format(row["name"]))
        progress.console.info("See it with: foundations search status {}".format(row["name"]))
    return 0


def _given(arguments: argparse.Namespace) -> Dict[str, Any]:
    from foundations.searching import read_file

    names = ("name", "sampler", "pruner", "metric", "goal", "concurrency", "project_name",
             "num_gpus", "num_cpus", "ram", "priority")  # fmt: skip
    given = {name: getattr(arguments, name) for name in names}
    budget = {name: getattr(arguments, name) for name in ("trials", "time", "gpu_hours")}
    more = {name: value for name, value in budget.items() if value is not None}
    if more:
        given["budget"] = {**(read_file(arguments.file).get("budget") or {}), **more}
    return given


def show_list(arguments: argparse.Namespace) -> int:
    """Print the searches."""
    api = open_api(arguments.scheduler)
    found = api.searches(project=arguments.project, limit=arguments.limit)
    if arguments.json:
        print_json(found)
    elif found:
        print_list(found)
    elif sys.stdout.isatty():
        sys.stdout.write("There are no searches yet.\n")
    return 0


def show(arguments: argparse.Namespace) -> int:
    """Print how far a search is."""
    api = open_api(arguments.scheduler)
    if arguments.watch:
        return _watch(api, arguments.name, arguments.json)
    row = api.search(arguments.name, "/row")
    trials: List[Dict[str, Any]] = []
    if row["kind"] == "search":
        trials = api.search(arguments.name, "/trials")["trials"]
    if arguments.json:
        print_json(row)
    else:
        print_status(row, trials)
    return 0


def show_trials(arguments: argparse.Namespace) -> int:
    """Print every trial."""
    api = open_api(arguments.scheduler)
    trials = api.search(arguments.name, "/trials")["trials"]
    if arguments.json:
        print_json(trials)
    elif trials:
        print_trials(trials, api.search(arguments.name, "/row")["objectives"])
    return 0


def show_best(arguments: argparse.Namespace) -> int:
    """Print the best trials."""
    search = open_api(arguments.scheduler).search(arguments.name)
    found, several = search["front"], len(search["objectives"]) > 1
    if arguments.json:
        print_json(found if several else (found[0] if found else None))
        return 0 if found else 1
    if not found:
        raise ConfigError(
            "No trial of '{}' has completed yet.".format(arguments.name),
            "See how it goes: foundations search status {}".format(arguments.name),
        )
    if arguments.quiet:
        sys.stdout.writelines(trial["job_id"] + "\n" for trial in found)
        return 0
    print_trials(found, search["objectives"], whole_ids=True)
    if not several:
        sys.stdout.write("\nRun it again: foundations rerun {}\n".format(found[0]["job_id"][:8]))
    return 0


def change(arguments: argparse.Namespace) -> int:
    """Stop, resume or extend a search."""
    api = open_api(arguments.scheduler)
    how: Dict[str, Any] = {}
    if arguments.deed == "stop":
        how = {"running": not arguments.let_run}
    elif arguments.deed == "extend":
        names = ("trials", "time", "gpu_hours", "concurrency")
        how = {name: getattr(arguments, name) for name in names}
        how = {name: value for name, value in how.items() if value is not None}
    row = api.change_search(arguments.name, arguments.deed, how)
    if arguments.json:
        print_json(row)
        return 0
    done = {"stop": "is being stopped", "resume": "goes on", "extend": "has been extended"}
    Console().info("Search '{}' {}.".format(row["name"], done[arguments.deed]))
    return 0


def write_study(arguments: argparse.Namespace) -> int:
    """Write a file that Optuna opens."""
    from foundations.cli.search_export import export

    count = export(open_api(arguments.scheduler), arguments.name, arguments.file)
    Console().info("{} trials of '{}' are in {}.".format(count, arguments.name, arguments.file))
    return 0


def _watch(api: Api, name: str, as_json: bool) -> int:
    from foundations.cli.search_watch import watch

    row = watch(api, name, silent=as_json)
    if as_json:
        print_json(row)
    return 0 if row["state"] == "completed" else 1


def _complete(prefix: str, parsed_args: Any, **_: Any) -> List[str]:
    """Return names of searches for the shell."""
    api = running_api(parsed_args)
    names = [row["name"] for row in api.searches()] if api else []
    return [name for name in names if name.startswith(prefix)]

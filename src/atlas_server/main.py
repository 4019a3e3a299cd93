"""The command `atlas-server`: start, stop, status, logs, user, audit, backup, gc, doctor ..."""

from __future__ import annotations

import argparse
import collections
import getpass
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from atlas_server import (
    addresses,
    backup_commands,
    doctor_commands,
    gc_command,
    log_file,
    node_commands,
    process,
    user_commands,
)
from atlas_server import config as configuration
from atlas_server.config import ServerConfig
from atlas_server.database_url import refuse_password
from foundations._version import __version__
from foundations.errors import FoundationsError


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    given = sys.argv[1:] if argv is None else argv
    arguments = _parser().parse_args(given)
    arguments.argv = given
    try:
        return int(arguments.run(arguments))
    except BrokenPipeError:
        # The reader (head, less) has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except (FoundationsError, OSError) as raised:
        error = process.in_words(raised)
        print(f"atlas-server: {error.message}", file=sys.stderr)
        if error.hint:
            print(f"  {error.hint}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="atlas-server",
        description="The Atlas server: scheduler, tracker and GUI of this machine.",
        epilog="example: atlas-server start && foundations submit scheduler . main.py",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_start(commands)
    stop = commands.add_parser("stop", help="stop the server; running jobs go on")
    _add_name(stop, "stop")
    stop.set_defaults(run=_stop)
    status = commands.add_parser("status", help="tell whether the server runs, and where")
    _add_name(status, "look at")
    status.add_argument("--json", action="store_true", help="print JSON")
    status.set_defaults(run=_status)
    logs = commands.add_parser("logs", help="show what the server logged")
    _add_name(logs, "show")
    logs.add_argument("--tail", type=int, default=200, metavar="N", help="the last N lines")
    logs.set_defaults(run=_logs)
    _add_migrate(commands)
    user_commands.add_parsers(commands)
    backup_commands.add_parsers(commands, _config_in_use)
    gc_command.add_parser(commands, _config_in_use)
    node_commands.add_parser(commands, _config_in_use)
    doctor_commands.add_parsers(commands, _config_in_use)
    systemd = commands.add_parser(
        "systemd",
        help="print a systemd unit for this server",
        description="Print a unit that runs the server of this home with this installation.",
        epilog="example: atlas-server systemd --user atlas | "
        "sudo tee /etc/systemd/system/atlas.service",
    )
    systemd.add_argument("--user", default="", metavar="NAME", help="who runs it; default: you")
    systemd.set_defaults(run=_systemd)
    version = commands.add_parser("version", help="print the version")
    version.set_defaults(run=_version)
    parser.set_defaults(run=_people)
    return parser


def _add_name(command: argparse.ArgumentParser, verb: str) -> None:
    what = "server" if verb == "show" else "all"
    command.add_argument(
        "--name", help=f"of a server of several processes {verb} this one alone (default: {what})"
    )


def _add_start(commands: Any) -> None:
    start = commands.add_parser(
        "start",
        help="start the server in the background",
        description="Start the server and return when it is ready.",
        epilog="Every option can also stand in config/server.config.yaml below FOUNDATIONS_HOME.",
    )
    start.add_argument("--foreground", action="store_true", help="serve here until Ctrl-C")
    _add_addresses(start)
    start.add_argument(
        "-g",
        "--enable-gpu",
        action="store_true",
        help="warn where there is no GPU; where there are any they are used without it",
    )
    _add_places(start)
    _add_several(start)
    start.add_argument(
        "--authentication",
        action=argparse.BooleanOptionalAction,
        help="ask who is there on this machine, too; always where others reach it",
    )
    start.add_argument("--ready-fd", type=int, help=argparse.SUPPRESS)
    start.set_defaults(run=_start)


def _add_addresses(start: argparse.ArgumentParser) -> None:
    start.add_argument("--host", help="address to listen on (127.0.0.1), or unix:///PATH")
    start.add_argument("--port", type=int, help="port of the API (5000; 0: any free one)")
    start.add_argument("-d", "--gui-port", "--dashboard-port", type=int, help="the GUI's (5555)")
    start.add_argument(
        "--tls-certificate", metavar="FILE", help="speak TLS with this certificate (PEM)"
    )
    start.add_argument("--tls-key", metavar="FILE", help="its key, unless it is in the same file")
    start.add_argument(
        "--root-path", metavar="PATH", help="the path below which a proxy shows the server"
    )


def _add_several(start: argparse.ArgumentParser) -> None:
    start.add_argument(
        "--database-url",
        metavar="URL",
        help="a PostgreSQL database instead of a file, as in postgresql://atlas@db/atlas",
    )
    start.add_argument(
        "--role",
        choices=("all", "api", "scheduler"),
        help="with PostgreSQL: what this process does of a server of several (all)",
    )
    start.add_argument("--name", help="what it is called among them (its role)")


def _add_places(start: Any) -> None:
    start.add_argument("--num-cpus", type=float, dest="cpus", help="CPUs that jobs may use")
    start.add_argument("--num-gpus", type=int, dest="gpus", help="GPUs that jobs may use")
    start.add_argument("--ram", dest="memory", help="memory that jobs may use, as in 64GB")
    start.add_argument(
        "--default-image",
        metavar="IMAGE",
        help="jobs that name no image run in containers of this one, not as processes",
    )
    start.add_argument(
        "--executor",
        dest="executors",
        action="append",
        metavar="NAME",
        help="where jobs run: local, slurm, ray=ADDRESS; may be repeated",
    )


def _add_migrate(commands: Any) -> None:
    migrate = commands.add_parser(
        "migrate",
        help="copy everything to another database",
        description="Copy all that the server knows of jobs to an empty database, and compare it. "
        "Stop the server first. Code, results and logs stay where they are.",
        epilog="example: atlas-server migrate --to postgresql://atlas@db.example.org/atlas",
    )
    place = "postgresql://..., sqlite:///PATH, or sqlite: the file of this home"
    migrate.add_argument("--to", metavar="URL", help=place)
    migrate.add_argument(
        "--from",
        dest="source",
        metavar="URL",
        help="the same; whichever is left out is the database that the server uses",
    )
    migrate.set_defaults(run=_migrate)


def _migrate(arguments: argparse.Namespace) -> int:
    # Late: no other command needs the database.
    from atlas_server import migration  # noqa: PLC0415

    if arguments.to is None and arguments.source is None:
        raise FoundationsError("Say where to, with --to, or where from, with --from.")
    for url in (arguments.to, arguments.source):
        if url is not None and url.startswith("postgres"):
            refuse_password(url)
    config = _config()
    with process.kept_out(config), migration.drawn() as progress:
        moved = migration.migrate(config, arguments.source, arguments.to, progress)
    print(
        f"Copied {moved.rows:,} rows of {moved.tables} tables from {moved.source}\n"
        f"to {moved.target}, and compared them."
    )
    used = config.database_url or str(config.database)
    if moved.target != used:
        print("The server goes on using the old one until database_url says otherwise.")
    return 0


def _start(arguments: argparse.Namespace) -> int:
    if arguments.database_url is not None:
        refuse_password(arguments.database_url)
    names = (
        "host", "port", "gui_port", "cpus", "gpus", "memory", "default_image", "database_url",
        "role", "name", "tls_certificate", "tls_key", "root_path", "authentication", "executors",
    )  # fmt: skip
    config = configuration.load({name: getattr(arguments, name) for name in names})
    if arguments.foreground:
        return process.run_here(config, arguments.ready_fd)
    state, fresh = process.start_in_background(config, arguments.argv)
    word = "started" if fresh else "is already running"
    where = f"API {_address(state)}, GUI {state['gui_url']}" if state["url"] else "it has no API"
    print(f"Atlas server {word}: {where}")
    for found in _elsewhere(state):
        print(f"Others reach it at {found['url']}, the web pages at {found['gui_url']}")
    if "resources" in state:  # of processes that start jobs
        print(f"Jobs may use {state['resources']}.")
    if arguments.enable_gpu and not state.get("gpus"):
        why = state.get("gpu_trouble") or "all are out of order, see `foundations info`"
        sys.stdout.flush()
        print(f"atlas-server: warning: no GPU is used: {why}.", file=sys.stderr)
        print("  Jobs that ask for one are refused or wait; all others run.", file=sys.stderr)
    return 0


def _address(state: dict[str, Any]) -> str:
    return str(state.get("public_url") or state["url"])  # an older server tells one alone


def _elsewhere(state: dict[str, Any]) -> list[dict[str, str]]:
    """Where others reach a server that listens on every address, as of now."""
    if not state.get("public_url"):
        return []
    known = {"url": state["public_url"], "gui_url": state["gui_url"]}
    return [
        {name: addresses.at(url, address) for name, url in known.items()}
        for address in addresses.of_machine(str(state.get("host")))
    ]


def _stop(arguments: argparse.Namespace) -> int:
    stopped = [process.stop(each) for each in _meant(arguments)]
    print(
        "Atlas server stopped; jobs that run go on."
        if any(stopped)
        else "No Atlas server is running."
    )
    return 0


def _status(arguments: argparse.Namespace) -> int:
    home = str(_config().home)
    found = [state for each in _meant(arguments) if (state := process.running(each)) is not None]
    if arguments.json:
        first = next((state for state in found if state["url"]), found[0] if found else {})
        first = {**first, "elsewhere": _elsewhere(first)} if first else first
        several = {"processes": found} if len(found) > 1 else {}
        print(json.dumps({"running": bool(found), "home": home, **first, **several}))
    elif not found:
        print(f"No Atlas server is running for {home}.")
    for state in found if not arguments.json else ():
        name = f"'{state['name']}', " if len(found) > 1 else ""
        print(f"Atlas server {state['version']} is running ({name}process {state['pid']}).")
        if state["url"]:
            print(f"API   {_address(state)}\nGUI   {state['gui_url']}")
        for place in _elsewhere(state):
            print(f"      for others {place['url']}, {place['gui_url']}")
    if found and not arguments.json:
        print(f"home  {home}")
    return 0 if found else 3


def _meant(arguments: argparse.Namespace) -> list[ServerConfig]:
    """The processes that a command is about: the one that is named, or all of this home."""
    known = process.all_of(_config())
    return [each for each in known if arguments.name in (None, each.name)]


def _logs(arguments: argparse.Namespace) -> int:
    path: Path = replace(_config(), name=arguments.name or "server").log_file
    if not path.exists():
        raise FoundationsError(f"There is no log yet at {path}.")
    found = log_file.lines(path)
    sys.stdout.writelines(collections.deque(found, maxlen=max(0, arguments.tail)))
    return 0


def _people(arguments: argparse.Namespace) -> int:
    return user_commands.run(arguments, _config_in_use())


def _systemd(arguments: argparse.Namespace) -> int:
    from atlas_server.systemd import unit  # noqa: PLC0415 - of no other command

    sys.stdout.write(unit(_config(), arguments.user or getpass.getuser()))
    return 0


def _version(_: argparse.Namespace) -> int:
    print(__version__)
    return 0


def _config() -> ServerConfig:
    return configuration.load({})


def _config_in_use() -> ServerConfig:
    """For commands that open the database: the one that a running server works on, or none."""
    config = _config()
    process.check_database(config)
    return config


if __name__ == "__main__":
    raise SystemExit(main())

"""The command `atlas-server`: start, stop, status, logs, user, audit, version."""

from __future__ import annotations

import argparse
import collections
import json
import os
import sys
from pathlib import Path
from typing import Any

from atlas_server import config as configuration
from atlas_server import process, user_commands
from atlas_server.config import ServerConfig
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
    stop.set_defaults(run=_stop)
    status = commands.add_parser("status", help="tell whether the server runs, and where")
    status.add_argument("--json", action="store_true", help="print JSON")
    status.set_defaults(run=_status)
    logs = commands.add_parser("logs", help="show what the server logged")
    logs.add_argument("--tail", type=int, default=200, metavar="N", help="the last N lines")
    logs.set_defaults(run=_logs)
    user_commands.add_parsers(commands)
    version = commands.add_parser("version", help="print the version")
    version.set_defaults(run=_version)
    parser.set_defaults(run=_people)
    return parser


def _add_start(commands: Any) -> None:
    start = commands.add_parser(
        "start",
        help="start the server in the background",
        description="Start the server and return when it is ready.",
        epilog="Every option can also stand in config/server.config.yaml below FOUNDATIONS_HOME.",
    )
    start.add_argument("--foreground", action="store_true", help="serve here until Ctrl-C")
    start.add_argument("--host", help="address to listen on (127.0.0.1)")
    start.add_argument("--port", type=int, help="port of the API (5000; 0: any free one)")
    start.add_argument("-d", "--gui-port", "--dashboard-port", type=int, help="the GUI's (5555)")
    start.add_argument(
        "-g",
        "--enable-gpu",
        action="store_true",
        help="warn where there is no GPU; where there are any they are used without it",
    )
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
        help="where jobs run: local (this machine), slurm; may be repeated",
    )
    start.add_argument(
        "--authentication",
        action=argparse.BooleanOptionalAction,
        help="ask who is there on this machine, too; always where others reach it",
    )
    start.add_argument("--ready-fd", type=int, help=argparse.SUPPRESS)
    start.set_defaults(run=_start)


def _start(arguments: argparse.Namespace) -> int:
    names = ["host", "port", "gui_port", "cpus", "gpus", "memory", "default_image", "executors"]
    names.append("authentication")
    config = configuration.load({name: getattr(arguments, name) for name in names})
    if arguments.foreground:
        return process.run_here(config, arguments.ready_fd)
    state, fresh = process.start_in_background(config, arguments.argv)
    word = "started" if fresh else "is already running"
    print(f"Atlas server {word}: API {state['url']}, GUI {state['gui_url']}")
    if "resources" in state:  # an older server that runs already does not tell
        print(f"Jobs may use {state['resources']}.")
    if arguments.enable_gpu and not state.get("gpus"):
        why = state.get("gpu_trouble") or "all are out of order, see `foundations info`"
        sys.stdout.flush()
        print(f"atlas-server: warning: no GPU is used: {why}.", file=sys.stderr)
        print("  Jobs that ask for one are refused or wait; all others run.", file=sys.stderr)
    return 0


def _stop(_: argparse.Namespace) -> int:
    stopped = process.stop(_config())
    print(
        "Atlas server stopped; jobs that run go on." if stopped else "No Atlas server is running."
    )
    return 0


def _status(arguments: argparse.Namespace) -> int:
    config = _config()
    state = process.running(config)
    if arguments.json:
        print(json.dumps({"running": state is not None, "home": str(config.home), **(state or {})}))
    elif state is None:
        print(f"No Atlas server is running for {config.home}.")
    else:
        print(
            f"Atlas server {state['version']} is running (process {state['pid']}).\n"
            f"API   {state['url']}\nGUI   {state['gui_url']}\nhome  {config.home}"
        )
    return 0 if state is not None else 3


def _logs(arguments: argparse.Namespace) -> int:
    path: Path = _config().log_file
    if not path.exists():
        raise FoundationsError(f"There is no log yet at {path}.")
    with path.open(errors="replace") as file:
        sys.stdout.writelines(collections.deque(file, maxlen=max(0, arguments.tail)))
    return 0


def _people(arguments: argparse.Namespace) -> int:
    return user_commands.run(arguments, _config())


def _version(_: argparse.Namespace) -> int:
    print(__version__)
    return 0


def _config() -> ServerConfig:
    return configuration.load({})


if __name__ == "__main__":
    raise SystemExit(main())

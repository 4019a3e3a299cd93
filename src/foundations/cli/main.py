"""The command `foundations`: finds the command's module, runs it, and prints errors as one line."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any, ClassVar, List, Optional

    from foundations.errors import FoundationsError

# Command -> (module below foundations.cli, one line of help). Only the module of the command that
# is given is imported, so that no command pays for the others.
COMMANDS = {
    "init": ("init", "make a new project folder from a template"),
    "submit": ("submit", "submit a folder as a job and stream its logs"),
    "list": ("jobs", "list jobs"),
    "search": ("search", "search for good parameters; every trial is a job"),
    "show": ("show", "show everything about a job"),
    "query": ("queries", "show what queries can say, or check one"),
    "queue": ("queue", "show what runs and what waits, and why"),
    "limits": ("limits", "show or set what users and projects may have"),
    "retention": ("retention", "show or set what is kept for how long"),
    "get": ("get", "fetch a job's logs, code and results, or artifacts"),
    "wait": ("wait", "wait until jobs are over"),
    "stop": ("stop", "stop jobs, waiting or running"),
    "clear-queue": ("queue", "stop every waiting job"),
    "tensorboard": ("tensorboard", "start a TensorBoard over the files of jobs"),
    "rerun": ("rerun", "submit a job again, as it was or changed"),
    "tag": ("tag", "set or remove tags of jobs"),
    "diff": ("diff", "compare code, parameters and environment of two jobs"),
    "delete": ("stop", "delete finished jobs"),
    "projects": ("projects", "list, rename, archive or delete projects"),
    "config": ("configuring", "list, add and check schedulers; show where settings come from"),
    "info": ("info", "show the server's resources, or the known schedulers"),
    "nodes": ("nodes", "list the machines that jobs run on"),
    "login": ("login", "log in to a server that asks who you are"),
    "logout": ("login", "log out of a server"),
    "whoami": ("login", "show who you are for a server"),
    "token": ("token", "make, list and revoke tokens for programs"),
    "build-worker": ("build_worker", "build an image for jobs from requirements.txt"),
    "completion": ("completion", "print the script that completes commands in your shell"),
}
# What people type who know other programs, or read a command's name off its second word.
_MEANT = {
    "logs": "get logs", "log": "get logs", "tail": "get logs", "artifacts": "get artifacts",
    "job": "get job", "fetch": "get job", "download": "get job", "pull": "get job",
    "jobs": "list", "ls": "list", "ps": "list", "status": "show", "describe": "show",
    "details": "show", "kill": "stop", "cancel": "stop", "abort": "stop", "rm": "delete",
    "remove": "delete", "run": "submit", "retry": "rerun", "resubmit": "rerun", "new": "init",
    "create": "init", "compare": "diff", "tb": "tensorboard", "clear": "clear-queue",
    "sweep": "search", "searches": "search list", "tune": "search", "optimize": "search",
    "machines": "nodes", "build": "build-worker", "version": "--version", "signin": "login",
    "auth": "login", "signout": "logout", "tokens": "token list", "help": "--help",
}  # fmt: skip
_EPILOG = """\
examples:
  foundations init my_project
  foundations submit scheduler my_project main.py
  foundations list --project my_project
  foundations show last

`foundations COMMAND --help` tells more about a command."""


def main(argv: Optional[List[str]] = None) -> int:
    """Run one command and return its exit code."""
    words = sys.argv[1:] if argv is None else list(argv)
    debug = bool(words) and words[0] == "--debug"
    try:
        arguments = _parsed(words[1:] if debug else words)
        debug = debug or getattr(arguments, "debug", False)
        return int(arguments.run(arguments) or 0)
    except KeyboardInterrupt:
        sys.stderr.write("\n")
        return 130
    except BrokenPipeError:
        # The reader (head, less) has seen enough; nothing more can be flushed.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 141
    except Exception as error:
        from foundations.errors import FoundationsError

        if debug or not isinstance(error, FoundationsError):
            raise
        return _complain(error)


def _parsed(words: List[str]) -> argparse.Namespace:
    parser = _parser(words)
    if "_ARGCOMPLETE" in os.environ:
        import argcomplete

        argcomplete.autocomplete(parser)
    elif words and not words[0].startswith("-") and words[0] not in COMMANDS:
        raise _no_command(words[0])
    arguments, unknown = parser.parse_known_args(words)
    if unknown:
        innermost = parser.at_work[-1]
        innermost.error(_unknown(unknown, innermost))
    if not hasattr(arguments, "run"):
        arguments.run = lambda _: parser.print_help()
    return arguments


def _no_command(word: str) -> FoundationsError:
    from foundations.errors import ConfigError

    meant = _MEANT.get(word.lower()) or _nearest(word, list(COMMANDS))
    error = ConfigError(
        "There is no command '{}'.{}".format(
            word, " Did you mean '{}'?".format(meant) if meant else ""
        ),
        "All of them: foundations --help",
    )
    error.exit_code = 2
    return error


def _unknown(words: List[str], parser: Any) -> str:
    """What is wrong with words that a command's parser has left over."""
    word = words[0]
    if not word.startswith("-"):
        return "unexpected argument '{}'".format(word)
    option = word.partition("=")[0]
    # The only list of its options that a parser has; without short ones, which anything is near.
    known = [name for name in parser._option_string_actions if name.startswith("--")]
    meant = _nearest(option, known) if option.startswith("--") else ""
    return "there is no option {}.{}".format(
        option, " Did you mean {}?".format(meant) if meant else ""
    )


def _nearest(word: str, known: List[str]) -> str:
    from difflib import get_close_matches

    # `--gpus` means `--num-gpus`, though `--tag` has more letters in common with it.
    parts = [name for name in known if len(word) > 3 and word.strip("-") in name]
    return "".join(parts[:1] or get_close_matches(word, known, 1, 0.5))


def _parser(words: List[str]) -> Any:
    import argparse

    parser = _parser_class(argparse)(
        prog="foundations",
        description="Submit, schedule and track machine-learning experiments.",
        epilog=_EPILOG,
    )
    parser.add_argument("--version", action="store_true", help="print the version")
    parser.add_argument("--debug", action="store_true", help="show tracebacks of errors")
    subparsers = parser.add_subparsers(metavar="COMMAND", title="commands", prog="foundations")
    wanted = words[0] if words and words[0] in COMMANDS else None
    if wanted is not None and "_ARGCOMPLETE" not in os.environ:
        module, text = COMMANDS[wanted]
        _module(module).add_parser(subparsers, wanted, text)
        return parser
    for name, (module, text) in COMMANDS.items():
        if "_ARGCOMPLETE" in os.environ:
            _module(module).add_parser(subparsers, name, text)
        else:
            # Enough for the list of commands.
            subparsers.add_parser(name, help=text, add_help=False)
    parser.set_defaults(**({"run": _version} if words[:1] == ["--version"] else {}))
    return parser


def _parser_class(argparse: Any) -> Any:
    """A parser that knows the width: argparse imports `shutil` to ask, even to print nothing."""
    try:
        width = os.get_terminal_size().columns
    except OSError:
        width = 100
    width = int(os.environ["COLUMNS"]) if os.environ.get("COLUMNS", "").isdigit() else width

    class Parser(argparse.ArgumentParser):
        # The parsers that have begun, a command's own after the one of all commands.
        at_work: ClassVar[List[Any]] = []

        def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
            self.at_work.append(self)
            return super().parse_known_args(args, namespace)

        def _get_formatter(self) -> Any:
            return argparse.RawDescriptionHelpFormatter(self.prog, width=max(40, width - 2))

    return Parser


def _module(name: str) -> Any:
    from importlib import import_module

    return import_module("foundations.cli." + name)


def _version(_: argparse.Namespace) -> int:
    from foundations._version import __version__

    sys.stdout.write("Running Foundations version {}\n".format(__version__))
    return 0


def _complain(error: FoundationsError) -> int:
    from foundations.cli.output import error_line

    error_line(error)
    return error.exit_code


def script() -> None:
    """Run as the program `foundations`, and end at once.

    Nothing is registered to be done at exit, and taking the interpreter apart in order would take
    longer than many commands do.
    """
    code = main()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        code = code or 1
    os._exit(code)


if __name__ == "__main__":
    script()

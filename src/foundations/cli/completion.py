"""`foundations completion`: the script with which a shell completes commands."""

from __future__ import annotations

import os
import sys

from foundations.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any

_EPILOG = """\
Commands, options, job IDs and project names are completed.

examples:
  eval "$(foundations completion bash)"          in ~/.bashrc
  eval "$(foundations completion zsh)"           in ~/.zshrc
  foundations completion fish > ~/.config/fish/completions/foundations.fish"""
_SHELLS = ("bash", "zsh", "fish")


def add_parser(subparsers: Any, name: str, text: str) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        name,
        help=text,
        description="Print the script that completes commands in your shell.",
        epilog=_EPILOG,
    )
    parser.add_argument("shell", nargs="?", choices=_SHELLS, help="default: the one in $SHELL")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the script."""
    shell = arguments.shell or os.path.basename(os.environ.get("SHELL", ""))
    if shell not in _SHELLS:
        raise ConfigError(
            "Completion is there for {}; $SHELL is '{}'.".format(", ".join(_SHELLS), shell),
            "Name one: foundations completion bash",
        )
    from argcomplete.shell_integration import shellcode

    sys.stdout.write(shellcode(["foundations"], shell=shell) + "\n")
    return 0

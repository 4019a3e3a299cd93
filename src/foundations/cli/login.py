"""`foundations login`, `logout` and `whoami`: who one is for a server."""

from __future__ import annotations

import os
import sys

from foundations import config, credentials
from foundations.cli.output import error_text, print_json
from foundations.cli.wording import date
from foundations.client.api import Api
from foundations.client.server import find
from foundations.errors import ConfigError, ServerError, Unauthenticated

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any, Dict, List, Tuple

_HOST = "address of the server (http://lab:5000) or name of a scheduler"
_LOOPBACK = "http://127.0.0.1:"
_EPILOGS = {
    "login": """\
What shows the server who you are is kept in
FOUNDATIONS_HOME/credentials.json, for you alone to read, and lives on for as
long as it is used. FOUNDATIONS_TOKEN, where it is set, beats it.

examples:
  foundations login https://lab.example.org
  foundations login aws -u ada
  foundations login aws -u ada --password-stdin < password.txt""",
    "logout": """\
examples:
  foundations logout
  foundations logout https://lab.example.org --everywhere""",
    "whoami": """\
examples:
  foundations whoami
  foundations whoami aws --json""",
}
_DESCRIPTIONS = {
    "login": "Log in to a server that asks who you are.",
    "logout": "Log out of a server: what login has kept is of no use to anybody then.",
    "whoami": "Show who you are for a server.",
}


def add_parser(subparsers: Any, name: str, text: str) -> None:
    """Add one of the commands."""
    parser = subparsers.add_parser(
        name, help=text, description=_DESCRIPTIONS[name], epilog=_EPILOGS[name]
    )
    add = parser.add_argument
    if name == "login":
        add("host", metavar="HOST", help=_HOST)
        add("-u", "--username", help="asked for where it is missing")
        add("-p", "--password", help="others may see it in the list of processes: leave it out")
        add("--password-stdin", action="store_true", help="read the password from standard input")
    else:
        add("host", metavar="HOST", nargs="?", help=_HOST + "; default: this machine's")
    if name == "logout":
        add("--everywhere", action="store_true", help="end all your logins and browser sessions")
    add("--debug", action="store_true", help="show tracebacks of errors")
    if name == "whoami":
        add("--json", action="store_true", help="print JSON")
    parser.set_defaults(run={"login": run_login, "logout": run_logout, "whoami": run_whoami}[name])


def run_login(arguments: argparse.Namespace) -> int:
    """Ask for what is missing, log in, keep the token."""
    url = address(arguments.host)
    if not Api(url).me()["authentication"]:
        sys.stdout.write("{} has no authentication: there is no need to log in.\n".format(url))
        return 0
    if url.startswith("http://") and not credentials.key_of(url).startswith(_LOOPBACK):
        error_text("WARNING", "{} is not encrypted: others can read the password.".format(url))
    user, password = _asked(arguments)
    try:
        answer = Api(url).login(user, password, _here())
    except Unauthenticated as error:
        raise Unauthenticated("Login failed: " + error.message, error.hint) from None
    urls = _also_at(url, answer["ports"])
    path = credentials.keep(config.home(), urls, answer["token"], answer["user"]["name"])
    sys.stdout.write("Login Succeeded!\n")
    sys.stdout.write(
        "You are {} ({}) at {}; kept in {}.\n".format(
            answer["user"]["name"], answer["user"]["role"], url, path
        )
    )
    if config.environment_value("FOUNDATIONS_TOKEN"):
        error_text("WARNING", "FOUNDATIONS_TOKEN is set, and counts instead.")
    return 0


def run_logout(arguments: argparse.Namespace) -> int:
    """End the login at the server, and forget it here."""
    url = address(arguments.host)
    entry = credentials.load(config.home()).get(credentials.key_of(url))
    if entry is None:
        sys.stdout.write("You are not logged in to {}.\n".format(url))
        if config.environment_value("FOUNDATIONS_TOKEN"):
            error_text("WARNING", "FOUNDATIONS_TOKEN is set, and counts all the same.")
        return 0
    try:
        Api(url, entry["token"]).logout(arguments.everywhere)
    except Unauthenticated:
        pass  # it had ended before
    except ServerError as error:
        error_text("WARNING", "The server was not told: {}".format(error.message))
    credentials.forget(config.home(), url)
    sys.stdout.write("Logged out of {}.\n".format(url))
    return 0


def run_whoami(arguments: argparse.Namespace) -> int:
    """Show who one is, and by what."""
    url = address(arguments.host)
    known = Api.of_user(url).me()
    if arguments.json:
        print_json({"url": url, **known})
        return 0 if known["user"] or not known["authentication"] else 1
    if not known["authentication"]:
        sys.stdout.write("{} has no authentication: you may do everything.\n".format(url))
        return 0
    if known["user"] is None:
        raise Unauthenticated(
            "You are not logged in to {}.".format(url), "Log in: foundations login {}".format(url)
        )
    sys.stdout.write(_described(url, known["user"]) + "\n")
    return 0


def address(host: str | None) -> str:
    """Return the URL of a server that a command's word names; None is this machine's own."""
    name = host or config.default_scheduler()
    if "://" in name:
        return name.rstrip("/")
    if config.is_scheduler(name, os.getcwd()):
        scheduler = config.scheduler(name, os.getcwd())
        return find(scheduler).url if scheduler.is_local else scheduler.url
    if "." in name or ":" in name or name == "localhost":
        return "http://" + name.rstrip("/")
    config.scheduler(name, os.getcwd())  # raises what there is to say
    return name


def _asked(arguments: argparse.Namespace) -> Tuple[str, str]:
    user = arguments.username
    if not user:
        if not sys.stdin.isatty():
            raise ConfigError("Nobody can be asked for the user name here.", "Give it: -u NAME")
        sys.stderr.write("Username: ")
        sys.stderr.flush()
        user = sys.stdin.readline().strip()
    if arguments.password_stdin:
        return user, sys.stdin.readline().rstrip("\r\n")
    if arguments.password is not None:
        return user, arguments.password
    if not sys.stdin.isatty():
        raise ConfigError(
            "Nobody can be asked for the password here.",
            "Give it on standard input: --password-stdin",
        )
    from getpass import getpass

    return user, getpass("Password: ")


def _here() -> str:
    return "foundations on {}".format(os.uname().nodename)


def _also_at(url: str, ports: List[int]) -> List[str]:
    """A server listens on two ports: whoever names the one is known at the other."""
    scheme, host, port, prefix = _parts(credentials.key_of(url))
    if scheme != "http" or prefix or port not in [str(each) for each in ports]:
        return [url]
    return [url] + ["{}://{}:{}".format(scheme, host, each) for each in ports]


def _parts(url: str) -> Tuple[str, str, str, str]:
    scheme, _, rest = url.partition("://")
    netloc, _, prefix = rest.partition("/")
    host, _, port = netloc.rpartition(":")
    return scheme, host, port, prefix


def _described(url: str, user: Dict[str, Any]) -> str:
    text = "{} ({}) at {}, by {}".format(user["name"], user["role"], url, user["through"])
    if user["scope"] != "all":
        text += ", scope " + user["scope"]
    if user["expires_at"]:
        text += ", until " + date(user["expires_at"])
    return text

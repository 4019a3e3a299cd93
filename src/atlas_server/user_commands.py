"""`atlas-server user` and `audit`: the accounts of this home, whether its server runs or not."""

from __future__ import annotations

import argparse
import getpass
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from atlas_server.config import ServerConfig
from atlas_server.domain.deeds import AuditFilter, Deed
from atlas_server.domain.rights import Role, Scope
from foundations.contract.request import parse_duration
from foundations.errors import ConfigError

_ROLES = [role.value for role in Role]
_EPILOG = """\
viewers look, members submit jobs and manage their own, admins look after everything.

examples:
  atlas-server user add ada --role admin
  atlas-server user add bob --password-stdin < password.txt
  atlas-server user token bob --name ci --scope submit --expires 90d
  atlas-server user list"""


def add_parsers(commands: Any) -> None:
    """Add both commands."""
    user = commands.add_parser(
        "user",
        help="add, list, change and remove users",
        description="The users of this server; whether it runs makes no difference.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = user.add_subparsers(metavar="VERB", required=True)
    add = _verb(verbs, "add", "add a user; asks for a password", _add)
    add.add_argument("--role", choices=_ROLES, default=Role.MEMBER.value, help="default: member")
    _add_password(add)
    add.add_argument("--no-password", action="store_true", help="tokens are the only way in")
    _verb(verbs, "list", "list the users", _list, named=False)
    _verb(verbs, "remove", "remove a user, with all sessions and tokens; jobs stay", _remove)
    _add_password(_verb(verbs, "passwd", "give a new password; ends all sessions", _passwd))
    role = _verb(verbs, "role", "make a user something else", _role)
    role.add_argument("role", choices=_ROLES)
    token = _verb(verbs, "token", "make a token for a user and print it", _token)
    token.add_argument("--name", default="", help="what it is for; default: the time")
    scopes = [scope.value for scope in Scope]
    token.add_argument("--scope", choices=scopes, default=Scope.ALL.value, help="default: all")
    token.add_argument("--expires", metavar="TIME", help="as in 90d or 12h; default: never")
    _add_audit(commands)


def _add_audit(commands: Any) -> None:
    audit = commands.add_parser(
        "audit", help="show who did what", description="Show who did what, the newest last."
    )
    audit.add_argument("--user", metavar="NAME", help="only of this user")
    audit.add_argument("--action", help="only these, as in jobs.stop")
    audit.add_argument("--since", metavar="TIME", help="only of the last TIME, as in 2h or 7d")
    audit.add_argument("--limit", type=int, default=100, metavar="N", help="the last N (100)")
    audit.add_argument("--json", action="store_true", help="print a JSON object a line")
    audit.set_defaults(act=_audit)


def _verb(
    verbs: Any, name: str, text: str, act: Callable[..., int], *, named: bool = True
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=text, description=text + ".")
    if named:
        parser.add_argument("user", metavar="NAME")
    else:
        parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(act=act)
    return parser


def _add_password(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--password-stdin", action="store_true", help="read the password from standard input"
    )


def run(arguments: argparse.Namespace, config: ServerConfig) -> int:
    """Carry out one of the commands."""
    with _people(config) as people:
        return int(arguments.act(arguments, people))


class _People:
    """Accounts, tokens and audit log of a home."""

    def __init__(self, config: ServerConfig) -> None:
        # Late: `atlas-server --help` needs no database.
        from atlas_server.assembly import SystemClock, open_store  # noqa: PLC0415
        from atlas_server.services.accounts import Accounts  # noqa: PLC0415
        from atlas_server.services.audit import AuditLog  # noqa: PLC0415
        from atlas_server.services.tokens import Tokens  # noqa: PLC0415

        self.store = open_store(config)
        clock = SystemClock()
        self.accounts = Accounts(self.store, clock)
        self.tokens = Tokens(self.store, clock, config.session_lifetime)
        self.audit = AuditLog(self.store)

    def note(self, action: str, target: str) -> None:
        """Write down what was done, and by whom on this machine."""
        user = getpass.getuser()
        self.audit.write(Deed(time.time(), user, "atlas-server", "local", action, target, 200))


@contextmanager
def _people(config: ServerConfig) -> Iterator[_People]:
    config.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    people = _People(config)
    try:
        yield people
    finally:
        people.store.close()


def _add(arguments: argparse.Namespace, people: _People) -> int:
    password = None if arguments.no_password else _password(arguments)
    people.accounts.add(arguments.user, Role(arguments.role), password)
    people.note("accounts.add_user", f"{arguments.user} {arguments.role}")
    print(f"User '{arguments.user}' has been added, as {arguments.role}.")
    return 0


def _list(arguments: argparse.Namespace, people: _People) -> int:
    from atlas_server.services.accounts import shown  # noqa: PLC0415 - as above

    users = [shown(user) for user in people.accounts.listing()]
    if arguments.json:
        print(json.dumps(users, indent=2))
        return 0
    if not users:
        print("There are no users. Add one: atlas-server user add NAME --role admin")
    width = max((len(user["name"]) for user in users), default=0)
    for user in users:
        since = time.strftime("%Y-%m-%d", time.localtime(user["created_at"]))
        how = "" if user["has_password"] else "  no password"
        print(f"{user['name']:<{width}}  {user['role']:<6}  since {since}{how}")
    return 0


def _remove(arguments: argparse.Namespace, people: _People) -> int:
    people.accounts.remove(arguments.user)
    people.note("accounts.remove_user", arguments.user)
    print(f"User '{arguments.user}' has been removed; their jobs stay.")
    return 0


def _passwd(arguments: argparse.Namespace, people: _People) -> int:
    people.accounts.find(arguments.user)
    people.accounts.set_password(arguments.user, _password(arguments))
    people.note("accounts.change_user", f"{arguments.user} password")
    print(f"User '{arguments.user}' has a new password; their sessions have ended.")
    return 0


def _role(arguments: argparse.Namespace, people: _People) -> int:
    people.accounts.set_role(arguments.user, Role(arguments.role))
    people.note("accounts.change_user", f"{arguments.user} {arguments.role}")
    print(f"User '{arguments.user}' is {arguments.role} now.")
    return 0


def _token(arguments: argparse.Namespace, people: _People) -> int:
    lifetime = None if arguments.expires is None else parse_duration(arguments.expires)
    name = arguments.name or time.strftime("made %Y-%m-%d %H:%M:%S")
    issued = people.tokens.create(arguments.user, name, Scope(arguments.scope), lifetime)
    people.note("accounts.create_token", f"{arguments.user} {name}")
    # Alone on standard output: for TOKEN=$(atlas-server user token NAME).
    print(f"Token '{name}' of '{arguments.user}'. It is shown only now.", file=sys.stderr)
    print(issued.secret)
    return 0


def _audit(arguments: argparse.Namespace, people: _People) -> int:
    since = None
    if arguments.since is not None:
        since = time.time() - parse_duration(arguments.since)
    condition = AuditFilter(arguments.user, arguments.action, since)
    found = people.audit.entries(condition, max(1, arguments.limit))
    for number, deed in reversed(found):
        if arguments.json:
            print(json.dumps({"id": number, **deed.as_dict()}))
            continue
        moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(deed.time))
        who = f"{deed.user} ({deed.through})" if deed.through else deed.user
        refused = "" if deed.outcome < 400 else f"  refused ({deed.outcome})"
        print(f"{moment}  {who}  {deed.address}  {deed.action}  {deed.target}{refused}")
    return 0


def _password(arguments: argparse.Namespace) -> str:
    if arguments.password_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise ConfigError(
            "Nobody can be asked for the password here.",
            "Give it on standard input: --password-stdin",
        )
    password = getpass.getpass("Password: ")
    if getpass.getpass("Once more: ") != password:
        raise ConfigError("These were two different passwords.")
    return password

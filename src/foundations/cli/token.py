"""`foundations token`: what shows programs of one's own to be oneself."""

from __future__ import annotations

import sys
import time

from foundations.cli.login import address
from foundations.cli.output import error_text, print_json
from foundations.cli.tables import Column, print_table
from foundations.cli.wording import RED, ago, date
from foundations.client.api import Api
from foundations.contract.request import parse_duration
from foundations.errors import NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any, Dict

_EPILOG = """\
A program shows its token as FOUNDATIONS_TOKEN, or as `Authorization: Bearer
TOKEN`. Its scope is the most that it may: `read`; `submit`, which is all that
a member may; `all`, what you may.

examples:
  foundations token create ci --scope submit --expires 90d
  foundations token list
  foundations token revoke ci"""


def add_parser(subparsers: Any, name: str, text: str) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        name,
        help=text,
        description="Make, list and revoke tokens that show who you are.",
        epilog=_EPILOG,
    )
    verbs = parser.add_subparsers(metavar="VERB", title="verbs", required=True)
    create = _verb(verbs, "create", "make a token and print it, once", run_create)
    create.add_argument("name", metavar="NAME", help="what it is for")
    create.add_argument("--scope", choices=("read", "submit", "all"), default="all")
    create.add_argument("--expires", metavar="TIME", help="as in 90d or 12h; default: never")
    _verb(verbs, "list", "list your tokens, logins and browser sessions", run_list)
    revoke = _verb(verbs, "revoke", "end a token, login or session at once", run_revoke)
    revoke.add_argument("token", metavar="NAME|ID", help="the name of a token, or its number")


def _verb(verbs: Any, name: str, text: str, run: Any) -> Any:
    parser = verbs.add_parser(name, help=text, description=text.capitalize() + ".")
    parser.add_argument("--host", metavar="HOST", help="the server, or the name of a scheduler")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--debug", action="store_true", help="show tracebacks of errors")
    parser.set_defaults(run=run)
    return parser


def run_create(arguments: argparse.Namespace) -> int:
    """Make a token; its secret alone goes to standard output."""
    lifetime = None if arguments.expires is None else parse_duration(arguments.expires)
    api = Api.of_user(address(arguments.host))
    made = api.create_token(arguments.name, arguments.scope, lifetime)
    if arguments.json:
        print_json(made)
        return 0
    until = made["token"]["expires_at"]
    error_text(
        "INFO",
        "Token '{}' (scope {}, {}). It is shown only now.".format(
            arguments.name,
            arguments.scope,
            "until " + date(until) if until else "until it is revoked",
        ),
    )
    sys.stdout.write(made["secret"] + "\n")
    return 0


def run_list(arguments: argparse.Namespace) -> int:
    """Show what there is that shows somebody to be oneself."""
    tokens = Api.of_user(address(arguments.host)).tokens()
    if arguments.json:
        print_json(tokens)
        return 0
    now = time.time()
    columns = [
        Column("ID", right=True),
        Column("KIND"),
        Column("NAME", least=8),
        Column("SCOPE", rank=2),
        Column("EXPIRES", rank=1),
        Column("USED", rank=3),
        Column("FROM", rank=4),
        Column(""),
    ]
    print_table(columns, [_row(token, now) for token in tokens])
    return 0


def _row(token: Dict[str, Any], now: float) -> Any:
    until = token["expires_at"]
    expired = until is not None and until <= now
    return (
        str(token["id"]),
        token["kind"],
        token["name"],
        token["scope"],
        ("expired", RED) if expired else date(until) or "never",
        ago(token["used_at"], now) or "never",
        token["address"] or "",
        "this one" if token["current"] else "",
    )


def run_revoke(arguments: argparse.Namespace) -> int:
    """End one."""
    api = Api.of_user(address(arguments.host))
    word = arguments.token
    tokens = api.tokens()
    found = [one for one in tokens if one["kind"] == "personal" and one["name"] == word]
    found = found or [one for one in tokens if str(one["id"]) == word]
    if not found:
        raise NotFound("You have no token '{}'.".format(word), "See yours: foundations token list")
    for token in found:
        api.revoke_token(token["id"])
    if arguments.json:
        print_json({"revoked": [token["id"] for token in found]})
    else:
        sys.stdout.write("Token '{}' has ended.\n".format(found[0]["name"]))
    return 0

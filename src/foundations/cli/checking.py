"""`foundations config check`: whether a scheduler can be used, a line for each step on the way."""

from __future__ import annotations

import os
import socket
import sys
import time

from foundations import config, network
from foundations._version import __version__
from foundations.cli import wording
from foundations.cli.output import paint, print_json, printable
from foundations.client.address import Address, reason
from foundations.client.api import Api
from foundations.client.server import find
from foundations.contract.version import API_VERSION
from foundations.errors import FoundationsError, Unreachable, VersionMismatch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional

_PATIENCE = 10.0


def check(name: str, as_json: bool) -> int:
    """Print what comes of each step, to the first that fails; return 1 where one does."""
    steps = _Check(name, silent=as_json)
    steps.run()
    if as_json:
        print_json({"scheduler": name, "usable": steps.is_well, "steps": steps.told})
    return 0 if steps.is_well else 1


class _Check:
    def __init__(self, name: str, silent: bool) -> None:
        self._name = name
        self._silent = silent
        self._url = ""
        self.is_well = True
        self.told: List[Dict[str, Any]] = []

    def run(self) -> None:
        """Take the steps."""
        for name, step in (
            ("Config", self._config),
            ("DNS", self._dns),
            ("TCP", self._tcp),
            ("TLS", self._tls),
            ("Server", self._server),
            ("Login", self._login),
        ):
            if not self._take(name, step):
                return

    def _take(self, name: str, step: Callable[[], Optional[str]]) -> bool:
        try:
            text = step()
        except FoundationsError as error:
            self._tell(name, error.message, error.hint, is_well=False)
            return False
        except OSError as error:
            self._tell(name, reason(error), "", is_well=False)
            return False
        if text is not None:
            self._tell(name, text, "", is_well=True)
        return True

    def _tell(self, name: str, text: str, hint: str, is_well: bool) -> None:
        self.is_well = self.is_well and is_well
        self.told.append({"step": name, "ok": is_well, "text": text, "hint": hint})
        if self._silent:
            return
        mark = paint("ok  ", wording.GREEN, sys.stdout) if is_well else None
        mark = mark or paint("FAIL", wording.RED, sys.stdout)
        sys.stdout.write("{:8}{}  {}\n".format(name, mark, printable(text, sys.stdout)))
        if hint:
            sys.stdout.write("{:14}{}\n".format("", printable(hint, sys.stdout)))

    def _config(self) -> str:
        scheduler = config.scheduler(self._name, os.getcwd())
        self._url = find(scheduler).url if scheduler.is_local else scheduler.url
        self._address = Address(self._url)
        place = scheduler.path or "no file: this machine"
        return "{} is {} ({})".format(self._name, self._url, place)

    def _dns(self) -> Optional[str]:
        if self._address.scheme == "unix":
            return None
        proxy = network.proxy_for(self._address.scheme, self._address.host, self._address.port)
        self._proxy = proxy
        host = proxy.host if proxy else self._address.host
        try:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except OSError as error:
            raise Unreachable(
                "The name '{}' is not known ({}).".format(host, error.strerror or error),
                "Look at the address, and whether you are in the right network or VPN.",
            ) from error
        addresses = ", ".join(dict.fromkeys(str(item[4][0]) for item in found))
        if proxy:
            return "the proxy {} ({}) is {}".format(proxy.shown, proxy.variable, addresses)
        return "{} is {}".format(host, addresses)

    def _tcp(self) -> str:
        begun = time.monotonic()
        if self._address.scheme == "unix":
            self._address.connect().close()
            return "{} can be connected to".format(self._address.path)
        target = self._proxy or self._address
        try:
            socket.create_connection((target.host, target.port), _PATIENCE).close()
        except OSError as error:
            raise Unreachable(
                "Port {} of {} cannot be reached: {}.".format(
                    target.port, target.host, reason(error)
                ),
                "Does the server run there, and listen on this address? Is there a firewall?",
            ) from error
        spent = (time.monotonic() - begun) * 1000
        return "port {} answers in {:.0f} ms".format(target.port, spent)

    def _tls(self) -> Optional[str]:
        if self._address.scheme != "https":
            return None
        with self._address.connect() as connection:
            version: Any = getattr(connection, "version", lambda: "TLS")()
            certificate: Any = getattr(connection, "getpeercert", dict)() or {}
        subject = dict(pair for part in certificate.get("subject", ()) for pair in part)
        vouched = network.ca_file(self._url) or "the system's certificates"
        return "{}, {} until {}, by {}".format(
            version,
            subject.get("commonName", "a certificate"),
            certificate.get("notAfter", "an unknown time"),
            vouched,
        )

    def _server(self) -> str:
        self._api = Api.of_user(self._url)
        found = self._api.health()
        if found["api"] != API_VERSION:
            raise VersionMismatch(
                "The server is Atlas {} and speaks version {} of the API; here it is {} with {}."
                "".format(found["version"], found["api"], __version__, API_VERSION),
                "Install the same foundations-atlas on both sides.",
            )
        here = "" if found["version"] == __version__ else ", here {}".format(__version__)
        return "Atlas {}, API {}{}".format(found["version"], found["api"], here)

    def _login(self) -> str:
        known = self._api.me()
        if not known["authentication"]:
            return "nobody is asked who they are"
        if known["user"] is None:
            raise FoundationsError(
                "The server asks who you are.",
                "Log in: foundations login {}".format(self._name),
            )
        return "you are {} ({})".format(known["user"]["name"], known["user"].get("role", "a job"))

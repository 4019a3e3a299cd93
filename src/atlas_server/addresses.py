"""Under which addresses a server is reached that listens on all of its machine."""

from __future__ import annotations

import ipaddress
import socket
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - names, nothing is bound
"""What stands for every address of a machine, and where the machine itself reaches it then."""

# Of networks that nobody is in: where a packet would go out tells which of ours is the usual one.
_ELSEWHERE = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}


def of_machine(host: str) -> list[str]:
    """Return the addresses at which others may reach what listens on `host`, the usual one first.

    None where it is an address itself. Those of bridges to containers of this machine are left out.
    """
    if host not in EVERYWHERE:
        return []
    import psutil  # noqa: PLC0415 - few servers listen everywhere

    families = [socket.AF_INET] if ":" not in host else [socket.AF_INET, socket.AF_INET6]
    usual = [_usual(family) for family in families]
    up = {name for name, state in psutil.net_if_stats().items() if state.isup}
    found = [
        (name, each.address)
        for name, addresses in psutil.net_if_addrs().items()
        for each in addresses
        if name in up and each.family in families and _leads_here(each.address)
    ]
    others = [address for name, address in found if not _is_bridge(name)]
    known = {address for _, address in found}
    return list(dict.fromkeys([each for each in usual if each in known] + others))


def at(url: str, address: str) -> str:
    """Return a URL with another address of the same server."""
    parts = urlsplit(url)
    host = f"[{address}]" if ":" in address else address
    return urlunsplit(parts._replace(netloc=f"{host}:{parts.port}"))


def _usual(family: socket.AddressFamily) -> str:
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((_ELSEWHERE[family], 9))  # which sends nothing
        except OSError:
            return ""
        return str(probe.getsockname()[0])


def _leads_here(address: str) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False  # with a scope: of one link alone
    return not (found.is_loopback or found.is_link_local)


def _is_bridge(name: str) -> bool:
    return Path("/sys/class/net", name, "bridge").exists()

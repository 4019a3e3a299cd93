"""How servers are reached from here: through which proxy, and whose certificates are believed.

With `foundations.config` a reader of the environment.
"""

from __future__ import annotations

import os

from foundations.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Optional, Tuple

# Where the systems keep the certificates that they believe, for a Python that was built elsewhere.
_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
_LOOPBACK = ("localhost", "::1")

# The `ca_file` of each address that a submission config has named.
_ca_files: Dict[str, str] = {}


def believe(url: str, ca_file: Optional[str]) -> None:
    """Let only certificates that `ca_file` vouches for count at an address; None: the system's."""
    if ca_file is None:
        _ca_files.pop(url, None)
    else:
        _ca_files[url] = ca_file


def ca_file(url: str) -> Optional[str]:
    """Return the file whose certificates vouch for the server at `url`; None: the system's."""
    return _ca_files.get(url)


def system_bundle() -> Optional[str]:
    """Return the system's certificates, unless SSL_CERT_FILE or SSL_CERT_DIR say which count."""
    if os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR"):
        return None
    return next((path for path in _BUNDLES if os.path.exists(path)), None)


class Proxy:
    """An HTTP proxy. `login` is what Proxy-Authorization says, `shown` has no password in it."""

    __slots__ = ("host", "login", "port", "scheme", "shown", "variable")

    def __init__(self, url: str, variable: str) -> None:
        scheme, separator, rest = url.rpartition("://")
        self.variable = variable
        self.scheme = scheme.lower() if separator else "http"
        login, _, place = rest.split("/", 1)[0].rpartition("@")
        self.shown = "{}://{}".format(self.scheme, place)
        if self.scheme not in ("http", "https"):
            raise ConfigError(
                "{}: proxies of the kind {}:// cannot be used.".format(variable, self.scheme),
                "Name an HTTP proxy, or the servers that need none in NO_PROXY.",
            )
        try:
            self.host, self.port = split_host(place, 443 if self.scheme == "https" else 80)
        except ValueError:
            raise ConfigError(
                "{}: '{}' is not the address of a proxy.".format(variable, self.shown),
                "Write it as http://HOST:PORT.",
            ) from None
        self.login = _basic(login) if login else None


def split_host(netloc: str, default_port: int) -> Tuple[str, int]:
    """Return host and port of `HOST`, `HOST:PORT` or `[ADDRESS]:PORT`. Raises ValueError."""
    host, separator, port = netloc.rpartition(":")
    if not separator or port.endswith("]") or (":" in host and not host.endswith("]")):
        host, port = netloc, str(default_port)
    host = host.strip("[]")
    if not host or not port.isdigit() or int(port) > 65535:
        raise ValueError(netloc)
    return host, int(port)


def proxy_for(scheme: str, host: str, port: int) -> Optional[Proxy]:
    """Return the proxy that leads to a server, as HTTP_PROXY, HTTPS_PROXY and NO_PROXY say.

    This machine needs none. Raises ConfigError for a proxy that cannot be used.
    """
    for variable in ("{}_proxy".format(scheme), "all_proxy"):
        for name in (variable, variable.upper()):
            value = os.environ.get(name, "").strip()
            if value:
                return None if _needs_none(host, port) else Proxy(value, name)
    return None


def _needs_none(host: str, port: int) -> bool:
    host = host.lower()
    if host in _LOOPBACK or host.startswith("127."):
        return True
    listed = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    return any(_is_meant(item.lower(), host, port) for item in listed.replace(",", " ").split())


def _is_meant(item: str, host: str, port: int) -> bool:
    """Whether an item of NO_PROXY means a host: a name with all below it, an address, a network."""
    if item == "*":
        return True
    if "/" in item:
        return _is_in_network(host, item)
    try:
        name, wanted = split_host(item, port)
    except ValueError:
        return False
    if item.count(":") > 1 and not item.startswith("["):
        name, wanted = item, port  # an address of version 6 as it is
    name = name[1:] if name.startswith("*.") else name
    name = name.lstrip(".")
    return wanted == port and (host == name or host.endswith("." + name))


def _is_in_network(host: str, network: str) -> bool:
    import ipaddress  # slow to import, and seldom needed

    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


def _basic(login: str) -> str:
    from binascii import b2a_base64  # `base64` loads more

    data = _unquoted(login)
    return "Basic " + b2a_base64(data, newline=False).decode("ascii")


def _unquoted(text: str) -> bytes:
    """Undo %XX."""
    first, *others = text.encode("utf-8").split(b"%")
    parts = [first]
    for part in others:
        try:
            parts += [bytes([int(part[:2], 16)]), part[2:]]
        except ValueError:  # noqa: PERF203 - a password is short
            parts += [b"%", part]
    return b"".join(parts)

"""Where the server listens: ports, who is let in, TLS."""

from __future__ import annotations

import contextlib
import ssl
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from atlas_server.config import UNIX, ServerConfig, is_loopback
from atlas_server.doctor.findings import FAILURE, NOTE, OK, WARNING, Finding, Look
from atlas_server.listening import listen, secure

_PATIENCE = 10.0
_DAY = 86400.0
_SOON = 21 * _DAY
_EXPIRED = 10


def checks(config: ServerConfig, state: Mapping[str, Any] | None) -> Iterator[tuple[str, Look]]:
    """Yield what is looked at; `state` is what the running server says of itself."""
    if not config.serves:
        return
    if state:
        config = _as_it_runs(config, state)
    yield "Address", lambda: _running(state) if state else _free(config)
    yield "Who gets in", lambda: _people(config)
    yield "TLS", lambda: _tls(config)


def _as_it_runs(config: ServerConfig, state: Mapping[str, Any]) -> ServerConfig:
    """What counts is how it was started, options and variables included, as far as it tells."""
    certificate = state.get("tls_certificate")
    return replace(
        config,
        host=state.get("host", config.host),
        authentication=state.get("authentication", config.authentication),
        tls_certificate=Path(certificate) if certificate else config.tls_certificate,
    )


def _running(state: Mapping[str, Any]) -> Finding:
    where = f"the API at {state.get('public_url') or state['url']}, the GUI at {state['gui_url']}"
    if not str(state["url"]).startswith("http://"):
        return Finding(OK, where)
    # Of this machine, whatever proxies there are.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{state['url']}/healthz", timeout=_PATIENCE):
            return Finding(OK, f"{where}; it answers")
    except OSError as error:
        reason = getattr(error, "reason", None) or error
        return Finding(FAILURE, f"{where}; it does not answer: {reason}", "atlas-server logs")


def _free(config: ServerConfig) -> Finding:
    if config.host.startswith(UNIX):
        return Finding(OK, f"{config.host}, once the server runs")
    for listening in listen(config):
        listening.close()
    ports = dict.fromkeys((config.port, config.gui_port))
    shown = " and ".join(str(port) if port else "any that is free" for port in ports)
    return Finding(OK, f"{config.host}, port {shown}; free")


def _people(config: ServerConfig) -> Finding:
    if not config.authentication:
        return Finding(OK, "this machine alone, and nobody is asked who they are")
    if is_loopback(config.host):
        return Finding(OK, "this machine, or a proxy on it; everybody is asked who they are")
    if config.tls_certificate is None:
        return Finding(
            WARNING,
            f"whoever reaches {config.host} is asked for a password, which travels in the clear",
            "Set tls_certificate, or let a proxy with TLS stand before it: docs/remote.md",
        )
    return Finding(OK, f"whoever reaches {config.host} is asked who they are")


def _tls(config: ServerConfig) -> Finding:
    if config.tls_certificate is None:
        return Finding(NOTE, "no certificate is set")
    served = secure(config)
    assert served is not None
    hint = "Renew it in its place: the server need not be started again."
    try:
        ends = _end_of(served, config)
    except ssl.SSLCertVerificationError as error:
        if error.verify_code == _EXPIRED:
            return Finding(FAILURE, f"{config.tls_certificate} has expired", hint)
        return Finding(FAILURE, f"{config.tls_certificate}: {error.verify_message}", hint)
    day = time.strftime("%Y-%m-%d", time.gmtime(ends))
    days = int((ends - time.time()) // _DAY)
    text = f"{config.tls_certificate} is good until {day}, {days} days"
    return Finding(WARNING, text, hint) if days * _DAY < _SOON else Finding(OK, text)


def _end_of(served: ssl.SSLContext, config: ServerConfig) -> float:
    """Shake hands with the certificate in memory; return when it ends."""
    trusting = ssl.create_default_context(cafile=str(config.tls_certificate))
    trusting.check_hostname = False
    # The certificate itself is what is trusted here, whoever has signed it.
    trusting.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = served.wrap_bio(to_server, to_client, server_side=True)
    client = trusting.wrap_bio(to_client, to_server)
    done = {client: False, server: False}
    while not all(done.values()):
        for side in done:
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
                done[side] = True
    certificate: Any = client.getpeercert() or {}
    return ssl.cert_time_to_seconds(certificate["notAfter"])

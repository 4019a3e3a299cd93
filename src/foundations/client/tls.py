"""TLS to a server: whose certificate counts, and what is wrong with one that does not."""

from __future__ import annotations

import ssl

from foundations import network
from foundations.errors import ConfigError, Untrusted

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from typing import Dict, Optional, Tuple

_UNKNOWN_ISSUER = (18, 19, 20, 21)  # OpenSSL's numbers
_EXPIRED, _NOT_YET, _OTHER_NAME, _OTHER_ADDRESS = 10, 9, 62, 64

# Making one reads hundreds of certificates.
_contexts: Dict[Optional[str], ssl.SSLContext] = {}


def wrap(plain: socket.socket, host: str, port: int, ca_file: Optional[str]) -> ssl.SSLSocket:
    """Return an encrypted connection to the server that `host` names, and to no other.

    Certificates that `ca_file` vouches for count; None: the system's, or SSL_CERT_FILE's. Raises
    Untrusted, OSError, or ConfigError where the file cannot be read.
    """
    context = _context(ca_file)
    try:
        return context.wrap_socket(plain, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        raise _untrusted(error, host, port, ca_file) from error
    except ssl.SSLError as error:
        # A server that speaks plain HTTP answers with what is no TLS.
        if error.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG"):
            raise Untrusted(
                "What listens at {}:{} does not speak TLS.".format(host, port),
                "Write its address with http://, or look at the port.",
            ) from error
        raise


def _context(ca_file: Optional[str]) -> ssl.SSLContext:
    context = _contexts.get(ca_file)
    if context is None:
        file = ca_file or network.system_bundle()
        try:
            context = ssl.create_default_context(cafile=file)
        except OSError as error:
            reason = error.strerror or "it holds no certificates"
            if isinstance(error, ssl.SSLError):
                reason = "it holds no certificates in PEM form"
            raise ConfigError("{} cannot be used as ca_file: {}.".format(file, reason)) from error
        _contexts[ca_file] = context
    return context


def _untrusted(
    error: ssl.SSLCertVerificationError, host: str, port: int, ca_file: Optional[str]
) -> Untrusted:
    place = "{}:{}".format("[{}]".format(host) if ":" in host else host, port)
    message, hint = _in_words(error, place, ca_file)
    return Untrusted(message, hint)


def _in_words(
    error: ssl.SSLCertVerificationError, place: str, ca_file: Optional[str]
) -> Tuple[str, str]:
    if error.verify_code in _UNKNOWN_ISSUER:
        if ca_file is not None:
            return (
                "{} does not vouch for the certificate of {}.".format(ca_file, place),
                "Ask for the certificate of the authority that has signed it: it is another one.",
            )
        return (
            "The certificate of {} is signed by an authority that is not known here.".format(place),
            "Name the certificate of your own: ca_file in the submission config, or SSL_CERT_FILE.",
        )
    if error.verify_code == _EXPIRED:
        return (
            "The certificate of {} has expired.".format(place),
            "Who runs the server has to renew it; or the clock of this machine is wrong.",
        )
    if error.verify_code == _NOT_YET:
        return (
            "The certificate of {} is not valid yet.".format(place),
            "Look at the clocks of this machine and of the server.",
        )
    if error.verify_code in (_OTHER_NAME, _OTHER_ADDRESS):
        return (
            "The certificate of {} is for another name: {}".format(place, error.verify_message),
            "Write scheduler_url with the name that the certificate has.",
        )
    return "The certificate of {} does not count: {}.".format(place, error.verify_message), ""

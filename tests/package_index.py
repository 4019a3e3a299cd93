"""A package index on this machine, with a password and a certificate that only its owner trusts."""

from __future__ import annotations

import base64
import functools
import http.server
import io
import ssl
import subprocess
import threading
import zipfile
from pathlib import Path

USER, PASSWORD = "reader", "pass-word-of-tests"


def wheel(name: str, version: str, module: str) -> bytes:
    """Return a wheel with one module, whose source is `module`."""
    content = io.BytesIO()
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(f"{name}.py", module)
        archive.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return content.getvalue()


class PackageIndex:
    """Serves wheels over HTTPS to whoever knows the password; a context manager.

    `url` has the password in it, `certificate` is what clients have to trust.
    """

    def __init__(self, root: Path) -> None:
        self._root = root / "index"
        self._root.mkdir(parents=True)
        self.certificate = root / "index.pem"
        key = root / "index.key"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
             "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
             "-keyout", str(key), "-out", str(self.certificate)],
            check=True, capture_output=True,
        )  # fmt: skip
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key)
        handler = functools.partial(_Handler, directory=str(self._root))
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"https://{USER}:{PASSWORD}@127.0.0.1:{self._server.server_port}/"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> PackageIndex:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def add(self, name: str, version: str = "1.0", module: str = "") -> None:
        """Offer a package."""
        folder = self._root / name
        folder.mkdir(exist_ok=True)
        (folder / f"{name}-{version}-py3-none-any.whl").write_bytes(wheel(name, version, module))

    @property
    def settings(self) -> dict[str, str]:
        """The environment of a user of this index."""
        return {
            "PIP_INDEX_URL": self.url,
            "PIP_EXTRA_INDEX_URL": "",
            "PIP_FIND_LINKS": "",
            "PIP_CONFIG_FILE": "/dev/null",
            "SSL_CERT_FILE": str(self.certificate),
        }


class _Handler(http.server.SimpleHTTPRequestHandler):
    """A folder's listing is a page of the index: pip wants nothing else."""

    def do_GET(self) -> None:
        told = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if self.headers.get("Authorization") == f"Basic {told}":
            super().do_GET()
            return
        self.send_response(401)
        self.send_header("WWW-Authenticate", "Basic")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing among the tests' output."""

"""Two hosts with a line between them that can be cut: network namespaces of this machine."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

SERVER, CLIENT = "10.213.7.1", "10.213.7.2"
SERVER_6, CLIENT_6 = "fd13:7::1", "fd13:7::2"
# An address of the server's host to which the client knows no way: a proxy there does.
INSIDE = "10.214.0.1"


class TwoHosts:
    """A server's host and a client's; a context manager that leaves nothing behind.

    `rate`, as in "40mbit", is how fast the line is.
    """

    def __init__(self, rate: str | None = None) -> None:
        unique = os.urandom(3).hex()
        self.server = f"atlas-server-{unique}"
        self.client = f"atlas-client-{unique}"
        self._rate = rate

    def __enter__(self) -> TwoHosts:
        for name in (self.server, self.client):
            _ip("netns", "add", name)
            _ip("-n", name, "link", "set", "lo", "up")
        _ip("-n", self.server, "link", "add", "line", "type", "veth", "peer", "name", "line",
            "netns", self.client)  # fmt: skip
        ends = ((self.server, SERVER, SERVER_6), (self.client, CLIENT, CLIENT_6))
        for name, address, address_6 in ends:
            _ip("-n", name, "address", "add", f"{address}/30", "dev", "line")
            _ip("-n", name, "address", "add", f"{address_6}/64", "dev", "line", "nodad")
            _ip("-n", name, "link", "set", "line", "up")
        _ip("-n", self.server, "address", "add", f"{INSIDE}/32", "dev", "lo")
        if self._rate:
            limit = ["tbf", "rate", self._rate, "burst", "64kb", "latency", "100ms"]
            for name in (self.server, self.client):
                _run(["tc", "-n", name, "qdisc", "add", "dev", "line", "root", *limit])
        return self

    def __exit__(self, *_: object) -> None:
        for name in (self.server, self.client):
            _ip("netns", "delete", name)

    def cut(self) -> None:
        """Let nothing through, and tell nobody."""
        _ip("-n", self.server, "link", "set", "line", "down")

    def mend(self) -> None:
        """Let everything through again."""
        _ip("-n", self.server, "link", "set", "line", "up")
        # Of version 6 a link that was down has lost them.
        address = ["address", "replace", f"{SERVER_6}/64", "dev", "line", "nodad"]
        _ip("-n", self.server, *address)

    def received(self) -> int:
        """The number of bytes that have come to the server's host."""
        path = "/sys/class/net/line/statistics/rx_bytes"
        return int(_run([*self.at(self.server), "cat", path]))

    @staticmethod
    def at(name: str) -> list[str]:
        """What a command has to begin with to be run on a host."""
        return ["ip", "netns", "exec", name]


def can_be_made() -> bool:
    """Whether namespaces can be made here: it takes root, and the programs."""
    return os.geteuid() == 0 and bool(shutil.which("ip")) and bool(shutil.which("tc"))


def documented(server: str) -> str:
    """Return the example of the documentation, for a server at another address than there."""
    text = (Path(__file__).parents[1] / "docs" / "remote.md").read_text()
    example = re.search(r"^```nginx\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert example is not None
    upstream = server.replace("unix://", "http://unix:") + (":" if "unix" in server else "") + "/"
    assert "http://127.0.0.1:5000/" in example[1]
    return example[1].replace("http://127.0.0.1:5000/", upstream)


class Nginx:
    """A real nginx with a configuration of its own; a context manager.

    `servers` is what stands in its block `http`; `at` is what its command begins with.
    """

    def __init__(self, folder: Path, servers: str, at: list[str] | None = None) -> None:
        folder.mkdir()
        self._folder = folder
        temporary = " ".join(
            f"{kind}_temp_path {folder}/{kind};"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        configuration = (
            f"user root; daemon off; pid {folder}/pid; error_log {folder}/error.log;\n"
            f"worker_processes 1; events {{ worker_connections 512; }}\n"
            f"http {{ access_log {folder}/access.log; {temporary}\n{servers}\n}}\n"
        )
        self._file = folder / "nginx.conf"
        self._file.write_text(configuration)
        self._at = at or []
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Nginx:
        log = self._folder / "error.log"
        command = [*self._at, "nginx", "-c", str(self._file), "-e", str(log)]
        self._process = subprocess.Popen(command)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(timeout=20)

    def wait_for(self, port: int) -> None:
        """Wait until it listens at this port of this host."""
        deadline = time.monotonic() + 20
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.02)

    def log(self) -> str:
        """What it complains of."""
        return (self._folder / "error.log").read_text()


class Tinyproxy:
    """A real proxy that asks for a user and a password; a context manager."""

    def __init__(self, folder: Path, address: str, port: int, login: str, at: list[str]) -> None:
        folder.mkdir()
        self._file = folder / "tinyproxy.conf"
        self.log = folder / "log"
        user, _, password = login.partition(":")
        self._file.write_text(
            f'Port {port}\nListen {address}\nTimeout 600\nLogFile "{self.log}"\n'
            f"LogLevel Connect\nBasicAuth {user} {password}\n"
        )
        self._at = at
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Tinyproxy:
        self._process = subprocess.Popen([*self._at, "tinyproxy", "-d", "-c", str(self._file)])
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.kill()  # it would wait for connections
        self._process.wait(timeout=20)


class Authority:
    """A certificate authority of one's own: `certificate` is what vouches for its servers."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self.certificate = folder / "ca.pem"
        # The smallest that OpenSSL makes at once; serious servers have others.
        self._key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        self._openssl("req", "-x509", *self._key, "-keyout", "ca.key", "-out", "ca.pem",
                      "-subj", "/CN=A laboratory", "-days", "30")  # fmt: skip

    def sign(self, name: str, *addresses: str, days: int = 30) -> tuple[Path, Path]:
        """Return a server's certificate for these addresses, and its key."""
        alternatives = ",".join(f"IP:{address}" for address in addresses)
        (self._folder / f"{name}.ext").write_text(f"subjectAltName={alternatives}\n")
        self._openssl("req", *self._key, "-keyout", f"{name}.key", "-out", f"{name}.csr",
                      "-subj", f"/CN={name}")  # fmt: skip
        self._openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                      "-CAcreateserial", "-out", f"{name}.pem", "-days", str(days),
                      "-extfile", f"{name}.ext")  # fmt: skip
        return self._folder / f"{name}.pem", self._folder / f"{name}.key"

    def _openssl(self, *arguments: str) -> None:
        done = subprocess.run(
            ["openssl", *arguments], cwd=self._folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


def _ip(*arguments: str) -> None:
    _run(["ip", *arguments])


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout

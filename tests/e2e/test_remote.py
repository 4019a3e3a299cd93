"""A client on one host, the server on another behind nginx, and a line that is cut between them."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conftest import is_absent
from tests.guarded import PASSWORDS, guarded, with_user
from tests.hosts import (
    INSIDE,
    SERVER,
    SERVER_6,
    Authority,
    Nginx,
    Tinyproxy,
    TwoHosts,
    can_be_made,
    documented,
)
from tests.live import PATIENCE, Done, LiveServer, make_folder

# Lines in pieces, with letters of several bytes, until the file is there that it is told.
TICKER = """
import os, sys, time
number = 0
while not os.path.exists(sys.argv[1]):
    number += 1
    sys.stdout.write("line %d: grün, 夏" % number)
    sys.stdout.flush()
    sys.stdout.write(" and its end\\n")
    time.sleep(0.01)
print("last line")
"""
SUM = """
import hashlib
print(hashlib.sha256(open("weights.bin", "rb").read()).hexdigest())
"""


class Laptop:
    """A client's host with a home of its own, which knows the server as `aws`."""

    def __init__(self, root: Path, hosts: TwoHosts, url: str) -> None:
        root.mkdir()
        self.root = root
        self._at = hosts.at(hosts.client)
        self.env = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("ATLAS_", "FOUNDATIONS_"))},
            "FOUNDATIONS_HOME": str(root / "home"),
        }
        self.processes: list[subprocess.Popen[bytes]] = []
        config = root / "home" / "config" / "submission"
        config.mkdir(parents=True)
        # As the guide of the former Atlas has it: paths of the server are not looked at.
        (config / "aws.config.yaml").write_text(
            textwrap.dedent(f"""\
                cache_config:
                  end_point: /cache_end_point
                container_config_root: /there/.foundations/config/worker_config
                job_deployment_env: local_docker_scheduler_plugin
                job_results_root: /there/.foundations/job_data
                scheduler_url: {url}
                working_dir_root: /there/.foundations/local_docker_scheduler/work_dir
            """)
        )

    def __call__(self, *words: str) -> Done:
        """Run `foundations` to its end."""
        return self.run("-m", "foundations", *words)

    def run(self, *words: str) -> Done:
        """Run Python to its end."""
        done = subprocess.run(
            [*self._at, sys.executable, *words], cwd=self.root, env=self.env,
            capture_output=True, timeout=100, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

    def spawn(self, name: str, *words: str) -> subprocess.Popen[bytes]:
        """Start `foundations`, its output in files that begin with `name`."""
        with self.path(name, "out").open("wb") as out, self.path(name, "err").open("wb") as err:
            process = subprocess.Popen(
                [*self._at, sys.executable, "-m", "foundations", *words], cwd=self.root,
                env=self.env, stdout=out, stderr=err, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        self.processes.append(process)
        return process

    def path(self, name: str, stream: str) -> Path:
        """Where the output of a started command is."""
        return self.root / f"{name}.{stream}"

    def text(self, name: str, stream: str) -> str:
        """What a started command has said."""
        return self.path(name, stream).read_text()


@pytest.fixture(scope="module")
def hosts() -> Iterator[TwoHosts]:
    """Two hosts with a line of 80 megabits a second."""
    if not can_be_made():
        is_absent("root with `ip` and `tc`, for network namespaces,")
    with TwoHosts(rate="80mbit") as made:
        yield made


@pytest.fixture(scope="module")
def server(hosts: TwoHosts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A server that nobody reaches but nginx, with one user."""
    root = tmp_path_factory.mktemp("there")
    settings = {"host": f"unix://{root}/atlas.sock", "trusted_proxies": "unix"}
    settings["allow_privileges"] = "process"
    server = guarded(root, at=hosts.at(hosts.server), cpus=4, **settings)
    with_user(server, "ada", "admin")
    server.token = server.server_command("user", "token", "ada").out.strip()
    with server as running:
        yield running


@pytest.fixture(scope="module")
def nginx(hosts: TwoHosts, server: LiveServer) -> Iterator[Nginx]:
    """The example of the documentation, with the addresses of this test."""
    if not shutil.which("nginx"):
        is_absent("nginx")
    listen = f"listen {SERVER}:80; listen {INSIDE}:80;"
    servers = f"server {{ {listen} {documented(server.url)} }}"
    with Nginx(server.root / "nginx", servers, hosts.at(hosts.server)) as running:
        yield running


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Whoever vouches for the certificates of this laboratory."""
    return Authority(tmp_path_factory.mktemp("authority") / "ca")


@pytest.fixture(scope="module")
def encrypted(
    hosts: TwoHosts, authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveServer]:
    """A server that speaks TLS on every address of its host."""
    root = tmp_path_factory.mktemp("encrypted")
    certificate, key = authority.sign("atlas", SERVER, INSIDE, SERVER_6)
    settings = {"host": "::", "tls_certificate": certificate, "tls_key": key}
    settings["allow_privileges"] = "process"
    server = guarded(root, at=hosts.at(hosts.server), **settings)
    with_user(server, "ada", "admin")
    server.token = server.server_command("user", "token", "ada").out.strip()
    with server:
        yield server


@pytest.fixture
def proxy(hosts: TwoHosts, tmp_path: Path) -> Iterator[Tinyproxy]:
    """A proxy that leads to the inside."""
    if not shutil.which("tinyproxy"):
        is_absent("tinyproxy")
    at = hosts.at(hosts.server)
    with Tinyproxy(tmp_path / "proxy", SERVER, 3128, "eve:s3cret", at) as running:
        yield running


@pytest.fixture
def laptop(hosts: TwoHosts, nginx: Nginx, tmp_path: Path) -> Iterator[Laptop]:
    """A client's host."""
    found = Laptop(tmp_path / "here", hosts, f"http://{SERVER}/atlas")
    done = found("login", "aws", "-u", "ada", "-p", PASSWORDS["ada"])
    assert done.code == 0, done
    yield found
    for process in found.processes:
        process.kill()
        process.wait()


def test_a_cut_loses_and_repeats_nothing(
    laptop: Laptop, server: LiveServer, hosts: TwoHosts, tmp_path: Path
) -> None:
    """In mid-stream, in mid-upload and in mid-download, at once."""
    end = tmp_path / "end"
    ticking = make_folder(tmp_path / "ticking", main=TICKER)
    training = make_folder(tmp_path / "training", main=SUM)
    (training / "weights.bin").write_bytes(os.urandom(16_000_000))
    there = server.send(training, "main.py")
    weights = os.urandom(24_000_000)
    (training / "weights.bin").write_bytes(weights)
    (training / "table.csv").write_text("1,2,3\n" * 2_000_000)  # 12 MB that compress well
    streaming = laptop.spawn("stream", "submit", "aws", str(ticking), "main.py", str(end))
    server.wait_for(lambda: "line 20:" in laptop.text("stream", "out"))
    before = hosts.received()
    fetching = laptop.spawn("fetch", "get", "job", "aws", there, "--archive", "--save_dir", "got")
    sending = laptop.spawn("send", "submit", "aws", str(training), "main.py")
    incoming = server.home / "blobs" / "incoming"
    server.wait_for(lambda: any(f.stat().st_size > 5_000_000 for f in incoming.iterdir()))
    # Both have begun; the fetched file is a whole one only at the end.

    def has_begun() -> bool:
        found = laptop.root.glob("got/.fetching-*/archive")
        return any(f.stat().st_size > 1_000_000 for f in found)

    server.wait_for(has_begun)

    hosts.cut()
    server.wait_for(lambda: "Waiting for the server" in laptop.text("stream", "err"))
    server.wait_for(lambda: "Trying again" in laptop.text("send", "err"))
    server.wait_for(lambda: "Trying again" in laptop.text("fetch", "err"))
    hosts.mend()
    for process, name in ((sending, "send"), (fetching, "fetch")):
        assert process.wait(PATIENCE) == 0, laptop.text(name, "err")
    end.touch()
    assert streaming.wait(PATIENCE) == 0, laptop.text("stream", "err")

    # What had arrived was not sent again, and what compresses travelled compressed.
    assert hosts.received() - before < 1.25 * len(weights)
    assert hashlib.sha256(weights).hexdigest() in laptop.text("send", "out")
    fetched = (laptop.root / "got" / f"{there}.tgz").read_bytes()
    assert fetched == b"".join(server.api().archive(there))
    job = re.search(r"ID '([0-9a-f-]{36})'", laptop.text("stream", "out"))
    assert job is not None
    log = server.job_log(job[1])
    assert b"last line\n" in log
    printed = laptop.path("stream", "out").read_bytes()
    assert log in printed
    others = printed.replace(log, b"")
    assert others.count(b"\n") == others.count(b"Foundations INFO")
    for name in ("stream", "send", "fetch"):
        assert laptop.text(name, "err").count("\n") == 1, laptop.text(name, "err")


def test_everything_works_by_the_name_of_the_scheduler(
    laptop: Laptop, server: LiveServer, tmp_path: Path
) -> None:
    folder = make_folder(
        tmp_path / "small", main="import foundations\nfoundations.log_metric('m', 2)\n"
    )
    done = laptop("submit", "--quiet", "aws", str(folder), "main.py")
    assert done.code == 0, done
    job = done.out.strip()
    assert "m=2" in laptop("list", "--scheduler", "aws").out
    assert "No user requirements" in laptop("get", "logs", "aws", job).out
    assert laptop("get", "job", "aws", job, "--save_dir", "got").code == 0
    assert (laptop.root / "got" / job / "main.py").read_text() == (folder / "main.py").read_text()
    assert laptop("delete", "job", "aws", job).code == 0
    assert laptop("show", "aws", job).code == 1
    # A socket file is an address like any other.
    assert laptop("config", "add", "file", f"unix://{server.root}/atlas.sock").code == 0
    assert laptop("login", "file", "-u", "ada", "-p", PASSWORDS["ada"]).code == 0
    assert laptop("list", "--scheduler", "file").code == 0
    # Nothing was started here.
    assert not (laptop.root / "home" / "run").exists()


def test_programs_use_it_too(laptop: Laptop, server: LiveServer, tmp_path: Path) -> None:
    folder = make_folder(
        tmp_path / "small", main="import foundations\nfoundations.log_metric('m', 3)\n"
    )
    (tmp_path / "program.py").write_text(
        f"import foundations\n"
        f"job = foundations.submit(scheduler_config='aws', job_directory={str(folder)!r},"
        f" command=['main.py'])\n"
        f"assert 'No user requirements found.' in list(job.stream_job_logs())\n"
        f"print(job.get_metric('m'))\n"
    )
    done = laptop.run(str(tmp_path / "program.py"))
    assert done.code == 0, done
    assert float(done.out) == 3


def test_a_program_run_by_hand_is_brought_there_once_it_can_be_reached(
    laptop: Laptop, server: LiveServer, hosts: TwoHosts, tmp_path: Path
) -> None:
    project = make_folder(
        tmp_path / "by_hand",
        main="import foundations\nfoundations.log_metric('found', 7)\nprint('by hand')\n",
    )
    laptop.env["FOUNDATIONS_SCHEDULER"] = "aws"
    hosts.cut()
    try:
        done = subprocess.run(
            [*hosts.at(hosts.client), sys.executable, "main.py"], cwd=project, env=laptop.env,
            capture_output=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done
    finally:
        hosts.mend()

    def arrived() -> bool:
        jobs = server.api().jobs(project="by_hand")["jobs"]
        return bool(jobs) and jobs[0]["state"] == "completed"

    server.wait_for(arrived)
    assert "found=7" in laptop("list", "--project", "by_hand").out
    assert "by hand" in laptop("get", "logs", "last").out
    local = laptop.root / "home" / "local"
    server.wait_for(lambda: not any(p.is_dir() for p in local.iterdir()))


def test_certificates_of_ones_own(
    laptop: Laptop, encrypted: LiveServer, authority: Authority, tmp_path: Path
) -> None:
    port = encrypted.facts["public_url"].rpartition(":")[2]
    address = f"https://{SERVER}:{port}"
    laptop("config", "add", "lab", address)
    done = laptop("list", "--scheduler", "lab")
    assert done.code == 1
    assert "signed by an authority that is not known here" in done.err
    assert "ca_file" in done.err
    shutil.copy(authority.certificate, laptop.root / "lab.pem")
    for name, url in (("lab", address), ("six", f"https://[{SERVER_6}]:{port}")):
        done = laptop("config", "add", name, url, "--ca-file", "lab.pem", "--force")
        assert done.code == 0, done
    for name in ("lab", "six"):
        assert laptop("login", name, "-u", "ada", "-p", PASSWORDS["ada"]).code == 0
        done = laptop("config", "check", name)
        assert done.code == 0, done
        assert "TLSv1.3, atlas until" in done.out
        assert "you are ada (admin)" in done.out
        folder = make_folder(tmp_path / name, main="print('over TLS')")
        done = laptop("submit", name, str(folder), "main.py")
        assert done.code == 0, done
        assert "over TLS" in done.out
    # A name that the certificate does not have, an address that speaks no TLS, and the reverse.
    for url, said in (
        (f"https://[{SERVER_6.replace('::1', '::2')}]:{port}", "connection refused"),
        (f"https://{SERVER}:80", "does not speak TLS"),
        (f"http://{SERVER}:{port}", "does not answer"),
    ):
        laptop("config", "add", "wrong", url, "--ca-file", "lab.pem", "--force")
        done = laptop("config", "check", "wrong")
        assert done.code == 1
        assert said in done.out, done
    # Commands on the server's own machine need no certificate.
    encrypted.env["FOUNDATIONS_TOKEN"] = str(encrypted.token)
    assert encrypted.cli("list").code == 0


def test_a_renewed_certificate_counts_at_once(
    laptop: Laptop, encrypted: LiveServer, authority: Authority
) -> None:
    port = encrypted.facts["public_url"].rpartition(":")[2]
    laptop(
        "config", "add", "lab", f"https://{SERVER}:{port}", "--ca-file", str(authority.certificate)
    )
    old = encrypted.env["ATLAS_TLS_CERTIFICATE"], encrypted.env["ATLAS_TLS_KEY"]
    before = [Path(path).read_bytes() for path in old]
    try:
        for path, fresh in zip(old, authority.sign("renewed", "10.9.9.9")):
            shutil.copy(fresh, path)
        done = laptop("list", "--scheduler", "lab")
        assert "is for another name" in done.err
    finally:
        for path, content in zip(old, before):
            Path(path).write_bytes(content)
    assert "Log in" in laptop("list", "--scheduler", "lab").err


def test_through_a_proxy_with_a_password(
    laptop: Laptop, encrypted: LiveServer, authority: Authority, proxy: Tinyproxy, tmp_path: Path
) -> None:
    port = encrypted.facts["public_url"].rpartition(":")[2]
    ca = str(authority.certificate)
    laptop("config", "add", "inside", f"https://{INSIDE}:{port}", "--ca-file", ca)
    laptop("config", "add", "plain", f"http://{INSIDE}/atlas")
    assert laptop("list", "--scheduler", "inside").code == 1  # there is no way
    for name in ("HTTP_PROXY", "https_proxy"):
        laptop.env[name] = f"http://{SERVER}:3128"
    encrypted.wait_for(lambda: "user and a password" in laptop("list", "--scheduler", "inside").err)
    assert "user and a password" in laptop("list", "--scheduler", "plain").err
    for name in ("HTTP_PROXY", "https_proxy"):
        laptop.env[name] = f"http://eve:s3cret@{SERVER}:3128"
    folder = make_folder(tmp_path / "code", main="print('it came through')")
    (folder / "data.bin").write_bytes(os.urandom(9_000_000))
    for name in ("inside", "plain"):
        assert laptop("login", name, "-u", "ada", "-p", PASSWORDS["ada"]).code == 0
        done = laptop("config", "check", name)
        assert done.code == 0, done
        assert f"the proxy http://{SERVER}:3128 (" in done.out
        assert "s3cret" not in done.out
        done = laptop("submit", name, str(folder), "main.py")
        assert done.code == 0, done
        assert "it came through" in done.out
    assert f"CONNECT {INSIDE}:{port}" in proxy.log.read_text()
    laptop.env["NO_PROXY"] = "10.214.0.0/16"
    assert laptop("config", "check", "inside").code == 1

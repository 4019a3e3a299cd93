"""The worker block of job.config.yaml, `--image` and the server's settings for it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.live import Done, LiveServer, make_folder

MAIN = "import os\nprint('colour', os.environ.get('COLOUR'), 'in', os.getcwd())\n"
# As people have them: for the images of the former Atlas, which set no entrypoint of their own.
FORMER = """
project_name: former
log_level: INFO
num_gpus: 0
worker:
  image: us.gcr.io/atlas-ce/worker:latest
  working_dir: /job/job_source
  command: ["main.py"]
  volumes:
    /data/sets:
      bind: /data
      mode: rw
  environment:
    COLOUR: blue
  shm_size: 8G
  resources:
    limits: {memory: 512Mi, cpu: 500m}
"""
SUBMIT = """
import sys
import foundations
job = foundations.submit(
    job_directory=sys.argv[1], command=["main.py"], image="none",
    worker={"environment": {"COLOUR": "red"}, "mem_limit": "1G", "shm_size": None},
)
job.wait_for_deployment_to_complete()
print(job.job_name())
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with LiveServer(tmp_path_factory.mktemp("server"), cpus=4) as server:
        yield server


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A server whose administrator lets jobs have little."""
    settings = {
        "allow_volumes": "/usr/share,/data",
        "allow_networks": "none",
        "allow_privileges": "user",
    }
    with LiveServer(tmp_path_factory.mktemp("closed"), settings=settings) as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_folder(tmp_path / "project", main=MAIN)


def configure(folder: Path, **values: Any) -> None:
    (folder / "job.config.yaml").write_text(json.dumps(values))  # JSON is YAML


def plan(server: LiveServer, folder: Path, *options: str) -> dict[str, Any]:
    """What would be sent."""
    done = server.cli("submit", "--dry-run", *options, "scheduler", str(folder), "main.py")
    assert done.code == 0, done
    return json.loads(done.out[done.out.index("{") :])["spec"]


def refused(done: Done) -> str:
    assert done.code == 1, done
    assert "Traceback" not in done.out + done.err
    assert len(done.err.splitlines()) <= 2
    return done.err


def test_the_block_becomes_what_the_job_asks_for(server: LiveServer, folder: Path) -> None:
    configure(folder, worker={"image": "a", "mem_limit": "1G", "cpus": 2, "shm_size": "8G"})
    spec = plan(server, folder)
    assert spec["worker"] == {"image": "a:latest", "shm_size": 8 * 2**30}
    assert spec["resources"] == {"cpus": 2, "memory": 2**30, "gpus": 0, "cpu_limit": 2}


def test_flags_and_keys_of_the_job_go_before_the_block(server: LiveServer, folder: Path) -> None:
    configure(folder, ram=2, num_cpus=3, worker={"image": "a", "mem_limit": "1G", "cpus": 2})
    spec = plan(server, folder, "--image", "b/c:1")
    assert spec["worker"] == {"image": "b/c:1"}
    assert spec["resources"] == {"cpus": 3, "memory": 2 * 2**30, "gpus": 0, "cpu_limit": 3}
    assert plan(server, folder, "--num-cpus", "1")["resources"]["cpu_limit"] == 1
    assert plan(server, folder, "--image", "none")["worker"] == {"image": "none"}


def test_cores_that_nobody_named_are_no_limit(server: LiveServer, folder: Path) -> None:
    assert "cpu_limit" not in plan(server, folder, "--image", "a")["resources"]


@pytest.mark.parametrize("command", ["submit", "rerun"])
def test_an_image_that_cannot_be(server: LiveServer, folder: Path, command: str) -> None:
    words = ("scheduler", str(folder), "main.py") if command == "submit" else ("last",)
    assert "--image: no image can be called 'My Image'" in refused(
        server.cli(command, "--image", "My Image", *words)
    )


def test_a_file_for_the_former_atlas_runs_as_it_is(server: LiveServer, folder: Path) -> None:
    (folder / "job.config.yaml").write_text(FORMER)
    done = server.cli("submit", "scheduler", str(folder))
    assert done.code == 0, done
    assert "WARNING: us.gcr.io/atlas-ce/worker:latest was an image of the former Atlas" in done.out
    assert "colour blue in" in done.out
    options = "worker.working_dir, worker.volumes, worker.shm_size"
    assert f"WARNING: {options}: without effect, for the job runs as a process" in done.out
    job = server.job("last")
    assert "image" not in job["spec"]["worker"]
    assert job["resources"] == {"cpus": 0.5, "memory": 512 * 2**20, "gpus": 0}


def test_a_program_that_submits_says_it_too(server: LiveServer, folder: Path) -> None:
    configure(folder, worker={"image": "a", "environment": {"X": 1}, "shm_size": "8G"})
    done = subprocess.run(
        [sys.executable, "-c", SUBMIT, str(folder)], env=server.env, capture_output=True, text=True
    )
    assert done.returncode == 0, done
    job = server.job(done.stdout.split()[-1])
    assert job["spec"]["worker"] == {}
    assert job["spec"]["environment"] == {"X": "1", "COLOUR": "red"}
    assert job["resources"]["memory"] == 2**30
    assert b"colour red" in server.job_log(job["job_id"])


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("worker={'shm_siz': 1}", "Did you mean 'shm_size'?"),
        ("worker=['a']", "worker must be a mapping"),
        ("image='My Image'", "no image can be called"),
        ("image=''", "the name of an image"),
    ],
)
def test_a_program_that_submits_what_cannot_be(
    server: LiveServer, folder: Path, argument: str, words: str
) -> None:
    program = f"import foundations\nfoundations.submit(command='main.py', {argument})"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=server.env, capture_output=True, text=True, cwd=folder,
    )  # fmt: skip
    assert words in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ({"privileged": True}, ("worker.privileged", "allow_privileges")),
        ({"network_mode": "host"}, ("network 'host'", "allow_networks")),
        ({"volumes": {"/etc": {"bind": "/x"}}}, ("may not mount /etc", "allow_volumes")),
        ({"mounts": [{"source": "/etc", "target": "/x"}]}, ("mount /etc", "allow_volumes")),
        ({"volumes": {"/run": {"bind": "/x"}}}, ("socket",)),
        ({"image": "none"}, ("containers only", "allow_privileges")),
    ],
)  # fmt: skip
def test_what_the_server_does_not_allow(
    closed: LiveServer, folder: Path, block: dict[str, Any], words: tuple[str, ...]
) -> None:
    configure(folder, worker={"image": "atlas-test/busybox", **block})
    error = refused(closed.cli("submit", "scheduler", str(folder), "main.py"))
    for word in words:
        assert word in error
    assert closed.api().jobs()["jobs"] == []


def test_links_out_of_what_is_allowed(closed: LiveServer, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc")
    configure(folder, worker={"image": "a", "volumes": {str(tmp_path / "link"): {"bind": "/x"}}})
    error = refused(closed.cli("submit", "scheduler", str(folder), "main.py"))
    assert f"may not mount {tmp_path}/link (which is /etc)" in error


@pytest.mark.docker
def test_what_the_server_allows(
    closed: LiveServer, folder: Path, image: Callable[[str], str]
) -> None:
    volumes = {"/usr/share/": {"bind": "/shared", "mode": "ro"}}
    configure(folder, worker={"image": image("busybox"), "volumes": volumes, "user": "1234:5"})
    script = "ls -d /shared/common-licenses; ls /sys/class/net; id -u"
    done = closed.cli("submit", "scheduler", str(folder), "sh", "-c", script)
    assert done.code == 0, done
    # It named no network: the first one that is allowed is its.
    assert "/shared/common-licenses\nlo\n1234\n" in done.out
    assert f"sh -c '{script}'" in closed.cli("show", "last").out
    worker = closed.job("last")["spec"]["worker"]
    assert worker["network_mode"] == "none"
    again = closed.cli("rerun", "--quiet", "last")
    assert again.code == 0, again


@pytest.mark.docker
def test_a_default_image(tmp_path: Path, folder: Path, image: Callable[[str], str]) -> None:
    name = image("python")
    with LiveServer(tmp_path) as server:
        server.stop()
        server.start("--default-image", name.removesuffix(":latest"))
        here, inside = f"in {server.home}/work/", "in /job/job_source"
        assert inside in server.cli("submit", "scheduler", str(folder), "main.py").out
        shown = server.cli("show", "last").out
        assert ["Image", name] in [line.split()[:2] for line in shown.splitlines()]
        assert server.job("last")["spec"]["worker"] == {"image": name}
        done = server.cli("submit", "--image", "none", "scheduler", str(folder), "main.py")
        assert here in done.out
        # A process is run again as one, a container as one.
        assert here in server.cli("rerun", "last").out
        assert inside in server.cli("rerun", "last~2").out
        # What an old file asks for is not to be had: this server's image is.
        (folder / "job.config.yaml").write_text(FORMER.replace("/data/sets", "/usr/share"))
        assert inside in server.cli("submit", "scheduler", str(folder)).out

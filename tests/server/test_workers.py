"""Where a job runs and what it may ask for: settings, permissions, reruns."""

from __future__ import annotations

import dataclasses
import itertools
import os
import socket
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from atlas_runner.container_options import check_sources
from atlas_runner.errors import StartFailed
from atlas_server import config
from atlas_server.domain.records import JobRecord
from atlas_server.services.permissions import Permissions
from atlas_server.services.workers import Workers, repeated
from foundations.contract.codec import plain
from foundations.contract.spec import JobSpec, Resources
from foundations.contract.states import JobState
from foundations.contract.worker import read_worker
from foundations.contract.worker_options import OPTIONS, PRIVILEGE
from foundations.errors import ConfigError, InvalidRequest, Refused

NOTHING = Permissions((), ("bridge", "none"), ("process",))
ID = "sha256:" + "1" * 64
GB = 1024**3


def spec(worker: dict[str, Any] | None = None, **values: Any) -> JobSpec:
    return JobSpec("p", "0" * 64, **{"command": ["main.py"], "worker": worker or {}, **values})


def job_of(asked: JobSpec, image: dict[str, Any] | None = None) -> JobRecord:
    """A job with that spec, whose container was of that image."""
    values: dict[str, Any] = {field.name: None for field in dataclasses.fields(JobRecord)}
    values |= {"job_id": "j", "state": JobState.COMPLETED, "spec": plain(asked)}
    values["environment"] = {"image": image} if image else None
    return JobRecord(**values)


def granted(permissions: Permissions, **block: Any) -> dict[str, Any]:
    return permissions.granted(read_worker({"image": "a", **block}).options)


# -- where a job runs


@pytest.mark.parametrize(
    ("own", "default", "where"),
    [
        (None, None, None),
        (None, "lab/worker:1", "lab/worker:1"),
        ("mine", None, "mine:latest"),
        ("mine", "lab/worker:1", "mine:latest"),
        ("none", None, None),
        ("none", "lab/worker:1", None),
        ("us.gcr.io/atlas-ce/worker:latest", None, None),
        ("us.gcr.io/atlas-ce/worker:latest", "lab/worker:1", "lab/worker:1"),
    ],
)
def test_where_a_job_runs(own, default, where):
    found = Workers(default).settled(spec({"image": own, "shm_size": "1G"}))
    # There is an image exactly where the job runs in a container.
    assert found.worker.get("image") == where
    assert found.worker["shm_size"] == GB


def test_what_the_worker_block_says_counts_where_the_spec_says_nothing():
    block = {
        "image": "a", "environment": {"A": 1, "B": 2}, "command": "other.py", "mem_limit": "2G",
        "entrypoint": ["bash"], "cpus": 2,
    }  # fmt: skip
    found = Workers().settled(spec(block, command=[], environment={"B": "3"}))
    assert (found.command, found.entrypoint) == (["other.py"], ["bash"])
    assert found.environment == {"A": "1", "B": "3"}
    assert found.resources == Resources(cpus=2, memory=2 * GB, cpu_limit=2)
    assert found.worker == {"image": "a:latest"}
    said = Resources(cpus=4, memory=GB, cpu_limit=3)
    again = Workers().settled(spec(block, entrypoint=["sh"], resources=said))
    assert (again.command, again.entrypoint, again.resources) == (["main.py"], ["sh"], said)
    assert Workers().settled(again) == again


def test_a_container_may_have_the_command_of_its_image():
    assert Workers().settled(spec({"image": "a"}, command=[])).command == []
    for workers, block in (
        (Workers(), {}),
        (Workers("lab/worker:1"), {}),
        (Workers(), {"image": "none"}),
    ):
        with pytest.raises(InvalidRequest, match="no command"):
            workers.settled(spec(block, command=[]))


@pytest.mark.parametrize(
    ("block", "memory", "word"),
    [
        ({"memswap_limit": "1G"}, None, "memswap_limit"),
        ({"memswap_limit": "1G"}, 2 * GB, "memswap_limit"),
        ({"mem_reservation": "2G"}, GB, "mem_reservation"),
        ({"memswap_limit": -1}, None, None),
        ({"memswap_limit": "2G", "mem_limit": "2G", "mem_reservation": "1G"}, None, None),
    ],
)
def test_amounts_of_memory_fit_together(block, memory, word):
    asked = spec({"image": "a", **block}, resources=Resources(memory=memory))
    if word is None:
        Workers().settled(asked)
        return
    with pytest.raises(InvalidRequest, match=word):
        Workers().settled(asked)


def test_a_machine_without_an_engine_refuses_containers_alone():
    workers = Workers(
        engine_problem=lambda asked: Refused(f"no engine for {asked.worker['image']}")
    )
    assert workers.settled(spec()).worker == {}
    with pytest.raises(Refused, match="no engine for a:latest"):
        workers.settled(spec({"image": "a"}))


# -- reruns


def rerun(job: JobRecord, workers: Workers, **changes: Any) -> dict[str, Any]:
    """The worker of a rerun."""
    asked = JobSpec(**{**job.spec, "resources": Resources(), "origin": None, **changes})  # type: ignore[arg-type]
    again, pin = repeated(job, asked, same_worker="worker" not in changes)
    return {**workers.settled(again).worker, **pin}


def test_a_rerun_has_the_very_image_of_the_job():
    job = job_of(
        spec({"image": "lab/a:1", "shm_size": GB}),
        {"name": "lab/a:1", "id": ID, "digests": ["other/x@sha256:2", "lab/a@sha256:3"]},
    )
    found = rerun(job, Workers())
    assert found == {
        "image": "lab/a:1", "shm_size": GB, "image_id": ID, "image_digest": "lab/a@sha256:3",
    }  # fmt: skip
    # Before it has run itself, it is known by what it was to run in.
    assert rerun(job_of(spec(found)), Workers()) == found


def test_a_rerun_with_an_image_of_its_own():
    ran = {"name": "lab/a:1", "id": ID, "digests": []}
    worker = {"image": "lab/a:1", "image_id": ID, "shm_size": GB}
    job = job_of(spec(worker), ran)
    assert rerun(job, Workers()) == worker
    changed = rerun(job, Workers(), worker={**worker, "image": "lab/a:1"})
    assert changed == {"image": "lab/a:1", "shm_size": GB}
    assert rerun(job, Workers("lab/b:1"), worker={**worker, "image": "none"}) == {"shm_size": GB}


def test_a_process_is_run_again_as_a_process():
    assert rerun(job_of(spec()), Workers("lab/b:1")) == {}
    changed = rerun(job_of(spec()), Workers(), worker={"image": "lab/c"})
    assert changed == {"image": "lab/c:latest"}


# -- permissions


def test_everything_is_allowed_where_nothing_is_restricted(tmp_path):
    block = {
        "privileged": True, "network_mode": "host", "ipc_mode": "host", "user": "root",
        "volumes": {str(tmp_path): {"bind": "/x"}, "named": {"bind": "/y"}},
    }  # fmt: skip
    found = granted(Permissions(), **block)
    assert found["volumes"] == {
        str(tmp_path): {"bind": "/x", "mode": "rw"},
        "named": {"bind": "/y", "mode": "rw"},
    }
    assert "links_followed" not in found


PRIVILEGED: dict[str, Any] = {
    "privileged": True, "cap_add": ["SYS_ADMIN"], "devices": ["/dev/fuse"], "pid_mode": "host",
    "ipc_mode": "host", "security_opt": ["seccomp=unconfined"], "runtime": "nvidia", "user": "0",
    "group_add": ["docker"], "cgroup_parent": "/", "cgroupns": "host", "userns_mode": "host",
    "uts_mode": "host", "device_cgroup_rules": ["a *:* rwm"], "links": {"a": "b"},
    "ports": {"80": 80}, "publish_all_ports": True, "volume_driver": "nfs", "oom_score_adj": -1000,
    "oom_kill_disable": True, "cpu_rt_period": 1, "cpu_rt_runtime": 1, "ulimits": {"rtprio": 99},
    "device_requests": [{"driver": "cdi", "device_ids": ["x.com/y=z"]}],
}  # fmt: skip


def test_every_privilege_is_listed():
    assert set(PRIVILEGED) == {name for name, one in OPTIONS.items() if one.asks == PRIVILEGE}


@pytest.mark.parametrize("name", sorted(PRIVILEGED))
def test_a_privilege_has_to_be_allowed_by_name(name):
    block = {name: PRIVILEGED[name]}
    with pytest.raises(Refused, match=f"worker.{name}") as raised:
        granted(NOTHING, **block)
    assert f"add {name} to its setting allow_privileges" in raised.value.hint
    others = tuple(sorted(set(PRIVILEGED) - {name}))
    with pytest.raises(Refused, match=f"worker.{name}"):
        granted(Permissions((), ("*",), others), **block)
    assert name in granted(Permissions((), ("*",), (name,)), **block)
    assert name in granted(Permissions((), ("*",), ("*",)), **block)


def test_networks_are_allowed_by_name():
    for name in ("bridge", "none"):
        assert granted(NOTHING, network_mode=name)["network_mode"] == name
    for block in ({"network_mode": "host"}, {"network": "lab"}, {"network_mode": "container:x"}):
        with pytest.raises(Refused, match="may not use the network") as raised:
            granted(NOTHING, **block)
        assert "allow_networks" in raised.value.hint
    assert granted(Permissions((), ("lab",)), network="lab")["network"] == "lab"


def test_a_job_that_names_no_network_gets_one_that_it_may_have():
    assert "network_mode" not in granted(NOTHING)
    assert granted(Permissions(networks=("lab", "none")))["network_mode"] == "lab"
    assert granted(Permissions(networks=()))["network_mode"] == "none"
    assert "network_mode" not in granted(Permissions(networks=()), network_disabled=True)


def test_processes_are_a_privilege():
    assert NOTHING.granted({"shm_size": 1}) == {"shm_size": 1}
    with pytest.raises(Refused, match="in containers only") as raised:
        Permissions((), (), ()).granted({})
    assert "add process to its setting allow_privileges" in raised.value.hint


def test_folders_are_allowed_with_all_below_them(tmp_path):
    allowed = tmp_path / "data"
    (allowed / "sub").mkdir(parents=True)
    (tmp_path / "database").mkdir()
    (tmp_path / "link").symlink_to(allowed / "sub")
    (allowed / "out").symlink_to(tmp_path / "database")
    permissions = Permissions((str(allowed), "named"))
    for path in (allowed, allowed / "sub", tmp_path / "link", allowed / "not-there-yet"):
        found = granted(permissions, volumes={str(path): {"bind": "/x"}})
        assert found["volumes"] == {os.path.realpath(path): {"bind": "/x", "mode": "rw"}}
        assert found["links_followed"] is True
        found = granted(permissions, mounts=[{"source": str(path), "target": "/x"}])
        assert found["mounts"][0]["source"] == os.path.realpath(path)
    for path in (tmp_path, tmp_path / "database", allowed / "out", allowed / "out" / "x"):
        with pytest.raises(Refused, match="may not mount") as raised:
            granted(permissions, volumes={str(path): {"bind": "/x"}})
        assert str(path) in raised.value.message
        assert "allow_volumes" in raised.value.hint
        with pytest.raises(Refused, match="may not mount"):
            granted(permissions, mounts=[{"source": str(path), "target": "/x"}])
    assert granted(permissions, volumes={"named": {"bind": "/x"}})["volumes"]["named"]
    with pytest.raises(Refused, match="may not mount another"):
        granted(permissions, volumes={"another": {"bind": "/x"}})


def test_an_allowed_folder_may_itself_be_a_link(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "data").symlink_to(tmp_path / "disk")
    found = granted(
        Permissions((str(tmp_path / "data"),)), volumes={str(tmp_path / "data"): {"bind": "/x"}}
    )
    assert list(found["volumes"]) == [str(tmp_path / "disk")]


def test_two_ways_to_one_folder(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").symlink_to(tmp_path / "a")
    volumes = {str(tmp_path / name): {"bind": f"/{name}"} for name in "ab"}
    with pytest.raises(Refused, match="one folder"):
        granted(Permissions((str(tmp_path),)), volumes=volumes)


@pytest.mark.parametrize("permissions", [Permissions(), Permissions(("/",))])
def test_no_link_leads_to_a_socket(tmp_path, permissions):
    for number, target in enumerate(("/run", "/var/run/docker.sock", "/", "/run/user/1000")):
        link = tmp_path / str(number)
        link.symlink_to(target)
        for path in (link, link / "sub" if target == "/run/user/1000" else link):
            with pytest.raises(Refused, match="socket"):
                granted(permissions, volumes={str(path): {"bind": "/x"}})
            with pytest.raises(Refused, match="socket"):
                granted(permissions, mounts=[{"source": str(path), "target": "/x"}])


@pytest.mark.parametrize("target", ["/proc", "/proc/1/root", "/proc/self"])
def test_no_link_leads_to_the_folders_of_processes(tmp_path, target):
    (tmp_path / "link").symlink_to(target)
    volumes = {str(tmp_path / "link"): {"bind": "/x"}}
    with pytest.raises(Refused, match=r"whole machine|socket|followed"):
        granted(Permissions(), volumes=volumes)
    with pytest.raises(StartFailed, match=r"whole machine|socket|followed"):
        check_sources({"volumes": {str(tmp_path / "link"): {"bind": "/x", "mode": "rw"}}})


def test_the_socket_of_an_engine_elsewhere_is_not_shown(tmp_path, monkeypatch):
    place = tmp_path / "engine" / "here"
    place.mkdir(parents=True)
    (tmp_path / "link").symlink_to(place)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(place / "api"))
        os.link(place / "api", tmp_path / "other-name")
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/link/api")
        permissions = Permissions(sockets=config.engine_sockets())
        for path in (place / "api", place, place.parent, tmp_path, tmp_path / "other-name"):
            with pytest.raises(Refused, match="socket"):
                granted(permissions, volumes={str(path): {"bind": "/x"}})
    monkeypatch.setenv("DOCKER_HOST", "tcp://far:2375")
    assert config.engine_sockets() == ()


steps = st.lists(st.sampled_from(["a", "b", "link", "up", "out", "loop", "x"]), max_size=6)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(steps, min_size=1, max_size=8))
def test_whatever_is_granted_lies_below_what_is_allowed(walks):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(os.path.realpath(folder))
        allowed = root / "allowed"
        for parts in itertools.product("ab", repeat=2):
            (allowed / Path(*parts)).mkdir(parents=True)
        (root / "secret" / "a").mkdir(parents=True)
        (allowed / "link").symlink_to("a/b")
        (allowed / "a" / "up").symlink_to("../..")
        (allowed / "a" / "out").symlink_to(root / "secret")
        (allowed / "b" / "loop").symlink_to("loop")
        permissions = Permissions((str(allowed),))
        for walk in walks:
            path = allowed.joinpath(*walk)
            try:
                found = granted(permissions, volumes={str(path): {"bind": "/x"}})
            except Refused:
                assert not os.path.realpath(path).startswith(str(allowed))
                continue
            (mounted,) = found["volumes"]
            assert mounted == os.path.realpath(mounted)
            assert Path(mounted).is_relative_to(allowed)


# -- settings


def loaded(home: Path, monkeypatch: pytest.MonkeyPatch, text: str = "", **variables: str):
    for name in list(os.environ):
        if name.startswith("ATLAS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("FOUNDATIONS_HOME", str(home))
    for name, value in variables.items():
        monkeypatch.setenv(f"ATLAS_{name}", value)
    (home / "config").mkdir(exist_ok=True)
    (home / "config" / "server.config.yaml").write_text(text)
    return config.load({})


def test_a_server_for_one_user_is_open(tmp_path, monkeypatch):
    found = loaded(tmp_path, monkeypatch)
    assert found.allow_volumes == found.allow_networks == found.allow_privileges == ("*",)
    assert found.default_image is None


def test_a_server_that_others_reach_is_closed(tmp_path, monkeypatch):
    own = config.allowed_by_default(True)
    assert own == dict.fromkeys(own, ("*",))
    others = config.allowed_by_default(False)
    behind = loaded(tmp_path, monkeypatch, "trusted_proxies: 127.0.0.1\n")
    assert {name: getattr(behind, name) for name in others} == others
    assert others == {
        "allow_volumes": (),
        "allow_networks": ("bridge", "none"),
        "allow_privileges": (),
    }
    closed = Permissions(*others.values())
    with pytest.raises(Refused):
        closed.granted({})
    assert granted(closed, shm_size="1G")["shm_size"] == GB


def test_settings_of_what_is_allowed(tmp_path, monkeypatch):
    text = "allow_volumes: [/data, named]\nallow_privileges: process, devices\n"
    found = loaded(tmp_path, monkeypatch, text, ALLOW_NETWORKS="none", DEFAULT_IMAGE="lab/a")
    assert found.allow_volumes == ("/data", "named")
    assert found.allow_privileges == ("process", "devices")
    assert found.allow_networks == ("none",)
    assert found.default_image == "lab/a:latest"
    found = loaded(tmp_path, monkeypatch, text, ALLOW_VOLUMES="none", DEFAULT_IMAGE="none")
    assert found.allow_volumes == ()
    assert found.default_image is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("allow_privileges: [device]", "Did you mean 'devices'?"),
        ("allow_volumes: [./data]", "allow_volumes"),
        ("allow_volumes: [data/sub]", "allow_volumes"),
        ("allow_volumes: 3", "allow_volumes"),
        ("default_image: My Image", "default_image"),
        ("default_image: 3", "default_image"),
    ],
)
def test_wrong_settings(tmp_path, monkeypatch, text, words):
    with pytest.raises(ConfigError, match="setting") as raised:
        loaded(tmp_path, monkeypatch, text)
    assert words in str(raised.value)

"""The worker block: what may be written, what it means, and what an error says of the rest."""

from __future__ import annotations

import json
import posixpath
from typing import Any, Dict

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foundations.contract.worker import (
    INTERNAL,
    is_container,
    merged,
    read_worker,
    requests,
    without_effect,
)
from foundations.contract.worker_mounts import ENGINE_SOCKETS, shown_socket
from foundations.contract.worker_options import OPTIONS, REFUSED
from foundations.errors import ConfigError

GB = 1024**3
# On a busy machine a draw may take long.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def options(**block: Any) -> Dict[str, Any]:
    return read_worker(block).options


def refusal(**block: Any) -> ConfigError:
    with pytest.raises(ConfigError) as raised:
        read_worker(block)
    assert "\n" not in str(raised.value)
    return raised.value


# -- one form for what may be written in many


FORMS = [
    ("shm_size", "128G", 128 * GB),
    ("shm_size", "512m", 512 * 1024**2),
    ("shm_size", "1.5gb", GB * 3 // 2),
    ("shm_size", "2GiB", 2 * GB),
    ("shm_size", "67108864", 67108864),
    ("shm_size", 67108864, 67108864),
    ("shm_size", 1e9, 10**9),
    ("memswap_limit", -1, -1),
    ("memswap_limit", "8g", 8 * GB),
    ("working_dir", "/work/", "/work"),
    ("working_dir", "//work/./a", "/work/a"),
    ("user", 1000, "1000"),
    ("user", "1000:100", "1000:100"),
    ("group_add", ["video", 44], ["video", "44"]),
    ("dns", "8.8.8.8", ["8.8.8.8"]),
    ("cap_add", ["SYS_ADMIN"], ["SYS_ADMIN"]),
    ("cpuset_cpus", "0-3", "0-3"),
    ("cpuset_cpus", 0, "0"),
    ("sysctls", {"net.core.somaxconn": 1024}, {"net.core.somaxconn": "1024"}),
    ("labels", ["a=1", "b"], {"a": "1", "b": ""}),
    ("labels", {"a": True, "b": None}, {"a": "true", "b": ""}),
    ("extra_hosts", ["db:10.0.0.1", "six:::1"], {"db": "10.0.0.1", "six": "::1"}),
    ("extra_hosts", {"db": "host-gateway"}, {"db": "host-gateway"}),
    ("tmpfs", {"/scratch/": "size=3G"}, {"/scratch": "size=3G"}),
    ("tmpfs", ["/scratch:size=3G", "/other"], {"/scratch": "size=3G", "/other": ""}),
    ("ulimits", {"nofile": 1024}, [{"name": "nofile", "soft": 1024, "hard": 1024}]),
    ("ulimits", {"core": {"hard": -1}}, [{"name": "core", "soft": -1, "hard": -1}]),
    ("ulimits", [{"Name": "stack", "Soft": 1, "Hard": 2}],
     [{"name": "stack", "soft": 1, "hard": 2}]),
    ("devices", "/dev/fuse", ["/dev/fuse:/dev/fuse:rwm"]),
    ("devices", ["/dev/a:/dev/b:r"], ["/dev/a:/dev/b:r"]),
    ("devices", [{"PathOnHost": "/dev/a", "PathInContainer": "/dev/b"}],
     ["/dev/a:/dev/b:rwm"]),
    ("device_requests", [{"Driver": "cdi", "DeviceIDs": ["vendor.com/net=a"]}],
     [{"driver": "cdi", "device_ids": ["vendor.com/net=a"]}]),
    ("ports", {8080: None, "53/udp": 5353}, {"8080/tcp": None, "53/udp": 5353}),
    ("ports", {"80": ("127.0.0.1", 8080)}, {"80/tcp": ["127.0.0.1", 8080]}),
    ("ports", {"80": "127.0.0.1:8080"}, {"80/tcp": ["127.0.0.1", 8080]}),
    ("ports", {"80": "8080"}, {"80/tcp": 8080}),
    ("ports", {"80": [8080, 8081]}, {"80/tcp": [8080, 8081]}),
    ("healthcheck", {"test": "true", "interval": "30s", "retries": 3},
     {"test": "true", "interval": 30 * 10**9, "retries": 3}),
    ("device_read_bps", [{"Path": "/dev/sda", "Rate": 1}], [{"path": "/dev/sda", "rate": 1}]),
    ("volumes", {"/data": {"bind": "/d"}}, {"/data": {"bind": "/d", "mode": "rw"}}),
    ("volumes", {"/data//a/": {"bind": "/d/", "mode": "ro,z"}},
     {"/data/a": {"bind": "/d", "mode": "ro,z"}}),
    ("volumes", ["/data:/d:ro", "named:/n"],
     {"/data": {"bind": "/d", "mode": "ro"}, "named": {"bind": "/n", "mode": "rw"}}),
    ("mounts", [{"source": "/data", "target": "/d"}],
     [{"source": "/data", "target": "/d", "type": "bind"}]),
    ("mounts", [{"Target": "/d", "ReadOnly": True}],
     [{"target": "/d", "read_only": True, "type": "volume"}]),
    ("mounts", {"target": "/t", "type": "tmpfs", "tmpfs_size": "1G"},
     [{"target": "/t", "type": "tmpfs", "tmpfs_size": GB}]),
    ("stop_signal", "SIGINT", "SIGINT"),
    ("stop_signal", 2, "2"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "written", "read"), FORMS)
def test_one_form(name: str, written: Any, read: Any) -> None:
    assert options(**{name: written}) == {name: read}
    assert options(**{name: read}) == {name: read}


def test_what_has_a_place_of_its_own_leaves_the_options() -> None:
    worker = read_worker(
        {
            "image": "a", "environment": {"A": 1, "B": True, "C": None}, "entrypoint": "bash -c",
            "command": ["x"], "mem_limit": "2g", "cpus": 1.5, "shm_size": None,
        }
    )  # fmt: skip
    assert worker.options == {"image": "a:latest"}
    assert worker.environment == {"A": "1", "B": "true", "C": ""}
    assert (worker.entrypoint, worker.command) == (["bash", "-c"], ["x"])
    assert (worker.memory, worker.cpus, worker.gpus) == (2 * GB, 1.5, None)


def test_args_beat_command() -> None:
    assert read_worker({"command": "main.py", "args": "other.py --x"}).command == [
        "other.py",
        "--x",
    ]


@pytest.mark.parametrize(
    "block",
    [
        {"cpus": 2},
        {"nano_cpus": 2 * 10**9},
        {"cpu_quota": 200_000},
        {"cpu_quota": 20_000, "cpu_period": 10_000},
        {"resources": {"limits": {"cpu": "2000m"}}},
        {"resources": {"limits": {"cpu": 2}}},
        {"cpus": 2, "nano_cpus": 2 * 10**9},
    ],
)
def test_cores_are_one_thing(block: Dict[str, Any]) -> None:
    worker = read_worker(block)
    assert (worker.cpus, worker.options) == (2, {})


def test_limits_of_a_block_for_kubernetes() -> None:
    limits = {"memory": "4Gi", "cpu": "500m", "nvidia.com/gpu": 1}
    worker = read_worker({"resources": {"limits": limits, "requests": {"memory": "1Gi"}}})
    assert (worker.memory, worker.cpus, worker.gpus) == (4 * GB, 0.5, 1)
    assert worker.options == {}
    assert "limits" in str(refusal(resources={"requests": {"memory": "1Gi"}}))
    assert "'disk'" in str(refusal(resources={"limits": {"disk": 1}}))
    assert "cpu" in str(refusal(resources={"limits": {"cpu": "many"}}))
    assert "'limit'" in str(refusal(resources={"limit": {"cpu": 1}}))


def test_an_image_of_the_former_atlas_is_the_default_worker() -> None:
    worker = read_worker({"image": "us.gcr.io/atlas-ce/worker-gpu", "shm_size": "1G"})
    assert worker.options == {"shm_size": GB}
    assert not is_container(worker.options)
    assert "us.gcr.io/atlas-ce/worker-gpu" in worker.remarks[0]


def test_a_process_in_spite_of_a_default_image() -> None:
    found = options(image="none", shm_size="1G", environment={"A": 1})
    assert found["image"] == "none"
    assert not is_container(found)
    assert without_effect(found) == ["shm_size"]


def test_a_block_over_a_block() -> None:
    file = {"image": "a", "environment": {"A": 1, "B": 2}, "volumes": {"/a": {"bind": "/a"}}}
    more = {"image": "b", "environment": {"B": 3}, "shm_size": "1G", "volumes": None}
    assert merged(file, more) == {
        "image": "b", "environment": {"A": 1, "B": 3}, "shm_size": "1G", "volumes": None,
    }  # fmt: skip


# -- what is wrong, and what is right


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("shm_size", "8 apples", "worker.shm_size must be a size such as '8G'"),
        ("shm_size", 8, "write '8G' for gigabytes"),
        ("shm_size", "8", "write '8G' for gigabytes"),
        ("shm_size", True, "a size"),
        ("shm_size", [1], "a size"),
        ("shm_size", float("nan"), "a size"),
        ("shm_size", float("inf"), "a size"),
        ("shm_size", -1, "a size"),
        ("shm_size", "", "a size"),
        ("cpus", 0, "a number of cores"),
        ("cpus", float("nan"), "a number of cores"),
        ("cpus", "2", "a number of cores"),
        ("cpu_period", 10_000, "cpu_quota"),
        ("mem_swappiness", 101, "from 0 to 100"),
        ("pids_limit", True, "a whole number"),
        ("privileged", "yes", "true or false"),
        ("hostname", 3, "text"),
        ("hostname", "", "text"),
        ("dns", [1], "worker.dns[0] must be text"),
        ("sysctls", ["a"], "`name: value` lines"),
        ("sysctls", {"a": [1]}, "worker.sysctls.a must be text"),
        ("environment", ["A=1"], "`name: value` lines"),
        ("environment", {"A=B": 1}, "'A=B'"),
        ("environment", {"A": "\0"}, "worker.environment.A"),
        ("environment", {"": 1}, "text"),
        ("labels", {"atlas.job": 1}, "Atlas' own"),
        ("cpuset_cpus", "all", "'0-3'"),
        ("ulimits", {"nofiles": 1}, "Did you mean 'nofile'?"),
        ("ulimits", {"nofile": "many"}, "worker.ulimits[0].soft must be a whole number"),
        ("ulimits", [{"name": "nofile"}], "lacks 'soft' or 'hard'"),
        ("ulimits", [{"name": "nofile", "soft": 2, "hard": 1}], "soft must not be more"),
        ("ulimits", [{"name": "nofile", "soft": -1, "hard": 1}], "soft must not be more"),
        ("ulimits", [{"name": "nofile", "sofd": 1}], "Did you mean 'soft'?"),
        ("ulimits", "nofile=1", "worker.ulimits[0] must be"),
        ("devices", ["dev/fuse"], "'/dev/HOST'"),
        ("devices", ["/dev/a:/dev/b:x"], "'/dev/HOST'"),
        ("devices", ["/dev/nvidia0"], "num_gpus"),
        ("devices", ["/dev//nvidiactl"], "num_gpus"),
        ("device_requests", [{"count": -1, "capabilities": [["gpu"]]}], "num_gpus"),
        ("device_requests", [{"driver": "nvidia"}], "num_gpus"),
        ("device_requests", [{"driver": "cdi", "device_ids": ["nvidia.com/gpu=0"]}], "num_gpus"),
        ("ports", {"80/http": 1}, "a port"),
        ("ports", {"0": 1}, "from 1 to 65535"),
        ("ports", {"80": 70000}, "from 1 to 65535"),
        ("ports", {"80": 1, "80/tcp": 2}, "twice"),
        ("ports", [80], "lines"),
        ("healthcheck", {"test": "true", "interval": 30}, "'30s'"),
        ("healthcheck", {"test": "true", "interval": "soon"}, "'30s'"),
        ("cgroupns", "mine", "'private' or 'host'"),
        ("working_dir", "work", "begins with '/'"),
        ("working_dir", "/", "nothing can be put at /"),
        ("working_dir", "/atlas", "belongs to Atlas"),
        ("working_dir", "/a/../atlas", "without '..'"),
        ("image", "My Image", "worker.image"),
        ("volumes", {"/a": "/b"}, "a mapping of bind and mode"),
        ("volumes", {"/a": {"bin": "/b"}}, "a mapping of bind and mode"),
        ("volumes", {"/a": {"bind": "/b", "more": 1}}, "a mapping of bind and mode"),
        ("volumes", {"/a": {"bind": "b"}}, "a path in the container"),
        ("volumes", {"/a": {"bind": "/"}}, "nothing can be put at /"),
        ("volumes", {"/a": {"bind": "/proc"}}, "nothing can be put at /proc"),
        ("volumes", {"/a": {"bind": "/atlas/x"}}, "belongs to Atlas"),
        ("volumes", {"/a": {"bind": "/b", "mode": "wr"}}, "'rw' or 'ro'"),
        ("volumes", {"/a": {"bind": "/b", "mode": "ro,rw"}}, "'rw' or 'ro'"),
        ("volumes", {"/a": {"bind": "/b", "mode": 1}}, "'rw' or 'ro'"),
        ("volumes", {"./a": {"bind": "/b"}}, "no folder that it could be relative to"),
        ("volumes", {"a/b": {"bind": "/b"}}, "no folder that it could be relative to"),
        ("volumes", {"~/a": {"bind": "/b"}}, "no folder that it could be relative to"),
        ("volumes", {"/a/../b": {"bind": "/b"}}, "without '..'"),
        ("volumes", {"/a:b": {"bind": "/b"}}, "`mounts`"),
        ("volumes", {"/a": {"bind": "/x"}, "/b": {"bind": "/x/"}}, "/x is taken"),
        ("volumes", {"/a": {"bind": "/x"}, "/a/": {"bind": "/y"}}, "twice"),
        ("volumes", {"/a": {"bind": "/job/job_source"}}, "the job's own folder"),
        ("volumes", ["/a:/b", "/a:/c"], "twice"),
        ("volumes", ["/a"], "'HOST:BIND'"),
        ("volumes", [{"name": "x", "hostPath": {"path": "/a"}}], "a mapping"),
        ("volumes", "/a:/b", "a mapping"),
        ("mounts", [{"source": "/a"}], "lacks 'target'"),
        ("mounts", [{"source": "a", "target": "/b", "type": "bind"}], "begins with '/'"),
        ("mounts", [{"source": "/a", "target": "/b", "type": "volume"}], "type: bind"),
        ("mounts", [{"source": "/a", "target": "/b", "type": "npipe"}], "'bind' or"),
        ("mounts", [{"source": "a", "target": "/b", "type": "tmpfs"}], "no source"),
        ("mounts", [{"source": "/a", "target": "/b", "no_copy": True}], "of type volume"),
        ("mounts", [{"target": "/b", "driver_config": {"name": "local"}}], "driver"),
        ("tmpfs", {"/atlas/tmp": ""}, "belongs to Atlas"),
        ("tmpfs", ["/a", "/a:size=1"], "twice"),
        ("network_mode", 1, "text"),
        ("networking_config", {"net": {"aliases": ["a"]}}, "network: net"),
        ("command", {"a": 1}, "a list of words"),
        ("entrypoint", "sh 'x", "cannot be split"),
    ],
)
def test_an_error_says_what_is_right(name: str, value: Any, words: str) -> None:
    error = str(refusal(**{name: value}))
    assert words in error
    assert "worker.{}".format(name) in error or name in ("command", "entrypoint")


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ({"network": "a", "network_mode": "bridge"}, "one thing"),
        ({"network_mode": "host", "ports": {"80": 80}}, "network_mode: host"),
        ({"cpus": 1, "nano_cpus": 2 * 10**9}, "one thing"),
        ({"mem_limit": "1G", "resources": {"limits": {"memory": "2Gi"}}}, "one thing"),
        ({"tmpfs": ["/a"], "volumes": {"/x": {"bind": "/a"}}}, "/a is taken by worker.volumes"),
        ({"working_dir": "/w", "volumes": {"/x": {"bind": "/w"}}}, "the job's own folder"),
        ({"working_dir": "/job/job_source/sub", "volumes": {"/x": {"bind": "/job/job_source"}}},
         "the job's own folder"),
    ],
)  # fmt: skip
def test_options_that_contradict_each_other(block: Dict[str, Any], words: str) -> None:
    assert words in str(refusal(**block))


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("imagee", "image"), ("Image", "image"), ("shm-size", "shm_size"), ("shm", "shm_size"),
        ("ipc", "ipc_mode"), ("pid", "pid_mode"), ("workingDir", "working_dir"),
        ("workdir", "working_dir"), ("env", "environment"), ("volume", "volumes"),
        ("memory", "mem_limit"), ("cpu", "cpus"), ("gpus", "num_gpus"), ("ulimit", "ulimits"),
        ("net", "network_mode"), ("cap-add", "cap_add"), ("imagePullPolicy", "image"),
    ],
)  # fmt: skip
def test_an_unknown_key_names_the_nearest(key: str, meant: str) -> None:
    error = refusal(**{key: 1})
    assert "unknown key 'worker.{}'".format(key) in error.message
    assert "'{}'".format(meant) in error.message


@pytest.mark.parametrize("key", sorted(REFUSED))
def test_what_cannot_be_the_users_says_why_and_what_instead(key: str) -> None:
    error = refusal(**{key: True})
    assert error.message.startswith("worker.{} cannot be set: ".format(key))
    assert error.hint.endswith(".")


def test_the_servers_own_keys_are_refused() -> None:
    assert set(INTERNAL) <= set(REFUSED)
    assert not set(OPTIONS) & set(REFUSED)


# -- sockets of engines


@pytest.mark.parametrize(
    "path",
    ["/", "/run", "/var/run", "/var", "/var/run/docker.sock", "/run/docker.sock", "/run/podman",
     "/home/me/.docker/run/docker.sock", "/run/user/1000", "/run/containerd", "//run/./"],
)  # fmt: skip
@pytest.mark.parametrize("option", ["volumes", "mounts"])
def test_no_socket_of_an_engine_is_shown(option: str, path: str) -> None:
    block = {
        "volumes": {path: {"bind": "/x", "mode": "ro"}},
        "mounts": [{"source": path, "target": "/x", "read_only": True}],
    }
    error = str(refusal(**{option: block[option]}))
    assert "the container engine's socket" in error


@pytest.mark.parametrize("path", ["/proc", "/proc/1/root", "/proc/self/cwd"])
def test_no_other_processes_are_shown(path: str) -> None:
    assert "cannot be mounted" in str(refusal(volumes={path: {"bind": "/x"}}))


names = st.text("abcrundoker.s-", min_size=1, max_size=8).filter(lambda name: name != "..")
paths = st.one_of(
    st.lists(names, max_size=5).map(lambda parts: "/" + "/".join(parts)),
    st.builds(
        lambda socket, up: "/" + "/".join(socket.split("/")[1:up]),
        st.sampled_from(ENGINE_SOCKETS),
        st.integers(1, 5),
    ),
)


@unhurried
@given(paths)
def test_a_mounted_path_holds_no_socket(path: str) -> None:
    try:
        (found,) = options(volumes={path: {"bind": "/x"}})["volumes"]
    except ConfigError:
        return
    for socket in ENGINE_SOCKETS:
        assert posixpath.commonpath([found, socket]) != found
    assert shown_socket(found) is None


# -- what is asked for


@pytest.mark.parametrize(
    ("block", "asked"),
    [
        ({"shm_size": "1G", "cap_drop": ["ALL"], "ipc_mode": "private", "user": None}, []),
        ({"privileged": False, "runtime": "runc", "security_opt": ["no-new-privileges"]}, []),
        ({"privileged": True}, [("privileges", "privileged", True)]),
        ({"ipc_mode": "host"}, [("privileges", "ipc_mode", "host")]),
        ({"pid_mode": "container:x"}, [("privileges", "pid_mode", "container:x")]),
        ({"security_opt": ["no-new-privileges", "seccomp=unconfined"]},
         [("privileges", "security_opt", ["no-new-privileges", "seccomp=unconfined"])]),
        ({"user": 0}, [("privileges", "user", "0")]),
        ({"ulimits": {"nofile": 1}}, []),
        ({"network_mode": "host"}, [("networks", "network_mode", "host")]),
        ({"network": "a", "networking_config": {"a": {}, "b": {}}},
         [("networks", "network", "a"), ("networks", "networking_config", "a"),
          ("networks", "networking_config", "b")]),
        ({"volumes": {"/a": {"bind": "/a"}, "named": {"bind": "/b"}}},
         [("volumes", "volumes", "/a"), ("volumes", "volumes", "named")]),
        ({"mounts": [{"source": "/a", "target": "/a"}, {"target": "/b", "type": "tmpfs"}]},
         [("volumes", "mounts", "/a")]),
    ],
)  # fmt: skip
def test_what_is_asked_for(block: Dict[str, Any], asked: Any) -> None:
    assert list(requests(options(**block))) == asked


# -- whatever is written

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8),
    st.sampled_from(["8G", "/data", "/atlas/x", "30s", "host", "none", "0-3", "a=b", "80/udp"]),
)  # fmt: skip
keys = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        ["bind", "mode", "name", "soft", "hard", "target", "source", "type", "/data", "limits",
         "memory", "cpu", "path", "rate", "test", "interval", "8080", "driver"]
    ),
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=3)),
    max_leaves=6,
)
right = st.lists(st.sampled_from(FORMS), max_size=6).map(
    lambda forms: {name: written for name, written, _ in forms}
)
blocks = st.one_of(right, st.dictionaries(st.sampled_from(sorted(OPTIONS)), values, max_size=3))


@unhurried
@given(blocks)
def test_a_block_is_read_or_refused_and_read_again_is_the_same(block: Dict[str, Any]) -> None:
    try:
        worker = read_worker(block)
    except ConfigError:
        return
    # It goes over the wire, and the server reads it again.
    sent = json.loads(json.dumps(worker.options))
    assert sent == worker.options
    again = read_worker(sent)
    assert again.options == worker.options
    assert (again.memory, again.cpus, again.command) == (None, None, None)
    assert list(requests(again.options)) == list(requests(worker.options))

"""The worker block against docker-py itself: every option it documents, as it takes them."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.models import containers
from docker.types import DeviceRequest, EndpointConfig, Healthcheck, Mount, Ulimit
from tests import images

from atlas_runner.container_options import check_sources, container_options
from atlas_runner.errors import StartFailed
from foundations.contract.worker import INTERNAL, read_worker
from foundations.contract.worker_options import OPTIONS, REFUSED

# What Atlas understands besides docker-py.
OURS = {"args", "cpus", "resources"}

# One value of each option that the container gets as such.
EXAMPLES: dict[str, Any] = {
    "volumes": {"/data": {"bind": "/data", "mode": "ro"}, "named": {"bind": "/n"}},
    "mounts": [{"source": "/opt", "target": "/opt", "read_only": True}],
    "tmpfs": {"/scratch": "size=16m"},
    "volume_driver": "local",
    "devices": ["/dev/null:/dev/zilch:r"],
    "device_requests": [{"driver": "cdi", "device_ids": ["vendor.example/net=a"]}],
    "device_cgroup_rules": ["c 1:3 r"],
    "network": "some-network",
    "network_mode": "none",
    "networking_config": {"some-network": {"aliases": ["a"], "ipv4_address": "10.9.8.7"}},
    "network_disabled": True,
    "ports": {"8080": 8080, "81": ["127.0.0.1", 8081], "82": [8082, 8083], "83/udp": None},
    "publish_all_ports": True,
    "links": {"other": "alias"},
    "dns": ["10.0.0.1"],
    "dns_opt": ["ndots:2"],
    "dns_search": ["example.org"],
    "extra_hosts": {"db": "10.0.0.2"},
    "hostname": "inside",
    "domainname": "example.org",
    "mac_address": "02:42:ac:11:00:02",
    "use_config_proxy": False,
    "shm_size": "128M",
    "mem_reservation": "32M",
    "memswap_limit": "1G",
    "mem_swappiness": 10,
    "oom_kill_disable": False,
    "oom_score_adj": 100,
    "cpu_shares": 512,
    "cpuset_cpus": "0",
    "cpuset_mems": "0",
    "cpu_rt_period": 1_000_000,
    "cpu_rt_runtime": 10_000,
    "pids_limit": 100,
    "ulimits": {"nofile": {"soft": 1000, "hard": 2000}},
    "storage_opt": {"size": "1G"},
    "blkio_weight": 300,
    "blkio_weight_device": [{"path": "/dev/sda", "weight": 300}],
    "device_read_bps": [{"path": "/dev/sda", "rate": 10**6}],
    "device_read_iops": [{"path": "/dev/sda", "rate": 1000}],
    "device_write_bps": [{"path": "/dev/sda", "rate": 10**6}],
    "device_write_iops": [{"path": "/dev/sda", "rate": 1000}],
    "user": "1234:4321",
    "group_add": ["video", 44],
    "privileged": False,
    "cap_add": ["SYS_PTRACE"],
    "cap_drop": ["MKNOD"],
    "security_opt": ["no-new-privileges"],
    "runtime": "runc",
    "cgroup_parent": "/atlas-test",
    "cgroupns": "private",
    "ipc_mode": "private",
    "pid_mode": "host",
    "userns_mode": "host",
    "uts_mode": "host",
    "read_only": True,
    "sysctls": {"kernel.shm_rmid_forced": 1},
    "init": True,
    "tty": True,
    "labels": {"team": "vision"},
    "platform": "linux/amd64",
    "stop_signal": "SIGINT",
    "healthcheck": {"test": "true", "interval": "30s", "retries": 2, "start_period": "5s"},
}


def converted(block: dict[str, Any]) -> dict[str, Any]:
    return container_options(read_worker(block).options)


def documented() -> set[str]:
    """The options that the documentation of docker-py's `run` lists."""
    text = inspect.getdoc(containers.ContainerCollection.run)
    assert text is not None
    listed = text.partition("Args:")[2].partition("Returns:")[0]
    return set(re.findall(r"^    (\w+)(?: \(.*)?:", listed, re.MULTILINE))


def test_every_option_that_docker_py_has_is_known():
    taken = set(containers.RUN_CREATE_KWARGS) | set(containers.RUN_HOST_CONFIG_KWARGS)
    parameters = set(inspect.signature(containers.ContainerCollection.run).parameters)
    everything = taken | documented() | parameters - {"self", "kwargs"}
    assert {"ports", "shm_size", "networking_config", "stream"} <= everything
    assert everything - set(OPTIONS) - set(REFUSED) == set()


def test_nothing_is_known_that_docker_py_has_not():
    everything = {
        *containers.RUN_CREATE_KWARGS,
        *containers.RUN_HOST_CONFIG_KWARGS,
        *documented(),
    }
    assert set(OPTIONS) - everything == OURS
    assert set(REFUSED) - everything == {*INTERNAL}


def test_there_is_an_example_of_every_option():
    elsewhere = {
        "image", "entrypoint", "command", "environment", "working_dir", "mem_limit", "nano_cpus",
        "cpu_quota", "cpu_period", *OURS,
    }  # fmt: skip
    assert set(OPTIONS) - elsewhere == set(EXAMPLES)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_docker_py_takes_what_it_is_given(name):
    also = {"network": EXAMPLES["network"]} if name == "networking_config" else {}
    found = converted({name: EXAMPLES[name], **also})
    # What `create` makes of it before it asks the engine.
    made = containers._create_container_args(
        {"image": "x", "command": None, "version": "1.44", **found}
    )
    assert made["host_config"]


def test_types_of_docker_py():
    found = converted({**EXAMPLES, "network_mode": None})
    assert found["ulimits"] == [Ulimit(name="nofile", soft=1000, hard=2000)]
    assert isinstance(found["ulimits"][0], Ulimit)
    assert isinstance(found["device_requests"][0], DeviceRequest)
    assert found["device_requests"][0].device_ids == ["vendor.example/net=a"]
    assert isinstance(found["healthcheck"], Healthcheck)
    assert found["healthcheck"].test == ["CMD-SHELL", "true"]
    assert found["healthcheck"].interval == 30 * 10**9
    assert isinstance(found["networking_config"]["some-network"], EndpointConfig)
    assert found["ports"]["81/tcp"] == ("127.0.0.1", 8081)
    assert found["ports"]["82/tcp"] == [8082, 8083]
    assert found["device_read_bps"] == [{"Path": "/dev/sda", "Rate": 10**6}]
    assert found["shm_size"] == 128 * 2**20
    assert all(isinstance(mount, Mount) for mount in found["mounts"])


def test_what_is_for_others_is_left_out():
    worker = {**read_worker({"image": "a", "working_dir": "/w", "tty": True}).options}
    worker |= {"image_id": "sha256:0", "image_digest": "a@sha256:0", "links_followed": True}
    assert container_options(worker) == {"tty": True}


def test_folders_are_mounted_so_that_missing_ones_are_errors():
    volumes = {
        "/data": {"bind": "/data", "mode": "ro"},
        "named": {"bind": "/n", "mode": "rw,nocopy"},
        "/shared": {"bind": "/s", "mode": "rslave"},
        "/selinux": {"bind": "/z", "mode": "ro,Z"},
    }
    found = converted({"volumes": volumes, "mounts": [{"source": "/a:b", "target": "/c"}]})
    assert found["volumes"] == {"/selinux": {"bind": "/z", "mode": "ro,Z"}}
    told = {mount["Target"]: mount for mount in found["mounts"]}
    assert told["/data"] == Mount("/data", "/data", type="bind", read_only=True)
    assert told["/n"] == Mount("/n", "named", type="volume", no_copy=True)
    assert told["/s"] == Mount("/s", "/shared", type="bind", propagation="rslave")
    assert told["/c"] == Mount("/c", "/a:b", type="bind")


def test_links_are_looked_at_again_before_they_are_mounted(tmp_path: Path):
    (tmp_path / "data").mkdir()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "data")
    worker = read_worker({"volumes": {str(link): {"bind": "/x"}, "named": {"bind": "/y"}}}).options
    check_sources(worker)
    with pytest.raises(StartFailed, match="has become a link"):
        check_sources({**worker, "links_followed": True})
    link.unlink()
    link.symlink_to("/run")
    with pytest.raises(StartFailed, match="socket"):
        check_sources(worker)


@pytest.mark.docker
def test_an_engine_makes_a_container_with_all_of_it(tmp_path: Path):
    client = docker.from_env()
    images.provide("busybox", client=client)
    # Blocks that this machine can do whatever its disks, cgroups and drivers.
    left_out = {
        "network", "networking_config", "network_mode", "networking", "pid_mode", "userns_mode",
        "uts_mode", "cgroup_parent", "links", "device_requests", "storage_opt", "cpu_rt_period",
        "cpu_rt_runtime", "blkio_weight_device", "device_read_bps", "device_read_iops",
        "device_write_bps", "device_write_iops", "mem_swappiness", "network_disabled", "volumes",
        "platform", "cpuset_mems", "blkio_weight", "mac_address", "hostname", "domainname",
    }  # fmt: skip
    block = {name: value for name, value in EXAMPLES.items() if name not in left_out}
    block["volumes"] = {str(tmp_path): {"bind": "/data", "mode": "ro"}}
    found = converted(block)
    container = client.containers.create(
        images.reference("busybox"), ["true"], mem_limit="64m", **found
    )
    try:
        host, own = (container.attrs[part] for part in ("HostConfig", "Config"))
        assert host["ShmSize"] == 128 * 2**20
        assert host["Ulimits"] == [{"Name": "nofile", "Soft": 1000, "Hard": 2000}]
        assert host["PortBindings"]["81/tcp"] == [{"HostIp": "127.0.0.1", "HostPort": "8081"}]
        assert host["Tmpfs"] == {"/scratch": "size=16m"}
        assert host["CapAdd"] == ["SYS_PTRACE"]
        assert host["ReadonlyRootfs"] is True
        assert {mount["Target"]: mount["Type"] for mount in host["Mounts"]} == {
            "/data": "bind",
            "/opt": "bind",
        }
        assert own["User"] == "1234:4321"
        assert own["Healthcheck"]["Interval"] == 30 * 10**9
        assert own["Labels"]["team"] == "vision"
    finally:
        container.remove(v=True)
        client.close()


@pytest.mark.docker
def test_an_engine_says_which_folder_is_missing(tmp_path: Path):
    client = docker.from_env()
    images.provide("busybox", client=client)
    found = converted({"volumes": {str(tmp_path / "nowhere"): {"bind": "/data"}}})
    try:
        with pytest.raises(docker.errors.APIError, match="nowhere"):
            client.containers.create(images.reference("busybox"), ["true"], **found)
        assert not (tmp_path / "nowhere").exists()
    finally:
        client.close()

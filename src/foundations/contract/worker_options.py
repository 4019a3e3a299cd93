"""Every key of the worker block: how its value is read, and what it asks of the machine. Pure.

The names are those of docker-py's `containers.run`, whose documentation describes them; a test
compares the two. What cannot be the user's is in REFUSED, with what to do instead.
"""

from __future__ import annotations

from foundations.contract import worker_mounts
from foundations.contract.images import read_image
from foundations.contract.request import words
from foundations.contract.worker_limits import (
    cpuset,
    device_requests,
    rates,
    resources,
    ulimits,
    weights,
)
from foundations.contract.worker_values import (
    cores,
    flag,
    identity,
    items,
    mapping,
    mapping_or_lines,
    nanoseconds,
    one_of,
    record,
    scalar,
    size,
    size_or_unlimited,
    text,
    texts,
    whole,
    wrong,
)
from foundations.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict

    from foundations.contract.worker_values import Reader

HARMLESS = "harmless"
OUTSIDE = "volumes"
NETWORK = "networks"
PRIVILEGE = "privileges"
"""What an option asks for. All but HARMLESS are names of what a server may restrict."""


class Option:
    """A key: its reader, what it asks for, and the read values with which it is harmless."""

    __slots__ = ("asks", "is_harmless", "read")

    def __init__(
        self,
        read: Reader,
        asks: str = HARMLESS,
        is_harmless: Callable[[Any], bool] = lambda _: False,
    ) -> None:
        self.read = read
        self.asks = asks
        self.is_harmless = is_harmless


def _is(*harmless: Any) -> Callable[[Any], bool]:
    return lambda value: value in harmless


# -- readers of single options


_PROTOCOLS = ("tcp", "udp", "sctp")
_port = whole(1, 65535)


def _inner_port(where: str, value: Any) -> str:
    number, slash, protocol = str(value).partition("/")
    if not number.isdigit() or (slash and protocol not in _PROTOCOLS):
        raise wrong(where, "a port, as in 8080 or 8080/udp", value)
    return "{}/{}".format(_port(where, int(number)), protocol or "tcp")


def _outer_port(where: str, value: Any) -> Any:
    """Read None (any free port), a port, (address, port) or a list of ports."""
    if value is None:
        return None
    if isinstance(value, str):
        address, _, number = value.rpartition(":")
        value = int(number) if number.isdigit() else number
        return [text(where, address), _port(where, value)] if address else _port(where, value)
    if isinstance(value, (list, tuple)):
        if len(value) == 2 and isinstance(value[0], str) and not value[0].isdigit():
            return [value[0], _port(where, value[1])]
        return [_port(where, item) for item in value]
    return _port(where, value)


def _labels(where: str, value: Any) -> Dict[str, str]:
    found = mapping_or_lines(scalar, "=")(where, value)
    for name in found:
        if name == "atlas" or name.startswith("atlas."):
            raise ConfigError("{}: labels such as '{}' are Atlas' own.".format(where, name))
    return found


def _test(where: str, value: Any) -> Any:
    return text(where, value) if isinstance(value, str) else texts(where, value)


def _environment(where: str, value: Any) -> Dict[str, str]:
    found = mapping(scalar)(where, value)
    for name in found:
        if "=" in name:
            raise ConfigError("{}: no process can have the variable {!r}.".format(where, name))
    return found


_healthcheck = record(
    "",
    test=_test, interval=nanoseconds, timeout=nanoseconds, retries=whole(0),
    start_period=nanoseconds,
)  # fmt: skip
_endpoint = record(
    "",
    aliases=texts, links=mapping_or_lines(scalar, ":"), ipv4_address=text, ipv6_address=text,
    link_local_ips=texts, driver_opt=mapping(scalar), mac_address=text,
)  # fmt: skip
_namespace = _is("private", "shareable", "none")

# -- the table

OPTIONS = {
    # What Atlas itself works with.
    "image": Option(read_image),
    "entrypoint": Option(words),
    "command": Option(words),
    "args": Option(words),
    "environment": Option(_environment),
    "working_dir": Option(worker_mounts.inside_path),
    "resources": Option(resources),
    "cpus": Option(cores),
    "nano_cpus": Option(whole(10**6)),
    "cpu_quota": Option(whole(1000)),
    "cpu_period": Option(whole(1000, 10**6)),
    "mem_limit": Option(size),
    # What comes in from outside.
    "volumes": Option(worker_mounts.volumes, OUTSIDE),
    "mounts": Option(worker_mounts.mounts, OUTSIDE),
    "tmpfs": Option(worker_mounts.tmpfs),
    "volume_driver": Option(text, PRIVILEGE, _is("local")),
    "devices": Option(worker_mounts.devices, PRIVILEGE),
    "device_requests": Option(device_requests, PRIVILEGE),
    "device_cgroup_rules": Option(texts, PRIVILEGE),
    # The network.
    "network": Option(text, NETWORK),
    "network_mode": Option(text, NETWORK),
    "networking_config": Option(mapping(_endpoint), NETWORK),
    "network_disabled": Option(flag),
    "ports": Option(mapping(_outer_port, _inner_port), PRIVILEGE),
    "publish_all_ports": Option(flag, PRIVILEGE, _is(False)),
    "links": Option(mapping_or_lines(scalar, ":"), PRIVILEGE),
    "dns": Option(texts),
    "dns_opt": Option(texts),
    "dns_search": Option(texts),
    "extra_hosts": Option(mapping_or_lines(text, ":")),
    "hostname": Option(text),
    "domainname": Option(text),
    "mac_address": Option(text),
    "use_config_proxy": Option(flag),
    # Limits.
    "shm_size": Option(size),
    "mem_reservation": Option(size),
    "memswap_limit": Option(size_or_unlimited),
    "mem_swappiness": Option(whole(0, 100)),
    "oom_kill_disable": Option(flag, PRIVILEGE, _is(False)),
    "oom_score_adj": Option(whole(-1000, 1000), PRIVILEGE, lambda value: value >= 0),
    "cpu_shares": Option(whole(2, 262144)),
    "cpuset_cpus": Option(cpuset),
    "cpuset_mems": Option(cpuset),
    "cpu_rt_period": Option(whole(0), PRIVILEGE),
    "cpu_rt_runtime": Option(whole(0), PRIVILEGE),
    "pids_limit": Option(whole(-1)),
    "ulimits": Option(
        ulimits, PRIVILEGE, lambda found: not {"nice", "rtprio"} & {one["name"] for one in found}
    ),
    "storage_opt": Option(mapping(scalar)),
    "blkio_weight": Option(whole(10, 1000)),
    "blkio_weight_device": Option(weights),
    "device_read_bps": Option(rates),
    "device_read_iops": Option(rates),
    "device_write_bps": Option(rates),
    "device_write_iops": Option(rates),
    # Who it is, and what it may do.
    "user": Option(identity, PRIVILEGE),
    "group_add": Option(items(identity), PRIVILEGE),
    "privileged": Option(flag, PRIVILEGE, _is(False)),
    "cap_add": Option(texts, PRIVILEGE),
    "cap_drop": Option(texts),
    "security_opt": Option(
        texts, PRIVILEGE, lambda found: all(one.startswith("no-new-privileges") for one in found)
    ),
    "runtime": Option(text, PRIVILEGE, _is("runc")),
    "cgroup_parent": Option(text, PRIVILEGE),
    "cgroupns": Option(one_of("private", "host"), PRIVILEGE, _is("private")),
    "ipc_mode": Option(text, PRIVILEGE, _namespace),
    "pid_mode": Option(text, PRIVILEGE),
    "userns_mode": Option(one_of("host"), PRIVILEGE),
    "uts_mode": Option(one_of("host"), PRIVILEGE),
    # The rest.
    "read_only": Option(flag),
    "sysctls": Option(mapping(scalar)),
    "init": Option(flag),
    "tty": Option(flag),
    "labels": Option(_labels),
    "platform": Option(text),
    "stop_signal": Option(identity),
    "healthcheck": Option(_healthcheck),
}

_WATCHED = "Atlas starts the container and watches it"
_LOGGED = "Atlas keeps what the job prints"
_WINDOWS = "only Windows has it"

REFUSED = {
    "detach": (_WATCHED, "`foundations submit --stream-job-logs False` returns at once."),
    "auto_remove": ("Atlas removes the container when all is kept", "Leave it out."),
    "remove": ("Atlas removes the container when all is kept", "Leave it out."),
    "stdout": (_LOGGED, "Read it with `foundations get logs`."),
    "stderr": (_LOGGED, "Read it with `foundations get logs`."),
    "stream": (_LOGGED, "Follow it with `foundations get logs --follow`."),
    "stdin_open": ("a job has no input", "Give it arguments, parameters or files."),
    "name": ("containers are named by Atlas", "Name the job: `name` outside of the worker block."),
    "restart_policy": (_WATCHED, "Use `retries` outside of the worker block."),
    "log_config": ("Atlas reads the log", "Limit what the job prints."),
    "version": ("Atlas and the engine agree on it", "Leave it out."),
    "volumes_from": (
        "it brings in whatever another container has",
        "Name the folders themselves in `volumes`.",
    ),
    "init_path": ("engines do not take it any more", "`init: true` uses the engine's own."),
    "lxc_conf": ("engines do not take it any more", "Leave it out."),
    "kernel_memory": ("engines do not limit it apart any more", "Use `mem_limit`."),
    "cpu_count": (_WINDOWS, "Use `cpus`."),
    "cpu_percent": (_WINDOWS, "Use `cpus`."),
    "isolation": (_WINDOWS, "Leave it out."),
    "image_id": ("Atlas finds it out", "Name the image: `image`."),
    "image_digest": ("Atlas finds it out", "Write it into the name: `image: NAME@sha256:...`."),
    "links_followed": ("Atlas sets it", "Leave it out."),
}

# What other programs call these things, where the spelling is not near enough.
OTHER_NAMES = {
    "env": "environment",
    "gpus": "num_gpus",
    "gpu": "num_gpus",
    "memory": "mem_limit",
    "cpu": "cpus",
    "net": "network_mode",
    "pid": "pid_mode",
    "workdir": "working_dir",
    "imagepullpolicy": "image",
}

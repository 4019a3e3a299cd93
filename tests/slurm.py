"""A Slurm cluster of its own on this machine: two nodes with GPUs that are none, from nothing.

Its controller, node daemons and munge have keys, sockets, ports and state below one folder; no
service is started, and another Slurm on the machine is not touched.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import stat
import subprocess
import time
from pathlib import Path

NODES = ("n1", "n2")
GPUS = 2
CPUS = 16
_SEARCH = os.environ.get("PATH", os.defpath) + os.pathsep + "/usr/sbin" + os.pathsep + "/sbin"
_PATIENCE = 30.0

_CONF = """\
ClusterName=atlas
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={root}/munge.socket
CredType=cred/munge
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/state/%n
SlurmctldPidFile={root}/slurmctld.pid
SlurmdPidFile={root}/slurmd-%n.pid
SlurmctldLogFile={root}/slurmctld.log
SlurmdLogFile={root}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SlurmdParameters=config_overrides
SlurmdTimeout={node_timeout}
SlurmctldTimeout=30
InactiveLimit=0
KillWait=3
MinJobAge=600
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0,sched_min_interval=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=50
GresTypes=gpu
{nodes}
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
PartitionName=small Nodes=n2 MaxTime=60 State=UP
"""


class SlurmCluster:
    """Two nodes of 16 declared CPUs, 8000 MB and two GPUs each; a context manager.

    `hidden` is a folder that the nodes and their jobs do not see.
    """

    def __init__(self, root: Path, node_timeout: int = 5, hidden: Path | None = None) -> None:
        self.root = root
        self.conf = root / "slurm.conf"
        self.environment = {**os.environ, "PATH": _SEARCH, "SLURM_CONF": str(self.conf)}
        self._node_timeout = node_timeout
        self._hidden = hidden

    def __enter__(self) -> SlurmCluster:
        try:
            self._start_all()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start_all(self) -> None:
        self._configure()
        self._munge()
        self.start_controller()
        for node in NODES:
            self.start_node(node)
        self.wait(lambda: self.states() == dict.fromkeys(NODES, "idle"))

    def __exit__(self, *_: object) -> None:
        for name in [*(f"slurmd-{node}" for node in NODES), "slurmctld", "munge"]:
            self.kill(name)

    def states(self) -> dict[str, str]:
        """The state of each node."""
        listed = self.command("sinfo", "-h", "-N", "-O", "NodeList:|,StateLong:|")
        return {name: state for name, state, *_ in (line.split("|") for line in listed.split())}

    def command(self, *words: str) -> str:
        """What a command of Slurm's prints; nothing where it fails."""
        done = subprocess.run(words, env=self.environment, capture_output=True, text=True)
        return done.stdout

    def start_controller(self) -> None:
        self._start("slurmctld", "-f", str(self.conf))

    def start_node(self, node: str) -> None:
        words = ["slurmd", "-N", node, "-f", str(self.conf)]
        if self._hidden is None:
            self._start(*words)
        else:
            # Another machine's files: the node sees an empty folder there, and so do its jobs.
            hide = f'mount -t tmpfs none {self._hidden} && exec "$@"'
            self._start("unshare", "--mount", "sh", "-c", hide, "sh", *words)

    def kill(self, name: str, how: signal.Signals = signal.SIGKILL) -> None:
        """Kill a daemon: slurmctld, slurmd-n1, munge. Jobs go on."""
        with contextlib.suppress(FileNotFoundError, ValueError, ProcessLookupError):
            pid = int((self.root / f"{name}.pid").read_text())
            descriptor = os.pidfd_open(pid)
            os.kill(pid, how)
            self.wait(lambda: _is_gone(descriptor))
            os.close(descriptor)

    def wait(self, condition, patience: float = _PATIENCE) -> None:
        deadline = time.monotonic() + patience
        while not condition():
            assert time.monotonic() < deadline, self._logs()
            time.sleep(0.05)

    def _logs(self) -> str:
        files = sorted(self.root.glob("*.log"))
        return "\n".join(f"== {file.name}\n{file.read_text()[-2000:]}" for file in files)

    def _configure(self) -> None:
        (self.root / "state").mkdir(parents=True)
        self.root.chmod(0o755)
        ports = free_ports(len(NODES) + 1)
        nodes, gres = [], []
        for node, port in zip(NODES, ports[1:]):
            nodes.append(
                f"NodeName={node} NodeHostname={_host()} NodeAddr=127.0.0.1 Port={port}"
                f" CPUs={CPUS} RealMemory=8000 Gres=gpu:{GPUS} State=UNKNOWN"
            )
            for number in range(GPUS):
                # A device file is all that is counted: these lead where /dev/null does.
                device = self.root / f"gpu-{node}-{number}"
                os.mknod(device, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
                gres.append(f"NodeName={node} Name=gpu File={device}")
        self.conf.write_text(
            _CONF.format(
                root=self.root, host=_host(), port=ports[0], user="root",
                nodes="\n".join(nodes), node_timeout=self._node_timeout,
            )
        )  # fmt: skip
        (self.root / "gres.conf").write_text("\n".join(gres) + "\n")
        (self.root / "cgroup.conf").write_text("CgroupAutomount=no\nConstrainCores=no\n")

    def _munge(self) -> None:
        key = self.root / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        self._start(
            "munged", "--force", f"--key-file={key}", f"--socket={self.root}/munge.socket",
            f"--pid-file={self.root}/munge.pid", f"--log-file={self.root}/munge.log",
            f"--seed-file={self.root}/munge.seed",
        )  # fmt: skip

    def _start(self, program: str, *arguments: str) -> None:
        found = shutil.which(program, path=_SEARCH)
        assert found is not None
        done = subprocess.run(
            [found, *arguments], env=self.environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr + self._logs()


def can_start() -> bool:
    """Whether the tests may: device files are for root to make."""
    return os.geteuid() == 0


def _host() -> str:
    return socket.gethostname().partition(".")[0]


def _is_gone(descriptor: int) -> bool:
    import select

    return bool(select.select([descriptor], [], [], 0)[0])


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, below those that the system gives out by itself."""
    import random

    found: list[int] = []
    while len(found) < count:
        port = random.randrange(20000, 30000)
        with socket.socket() as tried, contextlib.suppress(OSError):
            tried.bind(("127.0.0.1", port))
            found.append(port)
    return found

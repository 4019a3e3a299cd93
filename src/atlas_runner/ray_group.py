"""Ray's part of an attempt on several nodes: a placement group, and our program on each node of it.

    ATLAS_GROUP_ASKED=... ATLAS_TOLD=... python -m atlas_runner.ray_group

Begun by Atlas' Python it goes on in Ray's own, which is that of the process that has started it.
It ends when the runner on the first node has, with its exit code.
"""

from __future__ import annotations

import importlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

ASKED, GROUP = "ATLAS_GROUP_ASKED", "ATLAS_GROUP"
IN_RAY = "in-ray"
# Exit codes beside the anchor's own (atlas_runner/anchor.py): the first node was lost; a node could
# not start our program.
LOST, NOT_STARTED = 71, 1

_LIBRARY = "/ray/_raylet.so"
_LOOK = 0.5
# Beside the grace: for the other nodes to tidy up.
_TIDYING = 30.0
_MOST_SAID = 2000
# What a node does at once: it runs the program, and is told to end it.
_AT_ONCE = 2


def main() -> int:
    """Run the attempt's programs; returns the exit code of the first one."""
    if sys.argv[1:] != [IN_RAY]:
        go_on_in(*rays_python(os.getppid()))
    sys.path.pop(0)  # our own folder, whose names are not Ray's
    return RayGroup(importlib.import_module("ray"), json.loads(os.environ[ASKED])).run()


def go_on_in(python: str, variables: dict[str, str]) -> NoReturn:
    """Become this program in another interpreter."""
    os.execve(python, [python, __file__, IN_RAY], {**os.environ, **variables})  # noqa: S606


def rays_python(pid: int) -> tuple[str, dict[str, str]]:
    """Return the interpreter of one of Ray's processes, and the variables with which it has Ray."""
    with open(f"/proc/{pid}/maps") as maps:
        found = [line.rstrip("\n") for line in maps if line.rstrip("\n").endswith(_LIBRARY)]
    if not found:
        raise SystemExit("The process that has started this one is none of Ray's.")
    packages = Path(found[0][found[0].index("/") :]).parent.parent
    for prefix in packages.parents:
        if (prefix / "pyvenv.cfg").exists():
            return str(prefix / "bin" / "python"), {}
    listed = os.pathsep.join(filter(None, [str(packages), os.environ.get("PYTHONPATH")]))
    return os.readlink(f"/proc/{pid}/exe"), {"PYTHONPATH": listed}


class _Node:
    """One node: an actor of Ray's, which has what the attempt was given there."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def look(self, python: str) -> tuple[str, list[int], str]:
        """Return the node's address, two free ports, and why our program cannot be started."""
        ray: Any = importlib.import_module("ray.util")
        words = [python, "-P", "-c", "import atlas_runner.anchor"]
        try:
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            trouble = done.stderr if done.returncode else ""
        except OSError as error:
            trouble = str(error)
        with socket.socket() as one, socket.socket() as two:
            ports: list[int] = []
            for each in (one, two):
                each.bind(("", 0))
                ports.append(each.getsockname()[1])
        return ray.get_node_ip_address(), ports, trouble

    def run(self, python: str, group: str) -> tuple[int, str]:
        """Run our program to its end; returns its exit code and what it has said of trouble."""
        self._process = subprocess.Popen(
            [python, "-P", "-m", "atlas_runner.anchor"],
            env={**os.environ, GROUP: group},
            # When Ray has lost its head it tells all in the actor's own group to end.
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        _, said = self._process.communicate()
        return self._process.returncode, said[-_MOST_SAID:]

    def end(self) -> None:
        """Have it end."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)


class RayGroup:
    """`asked` holds `name`, `python`, `nodes`, `bundle`, `labels` and `grace`."""

    def __init__(self, ray: Any, asked: dict[str, Any]) -> None:
        self._ray = ray
        self._asked = asked
        self._is_told_to_end = False

    def run(self) -> int:
        """Return the exit code."""
        self._ray.init(log_to_driver=False, logging_level="ERROR")
        signal.signal(signal.SIGTERM, self._hear)
        try:
            return self._run()
        except self._ray.exceptions.RayActorError as error:
            sys.stderr.write(f"A node was lost: {error}\n")
            return LOST

    def _hear(self, *_: object) -> None:
        self._is_told_to_end = True

    def _run(self) -> int:
        python, nodes = self._asked["python"], self._nodes()
        if not nodes:
            return 0
        looks = self._ray.get([node.look.remote(python) for node in nodes])
        troubles = [trouble for _, _, trouble in looks if trouble]
        if troubles:
            sys.stderr.write(troubles[0][-_MOST_SAID:])
            return NOT_STARTED
        address, ports, _ = looks[0]
        told = {
            "nodes": len(nodes), "address": address, "port": ports[0], "master_port": ports[1],
            "key": secrets.token_urlsafe(24), "token": secrets.token_urlsafe(24),
        }  # fmt: skip
        first, *others = [
            node.run.remote(python, json.dumps({"rank": rank, **told}))
            for rank, node in enumerate(nodes)
        ]
        code, said = self._outcome(nodes[0], first)
        for node in nodes[1:]:
            node.end.remote()
        patience = self._asked["grace"] + _TIDYING
        self._ray.wait(others, num_returns=len(others), timeout=patience)
        sys.stderr.write(said)
        return code

    def _nodes(self) -> list[Any]:
        """Return an actor on each node, once Ray has them all; none where we are to end first."""
        ray, asked = self._ray, self._asked
        of_groups: Any = importlib.import_module("ray.util.placement_group")
        strategies: Any = importlib.import_module("ray.util.scheduling_strategies")
        labels = [asked["labels"]] * asked["nodes"] if asked["labels"] else None
        group = of_groups.placement_group(
            [asked["bundle"]] * asked["nodes"],
            strategy="STRICT_SPREAD",
            name=asked["name"],
            **({"bundle_label_selector": labels} if labels else {}),
        )
        ready = group.ready()
        while not ray.wait([ready], timeout=_LOOK)[0]:
            if self._is_told_to_end:
                return []
        own = dict(asked["bundle"])
        options = {
            "num_cpus": own.pop("CPU", 0), "num_gpus": own.pop("GPU", 0),
            "memory": own.pop("memory", None), "resources": own, "max_concurrency": _AT_ONCE,
        }  # fmt: skip
        place = strategies.PlacementGroupSchedulingStrategy
        return [
            ray.remote(_Node)
            .options(
                **options,
                scheduling_strategy=place(group, placement_group_bundle_index=rank),
            )
            .remote()
            for rank in range(asked["nodes"])
        ]

    def _outcome(self, node: Any, run: Any) -> tuple[int, str]:
        told = False
        while not self._ray.wait([run], timeout=_LOOK)[0]:
            if self._is_told_to_end and not told:
                told = True
                node.end.remote()
        return self._ray.get(run)


if __name__ == "__main__":
    sys.exit(main())

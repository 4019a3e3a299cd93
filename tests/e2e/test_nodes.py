"""Nodes that are drained: no new jobs, what runs goes on, and who looks is told."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.live import LiveServer, make_folder

WAIT = "import os, sys, time\nwhile not os.path.exists(sys.argv[1]): time.sleep(0.01)\n"


def node_of(server: LiveServer) -> dict[str, Any]:
    return server.api().nodes()[0]


def test_a_node_is_drained_and_has_jobs_again(tmp_path: Path) -> None:
    folder, end = make_folder(tmp_path / "project", wait=WAIT), tmp_path / "end"
    with LiveServer(tmp_path, cpus=2) as server:
        name = node_of(server)["name"]
        running = server.send(folder, "wait.py", str(end))
        server.in_state(running, "running")
        node = ("node", "drain", name, "--reason", "a new disk")
        drained = server.server_command(*node)
        assert (drained.code, running in drained.out) == (0, True), drained
        # The command has written it down; the server sees it in a moment.
        server.wait_for(lambda: node_of(server)["accepting"] is False, "the drained node")
        shown = node_of(server)
        assert shown["drained"].endswith(": a new disk")
        assert "a new disk" in " ".join(server.cli("nodes").out.split())

        waiting = server.send(folder, "wait.py", str(end))
        why = server.wait_for(lambda: server.job(waiting).get("waits_because"), "the reason")
        assert why == f"waits for nodes that take no new jobs: {name} ({shown['drained']})"
        assert server.job(running)["state"] == "running"
        listed = json.loads(server.server_command("node", "list", "--json").out)
        assert [(each["name"], each["jobs"]) for each in listed] == [(name, [running])]

        # It is kept over a restart; --wait ends when the node is empty, and not before.
        server.stop()
        server.start()
        with ThreadPoolExecutor() as pool:
            emptied = pool.submit(server.server_command, "node", "drain", name, "--wait")
            server.wait_for(
                lambda: ": a new disk" not in node_of(server)["drained"], "the new reason"
            )
            assert not emptied.done()
            end.touch()
            assert emptied.result().out.splitlines()[-1].endswith(running)
        assert server.ended(running)["state"] == "completed"
        assert server.job(waiting)["state"] == "queued"
        assert server.server_command("node", "undrain", name).code == 0
        assert server.completed(waiting)
        again = server.server_command("node", "undrain", name)
        assert (again.code, "is not drained" in again.err) == (1, True), again

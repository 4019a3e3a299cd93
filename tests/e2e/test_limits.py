"""Limits as people meet them: set, shown, waited for, refused."""

from __future__ import annotations

import json
from pathlib import Path

from tests.live import Done, LiveServer, make_folder

WAIT = "import os, sys, time\nwhile not os.path.exists(sys.argv[1]): time.sleep(0.01)\n"


def test_limits_from_front_to_back(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "project", wait=WAIT, big="print('x' * 100)\n")
    file = tmp_path / "home" / "config" / "server.config.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("limits:\n  users:\n    '*': {queued: 2}\n")
    end, alice = str(tmp_path / "end"), {"FOUNDATIONS_USER": "alice"}
    with LiveServer(tmp_path, cpus=4) as server:
        me = server.cli("limits", "set", "--user", "alice", "--jobs", "1", "--priority", "5")
        assert me.code == 0, me
        assert all(word in me.out for word in ("alice", "0 of 1", "0 of 2")), me.out

        running = server.send(folder, "wait.py", end, user="alice")
        server.in_state(running, "running")
        waiting = server.send(folder, "wait.py", end, user="alice")
        other = server.send(folder, "wait.py", end, user="bob")
        server.in_state(other, "running")
        why = f"waits: alice's limit of 1 running job is used by job {running}"
        server.wait_for(lambda: server.job(waiting).get("waits_because") == why, "the reason")
        shown = server.cli("queue", env=alice).out
        assert "your limit of 1 running job is used by" in " ".join(shown.split()), shown

        # Refused are a priority that is too high, and one job more than may wait; nothing is lost.
        refused = server.cli(
            "submit", "--priority", "6", "scheduler", str(folder), "wait.py", env=alice
        )
        _check_refused(refused, "Priority 6 is above 5")
        second = server.send(folder, "wait.py", end, user="alice")
        refused = server.cli("submit", "scheduler", str(folder), "wait.py", env=alice)
        _check_refused(refused, "alice may have 2 in the queue")
        refused = server.cli("limits", "set", "--user", "alice", "--gpus", "few")
        _check_refused(refused, "not 'few'")

        # A limit that is changed counts at once, without a restart; and one is kept over it.
        assert server.cli("limits", "set", "--user", "alice", "--jobs", "2").code == 0
        server.in_state(waiting, "running")
        server.stop()
        server.start()
        rows = json.loads(server.cli("limits", "--user", "alice", "--json").out)
        assert (rows[0]["limits"]["jobs"], rows[0]["origin"]) == (2, "set")
        assert rows[0]["limits"]["queued"] == 2
        assert server.job(second)["state"] == "queued"
        Path(end).touch()
        for job in (running, waiting, second, other):
            assert server.ended(job)["state"] == "completed"

        # Who has stored too much has to delete something first.
        assert server.cli("limits", "set", "--project", "tests", "--stored", "1").code == 0
        refused = server.cli(
            "submit", "--project-name", "tests", "scheduler", str(folder), "big.py", env=alice
        )
        _check_refused(refused, "project tests has")
        # Another name is no way out, and another project of the old one begins anew.
        assert server.cli("projects", "rename", "tests", "renamed").code == 0
        refused = server.cli(
            "submit", "--project-name", "renamed", "scheduler", str(folder), "big.py", env=alice
        )
        _check_refused(refused, "project renamed has")
        assert json.loads(server.cli("limits", "--project", "tests", "--json").out) == []
        assert server.cli("limits", "remove", "--project", "renamed").code == 0
        assert server.ended(server.send(folder, "big.py"))["state"] == "completed"


def _check_refused(done: Done, why: str) -> None:
    assert done.code == 1, done
    assert why in done.err, done

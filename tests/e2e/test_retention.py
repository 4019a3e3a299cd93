"""What rules remove of jobs, and how those who ask for it are told."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from tests.live import LiveServer, make_folder

from foundations.errors import NotFound, Removed

JOB = """
import foundations
print("printed")
open("made.txt", "w").write("made")
foundations.save_artifact("made.txt", "made")
"""
RULES = {
    "rules": [
        {"name": "short of room", "remove": ["log", "artifacts", "results"], "after": "1s",
         "keep_last": 1},
        {"name": "failures", "remove": ["job"], "after": "1s", "states": "failed",
         "projects": "tes*"},
    ],
    "exempt": ["paper"],
}  # fmt: skip


def test_rules(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "project", main=JOB, fail="raise SystemExit(1)")
    with LiveServer(tmp_path, cpus=4) as server:
        marked = server.send(folder, "main.py", tags={"paper": ""})
        failed, old, last = (
            server.send(folder, each) for each in ("fail.py", "main.py", "main.py")
        )
        for job in (marked, failed, old, last):
            finished_at = server.ended(job)["finished_at"]
        server.wait_for(lambda: time.time() > finished_at + 1, "age")
        server.env["ATLAS_RETENTION"] = json.dumps(RULES)

        def would() -> list[tuple[object, ...]]:
            told = json.loads(server.server_command("gc", "--dry-run", "--json").out)
            return [(each["what"], each["rule"], each["count"]) for each in told["removed"]]

        expected = [
            ("log", "short of room", 2),
            ("artifacts", "short of room", 1),
            ("results", "short of room", 1),
            ("job", "failures", 1),
        ]
        assert would() == expected
        # What is set for a project counts instead, also by its new name.
        of_project = ("retention", "set", "--project", "tests", "--remove")
        done = server.cli(*of_project, "log,job", "--after", "never")
        assert done.code == 0, done
        done = server.cli(*of_project, "artifacts", "--after", "0.5", "--state", "completed")
        assert ["project", "tests", "artifacts", "0.5s"] in [
            line.split()[:4] for line in done.out.splitlines()
        ]
        wrong = server.cli(*of_project, "logs", "--after", "1d")
        assert (wrong.code, wrong.out) == (1, "")
        assert "Did you mean" in wrong.err
        server.api().change_project("tests", {"name": "tests[1]"})
        assert would() == [("results", "short of room", 1), ("artifacts", "project tests[1]", 2)]
        server.api().change_project("tests[1]", {"name": "tests"})
        assert server.cli("retention", "remove", "--project", "tests").code == 0
        assert server.job(old)["removed"] == []
        done = server.server_command("gc")
        assert done.code == 0, done
        assert "log (rule 'short of room')" in done.out
        for job in (marked, last):
            assert server.job_log(job).count(b"printed") == 1
        with pytest.raises(NotFound):
            server.job(failed)

        found = server.job(old)
        assert [each["what"] for each in found["removed"]] == ["artifacts", "log", "results"]
        for ask in (server.api().logs, server.api().artifacts_archive):
            with pytest.raises(Removed, match=r"removed on .* by the rule 'short of room'"):
                b"".join(ask(old))
        refused = server.cli("get", "logs", "--follow", "scheduler", old)
        assert refused.code == 1
        assert "by the rule 'short of room'" in refused.err
        shown = server.cli("show", old)
        assert "log, removed on" in shown.out
        fetched = server.cli("get", "job", "scheduler", old)
        assert fetched.code == 0
        assert "by the rule 'short of room'" in fetched.err
        assert not (tmp_path / old / "made.txt").exists()

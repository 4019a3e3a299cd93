"""A search whose server is killed again and again loses no trial and runs none twice."""

from __future__ import annotations

import json
from pathlib import Path

from tests.live import LiveServer, make_folder

TRAIN = """
import foundations
params = foundations.load_parameters()
with open(params["ledger"], "a") as file:
    file.write(params["me"] + "\\n")
for step in range(3):
    foundations.log_metric("loss", params["x"] * (3 - step), step=step)
"""


def test_a_killed_server_goes_on_with_its_search(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    code = TRAIN.replace('params["me"]', "foundations.current_job().job_id")
    folder = make_folder(tmp_path / "folder", main=code)
    (folder / "space.yaml").write_text(
        json.dumps(
            {
                "command": "main.py", "metric": "loss", "sampler": "tpe", "concurrency": 3,
                "num_cpus": 0.5, "budget": {"trials": 12}, "pruner": "median",
                "parameters": {"x": {"min": 0.0, "max": 9.0}, "ledger": str(ledger)},
            }
        )
    )  # fmt: skip
    with LiveServer(tmp_path, cpus=2) as server:
        name = server.cli("search", "start", "--quiet", str(folder / "space.yaml")).out.strip()
        for killed_at in (2, 7):
            server.wait_for(
                lambda at=killed_at: server.api().search(name, "/row")["counts"]["total"] > at,
                "further trial",
            )
            server.kill()
            server.restart()
        row = server.wait_for(
            lambda: (found := server.api().search(name, "/row"))["finished_at"] and found,
            "end of the search",
        )
        trials = server.api().search(name, "/trials")["trials"]
        jobs = {job["job_id"]: job for job in server.api().jobs(limit=100)["jobs"]}
    assert row["state"] == "completed", row
    assert [trial["number"] for trial in trials] == list(range(12))
    assert {trial["job_id"] for trial in trials} == set(jobs)
    points = [trial["params"]["x"] for trial in trials]
    assert len(set(points)) == 12
    assert all(trial["params"]["x"] == jobs[trial["job_id"]]["params"]["x"] for trial in trials)
    assert {trial["state"] for trial in trials} <= {"completed", "pruned"}
    # One that is pruned before it begins writes nothing.
    began = ledger.read_text().split()
    assert len(began) == len(set(began))
    assert {t["job_id"] for t in trials if t["state"] == "completed"} <= set(began)

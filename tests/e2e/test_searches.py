"""Searches that the server runs, with real trials."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.live import LiveServer, make_folder

from foundations.errors import InvalidRequest, NotFound, Refused

TRAIN = """
import foundations
params = foundations.load_parameters()
foundations.log_metric("loss", (params["x"] - 2) ** 2)
foundations.log_metric("size", params["x"])
if params.get("fails"): raise SystemExit(3)
"""
SPACE = {"x": {"min": -5.0, "max": 5.0}}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with LiveServer(tmp_path_factory.mktemp("server"), cpus=4) as server:
        yield server


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("folder") / "trained", main=TRAIN)


def write(folder: Path, file: str, **said: Any) -> Path:
    """Write a search's file; JSON is YAML."""
    path = folder / f"{file}.yaml"
    common = {"command": "main.py", "metric": "loss", "parameters": SPACE, "num_cpus": 0.1}
    path.write_text(json.dumps({**common, **said}))
    return path


def started(server: LiveServer, path: Path, *options: str) -> str:
    done = server.cli("search", "start", "--quiet", *options, str(path))
    assert done.code == 0, done.err
    return done.out.strip()


def python(server: LiveServer, folder: Path, program: str) -> Any:
    """Run a program in `folder` and return the JSON that it prints last."""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, env=server.env, capture_output=True, text=True,
        timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_search_from_its_file_to_the_best_trial(server: LiveServer, folder: Path) -> None:
    path = write(folder, "space", sampler="random", budget={"trials": 6}, concurrency=2)
    done = server.cli("search", "start", "--watch", str(path))
    assert done.code == 0, done.err
    assert "Search 'space-1' has completed: 6 trials, as many as were asked for." in done.out
    api = server.api()
    trials = api.search("space-1", "/trials")["trials"]
    assert [trial["number"] for trial in trials] == list(range(6))
    losses = {trial["job_id"]: (trial["params"]["x"] - 2) ** 2 for trial in trials}
    assert {trial["job_id"]: trial["values"] for trial in trials} == {
        job_id: [pytest.approx(loss)] for job_id, loss in losses.items()
    }
    listed = api.jobs(query="search:space-1", limit=100)["jobs"]
    assert {job["job_id"] for job in listed} == set(losses)
    assert {job["name"] for job in listed} == {f"space-1.{number}" for number in range(6)}
    assert len({job["bundle"] for job in listed}) == 1
    best = server.cli("search", "best", "space-1", "--quiet").out.strip()
    assert best == min(losses, key=lambda job_id: losses[job_id])
    shown = server.cli("search", "status", "space-1").out
    assert "6 of 6 trials, 6 completed" in shown
    assert "Best trials" in shown
    assert server.cli("search", "list", "--json").out.count('"name": "space-1"') == 1
    assert server.cli("show", best).out.count("space-1") == 2
    # A rerun is a job of its own.
    again = api.rerun(best, {})
    assert again["search"] is None
    # The same file once more is another search, with other chance.
    second = started(server, path)
    assert second == "space-2"
    assert server.search_over(second)["state"] == "completed"
    others = api.search("space-2", "/trials")["trials"]
    assert others[0]["params"] != trials[0]["params"]


def test_what_cannot_be_searched_is_refused_with_its_place(
    server: LiveServer, folder: Path
) -> None:
    path = write(folder, "wrong", parameters={"x": {"min": 2, "max": 1}}, budget={"trials": 1})
    done = server.cli("search", "start", str(path))
    assert done.code == 1
    assert "Error: parameters.x: min is 2, which is above max, 1." in done.err
    path.write_text("metrik: loss\n")
    done = server.cli("search", "start", str(path))
    assert "unknown key 'metrik'. Did you mean 'metric'?" in done.err
    for words in (["status", "nope"], ["stop", "nope"], ["best", "nope"], ["resume", "nope"]):
        done = server.cli("search", *words)
        assert done.code == 1
        assert "There is no search 'nope'." in done.err
    taken = write(folder, "taken", name="taken", budget={"trials": 1})
    assert started(server, taken) == "taken"
    assert "There is a search 'taken' already." in server.cli("search", "start", str(taken)).err


def test_several_metrics_and_grid(server: LiveServer, folder: Path) -> None:
    path = write(
        folder, "grid", metric=None, metrics={"loss": "min", "size": "min"}, sampler="grid",
        parameters={"x": {"min": 0, "max": 3}, "same": "kept"},
    )  # fmt: skip
    row = server.search_over(started(server, path))
    assert (row["message"], row["counts"]["completed"]) == ("4 trials, all that there are.", 4)
    search = server.api().search(row["name"])
    # x = 3 is as far from 2 as 1 is, and larger.
    assert [trial["params"]["x"] for trial in search["front"]] == [0, 1, 2]
    assert search["constants"] == {"same": "kept"}
    assert search["best"] is None


def test_failed_trials_are_recorded_and_many_in_a_row_end_the_search(
    server: LiveServer, folder: Path
) -> None:
    path = write(
        folder, "fails", parameters={"x": SPACE["x"], "fails": True}, sampler="random",
        budget={"trials": 50}, stop={"failures": 3}, concurrency=1,
    )  # fmt: skip
    row = server.search_over(started(server, path))
    assert (row["state"], row["message"]) == ("failed", "3 trials in a row have failed.")
    assert row["counts"]["failed"] == 3
    (trial, *_) = server.api().search(row["name"], "/trials")["trials"]
    assert trial["message"] == "The command exited with code 3."
    silent = write(
        folder, "silent", metric="accuracy", sampler="random", budget={"trials": 1}
    )  # fmt: skip
    row = server.search_over(started(server, silent))
    (trial,) = server.api().search(row["name"], "/trials")["trials"]
    assert trial["state"] == "failed"
    assert trial["message"] == "It logged no metric 'accuracy', but loss, size."


def test_a_search_is_stopped_resumed_and_extended(server: LiveServer, tmp_path: Path) -> None:
    waits = make_folder(tmp_path / "waits", main=TRAIN + "import time\ntime.sleep(params['for'])\n")
    path = write(
        waits, "long", parameters={**SPACE, "for": {"choices": [100]}}, sampler="random",
        budget={"trials": 2}, concurrency=2,
    )  # fmt: skip
    name, api = started(server, path), server.api()
    server.wait_for(lambda: api.search(name, "/row")["counts"]["running"] == 2, "two trials")
    with pytest.raises(Refused, match="goes on already"):
        api.change_search(name, "resume", {})
    assert server.cli("search", "stop", name).code == 0
    row = server.search_over(name)
    assert (row["state"], row["counts"]["stopped"]) == ("stopped", 2)
    jobs = api.jobs(query=f"search:{name}")["jobs"]
    assert {(job["state"], job["reason"]) for job in jobs} == {("stopped", "search_over")}
    with pytest.raises(Refused, match="is spent"):
        api.change_search(name, "resume", {})
    done = server.cli("search", "extend", name, "--trials", "1", "--concurrency", "1")
    assert done.code == 0, done.err
    server.wait_for(lambda: api.search(name, "/row")["counts"]["running"] == 1, "a trial")
    row = api.search(name, "/row")
    assert (row["counts"]["total"], row["budget"]["trials"], row["concurrency"]) == (3, 3, 1)
    api.change_search(name, "stop", {})
    assert server.search_over(name)["state"] == "stopped"
    with pytest.raises(InvalidRequest, match="Say what to add"):
        api.change_search(name, "extend", {})


def test_trials_that_fall_behind_are_pruned_and_are_no_failures(
    server: LiveServer, tmp_path: Path
) -> None:
    code = """
import foundations, time
params = foundations.load_parameters()
for step in range(3):
    foundations.log_metric("loss", params["x"], step=step)
if params["x"] > 5: time.sleep(100)
"""
    folder = make_folder(tmp_path / "pruned", main=code)
    # Each is better than the one before it, but for the last.
    path = write(
        folder, "pruned", parameters={"x": [3, 2, 1, 90]}, sampler="grid", concurrency=1,
        pruner={"name": "median", "n_startup_trials": 2},
    )  # fmt: skip
    row = server.search_over(started(server, path))
    assert row["counts"] == {
        "total": 4, "queued": 0, "running": 0, "completed": 3, "pruned": 1, "failed": 0,
        "stopped": 0,
    }  # fmt: skip
    last = server.api().search(row["name"], "/trials")["trials"][-1]
    assert (last["state"], last["values"]) == ("pruned", [90.0])
    job = server.job(last["job_id"])
    assert (job["state"], job["reason"]) == ("stopped", "pruned")
    assert "pruned" in server.cli("list", "--query", f"search:{row['name']}").out
    status = python(
        server, folder,
        f"import foundations, json; job = foundations.Deployment('{last['job_id']}');"
        "table = foundations.get_metrics_for_all_jobs('pruned', as_='records');"
        "print(json.dumps([job.get_true_job_status(), *{row['status'] for row in table}]))",
    )  # fmt: skip
    assert status == ["completed", "completed"]
    # Optuna's own API opens what the search came to.
    optuna = pytest.importorskip("optuna")
    for file in ("study.db", "study.log"):
        done = server.cli("search", "export", row["name"], str(tmp_path / file))
        assert done.code == 0, done.err
    journal = optuna.storages.journal.JournalFileBackend(str(tmp_path / "study.log"))
    for storage in (f"sqlite:///{tmp_path}/study.db", optuna.storages.JournalStorage(journal)):
        study = optuna.load_study(study_name=row["name"], storage=storage)
        assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 3 + ["PRUNED"]
        assert study.best_params == {"x": 1}
        assert study.trials[3].intermediate_values[0] == 90.0


def test_a_search_in_a_program(server: LiveServer, folder: Path) -> None:
    found = python(
        server, folder,
        """
import foundations, json
search = foundations.search(
    {"x": {"min": -5.0, "max": 5.0}}, "main.py", metric="loss", sampler="tpe",
    budget={"trials": 4}, num_cpus=0.1, name="program",
)
status = search.wait(timeout=90)
best = search.best()
assert search.best_job().get_metric("loss") == best["values"][0] == min(
    trial["values"][0] for trial in search.trials())
assert search.front() == [best]
assert foundations.Search("program").status() == status
print(json.dumps(status))
""",
    )  # fmt: skip
    assert (found["state"], found["counts"]["completed"]) == ("completed", 4)
    assert found["project"] == "trained"
    with pytest.raises(NotFound):
        server.api().search("unheard-of", "/row")


def test_a_search_that_a_job_starts(server: LiveServer, tmp_path: Path) -> None:
    tune = """
import foundations
search = foundations.search({"x": [1, 2]}, "main.py", metric="loss", sampler="grid", name="inner",
                            num_cpus=0.1)
foundations.log_metric("best", search.wait(timeout=90)["best"]["values"][0])
search.extend(concurrency=1)
"""
    folder = make_folder(tmp_path / "tuned", main=TRAIN, tune=tune)
    job = server.completed(server.send(folder, "tune.py", project="inner"))
    assert job["metrics"]["best"]["value"] == 0
    row = server.api().search("inner", "/row")
    assert (row["project"], row["user"], row["concurrency"]) == ("inner", job["user"], 1)


def test_a_loop_is_one_thing(server: LiveServer, folder: Path) -> None:
    loop = folder / "tune.py"
    loop.write_text(
        """
import foundations
for x in range(3):
    foundations.submit(command=["main.py"], params={"x": x}, num_cpus=4, project_name="loops")
foundations.submit_many([{"x": 3}], command="main.py", num_cpus=4, project_name="loops")
"""
    )
    done = subprocess.run(
        [sys.executable, "tune.py"], cwd=folder, env=server.env, capture_output=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    api = server.api()
    (row,) = api.searches(project="loops")
    assert (row["kind"], row["counts"]["total"]) == ("loop", 4)
    assert row["name"].startswith("tune-")
    assert len(api.jobs(query=f"group:{row['name']}", project="loops")["jobs"]) == 4
    server.cli("search", "stop", row["name"])
    for job in api.jobs(project="loops")["jobs"]:
        assert server.ended(job["job_id"])["state"] in ("stopped", "completed")
    assert api.search(row["name"], "/row")["state"] == "completed"
    with pytest.raises(Refused, match="is no search, but jobs that a program submitted"):
        api.search(row["name"], "/trials")

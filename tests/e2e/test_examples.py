"""The examples work, at a small size."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.live import LiveServer

ROOT = Path(__file__).parents[2]
# scripts/test-integrations makes it; it has PyTorch.
INTEGRATIONS = Path(
    os.environ.get("ATLAS_TEST_TORCH", ROOT / ".venv" / "integrations" / "bin" / "python")
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with LiveServer(tmp_path_factory.mktemp("server"), cpus=4) as server:
        yield server


@pytest.fixture
def example(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of the example whose name the test has in its marker."""
    name = request.param
    return Path(shutil.copytree(ROOT / "examples" / name, tmp_path / name))


@pytest.mark.parametrize("example", ["random_search"], indirect=True)
def test_a_random_search_as_a_loop_and_as_a_file(server: LiveServer, example: Path) -> None:
    file = example / "space.yaml"
    for written in (file, example / "search.py"):
        # Small networks: what they read is not the question here.
        text = written.read_text()
        written.write_text(text.replace("256", "16").replace("768", "32").replace("1024", "32"))
    options = ["--trials", "1", "--quiet", "--name", "file"]
    done = server.cli("search", "start", *options, str(file))
    assert done.code == 0, done.err
    loop = subprocess.run(
        [sys.executable, "search.py", "1"], cwd=example, env=server.env, capture_output=True,
        timeout=60,
    )  # fmt: skip
    assert (loop.returncode, loop.stdout, loop.stderr) == (0, b"", b"")
    assert not (example / "foundations_job_parameters.json").exists()
    api = server.api()
    # The loop itself is no job.
    jobs = api.jobs(project="random_search")["jobs"]
    assert len(jobs) == 2
    for job in jobs:
        ended = server.completed(job["job_id"])
        assert ended["metrics"]["accuracy"]["value"] > 0.1
        assert 16 <= ended["params"]["layer_shapes_0"] <= 32
        assert ended["params"]["early_stopping_tolerance"] == 0.01
    assert server.search_over("file")["counts"]["completed"] == 1


@pytest.mark.parametrize("example", ["population"], indirect=True)
def test_a_population_of_jobs_that_a_job_submits(server: LiveServer, example: Path) -> None:
    evolves = server.send(example, "evolve.py", "2", "2", project="population")
    server.completed(evolves)
    api = server.api()
    members = [job for job in api.jobs(project="population")["jobs"] if job["job_id"] != evolves]
    assert len(members) == 4
    parents = {job["job_id"]: job["params"]["parent"] for job in members}
    heirs = [job_id for job_id, parent in parents.items() if parent]
    assert {parents[job_id] for job_id in heirs} < set(parents)
    assert len(heirs) == 2
    losses = {job["job_id"]: job["metrics"]["loss"]["value"] for job in members}
    assert all(losses[job_id] < losses[parents[job_id]] for job_id in heirs)
    assert server.job(evolves)["tags"]["best"] in heirs
    (loop,) = api.searches(project="population")
    assert (loop["kind"], loop["counts"]["completed"]) == ("loop", 4)


@pytest.mark.parametrize("example", ["pruning"], indirect=True)
def test_pytorch_trials_are_pruned(server: LiveServer, example: Path) -> None:
    if importlib.util.find_spec("torch") is not None:
        python = sys.executable
    elif INTEGRATIONS.exists():
        python = str(INTEGRATIONS)
    else:
        pytest.skip("PyTorch is not installed; scripts/test-integrations installs it")
    with (example / "space.yaml").open("a") as file:
        file.write(f"entrypoint: {python}\nconcurrency: 2\nstop: {{failures: 1}}\n")
    done = server.cli("search", "start", "--trials", "2", "--quiet", str(example / "space.yaml"))
    assert done.code == 0, done.err
    row = server.search_over(done.out.strip())
    assert row["state"] == "completed", row
    assert row["counts"]["completed"] + row["counts"]["pruned"] == 2
    assert row["best"]["values"][0] > 0.5

"""Jobs chosen by a query on the command line: listed, tagged, stopped, deleted; and projects."""

from __future__ import annotations

import subprocess
import sys

import pytest

TRACKS = """
import foundations
params = foundations.load_parameters()
foundations.log_metric("loss", params["lr"] * 2)
"""


@pytest.fixture
def tracked(own_atlas):
    ids = [
        own_atlas.submit("vision", TRACKS, "--params", f'{{"lr": {lr}}}', "--tag", f"lr={lr}")
        for lr in (0.1, 0.2, 0.3)
    ]
    return own_atlas, ids


def test_jobs_of_a_query(tracked):
    atlas, (low, middle, high) = tracked

    def listed(query: str, *options: str) -> list[str]:
        done = atlas("list", "--quiet", "--query", query, *options)
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    assert listed("metrics.loss > 0.3 sort:-params.lr") == [high, middle]
    assert listed("sort:params.lr", "-n", "1") == [low]
    assert listed("tag:lr=0.1 or tag:lr=0.3 sort:metrics.loss", "--all") == [low, high]
    wrong = atlas("list", "--query", "metrics.loss <")
    assert wrong.returncode == 1
    assert wrong.stderr.splitlines() == [
        "Error: A value is missing at the end.",
        "  metrics.loss <",
        "                ^",
        "  The language in short: foundations query",
    ]
    unknown = atlas("list", "--query", "metrics.los < 1")
    assert (
        unknown.stderr
        == "Foundations WARNING: no job has metrics.los. Did you mean metrics.loss?\n"
    )
    assert atlas("list", "--query", "x", "--status", "failed").returncode == 1
    assert "sort:-metrics.loss" in atlas("query").stdout
    assert atlas("query", "params.lr < 0.25").stdout == "2 jobs fit.\n"
    assert "a metric" in atlas("query", "--help").stdout

    dry = atlas("tag", "--query", "params.lr >= 0.2", "--set", "good", "--dry-run")
    assert "This would tag 2 jobs." in dry.stdout
    assert listed("tag:good") == []
    assert (
        "2 jobs have been tagged."
        in atlas("tag", "--query", "params.lr >= 0.2", "--set", "good").stdout
    )
    assert listed("tag:good") == [high, middle]
    assert atlas("tag", high, "--remove", "good", "--set", "best=yes").returncode == 0
    assert listed("tag:good") == [middle]
    assert listed("tag:best=yes") == [high]

    stop = atlas("stop", "--query", "tag:good", "--dry-run")
    assert "This would stop 0 jobs." in stop.stdout
    assert "Nothing was done" not in atlas("delete", "--query", "missing:metrics.los", "-y").stdout
    assert len(listed("project:vision")) == 3
    assert "1 job has been deleted." in atlas("delete", "--query", "tag:best", "--yes").stdout
    assert listed("sort:params.lr") == [low, middle]
    assert atlas("delete", low, "--query", "tag:good").returncode == 1


def test_a_table_of_the_jobs_of_a_query(tracked):
    atlas, (_, middle, high) = tracked
    program = (
        "import foundations\n"
        "rows = foundations.get_metrics_for_all_jobs(\n"
        "    'vision', 'records', query='metrics.loss > 0.3 sort:-metrics.loss')\n"
        "print(*[row['job_id'] for row in rows])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=atlas.environment(), capture_output=True, text=True
    )
    assert done.stdout.split() == [high, middle], done.stderr


def test_jobs_as_files(tracked, tmp_path):
    import csv
    import json

    from pyarrow import parquet

    atlas, (low, middle, high) = tracked

    def exported(*options: str) -> str:
        done = atlas("list", *options)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    table = list(csv.DictReader(exported("--format", "csv").splitlines()))
    assert [row["id"] for row in table] == [high, middle, low]
    assert table[0]["params.lr"] == "0.3"
    assert table[0]["tags.lr"] == "0.3"
    columns = ("--columns", "id, max(metrics.loss)")
    lines = exported("--format", "jsonl", "--query", "params.lr < 0.25 sort:params.lr", *columns)
    assert [json.loads(line) for line in lines.splitlines()] == [
        {"id": low, "max(metrics.loss)": 0.2},
        {"id": middle, "max(metrics.loss)": 0.4},
    ]
    assert exported("--format", "csv", "--limit", "1", "--columns", "id").split() == ["id", high]
    # The other options choose the same jobs as for the table.
    some = ("--project", "vision", "--status", "completed,failed", "--tag", "lr=0.2")
    more = ("--user", atlas.json("show", low)["user"], "--kind", "scheduled")
    assert json.loads(exported(*some, *more, "--format", "json", *columns[:1], "id")) == [
        {"id": middle}
    ]
    file = tmp_path / "jobs.parquet"
    assert exported("--output", str(file)) == ""
    assert parquet.read_table(file).column("id").to_pylist() == [high, middle, low]
    assert list(tmp_path.glob("jobs*")) == [file]
    for wrong, said in (
        (("--output", "jobs.doc"), "does not end in a format"),
        (("--columns", "id"), "Give --format csv"),
        (("--format", "csv", "--sort", "loss"), "Say it in the query"),
        (("--format", "csv", "--columns", "nonsense"), "nonsense"),
        (("--output", str(tmp_path / "none" / "jobs.csv")), "cannot be written"),
    ):
        done = atlas("list", *wrong)
        assert done.returncode == 1, wrong
        assert said in done.stderr
        assert "Traceback" not in done.stderr


def test_projects_are_renamed_archived_and_deleted(tracked):
    atlas, ids = tracked

    def names(*options: str) -> list[str]:
        return atlas("projects", "--quiet", *options).stdout.split()

    assert atlas("projects", "rename", "vision", "eyes").returncode == 0
    assert names() == ["eyes"]
    assert atlas.json("show", ids[0])["project"] == "eyes"
    assert atlas("projects", "archive", "eyes").returncode == 0
    assert names() == []
    assert names("--archived") == ["eyes"]
    assert atlas("projects", "unarchive", "eyes").returncode == 0
    assert names() == ["eyes"]
    nonsense = atlas("projects", "rename", "eyes")
    assert nonsense.returncode == 1
    assert "rename NAME NEW_NAME" in nonsense.stderr
    assert "3 jobs of it are deleted" in atlas("projects", "delete", "eyes", "--yes").stdout
    assert names("--archived") == []

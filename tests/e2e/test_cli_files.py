"""What jobs printed, consisted of and left behind, as the command line fetches it."""

from __future__ import annotations

import tarfile

import pytest

SCRIPT = """
import foundations, os
print("line one"); print("line two")
os.makedirs("results")
open("results/out.txt", "w").write("42")
open("notes", "w").write("kept")
foundations.save_artifact("notes")
"""


@pytest.fixture(scope="module")
def job(atlas):
    atlas.folder("files", data_py="x = 1\n", café_py="")
    return atlas.submit("files", SCRIPT)


def test_the_log_is_printed_as_it_is(atlas, job):
    text = atlas("get", "logs", "scheduler", job).stdout
    assert text.endswith("line one\nline two\n")
    assert atlas("get", "logs", job, "--tail", "1").stdout == "line two\n"
    assert atlas("get", "logs", job, "--follow").stdout == text


def test_the_log_of_a_waiting_or_running_job_is_followed(atlas):
    script = "import time\nfor i in range(3):\n    print(i, flush=True); time.sleep(0.05)\n"
    job = atlas.submit("follow", script, wait=False)
    done = atlas("get", "logs", "--follow", "scheduler", job)
    assert done.returncode == 0
    assert done.stdout.endswith("0\n1\n2\n")


def test_a_job_is_fetched_as_code_and_results(atlas, job, tmp_path):
    done = atlas("get", "job", "scheduler", job, "--save_dir", "there", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "there" / job
    assert (folder / "main.py").read_text() == SCRIPT
    assert (folder / "café.py").exists()
    assert (folder / "results" / "out.txt").read_text() == "42"
    assert sorted(path.name for path in (tmp_path / "there").iterdir()) == [job]


def test_nothing_is_overwritten(atlas, job, tmp_path):
    (tmp_path / job).mkdir()
    (tmp_path / "mine").write_text("precious")
    for words in (["job", job], ["job", job, "--source-dir", "mine"]):
        done = atlas("get", *words, cwd=tmp_path)
        assert done.returncode == 1
        assert "exists" in done.stderr
    assert list((tmp_path / job).iterdir()) == []
    assert (tmp_path / "mine").read_text() == "precious"


def test_the_code_alone_is_fetched(atlas, job, tmp_path):
    assert atlas("get", "job", job, "--source_dir", "code", cwd=tmp_path).returncode == 0
    names = {path.name for path in (tmp_path / "code").iterdir()}
    assert names == {"main.py", "data.py", "café.py"}


def test_a_job_is_fetched_as_a_tarball(atlas, job, tmp_path):
    assert atlas("get", "job", job, "--archive", cwd=tmp_path).returncode == 0
    with tarfile.open(tmp_path / f"{job}.tgz") as tar:
        assert f"{job}/results/out.txt" in tar.getnames()


def test_artifacts_are_fetched(atlas, job, tmp_path):
    assert atlas("get", "artifacts", "scheduler", job, cwd=tmp_path).returncode == 0
    assert (tmp_path / f"{job}-artifacts" / "notes").read_text() == "kept"


def test_a_folder_that_cannot_be_written_is_one_line(atlas, job, tmp_path):
    (tmp_path / "file").write_text("")
    done = atlas("get", "job", job, "--save_dir", "file/below", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: ")
    assert "Traceback" not in done.stderr


def test_two_jobs_are_compared(atlas, job):
    atlas.folder("files", data_py="x = 2\n")
    (atlas.projects / "files" / "weights.bin").write_bytes(b"\0\1\2")
    other = atlas.submit("files", SCRIPT, "--params", '{"lr": 0.5}', "--priority", "3")
    text = atlas("diff", job, other).stdout
    assert "-x = 1\n+x = 2\n" in text
    assert "weights.bin: added" in text
    assert "priority" in text
    assert "lr" in text
    assert "x = 1" not in atlas("diff", "--no-code", job, other).stdout
    difference = atlas.json("diff", "scheduler", job, other)
    assert difference["params"] == {"lr": [None, 0.5]}
    assert "do not differ" in atlas("diff", job, job).stdout


def test_jobs_are_compared_though_one_has_not_run(atlas, job):
    before = atlas.submit("first", "import time; time.sleep(600)", "--num-cpus", "8", wait=False)
    behind = atlas.submit("files", SCRIPT, "--num-cpus", "8", wait=False)
    difference = atlas.json("diff", job, behind)
    atlas("stop", behind, before, "--wait")
    assert difference["packages"] is None
    assert difference["environment"] is None
    assert difference["spec"]["cpus"] == [1, 8]
    assert difference["state"]["state"][0] == "completed"
    text = atlas("diff", "--no-code", job, behind).stdout
    assert text.count("not known yet") == 2
    assert "cpus" in text


def test_results_are_compared(atlas):
    script = (
        "import foundations; foundations.log_metric('loss', foundations.load_parameters()['x'])"
    )
    jobs = [atlas.submit("metrics", script, "--params", '{"x": %d}' % x) for x in (1, 2)]
    difference = atlas.json("diff", *jobs)
    assert difference["metrics"] == {"loss": [1, 2]}
    assert difference["packages"] == difference["state"] == {}

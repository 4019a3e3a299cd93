"""Jobs on the command line: listed, shown, waited for, stopped, run again, deleted."""

from __future__ import annotations

import pytest

LOGS = """
import foundations
foundations.log_params({"lr": 0.1, "[bold]": "[/]"})
for step in range(3):
    foundations.log_metric("loss", 1 / (step + 1), step=step)
foundations.set_tag("kind", "good")
open("model.txt", "w").write("weights")
foundations.save_artifact("model.txt", "model")
"""
LONG = "import time; time.sleep(600)"


@pytest.fixture(scope="module")
def tracked(atlas):
    """A job that has logged something of every kind."""
    return atlas.submit("tracked", LOGS, "--name", "first try", "--tag", "sweep=a")


@pytest.fixture(scope="module")
def failed(atlas):
    """A job that has failed."""
    return atlas.submit("failing", "import sys; sys.exit(3)")


def test_a_list_shows_what_a_job_is_and_how_it_ended(atlas, tracked, failed):
    lines = {line[:8]: line for line in atlas("list", "--all").stdout.splitlines()}
    assert "first try" in lines[tracked[:8]]
    assert "completed" in lines[tracked[:8]]
    assert "[bold]=[/]" in lines[tracked[:8]]
    assert "failed (exit 3)" in lines[failed[:8]]


@pytest.mark.parametrize(
    "condition",
    [("--project", "tracked"), ("--tag", "sweep"), ("--tag", "sweep=a"), ("--tag", "kind=good")],
)
def test_a_list_is_narrowed(atlas, tracked, failed, condition):
    ids = atlas("list", "--all", "--quiet", *condition).stdout.split()
    assert tracked in ids
    assert failed not in ids


def test_a_list_is_narrowed_by_state(atlas, tracked, failed):
    jobs = atlas.json("list", "--all", "--status", "failed,stopped")
    assert failed in [job["job_id"] for job in jobs]
    assert {job["state"] for job in jobs} <= {"failed", "stopped"}


def test_a_list_ends_at_its_limit(atlas, tracked, failed):
    assert len(atlas("list", "--quiet", "--limit", "1").stdout.split()) == 1


def test_a_state_that_does_not_exist_is_named(atlas):
    done = atlas("list", "--status", "finished")
    assert done.returncode == 1
    assert "'finished'" in done.stderr
    assert "Traceback" not in done.stderr


def test_show_tells_what_a_job_recorded(atlas, tracked):
    text = atlas("show", tracked[:13]).stdout
    assert tracked in text
    for said in (
        "first try",
        "completed",
        "python main.py",
        "lr",
        "loss",
        "0.333333",
        "model.txt",
        "sweep=a",
        "kind=good",
        "package",
    ):
        assert said in text
    job = atlas.json("show", "scheduler", tracked)
    assert job["metrics"]["loss"]["count"] == 3
    assert job["environment"]["packages"]


def test_show_tells_why_a_job_failed(atlas, failed):
    text = atlas("show", failed).stdout
    assert "failed (exit 3)" in text
    assert "foundations get logs" in text


@pytest.mark.parametrize("words", [("zz",), ("nowhere", "last"), ("scheduler",), ("0" * 36,)])
def test_an_unknown_job_is_one_clear_line(atlas, words):
    done = atlas("show", *words)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: ")
    assert "Traceback" not in done.stderr


def test_waiting_ends_with_how_the_jobs_ended(atlas, tracked, failed):
    assert atlas("wait", tracked).returncode == 0
    done = atlas("wait", tracked, failed)
    assert done.returncode == 1
    assert "failed (nonzero_exit)" in done.stdout
    assert atlas("wait", "--quiet", failed).stdout == ""


def test_a_running_job_is_waited_for_shown_and_stopped(atlas):
    job_id = atlas.submit("long", LONG, "--stream-job-logs", "False", wait=False)
    assert atlas("wait", "--timeout", "0.2", job_id).returncode == 124
    assert job_id in [job["job_id"] for job in atlas.json("queue")["running"]]
    stopped = atlas("stop", "job", "scheduler", job_id, "--wait")
    assert stopped.returncode == 0
    assert "has stopped" in stopped.stdout
    again = atlas("stop", "scheduler", job_id)
    assert again.returncode == 1
    assert "has already been stopped" in again.stderr


def test_a_job_is_run_again_with_changes(atlas, tracked):
    done = atlas("rerun", "--params", '{"depth": 2}', "--tag", "sweep=b", "--tag", "new", tracked)
    assert done.returncode == 0
    assert "has completed." in done.stdout
    again = atlas.json("list", "--tag", "new")[0]
    spec = atlas.json("show", again["job_id"])["spec"]
    assert spec["rerun_of"] == tracked
    assert spec["params"] == {"depth": 2}
    assert spec["tags"] == {"sweep": "b", "new": ""}
    assert spec["name"] == "first try"


def test_several_jobs_are_deleted_and_one_that_cannot_be_does_not_stop_the_others(atlas):
    first, second = (atlas.submit("short", "print(1)") for _ in range(2))
    done = atlas("delete", "job", "scheduler", first, "ffffffffffff", second)
    assert done.returncode == 1
    assert done.stdout.count("has been deleted") == 2
    assert "ffffffffffff" in done.stderr
    assert atlas("show", first).returncode == 1


def test_the_last_jobs_are_deleted_as_they_were_named(own_atlas):
    jobs = [own_atlas.submit("short", "print(1)") for _ in range(3)]
    assert own_atlas("delete", "last", "last~1", "--yes").returncode == 0
    assert own_atlas("list", "--quiet").stdout.split() == jobs[:1]


def test_the_queue_tells_why_jobs_wait_and_is_cleared(own_atlas):
    running = own_atlas.submit("big", LONG, "--num-cpus", "8", wait=False)
    waiting = [own_atlas.submit("big", LONG, "--num-cpus", "8", wait=False) for _ in range(2)]
    queue = own_atlas.json("queue")
    assert [job["job_id"] for job in queue["queued"]] == waiting
    text = own_atlas("queue").stdout
    assert "waits for 8 CPUs" in text
    assert "waits for" in own_atlas("show", waiting[0]).stdout
    assert own_atlas("queue", "--quiet").stdout.split() == waiting
    refused = own_atlas("get", "logs", "scheduler", waiting[0])
    assert refused.returncode == 1
    assert "queued and has not produced any logs" in refused.stderr
    assert "is queued" in own_atlas("delete", waiting[0]).stderr
    assert "Removed 0 jobs" in own_atlas("clear-queue", "scheduler", "--project", "no").stdout
    assert "Removed 2 jobs" in own_atlas("clear-queue", "scheduler").stdout
    assert own_atlas("queue", "--quiet").stdout == ""
    assert own_atlas("wait", "--timeout", "0.01", running).returncode == 124


def test_projects_and_the_server_are_shown(atlas, tracked, failed):
    projects = {project["name"]: project for project in atlas.json("projects")}
    assert projects["failing"]["jobs"] == {"failed": 1}
    assert "tracked" in atlas("projects").stdout
    info = atlas("info").stdout
    assert str(atlas.home) in info
    assert "of 8" in info
    assert atlas.json("info")["nodes"][0]["cpus"] == 8


def test_the_known_schedulers_are_shown(atlas):
    folder = atlas.home / "config" / "submission"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "aws.config.yaml").write_text("scheduler_url: http://10.0.0.1:5000\n")
    text = atlas("info", "--env").stdout
    assert "env_name" in text
    assert str(folder / "aws.config.yaml") in text
    assert "scheduler" in text


GIVEN = '{"lr": 0.5, "layers": [8, 4], "other": {}}'


@pytest.fixture(scope="module")
def given(atlas):
    """A job that does not ask for its parameters, with everything that a job can be given."""
    return atlas.submit(
        "given", "print(1)", "--name", "the only one", "--params", GIVEN, "--retries", "2",
        "--timeout", "90m", "--priority", "4", "--env", "API_TOKEN=abc", "--env", "MODE=fast",
    )  # fmt: skip


def test_parameters_are_shown_that_the_job_has_not_loaded(atlas, given):
    shown = {"lr": 0.5, "layers_0": 8, "layers_1": 4, "other": None}
    assert atlas.json("show", given)["params"] == shown
    listed = {job["job_id"]: job for job in atlas.json("list", "--all")}
    assert listed[given]["params"] == shown
    assert "layers_0=8" in atlas("list", "--all").stdout


def test_what_a_job_logs_stands_over_what_it_was_given(atlas):
    script = "import foundations; foundations.log_param('lr', 0.7)"
    job = atlas.submit("over", script, "--params", '{"lr": 0.5, "depth": 2}')
    assert atlas.json("show", job)["params"] == {"lr": 0.7, "depth": 2}


def test_show_tells_what_a_job_was_given(atlas, given):
    text = atlas("show", given).stdout
    for said in ("1 h 30 min", "********", "MODE", "fast", "layers_0"):
        assert said in text
    assert "abc" not in text
    fields = dict(line.split("  ", 1) for line in text.splitlines() if "  " in line.strip())
    assert fields["Retries"].strip() == "2"
    assert fields["Priority"].strip() == "4"


def test_a_job_is_named_by_a_name_that_it_alone_has(atlas, given):
    assert atlas.json("show", "the only one")["job_id"] == given
    assert atlas.json("show", "scheduler", "the only one")["job_id"] == given
    assert atlas("wait", "the only one", given).returncode == 0
    twins = [atlas.submit("twin", "print(1)", "--name", "twin zz") for _ in range(2)]
    done = atlas("show", "twin zz")
    assert done.returncode == 1
    assert all(job in done.stderr for job in twins)


def test_a_name_that_looks_like_an_id_is_one(atlas):
    atlas.submit("cafe", "print(1)", "--name", "deadbeefcafe")
    assert "no job 'deadbeefcafe'" in atlas("show", "deadbeefcafe").stderr


@pytest.mark.parametrize("command", [("get", "job"), ("show",), ("stop",), ("delete", "job")])
def test_a_first_word_that_is_nothing_ends_the_command(atlas, tracked, command):
    done = atlas(*command, "nope", tracked)
    assert done.returncode == 1
    assert "'nope' is neither a scheduler nor a job" in done.stderr
    assert atlas("show", tracked).returncode == 0


def test_a_list_is_sorted(atlas):
    for depth in (3, 10, 2):
        atlas.submit("sorted", "print(1)", "--params", '{"depth": %d}' % depth)
    atlas.submit("sorted", "print(1)")

    def depths(order):
        jobs = atlas.json("list", "--project", "sorted", "--sort", order)
        return [job["params"].get("depth") for job in jobs]

    assert depths("depth") == depths("param:depth:asc") == [2, 3, 10, None]
    assert depths("depth:desc") == [10, 3, 2, None]
    assert depths("submitted") == [3, 10, 2, None]
    done = atlas("list", "--project", "sorted", "--sort", "metric:depth")
    assert done.returncode == 1
    assert "param:depth" in done.stderr


def test_a_state_may_be_called_so(atlas, failed):
    assert failed in atlas("list", "--all", "--quiet", "--state", "failed").stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("logs", "last"), "Did you mean 'get logs'?"),
        (("ps",), "Did you mean 'list'?"),
        (("kill", "last"), "Did you mean 'stop'?"),
        (("lisst",), "Did you mean 'list'?"),
        (("xyzzy", "--help"), "There is no command 'xyzzy'."),
        (("submit", "--gpus", "1", "scheduler", ".", "main.py"), "Did you mean --num-gpus?"),
        (("list", "--statsu", "failed"), "Did you mean --status?"),
        (("get", "logs", "--tial", "3", "last"), "usage: foundations get logs"),
        (("list", "tracked"), "unexpected argument 'tracked'"),
    ],
)
def test_what_is_mistyped_is_told_with_what_was_meant(atlas, words, said):
    done = atlas(*words)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--num-cpus", "0", "scheduler", ".", "main.py"), "--num-cpus must be more than 0"),
        (("--num-gpus", "-1", "scheduler", ".", "main.py"), "--num-gpus must not be negative"),
        (("--num-gpus", "1.5", "scheduler", ".", "main.py"), "--num-gpus must be a whole number"),
        (("--project-name", "a/b", "scheduler", ".", "main.py"), "--project-name must be"),
        (("scheduler", ".", ""), "No command was given"),
        (("scheduler", "main.py", "main.py"), "main.py is a file, not a folder"),
    ],
)
def test_what_cannot_be_submitted_is_told_before_the_folder_is_read(atlas, words, said):
    folder = atlas.folder("refused", main_py="print(1)")
    done = atlas("submit", *words, cwd=folder)
    assert done.returncode == 1
    assert said in done.stderr
    assert "bundle" not in done.stdout


def test_a_large_folder_is_not_read_for_a_job_that_never_fits(atlas):
    folder = atlas.folder("large", main_py="print(1)")
    with open(folder / "zeros", "wb") as file:
        file.truncate(20_000_000)
    done = atlas("submit", "--ram", "4000", "scheduler", str(folder), "main.py")
    assert done.returncode == 1
    assert "Ask for less" in done.stderr


def test_the_address_of_this_machine_is_the_one_in_use(atlas):
    (local,) = [
        item
        for item in atlas.json("info", "--env")["submission"]
        if item["env_name"] == "scheduler"
    ]
    assert local["url"] == atlas.json("info")["url"]


def test_results_are_read_by_a_program(atlas, tracked, monkeypatch):
    import foundations

    for name, value in atlas.environment().items():
        monkeypatch.setenv(name, value)
    job = foundations.Deployment(tracked)
    assert job.get_param("lr") == 0.1
    assert job.get_metric("loss") == pytest.approx(1 / 3)
    with pytest.raises(KeyError, match=r"no metric 'los'\. Known: loss"):
        job.get_metric("los")
    with pytest.raises(KeyError, match=r"no parameter 'rate'\. Known: .*lr"):
        job.get_param("rate")


def test_requirements_that_fail_are_told_once(atlas):
    folder = atlas.folder("requiring", main_py="print(1)")
    (folder / "requirements.txt").write_text("--no-index\nno-such-thing-anywhere\n")
    done = atlas("submit", "scheduler", str(folder), "main.py")
    assert done.returncode == 1
    assert done.stdout.endswith("has failed (requirements_failed): see the log above.\n")
    job = atlas.json("list", "--project", "requiring")[0]
    assert "no-such-thing-anywhere" in atlas("show", job["job_id"]).stdout

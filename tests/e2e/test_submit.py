"""`foundations submit` as its users meet it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.live import Done, LiveServer, make_folder

from foundations.client.http import Connection
from foundations.contract import version
from foundations.errors import VersionMismatch

HELLO = "import sys\nprint('hello', *sys.argv[1:])\n"
FAIL = "import sys\nprint('oh no', file=sys.stderr)\nsys.exit(3)\n"
WAIT = (
    "import os, sys, time\nprint('up')\nwhile not os.path.exists(sys.argv[1]): time.sleep(0.01)\n"
)
SHOW = """
import json, os, sys
print(json.dumps({"argv": sys.argv[1:], "env": dict(os.environ), "cwd": os.listdir()}))
"""
TREE = """
import json, os, stat
found = {}
for folder, folders, files in os.walk(b"."):
    for name in folders + files:
        path = os.path.join(folder, name)
        mode = os.lstat(path).st_mode
        kind = "link" if stat.S_ISLNK(mode) else "folder" if stat.S_ISDIR(mode) else "file"
        found[os.fsdecode(path)] = [kind, bool(mode & 0o100), kind == "link" and os.readlink(path)]
print("TREE", ascii(found))
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with LiveServer(tmp_path_factory.mktemp("server"), cpus=4) as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_folder(
        tmp_path / "project", hello=HELLO, fail=FAIL, wait=WAIT, show=SHOW, tree=TREE
    )


def submit(server: LiveServer, folder: Path, *words: str, options: tuple[str, ...] = ()) -> Done:
    return server.cli("submit", *options, "scheduler", str(folder), *words)


def submit_json(
    server: LiveServer, folder: Path, *words: str, options: tuple[str, ...] = ()
) -> dict:
    done = submit(server, folder, *words, options=("--json", *options))
    assert done.err == "", done
    return json.loads(done.out)


def shown(server: LiveServer, job: dict) -> dict:
    """What show.py printed of its surroundings."""
    line = next(line for line in server.job_log(job["job_id"]).splitlines() if line[:1] == b"{")
    return json.loads(line)


def assert_refused(server: LiveServer, done: Done, *words: str) -> None:
    """One clear line and nothing queued."""
    assert done.code == 1, done
    lines = done.err.splitlines()
    assert lines[0].startswith("Error: "), done.err
    assert len(lines) <= 2, done.err
    assert "Traceback" not in done.out + done.err
    assert "submitted with ID" not in done.out
    for word in words:
        assert word in done.err, done.err


# -- what is shown


def test_lines_in_order(server: LiveServer, folder: Path) -> None:
    done = submit(server, folder, "hello.py", "you", "--flag")
    assert done.code == 0, done
    job = re.search(r"submitted with ID '([^']+)'", done.out)[1]  # type: ignore[index]
    wanted = [
        "Foundations INFO: Job submission started. Ctrl-C to cancel.",
        f"Foundations INFO: Preparing to bundle contents of {folder} for execution.",
        "Estimating bundle size.",
        "Foundations INFO: Bundle size is about",
        "Foundations INFO: Bundling job contents.",
        f"Foundations INFO: Job submitted with ID '{job}'.",
        "Foundations INFO: Job queued. Ctrl-C to stop streaming",
        "job will not be interrupted or cancelled.",
        "Foundations INFO: Job running, streaming logs.",
        "No user requirements found.",
        "hello you --flag",
        f"Foundations INFO: Job '{job}' has completed.",
    ]
    places = [done.out.index(line) for line in wanted]
    assert places == sorted(places), done.out
    assert done.out.endswith(wanted[-1] + "\n")


def test_failed_job(server: LiveServer, folder: Path) -> None:
    done = submit(server, folder, "fail.py")
    assert done.code == 1
    assert "oh no" in done.out
    assert re.search(r"Foundations ERROR: Job '.*' has failed .*code 3", done.out), done.out


def test_without_streaming(server: LiveServer, folder: Path) -> None:
    done = submit(server, folder, "fail.py", options=("--stream-job-logs", "False"))
    assert done.code == 0
    assert done.out.splitlines()[-1].startswith("Foundations INFO: Job submitted with ID")
    done = server.cli(
        "submit", "scheduler", str(folder), "fail.py", env={"DISABLE_LOG_STREAMING": "True"}
    )
    assert done.code == 0


def test_interrupted_streaming_leaves_the_job_running(
    server: LiveServer, folder: Path, tmp_path: Path
) -> None:
    client = server.spawn("submit", "scheduler", str(folder), "wait.py", str(tmp_path / "end"))
    server.wait_for(lambda: "\nup\n" in client.text())
    client.interrupt()
    done = client.finish()
    assert done.code == 130, done
    job = re.search(r"submitted with ID '([^']+)'", done.out)[1]  # type: ignore[index]
    last = done.out.splitlines()[-1]
    assert f"Job '{job}' goes on" in last
    assert "Traceback" not in done.out
    assert server.job(job)["state"] == "running"
    (tmp_path / "end").touch()
    server.completed(job)


def test_stopped_job(server: LiveServer, folder: Path, tmp_path: Path) -> None:
    client = server.spawn("submit", "scheduler", str(folder), "wait.py", str(tmp_path / "never"))
    server.wait_for(lambda: "\nup\n" in client.text())
    job = re.search(r"submitted with ID '([^']+)'", client.text())[1]  # type: ignore[index]
    server.api().stop(job)
    done = client.finish()
    assert done.code == 1
    assert f"Job '{job}' is being stopped." in done.out
    assert f"Job '{job}' has stopped" in done.out


def test_quiet(server: LiveServer, folder: Path) -> None:
    done = submit(server, folder, "hello.py", options=("--quiet",))
    assert (done.code, done.err) == (0, "")
    assert server.job(done.out.strip())["state"] == "completed"
    assert submit(server, folder, "fail.py", options=("-q",)).code == 1


def test_json(server: LiveServer, folder: Path) -> None:
    job = submit_json(server, folder, "hello.py")
    assert job["state"] == "completed"
    done = submit(server, folder, "fail.py", options=("--json",))
    assert done.code == 1
    assert json.loads(done.out)["exit_code"] == 3
    job = submit_json(server, folder, "hello.py", options=("--stream-job-logs", "False"))
    assert job["job_id"]


def test_dry_run_sends_nothing(server: LiveServer, folder: Path) -> None:
    before = len(server.api().jobs(limit=10_000)["jobs"])
    options = ("--dry-run", "--num-cpus", "2", "--ram", "512MB", "--params", '{"a": 1}')
    done = submit(server, folder, "hello.py", "x", options=options)
    assert done.code == 0
    plan = json.loads(done.out[done.out.index("{") :])
    assert plan["spec"]["command"] == ["hello.py", "x"]
    asked = {"cpus": 2, "memory": 512 * 1024**2, "gpus": 0, "cpu_limit": 2}
    assert plan["spec"]["resources"] == asked
    assert {file["path"] for file in plan["files"]} >= {"hello.py", "tree.py"}
    assert len(server.api().jobs(limit=10_000)["jobs"]) == before


# -- what is given


def test_params(server: LiveServer, folder: Path, tmp_path: Path) -> None:
    (folder / "params.py").write_text(
        "import foundations, os\n"
        "print('PARAMS', foundations.load_parameters())\n"
        "print('FILE', os.path.exists('foundations_job_parameters.json'))\n"
    )
    file = tmp_path / "params.json"
    file.write_text('{"lr": 0.5, "layers": [1, 2]}')
    for given in (str(file), file.read_text()):
        job = submit_json(server, folder, "params.py", options=("--params", given))
        log = server.job_log(job["job_id"]).decode()
        assert "PARAMS {'lr': 0.5, 'layers': [1, 2]}" in log
        assert "FILE True" in log
    assert not (folder / "foundations_job_parameters.json").exists()


def test_environment_names_and_tags(server: LiveServer, folder: Path) -> None:
    options = (
        "--env", "COLOUR=red", "--env", "INHERITED", "--env", "EMPTY=",
        "--tag", "sweep=a", "--tag", "plain", "--name", "my job",
    )  # fmt: skip
    done = server.cli(
        "submit", "--json", *options, "scheduler", str(folder), "show.py",
        env={"INHERITED": "from here", "NOT_SENT": "x"},
    )  # fmt: skip
    job = json.loads(done.out)
    assert job["name"] == "my job"
    assert job["tags"] == {"sweep": "a", "plain": ""}
    env = shown(server, job)["env"]
    assert (env["COLOUR"], env["INHERITED"], env["EMPTY"]) == ("red", "from here", "")
    assert "NOT_SENT" not in env
    done = submit(server, folder, "show.py", options=("--env", "NOT_SET_ANYWHERE"))
    assert_refused(server, done, "NOT_SET_ANYWHERE is not set here")


def test_timeout(server: LiveServer, folder: Path, tmp_path: Path) -> None:
    done = submit(server, folder, "wait.py", str(tmp_path / "no"), options=("--timeout", "0.5s"))
    assert done.code == 1
    assert "timed_out" in done.out
    assert "longer than its 0.5 s" in done.out


def test_retries(server: LiveServer, folder: Path, tmp_path: Path) -> None:
    (folder / "second.py").write_text(
        "import os, sys\n"
        "print('attempt')\n"
        "if not os.path.exists(sys.argv[1]):\n"
        "    open(sys.argv[1], 'w').close()\n"
        "    sys.exit('not yet')\n"
    )
    done = submit(server, folder, "second.py", str(tmp_path / "mark"), options=("--retries", "2"))
    assert done.code == 0, done
    assert "Attempt 1 failed (The command exited with code 1.); the job is tried again" in done.out
    job = server.job("last")
    attempts = job["attempt_list"]
    assert [attempt["exit_code"] for attempt in attempts] == [1, 0]
    assert attempts[1]["created_at"] - attempts[0]["ended_at"] >= 1
    assert done.out.count("\nattempt\n") == 2
    done = submit(server, folder, "fail.py", options=("--retries", "1"))
    assert done.code == 1
    assert server.job("last")["attempts"] == 2


def test_entrypoint(server: LiveServer, folder: Path) -> None:
    (folder / "run.sh").write_text('echo "shell $1"\n')
    done = submit(server, folder, "run.sh", "there", options=("--entrypoint", "sh -eu"))
    assert done.code == 0
    assert "shell there" in done.out
    (folder / "job.config.yaml").write_text("entrypoint: [sh, -c]\n")
    done = submit(server, folder, "echo from a file")
    assert "from a file\n" in done.out
    done = submit(server, folder, "run.sh", options=("--entrypoint", "no-such-program"))
    assert done.code == 1
    assert "start_failed" in done.out
    assert "'no-such-program' was not found" in done.out


def test_job_config(server: LiveServer, folder: Path) -> None:
    (folder / "job.config.yaml").write_text(
        "project_name: my project\nname: from the file\nnum_cpus: 2\ntags: [one]\n"
        "params: {a: 1}\nworker: {environment: {COLOUR: blue, NUMBER: 3, TRUTH: true}}\n"
    )
    job = submit_json(server, folder, "show.py", options=("--num-cpus", "1"))
    assert (job["project"], job["name"]) == ("my project", "from the file")
    assert job["resources"]["cpus"] == 1
    env = shown(server, job)["env"]
    assert (env["COLOUR"], env["NUMBER"], env["TRUTH"]) == ("blue", "3", "true")


def test_arguments_arrive_as_they_are(server: LiveServer, folder: Path) -> None:
    words = ["a b", "'q'", '"', "", "--flag", "-x", "ümlaut", "*", "$HOME", "a\nb", "--"]
    job = submit_json(server, folder, "show.py", *words)
    assert shown(server, job)["argv"] == words


# -- what the folder holds


def test_any_file_name_arrives(server: LiveServer, folder: Path) -> None:
    names = ["with space", "quote'\"", "new\nline", "ümlaut", "-dash", "back\\slash", "tab\t"]
    for name in names:
        (folder / name).write_text("x")
    odd = os.fsencode(folder) + b"/\xff\xfe-bytes"
    with open(odd, "wb") as file:
        file.write(b"x")
    (folder / "empty" / "inner").mkdir(parents=True)
    (folder / "tool.sh").write_text("#!/bin/sh\necho tool\n")
    (folder / "tool.sh").chmod(0o755)
    (folder / "link").symlink_to("hello.py")
    (folder / "data").mkdir()
    (folder / "data" / "up").symlink_to("../hello.py")
    (folder / ".git").mkdir()
    (folder / ".git" / "config").write_text("x")
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "x.pyc").write_text("x")
    done = submit(server, folder, "tree.py")
    assert done.code == 0, done
    found = eval(re.search(r"TREE (.*)", done.out)[1])  # type: ignore[index]
    for name in [*names, os.fsdecode(b"\xff\xfe-bytes")]:
        assert found["./" + name] == ["file", False, False]
    assert found["./empty/inner"][0] == "folder"
    assert found["./tool.sh"] == ["file", True, False]
    assert found["./link"] == ["link", True, b"hello.py"] or found["./link"][2] == b"hello.py"
    assert found["./data/up"][2] == b"../hello.py"
    assert "./.git" not in found
    assert "./__pycache__/x.pyc" not in found


def test_ignored_files_stay_behind(server: LiveServer, folder: Path) -> None:
    (folder / ".foundationsignore").write_text("*.big\n!keep.big\n/data/\n")
    (folder / ".gitignore").write_text("results/\n")
    for name in ("a.big", "keep.big", "data/x", "results/y"):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")
    done = submit(server, folder, "tree.py")
    found = eval(re.search(r"TREE (.*)", done.out)[1])  # type: ignore[index]
    assert "./keep.big" in found
    assert "./results/y" in found
    assert "./a.big" not in found
    assert "./data/x" not in found


def test_link_out_of_the_folder_is_refused(server: LiveServer, folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "leak").symlink_to("/etc/passwd")
    assert_refused(server, submit(server, folder, "hello.py"), "sub/leak", "/etc/passwd")


def test_users_folder_is_not_changed(server: LiveServer, folder: Path) -> None:
    before = sorted((path, path.stat().st_mtime_ns) for path in folder.rglob("*"))
    (job_params,) = [("--params", '{"a": 1}')]
    assert submit(server, folder, "hello.py", options=job_params).code == 0
    assert sorted((path, path.stat().st_mtime_ns) for path in folder.rglob("*")) == before


# -- what is refused


def test_unknown_scheduler(server: LiveServer, folder: Path) -> None:
    done = server.cli("submit", "schedular", str(folder), "hello.py")
    assert_refused(server, done, "no scheduler 'schedular'", "Did you mean 'scheduler'?")


def test_missing_folder(server: LiveServer, tmp_path: Path) -> None:
    done = submit(server, tmp_path / "nowhere", "main.py")
    assert_refused(server, done, str(tmp_path / "nowhere"), "does not exist")
    (tmp_path / "file").write_text("x")
    assert_refused(server, submit(server, tmp_path / "file", "main.py"), str(tmp_path / "file"))


def test_missing_command(server: LiveServer, folder: Path) -> None:
    assert_refused(server, submit(server, folder), "No command was given", "main.py")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("project_name: [", ("job.config.yaml", "line")),
        ("- a\n- b\n", ("job.config.yaml", "key: value")),
        ("num_gpu: 1\n", ("unknown key 'num_gpu'", "Did you mean 'num_gpus'?")),
        ("worker: {imagee: x}\n", ("worker.imagee", "image")),
        ("num_cpus: many\n", ("num_cpus must be a whole number or a number", "'many'")),
        ("project_name: 3\n", ("project_name must be text",)),
        ("num_gpus: true\n", ("num_gpus must be",)),
        ("ram: lots\n", ("'lots' is not an amount of memory",)),
        ("timeout: soon\n", ("'soon' is not a duration",)),
        ("log_level: LOUD\n", ("log_level cannot be 'LOUD'",)),
        ("params: [1]\n", ("params must be a mapping",)),
        ("priority: 5000\n", ("priority",)),
        ("retries: -1\n", ("retries",)),
        ("project_name: a/b\n", ("a/b",)),
        ("worker: {image: My/Image}\n", ("job.config.yaml: worker.image", "'My/Image'")),
        ("worker: {shm_size: 8 apples}\n", ("worker.shm_size must be a size", "8 apples")),
        ("worker: {shm_siz: 8G}\n", ("worker.shm_siz", "Did you mean 'shm_size'?")),
        ("worker: {detach: true}\n", ("worker.detach cannot be set", "--stream-job-logs")),
        ("worker: {volumes: {data: {bind: x}}}\n", ("bind must be a path", "'/', not 'x'")),
        ("entrypoint: \"sh 'x\"\n", ("cannot be split",)),
        ("num_cpus: .nan\n", ("cpus",)),
        ("tags: {a: [1, 2]}\n", ("tags: the value of a must be text",)),
        ("params: {a: 2020-01-01}\n", ("params",)),
        ("worker: [a]\n", ("worker must be a mapping",)),
        ("worker: {command: {a: 1}}\n", ("command",)),
        ("\x00", ("job.config.yaml",)),
        ("entrypoint: {a: 1}\n", ("entrypoint must be",)),
        ("entrypoint: [1, [2]]\n", ("entrypoint",)),
    ],
)  # fmt: skip
def test_wrong_job_config(
    server: LiveServer, folder: Path, text: str, words: tuple[str, ...]
) -> None:
    (folder / "job.config.yaml").write_text(text)
    assert_refused(server, submit(server, folder, "hello.py"), *words)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--params", "{broken"), ("--params is not JSON",)),
        (("--params", "/no/such/file"), ("/no/such/file cannot be read",)),
        (("--params", "/etc/hostname"), ("/etc/hostname",)),
        (("--ram", "lots"), ("'lots' is not an amount of memory",)),
        (("--ram", "0"), ("'0' is not an amount of memory",)),
        (("--ram", "4000"), ("4000",)),
        (("--num-gpus", "1"), ("GPU",)),
        (("--num-gpus", "-1"), ("gpus",)),
        (("--num-cpus", "5"), ("5", "4")),
        (("--num-cpus", "0"), ("cpus",)),
        (("--timeout", "-3"), ("duration",)),
        (("--retries", "101"), ("retries",)),
        (("--priority", "1001"), ("priority",)),
        (("--project-name", "a\nb"), ("project",)),
        (("--tag", "=x"), ("no name",)),
        (("--env", "=x"), ("no name",)),
    ],
)  # fmt: skip
def test_wrong_options(
    server: LiveServer, folder: Path, options: tuple[str, ...], words: tuple[str, ...]
) -> None:
    assert_refused(server, submit(server, folder, "hello.py", options=options), *words)


@pytest.mark.parametrize("option", ["--num-gpus", "--num-cpus", "--priority", "--retries"])
def test_option_that_is_no_number(server: LiveServer, folder: Path, option: str) -> None:
    done = submit(server, folder, "hello.py", options=(option, "many"))
    assert done.code == 2
    assert f"argument {option}" in done.err
    assert "Traceback" not in done.err


def test_nothing_of_what_was_refused_is_queued(server: LiveServer, folder: Path) -> None:
    before = len(server.api().jobs(limit=10_000)["jobs"])
    submit(server, folder, "hello.py", options=("--num-cpus", "99"))
    assert len(server.api().jobs(limit=10_000)["jobs"]) == before


def test_unreadable_file_is_named(server: LiveServer, folder: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    (folder / "secret").write_text("x")
    (folder / "secret").chmod(0)
    assert_refused(server, submit(server, folder, "hello.py"), "secret")


def test_special_file_is_named(server: LiveServer, folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    done = submit(server, folder, "hello.py")
    assert "Traceback" not in done.err
    assert "pipe" in done.out + done.err


def test_missing_script_is_warned_of(server: LiveServer, folder: Path) -> None:
    done = submit(server, folder, "mian.py")
    assert done.code == 1
    assert "WARNING: 'mian.py' is not in" in done.out


def test_server_of_another_version(server: LiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("foundations.client.http.API_VERSION", "999")
    connection = Connection(server.url)
    with pytest.raises(VersionMismatch, match=f"version {version.API_VERSION} of the API"):
        connection.call("GET", "/api/v1/jobs")
    connection.close()


def test_unreachable_server_elsewhere(server: LiveServer, folder: Path) -> None:
    place = server.home / "config" / "submission"
    place.mkdir(parents=True, exist_ok=True)
    (place / "far.config.yaml").write_text("scheduler_url: http://127.0.0.1:9\n")
    done = server.cli("submit", "far", str(folder), "hello.py")
    assert_refused(server, done, "http://127.0.0.1:9 does not answer")
    (place / "wrong.config.yaml").write_text("scheduler_url: nonsense\n")
    done = server.cli("submit", "wrong", str(folder), "hello.py")
    assert_refused(server, done, "scheduler_url")


def test_output_that_nobody_reads(server: LiveServer, folder: Path) -> None:
    """`foundations submit ... | head -1`: no traceback, and the job is not harmed."""
    command = f"{sys.executable} -m foundations submit scheduler {folder} hello.py | head -1"
    done = subprocess.run(
        ["sh", "-c", command], env=server.env, capture_output=True, text=True, timeout=60
    )
    assert "Traceback" not in done.stderr
    server.ended("last")

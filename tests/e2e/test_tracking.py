"""What a job records, prints and sees of its surroundings."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.live import LiveServer, make_folder
from tests.processes import is_alive


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with LiveServer(tmp_path_factory.mktemp("server"), cpus=4, settings={"gpus": 3}) as server:
        yield server


def run(server: LiveServer, tmp_path: Path, code: str, **spec: object) -> dict:
    """Run a script to its end, which must be good."""
    folder = make_folder(tmp_path / "project", main=code)
    return server.completed(server.send(folder, "main.py", **spec))


def printed(server: LiveServer, job: dict) -> bytes:
    """The log without the banner."""
    return server.job_log(job["job_id"]).split(b"=" * 120 + b"\n", 2)[2]


# -- recorded


def test_all_is_visible_while_the_job_runs(server: LiveServer, tmp_path: Path) -> None:
    folder = make_folder(
        tmp_path / "project",
        main="""
import os, sys, time
import foundations
foundations.log_param("depth", 3)
foundations.log_params({"lr": 0.5, "deep": {"a": [1, 2]}})
for step in range(5):
    foundations.log_metric("loss", 1 / (step + 1), step=step)
foundations.log_metric("nan", float("nan"))
foundations.set_tag("phase", "early")
with open("model.txt", "w") as file:
    file.write("weights")
foundations.save_artifact("model.txt", "model")
print("recorded", foundations.load_parameters())
while not os.path.exists(sys.argv[1]): time.sleep(0.01)
foundations.log_metric("loss", 0.0, step=99)
""",
    )
    job = server.send(folder, "main.py", str(tmp_path / "end"), params={"given": 1})
    server.wait_for(lambda: server.job(job)["artifacts"])
    found = server.job(job)
    assert found["state"] == "running"
    assert found["params"]["depth"] == 3
    assert found["params"]["lr"] == 0.5
    assert found["tags"] == {"phase": "early"}
    assert found["metrics"]["loss"]["value"] == pytest.approx(0.2)
    assert found["metrics"]["loss"]["count"] == 5
    assert found["metrics"]["nan"]["value"] == "NaN"
    points = server.api().metric(job, "loss")
    assert [point[2] for point in points] == [0, 1, 2, 3, 4]
    (artifact,) = found["artifacts"]
    assert (artifact["key"], artifact["filename"], artifact["size"]) == ("model", "model.txt", 7)
    assert b"".join(server.api().blob(artifact["digest"])) == b"weights"
    assert b"recorded {'given': 1}" in server.has_logged(job, b"recorded")
    (tmp_path / "end").touch()
    assert server.completed(job)["metrics"]["loss"]["value"] == 0


def test_many_points_and_processes(server: LiveServer, tmp_path: Path) -> None:
    code = """
import os
import foundations
for worker in range(3):
    if os.fork() == 0:
        for n in range(2000):
            foundations.log_metric("m%d" % worker, n)
        os._exit(0)
for _ in range(3):
    os.wait()
"""
    job = run(server, tmp_path, code)
    for worker in range(3):
        values = [point[3] for point in server.api().metric(job["job_id"], f"m{worker}")]
        assert values == list(range(2000))


def test_job_that_ends_at_once_loses_nothing(server: LiveServer, tmp_path: Path) -> None:
    code = """
import os
import foundations
foundations.log_metric("last", 1)
print("the very last line", end="", flush=True)
os._exit(0)
"""
    job = run(server, tmp_path, code)
    assert job["metrics"]["last"]["value"] == 1
    assert printed(server, job) == b"the very last line"


def test_job_submits_another(server: LiveServer, tmp_path: Path) -> None:
    folder = make_folder(
        tmp_path / "project",
        inner="import foundations\nprint('inner', foundations.load_parameters())\n",
        main="""
import foundations
job = foundations.submit(command="inner.py", params={"depth": 2}, project_name="inner")
job.wait_for_deployment_to_complete()
print("INNER", job.job_name(), job.get_true_job_status())
print(job.get_job_logs())
""",
    )
    job = server.completed(server.send(folder, "main.py"))
    log = printed(server, job).decode()
    inner_id, state = re.search(r"INNER (\S+) (\S+)", log).groups()  # type: ignore[union-attr]
    assert state == "completed"
    assert "inner {'depth': 2}" in log
    inner = server.job(inner_id)
    assert inner["project"] == "inner"
    assert inner["spec"]["parent"] == job["job_id"]


# -- printed


def test_both_streams_in_their_order(server: LiveServer, tmp_path: Path) -> None:
    code = """
import os, sys
for n in range(200):
    print("out", n)
    print("err", n, file=sys.stderr)
os.system("echo shell")
print("end")
"""
    job = run(server, tmp_path, code)
    wanted = "".join(f"out {n}\nerr {n}\n" for n in range(200)) + "shell\nend\n"
    assert printed(server, job).decode() == wanted


@pytest.mark.parametrize(
    "data",
    [
        bytes(range(256)) * 3,
        b"\xff\xfe no utf-8 \xc3",
        "ümlaut €\n".encode() * 1000,
        b"no line break at the end",
        b"".join(b"\r%3d%%" % n for n in range(101)) + b"\n",
        b"x" * 3_000_000,
        b"",
    ],
    ids=["binary", "not utf-8", "utf-8", "no newline", "progress bar", "long line", "nothing"],
)
def test_output_byte_for_byte(server: LiveServer, tmp_path: Path, data: bytes) -> None:
    folder = make_folder(
        tmp_path / "project",
        main="import sys\nsys.stdout.buffer.write(open('data', 'rb').read())\n",
    )
    (folder / "data").write_bytes(data)
    job = server.completed(server.send(folder, "main.py"))
    assert printed(server, job) == data
    streamed = subprocess.run(
        [sys.executable, "-m", "foundations", "submit", "scheduler", str(folder), "main.py"],
        env=server.env,
        capture_output=True,
        timeout=60,
    )
    assert streamed.returncode == 0
    assert data in streamed.stdout


def test_ten_megabytes_of_lines(server: LiveServer, tmp_path: Path) -> None:
    code = "for n in range(100_000): print(n, 'x' * 100)\n"
    (tmp_path / "p").mkdir()
    folder = make_folder(tmp_path / "project", main="import sys\n" + code)
    job = server.completed(server.send(folder, "main.py"))
    wanted = "".join(f"{n} {'x' * 100}\n" for n in range(100_000)).encode()
    assert printed(server, job) == wanted
    assert job["log_size"] > 10_000_000


def test_half_a_letter_comes_through_a_stream(server: LiveServer, tmp_path: Path) -> None:
    """A letter of two bytes that arrive one after the other."""
    folder = make_folder(
        tmp_path / "project",
        main="""
import os, sys, time
os.write(1, b"begin \\xc3")
while not os.path.exists(sys.argv[1]): time.sleep(0.01)
os.write(1, b"\\xbc end\\n")
""",
    )
    end = tmp_path / "end"
    client = server.spawn("submit", "scheduler", str(folder), "main.py", str(end))
    server.wait_for(lambda: "begin" in client.text())
    end.touch()
    assert "begin ü end\n" in client.finish().out


# -- the job's surroundings


def test_modules_of_the_root_are_importable_from_a_subfolder(
    server: LiveServer, tmp_path: Path
) -> None:
    folder = make_folder(tmp_path / "project", root_module="VALUE = 'from the root'\n")
    make_folder(folder / "sub", main="import root_module\nprint(root_module.VALUE)\n")
    job = server.completed(server.send(folder, "sub/main.py"))
    assert printed(server, job) == b"from the root\n"


def test_works_with_an_interpreter_that_has_nothing_installed(
    server: LiveServer, tmp_path: Path
) -> None:
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "bare")], check=True
    )
    python = str(tmp_path / "bare" / "bin" / "python")
    code = """
import sys
import foundations
foundations.log_metric("m", 1)
foundations.log_params({"a": 1})
print("PREFIX", sys.prefix)
try:
    import pytest
except ImportError:
    print("bare")
import foundations.config
print(foundations.config.load_yaml("job.config.yaml"))
"""
    folder = make_folder(tmp_path / "project", main=code)
    (folder / "job.config.yaml").write_text("project_name: x\n")
    job = server.completed(server.send(folder, "main.py", interpreter=python))
    log = printed(server, job).decode()
    assert f"PREFIX {tmp_path / 'bare'}" in log
    assert "bare\n" in log
    assert "{'project_name': 'x'}" in log
    assert job["metrics"]["m"]["value"] == 1
    assert job["environment"]["executable"] == python


def test_interpreter_that_is_gone(server: LiveServer, tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "project", main="print('x')\n")
    gone = str(tmp_path / "gone" / "python")
    found = server.ended(server.send(folder, "main.py", interpreter=gone))
    assert (found["state"], found["reason"]) == ("failed", "start_failed")
    assert gone in found["message"]
    assert b"Foundations ERROR" in server.job_log(found["job_id"])


def test_gpus(server: LiveServer, tmp_path: Path) -> None:
    code = "import os\nprint(repr(os.environ.get('CUDA_VISIBLE_DEVICES')))\n"
    job = run(server, tmp_path, code)
    assert printed(server, job) == b"''\n"
    job = run(server, tmp_path, code, resources={"cpus": 1, "gpus": 2})
    devices = printed(server, job).decode().strip().strip("'").split(",")
    assert len(set(devices)) == 2
    (node,) = server.api().server()["nodes"]
    assert set(devices) <= {gpu["uuid"] for gpu in node["gpus"]}
    assert job["environment"]["devices"] == devices


def test_standard_input_is_empty(server: LiveServer, tmp_path: Path) -> None:
    job = run(server, tmp_path, "import sys\nprint(repr(sys.stdin.read()))\n")
    assert printed(server, job) == b"''\n"


def test_recorded_about_the_job(server: LiveServer, tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "project", main="sum(range(3_000_000))\n")
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(folder)]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"]):
        subprocess.run([*git, *words], check=True)
    commit = subprocess.run(
        [*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True
    ).stdout.strip()
    done = server.cli(
        "submit", "--json", "scheduler", str(folder), "main.py", env={"MY_OWN_VARIABLE": "value-7"}
    )
    job = json.loads(done.out)
    origin = job["spec"]["origin"]
    assert origin["git"]["commit"] == commit
    assert origin["git"]["dirty"] is False
    assert "MY_OWN_VARIABLE" in origin["environment_keys"]
    assert "value-7" not in done.out
    assert origin["directory"] == str(folder)
    assert origin["host"] == os.uname().nodename
    assert job["environment"]["python"] == sys.version.split()[0]
    assert job["environment"]["packages"]["pytest"] == pytest.__version__
    assert job["usage"]["cpu_seconds"] > 0
    assert job["usage"]["peak_memory"] > 1_000_000
    (folder / "main.py").write_text("pass\n")
    done = server.cli("submit", "--json", "scheduler", str(folder), "main.py")
    assert json.loads(done.out)["spec"]["origin"]["git"]["dirty"] is True


def test_outputs_are_kept(server: LiveServer, tmp_path: Path) -> None:
    code = """
import os
os.makedirs("out/deep")
open("out/deep/result.txt", "w").write("made")
open("main.py", "a").write("# changed")
os.symlink("/etc/passwd", "leak")
os.mkfifo("pipe")
"""
    job = run(server, tmp_path, code)
    archive = b"".join(server.api().archive(job["job_id"], source=False))
    listing = subprocess.run(
        ["tar", "-tz"], input=archive, capture_output=True, check=True
    ).stdout.decode()
    assert f"{job['job_id']}/out/deep/result.txt\n" in listing
    assert f"{job['job_id']}/main.py\n" in listing
    assert "pipe" not in listing
    assert b"'pipe' is not kept" in server.job_log(job["job_id"])


def test_secret_value_is_nowhere_but_in_the_job(server: LiveServer, tmp_path: Path) -> None:
    secret = "s3cr3t-v4lue-that-nobody-else-has"
    folder = make_folder(
        tmp_path / "project",
        main="""
import hashlib, os, sys, time
print("DIGEST", hashlib.sha256(os.environ["MY_API_KEY"].encode()).hexdigest())
while not os.path.exists(sys.argv[1]): time.sleep(0.01)
""",
    )
    end = tmp_path / "end"
    done = server.cli(
        "submit", "--stream-job-logs", "False", "--json", "--env", "MY_API_KEY",
        "scheduler", str(folder), "main.py", str(end),
        env={"MY_API_KEY": secret},
    )  # fmt: skip
    assert secret not in done.out
    job = json.loads(done.out)["job_id"]
    import hashlib

    server.has_logged(job, hashlib.sha256(secret.encode()).hexdigest().encode())
    assert secret not in json.dumps(server.job(job))
    assert server.job(job)["spec"]["environment"] == {"MY_API_KEY": "********"}
    assert not _holders(server.home, secret)
    for process in server.processes():
        assert secret not in " ".join(process.cmdline())
        if process.pid not in server.workers(job):
            assert secret not in json.dumps(process.environ())
    end.touch()
    server.completed(job)
    again = server.api().rerun(job, {})["job_id"]
    server.has_logged(again, hashlib.sha256(secret.encode()).hexdigest().encode())
    server.completed(again)
    assert not _holders(server.home, secret)


def _holders(home: Path, text: str) -> list[Path]:
    """Files below home, apart from the database, that contain `text`."""
    found = []
    for path in home.rglob("*"):
        if path.is_file() and not path.is_symlink() and path.parent.name != "database":
            if text.encode() in path.read_bytes():
                found.append(path)
    return found


def test_nothing_of_a_job_stays_behind(server: LiveServer, tmp_path: Path) -> None:
    """A child that the job left running is ended, and its working folder removed."""
    code = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"],
                         start_new_session=True)
print("CHILD", child.pid)
"""
    job = run(server, tmp_path, code)
    child = int(re.search(rb"CHILD (\d+)", printed(server, job))[1])  # type: ignore[index]
    assert not is_alive(child)
    server.wait_for(lambda: not (server.home / "work" / job["job_id"]).exists())

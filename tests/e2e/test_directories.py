"""Synchronised directories, TensorBoard's files and measurements of running jobs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.live import LiveServer, make_folder
from tests.nvml.fake import FakeNvml, gpu

from foundations.errors import NotFound

CHECKPOINTS = """
import os, sys, foundations
ckpt = foundations.create_syncable_directory("checkpoints", "ckpt", *sys.argv[1:])
found = sorted(os.listdir("ckpt"))
print("found", found, flush=True)
os.makedirs("ckpt/deep", exist_ok=True)
with open("ckpt/deep/state.txt", "a") as file:
    file.write("epoch")
with open(str(ckpt) + "/weights.bin", "wb") as file:
    file.write(os.urandom(3_000_000))
ckpt.upload()
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    # A long name: the address of a socket has little room.
    place = tmp_path_factory.mktemp(
        "a-folder-with-a-name-that-alone-has-nearly-a-hundred-letters" * 2
    )
    with LiveServer(place, cpus=4) as server:
        yield server


def stored(server: LiveServer, job: str, key: str) -> dict[str, bytes]:
    api = server.api()
    return {
        file["path"]: b"".join(api.directory_file(job, key, file["path"]))
        for file in api.directory(job, key)
    }


def test_what_is_uploaded_is_kept_and_found_by_another_job(
    server: LiveServer, tmp_path: Path
) -> None:
    folder = make_folder(tmp_path / "p", main=CHECKPOINTS)
    first = server.completed(server.send(folder, "main.py"))["job_id"]
    kept = stored(server, first, "checkpoints")
    assert sorted(kept) == ["deep/state.txt", "weights.bin"]
    assert len(kept["weights.bin"]) == 3_000_000
    second = server.completed(server.send(folder, "main.py", first))["job_id"]
    assert b"found ['deep', 'weights.bin']" in server.job_log(second)
    assert stored(server, second, "checkpoints")["deep/state.txt"] == b"epochepoch"
    assert stored(server, first, "checkpoints") == kept
    assert server.api().directory(second, "another key") == []
    with pytest.raises(NotFound):
        list(server.api().directory_file(second, "checkpoints", "absent"))
    server.wait_for(lambda: not list((server.home / "work").glob("*/*")), "end of the runners")


def test_a_second_attempt_goes_on_from_what_the_first_has_kept(
    server: LiveServer, tmp_path: Path
) -> None:
    code = CHECKPOINTS + "sys.exit(0 if found else 3)\n"
    folder = make_folder(tmp_path / "p", main=code)
    job = server.completed(server.send(folder, "main.py", retries=1))
    assert [attempt["exit_code"] for attempt in job["attempt_list"]] == [3, 0]
    assert stored(server, job["job_id"], "checkpoints")["deep/state.txt"] == b"epochepoch"


def test_an_unknown_source_is_an_error_in_the_job(server: LiveServer, tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "p", main=CHECKPOINTS)
    job = server.ended(server.send(folder, "main.py", "0" * 8))
    assert job["state"] == "failed"
    assert b"NotFound: There is no job '00000000'." in server.job_log(job["job_id"])


def test_files_of_tensorboard_are_seen_while_they_grow(server: LiveServer, tmp_path: Path) -> None:
    folder = make_folder(
        tmp_path / "p",
        main="""
import foundations, os, sys, time
foundations.set_tensorboard_logdir("runs/first")
log = open("runs/first/events.out.tfevents.1.host", "ab", buffering=0)
def until(name):
    while not os.path.exists(os.path.join(sys.argv[1], name)): time.sleep(0.01)
log.write(b"a" * 1000)
open("runs/first/note.txt", "w").write("one")
until("one")
log.write(b"b" * 10)
open("runs/first/note.txt", "w").write("two and more")
until("two")
log.write(b"c")
os.mkdir("runs/first/deep"); open("runs/first/deep/last", "w").close()
""",
    )
    flags = tmp_path / "flags"
    flags.mkdir()
    job = server.send(folder, "main.py", str(flags))
    event = "events.out.tfevents.1.host"
    first = server.wait_for(lambda: stored(server, job, "__tensorboard__"))
    assert first[event] == b"a" * 1000
    (flags / "one").touch()
    server.wait_for(
        lambda: (
            stored(server, job, "__tensorboard__")
            == {event: b"a" * 1000 + b"b" * 10, "note.txt": b"two and more"}
        )
    )
    (flags / "two").touch()
    found = server.completed(job)
    assert found["tags"] == {"tf": "tf"}
    assert stored(server, job, "__tensorboard__") == {
        event: b"a" * 1000 + b"b" * 10 + b"c", "note.txt": b"two and more", "deep/last": b"",
    }  # fmt: skip


def test_files_of_tensorboard_of_a_job_too_short_to_be_looked_at(
    server: LiveServer, tmp_path: Path
) -> None:
    folder = make_folder(
        tmp_path / "p",
        main="""
import foundations, os
for name in ("a", "b"):
    os.mkdir(name); open(name + "/events.tfevents", "w").write(name)
    foundations.set_tensorboard_logdir(name)
os.symlink("/etc/passwd", "a/secret"); os.symlink("/etc", "a/secrets")
""",
    )
    job = server.completed(server.send(folder, "main.py"))["job_id"]
    assert stored(server, job, "__tensorboard__") == {
        "events.tfevents": b"a", "b-1/events.tfevents": b"b",
    }  # fmt: skip


def test_directories_go_with_their_job(server: LiveServer, tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "p", main=CHECKPOINTS)
    job = server.completed(server.send(folder, "main.py"))["job_id"]
    archive = server.home / "job_data" / "archive" / job
    assert (archive / "synced_directories" / "checkpoints" / "weights.bin").is_file()
    server.api().delete(job)
    assert not archive.exists()


def test_a_job_is_measured(server: LiveServer, tmp_path: Path) -> None:
    code = """
import os, sys, time
block = b"x" * 100_000_000
child = os.fork()
while not os.path.exists(sys.argv[1]):
    sum(range(10000))
"""
    folder = make_folder(tmp_path / "p", main=code)
    job = server.send(folder, "main.py", str(tmp_path / "end"))
    system = f"/api/v1/jobs/{job}/system"

    def measured() -> dict | None:
        found = server.api().connection.call("GET", system)
        return found["values"] if len(found["time"]) >= 2 else None

    values = server.wait_for(measured)
    assert max(values["cpu"]) > 0
    assert min(values["memory"]) > 100_000_000
    assert max(values["processes"]) == 2
    assert {"disk_read", "disk_written", "network_received", "network_sent"} < set(values)
    (tmp_path / "end").touch()
    found = server.completed(job)
    assert found["metrics"] == {}
    few = server.api().connection.call("GET", system + "?points=1")
    assert len(few["time"]) == 1
    server.api().delete(job)
    assert list((server.home / "job_data" / "measured").glob(f"*/{job}.*")) == []


def test_a_job_asks_its_own_server(server: LiveServer, tmp_path: Path) -> None:
    """Through its own folder, as a container without network would."""
    code = """
import json, os, sys, foundations
assert os.environ.pop("FOUNDATIONS_HOME")
job = foundations.submit(job_directory="child", command=["main.py"], project_name="nested")
job.wait_for_deployment_to_complete()
print(json.dumps([job.job_name(), job.get_metric("m"), job.get_job_logs().splitlines()[-1]]))
found = foundations.get_metrics_for_all_jobs("nested", as_="records")
print(json.dumps(found))
"""
    folder = make_folder(tmp_path / "p", main=code)
    make_folder(
        folder / "child", main="import foundations\nfoundations.log_metric('m', 7)\nprint('hi')"
    )
    parent = server.completed(server.send(folder, "main.py"))["job_id"]
    lines = server.job_log(parent).splitlines()
    child, metric, last = json.loads(lines[-2])
    assert (metric, last) == (7, "hi")
    assert server.job(child)["spec"]["parent"] == parent
    (record,) = json.loads(lines[-1])
    assert record["job_id"] == child
    assert record["m"] == 7


def test_a_job_waits_for_its_server_to_be_back(tmp_path: Path) -> None:
    code = """
import os, sys, time, foundations
from foundations.errors import Unreachable
print("up", flush=True)
while not os.path.exists(sys.argv[1]): time.sleep(0.01)
foundations.log_metric("m", 1)
checkpoints = foundations.create_syncable_directory("c", "c")
open("c/state", "w").write("x")
checkpoints.upload()
try:
    foundations.create_syncable_directory("c", source_job_id=sys.argv[2])
except Unreachable as error:
    print("away:", error, flush=True)
while not os.path.exists(sys.argv[3]): time.sleep(0.01)
print(sorted(os.listdir(foundations.create_syncable_directory("c", source_job_id=sys.argv[2]))))
"""
    with LiveServer(tmp_path, cpus=2) as server:
        source = make_folder(tmp_path / "source", main=CHECKPOINTS.replace("checkpoints", "c"))
        first = server.completed(server.send(source, "main.py"))["job_id"]
        folder = make_folder(tmp_path / "p", main=code)
        end, back = tmp_path / "end", tmp_path / "back"
        job = server.send(folder, "main.py", str(end), first, str(back))
        server.has_logged(job, b"up\n")
        server.kill()
        end.touch()
        log = server.home / "work" / job / "1" / "log"
        server.wait_for(lambda: b"away: " in log.read_bytes())
        server.restart()
        back.touch()
        server.completed(job)
        assert server.job_log(job).splitlines()[-1] == b"['deep', 'weights.bin']"
        assert stored(server, job, "c")["state"] == b"x"


def test_a_job_moves_to_another_project(server: LiveServer, tmp_path: Path) -> None:
    code = """
import foundations
foundations.log_metric("m", 1)
foundations.set_project_name("elsewhere")
foundations.log_param("p", 2)
"""
    job = server.completed(server.send(make_folder(tmp_path / "p", main=code), "main.py"))
    assert job["project"] == "elsewhere"
    columns = server.api().connection.call("GET", "/api/v1/columns?project=elsewhere")
    assert [found["name"] for found in columns["metrics"] + columns["params"]] == ["m", "p"]


@pytest.mark.cc
def test_the_gpus_of_a_job_are_measured(tmp_path: Path, nvml: FakeNvml) -> None:
    code = "import os, sys, time\nwhile not os.path.exists(sys.argv[1]): time.sleep(0.01)\n"
    folder = make_folder(tmp_path / "p", main=code)
    nvml.show(gpu(0, utilization=7), gpu(1, utilization=40, used=5 << 30, power=250_000))
    with LiveServer(tmp_path, cpus=2, environment=dict(nvml.environment)) as server:
        first = server.send(folder, "main.py", str(tmp_path / "end"), resources={"gpus": 1})
        server.in_state(first, "running")
        job = server.send(folder, "main.py", str(tmp_path / "end"), resources={"gpus": 1})
        system = f"/api/v1/jobs/{job}/system"

        def measured() -> dict | None:
            values = server.api().connection.call("GET", system)["values"]
            return values if "gpu0_power" in values else None

        values = server.wait_for(measured)
        assert values["gpu0_utilization"][-1] == 40
        assert values["gpu0_memory"][-1] == 5 << 30
        assert values["gpu0_power"][-1] == 250
        assert not [name for name in values if name.startswith("gpu1")]
        nvml.show(gpu(0), gpu(1), hang=1)
        (tmp_path / "end").touch()
        for each in (first, job):
            server.completed(each)
        server.wait_for(lambda: not (server.home / "work" / job).exists())

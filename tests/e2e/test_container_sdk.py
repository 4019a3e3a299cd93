"""What the SDK can do in a container without network: the runner passes on what it asks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.live import LiveServer, make_folder

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]

PARENT = """
import foundations, json, os, socket
try:
    socket.create_connection(("127.0.0.1", 5000), 1)
except OSError as error:
    print("no network:", error)
child = foundations.submit(job_directory="child", command=["main.py"], project_name="nested")
child.wait_for_deployment_to_complete()
kept = foundations.create_syncable_directory("kept", source_job_id=child.job_name())
print(json.dumps([child.job_name(), child.get_metric("m"), sorted(os.listdir(kept))]))
"""
CHILD = """
import foundations, os, time
foundations.log_metric("m", 7)
kept = foundations.create_syncable_directory("kept", "here")
open("here/a.txt", "w").write("a")
kept.upload()
foundations.set_tensorboard_logdir("logs")
foundations.set_tensorboard_logdir("/tmp/unseen")
open("logs/events.tfevents", "w").write("x")
os.symlink("/", "logs/root")
end = time.monotonic() + 3
while time.monotonic() < end: sum(range(1000))
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with LiveServer(tmp_path_factory.mktemp("server"), cpus=4) as server:
        yield server


def test_a_container_asks_its_server(
    server: LiveServer, tmp_path: Path, image: Callable[[str], str]
) -> None:
    folder = make_folder(tmp_path / "p", main=PARENT)
    make_folder(folder / "child", main=CHILD)
    worker = {"image": image("python"), "network_mode": "none"}
    (folder / "child" / "job.config.yaml").write_text(json.dumps({"worker": worker}))
    parent = server.completed(server.send(folder, "main.py", worker=worker))["job_id"]
    log = server.job_log(parent)
    assert b"no network:" in log
    child, metric, kept = json.loads(log.splitlines()[-1])
    assert (metric, kept) == (7, ["a.txt"])
    found = server.job(child)
    assert found["spec"]["parent"] == parent
    assert found["environment"]["image"]["name"] == image("python")
    api = server.api()
    files = [file["path"] for file in api.directory(child, "__tensorboard__")]
    assert files == ["events.tfevents"]
    assert b"'/tmp/unseen' cannot be seen outside of the container" in server.job_log(child)
    measured = api.connection.call("GET", f"/api/v1/jobs/{child}/system")["values"]
    assert max(measured["cpu"]) > 0
    assert min(measured["memory"]) > 1_000_000

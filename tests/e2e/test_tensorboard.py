"""`foundations tensorboard`: a real TensorBoard over jobs that run and jobs that are over."""

from __future__ import annotations

import json
import os
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.live import LiveServer, make_folder
from tests.processes import is_alive

# TensorBoard's own writer, as PyTorch's SummaryWriter uses it.
TRAIN = """
import os, sys, time
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter
import foundations

foundations.set_tensorboard_logdir("runs")
writer = EventFileWriter("runs")
def log(step, value):
    summary = Summary(value=[Summary.Value(tag="loss", simple_value=value)])
    writer.add_event(Event(wall_time=time.time(), step=step, summary=summary))
    writer.flush()
log(0, 1.0)
while len(sys.argv) > 1 and not os.path.exists(sys.argv[1]): time.sleep(0.01)
log(1, 0.5)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    place = tmp_path_factory.mktemp("server")
    with LiveServer(place, cpus=4, settings={"tensorboard_idle": 600}) as server:
        yield server


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=60) as answer:
        return answer.read()


def steps(url: str, run: str) -> list[int]:
    found = json.loads(get(f"{url}data/plugin/scalars/tags"))
    if "loss" not in found.get(run, {}):
        return []
    points = json.loads(get(f"{url}data/plugin/scalars/scalars?run={run}&tag=loss"))
    return [int(step) for _, step, _ in points]


def test_jobs_are_shown_while_they_run(server: LiveServer, tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "p", main=TRAIN)
    over = server.completed(server.send(folder, "main.py", name="over"))["job_id"]
    gate = tmp_path / "end"
    runs = server.send(folder, "main.py", str(gate))
    command = server.spawn("tensorboard", "over", runs)
    url = server.wait_for(
        lambda: next((line for line in command.text().splitlines() if "http" in line), None)
    )
    assert url.startswith(server.url + "/tensorboard/")
    assert b"<title>TensorBoard</title>" in get(url)
    server.wait_for(lambda: steps(url, "over") == [0, 1])
    server.wait_for(lambda: steps(url, runs) == [0])
    gate.touch()
    server.completed(runs)
    server.wait_for(lambda: steps(url, runs) == [0, 1])
    # The same selection is the same TensorBoard.
    again = json.loads(server.cli("tensorboard", "--json", runs, over).out)
    assert (again["url"], sorted(again["jobs"])) == (url, sorted([over, runs]))
    command.interrupt()
    assert command.finish().code == 0
    server.wait_for(lambda: not boards(server), "end of TensorBoard")
    with pytest.raises(urllib.error.HTTPError, match="404"):
        get(url)
    folders = server.home / "run" / "tensorboard"
    server.wait_for(lambda: not list(folders.iterdir()), "end of its folder")


def boards(server: LiveServer) -> list[psutil.Process]:
    return [process for process in server.processes() if "tensorboard.main" in process.cmdline()]


def test_what_there_is_nothing_of_is_said(server: LiveServer, tmp_path: Path) -> None:
    job = server.completed(server.send(make_folder(tmp_path / "p", main="pass"), "main.py"))
    done = server.cli("tensorboard", job["job_id"])
    assert done.code == 1
    assert "None of the jobs has files of TensorBoard." in done.err
    assert "set_tensorboard_logdir" in done.err


def test_one_that_nobody_looks_at_ends_and_so_does_every_one_with_the_server(
    tmp_path: Path,
) -> None:
    folder = make_folder(tmp_path / "p", main=TRAIN)
    with LiveServer(tmp_path, cpus=2, settings={"tensorboard_idle": 2}) as server:
        job = server.completed(server.send(folder, "main.py"))["job_id"]
        url = server.cli("tensorboard", "--detach", job).out.strip()
        assert b"TensorBoard" in get(url)
        assert len(boards(server)) == 1
        server.wait_for(lambda: not boards(server), "end of the idle TensorBoard")
        assert server.cli("tensorboard", "--detach", job).out.strip() == url
        (board,) = boards(server)
        os.kill(server.pid, signal.SIGKILL)
        server.wait_for(lambda: not is_alive(board.pid), "end of the board")
        server.restart()
        assert boards(server) == []

"""What a program uses is measured while no server runs, GPUs too, by a process beside it."""

from __future__ import annotations

import os
import sys

import pytest
from tests.sdk.executing import Place

PROGRAM = """
import foundations, os, sys, time
held = bytearray(30_000_000)
foundations.log_metric("begun", 1)
while not os.path.exists(sys.argv[1]):
    time.sleep(0.01)
"""
# Two GPUs, of which the program uses the second.
NVIDIA_SMI = """#!{python}
import sys
place = {place!r}
if sys.argv[1].startswith("--query-compute-apps"):
    print(open(place).read().strip() + ", GPU-b")
    print("1, GPU-a")
else:
    print("GPU-a, 0, 99, 11, 50.5, 60")
    print("GPU-b, 1, 75, 2, [N/A], 61")
"""


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def companions(job):
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/{}/cmdline".format(name), "rb") as file:
                words = file.read().split(b"\0")
        except OSError:
            continue
        if os.fsencode(job.root) in words and any(b"companion" in word for word in words):
            found.append(int(name))
    return found


def test_a_program_is_measured_until_it_ends(place):
    tools = place.root / "bin"
    tools.mkdir()
    known = place.root / "pid"
    smi = tools / "nvidia-smi"
    smi.write_text(NVIDIA_SMI.format(python=sys.executable, place=str(known)))
    smi.chmod(0o755)
    place.write("main.py", PROGRAM)
    go = place.root / "go"
    path = "{}{}{}".format(tools, os.pathsep, os.environ["PATH"])
    process = place.start("main.py", str(go), PATH=path)
    known.write_text(str(process.pid))
    try:
        values = place.until(lambda: place.job().events("system"))[0]["values"]
        assert values["memory"] > 30_000_000
        assert values["processes"] == 1
        assert values["cpu"] >= 0
        gpus = {name: value for name, value in values.items() if name.startswith("gpu")}
        assert gpus == {"gpu0_utilization": 75, "gpu0_memory": 2 << 20, "gpu0_temperature": 61}
        job = place.job()
        assert len(companions(job)) == 1
        assert [event["key"] for event in job.events("metric")] == ["begun"]
    finally:
        go.touch()
        process.communicate(timeout=60)
    place.until(lambda: not companions(job))


def test_nobody_measures_what_a_server_has(place):
    place.write("main.py", PROGRAM)
    go = place.root / "go"
    process = place.start("main.py", str(go))
    try:
        job = place.until(place.job)
        place.until(lambda: companions(job))
        job.set_taken({"job_id": job.job_id})
        place.until(lambda: not companions(job))
        assert process.poll() is None
    finally:
        go.touch()
        process.communicate(timeout=60)

"""GPUs from `atlas-server start` to the job, on a machine that has none: tests/nvml stands in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.live import LiveServer, make_folder
from tests.nvml.fake import LOST, MODEL, NOT_LOADED, UNKNOWN, FakeNvml, gpu, mig, uuid

pytestmark = pytest.mark.cc

SEES = """
import json, os
names = ("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER")
print(json.dumps({name: os.environ.get(name) for name in names}))
"""
WAIT = (
    "import os, sys, time\nprint('up')\nwhile not os.path.exists(sys.argv[1]): time.sleep(0.01)\n"
)


@pytest.fixture
def machine(tmp_path: Path, nvml: FakeNvml) -> Iterator[LiveServer]:
    """A home without a server, on a machine whose driver is `nvml`."""
    server = LiveServer(
        tmp_path, cpus=8, settings={"gpu_check": 0.2}, environment=dict(nvml.environment)
    )
    yield server
    server.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_folder(tmp_path / "project", sees=SEES, wait=WAIT)


def asks(gpus: float) -> dict[str, float]:
    return {"cpus": 0.5, "gpus": gpus}


def devices(server: LiveServer) -> list[dict[str, Any]]:
    return server.api().server()["nodes"][0]["gpus"]


def problems(server: LiveServer) -> list[str | None]:
    return [device["problem"] for device in devices(server)]


def held(server: LiveServer, job_id: str) -> list[str]:
    """The devices of a job's newest attempt."""
    return [name for name, _ in server.job(job_id)["attempt_list"][-1]["allocation"]["gpus"]]


def running(server: LiveServer, folder: Path, gpus: float) -> str:
    """A job that has begun and goes on until its file `end-ID` is there."""
    job = server.send(folder, "wait.py", str(server.root / "end"), resources=asks(gpus))
    server.has_logged(job, b"up")
    return job


def waits(server: LiveServer, job_id: str) -> str:
    def why() -> str | None:
        return server.job(job_id).get("waits_because")

    return server.wait_for(why, f"{job_id} in the queue")


def test_a_job_sees_what_it_asked_for_and_no_other_job_sees_it(
    machine: LiveServer, nvml: FakeNvml, folder: Path
) -> None:
    nvml.show(*(gpu(number) for number in range(4)))
    started = machine.server_command("start")
    assert f"4 GPUs ({MODEL})" in started.out
    first, second = running(machine, folder, 2), running(machine, folder, 1)
    assert held(machine, first) == [uuid(0), uuid(1)]
    assert held(machine, second) == [uuid(2)]
    job = machine.send(folder, "sees.py", resources=asks(1))
    machine.completed(job)
    seen = json.loads(machine.job_log(job).splitlines()[-1])
    assert seen == {
        "CUDA_VISIBLE_DEVICES": uuid(3),
        "NVIDIA_VISIBLE_DEVICES": uuid(3),
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
    }
    job = machine.send(folder, "sees.py")
    machine.completed(job)
    seen = json.loads(machine.job_log(job).splitlines()[-1])
    assert (seen["CUDA_VISIBLE_DEVICES"], seen["NVIDIA_VISIBLE_DEVICES"]) == ("", "void")


def test_what_a_user_sets_does_not_widen_what_the_job_sees(
    machine: LiveServer, nvml: FakeNvml, folder: Path
) -> None:
    nvml.show(gpu(0), gpu(1))
    machine.start()
    wider = f"{uuid(0)},{uuid(1)}"
    names = ("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")
    given = [word for name in names for word in ("--env", f"{name}={wider}")]
    done = machine.cli("submit", "--num-gpus", "1", *given, "scheduler", str(folder), "sees.py")
    assert done.code == 0, done
    for name in names:
        assert f"Foundations WARNING: {name} is not taken from the job's settings." in done.out
    (line,) = [line for line in done.out.splitlines() if line.startswith("{")]
    assert json.loads(line)["CUDA_VISIBLE_DEVICES"] == uuid(0)
    assert json.loads(line)["NVIDIA_VISIBLE_DEVICES"] == uuid(0)


def test_small_jobs_share_a_gpu(machine: LiveServer, nvml: FakeNvml, folder: Path) -> None:
    nvml.show(gpu(0), gpu(1))
    machine.start()
    small = [running(machine, folder, 0.5), running(machine, folder, 0.25)]
    whole = running(machine, folder, 1)
    assert [held(machine, job) for job in (*small, whole)] == [[uuid(0)], [uuid(0)], [uuid(1)]]
    last = machine.send(folder, "wait.py", str(machine.root / "end"), resources=asks(0.5))
    assert waits(machine, last) == "waits for 0.5 of a GPU: at most 0.25 of one is free"
    first, second = devices(machine)
    assert (first["used"], first["jobs"]) == (0.75, {small[0]: 0.5, small[1]: 0.25})
    assert (second["used"], second["jobs"]) == (1, {whole: 1})
    shown = machine.cli("info").out
    assert "75 % in use" in shown
    (machine.root / "end").touch()
    for job in (*small, whole, last):
        machine.completed(job)


@pytest.mark.parametrize(
    ("visible", "found", "said"),
    [
        ("2,0", [0, 2], "2 GPUs"),
        (uuid(1)[:8], [1], "1 GPU ("),
        ("0,2,-1,1", [0, 2], "2 GPUs"),
        ("", [], "no GPU (CUDA_VISIBLE_DEVICES is '')"),
        ("-1", [], "no GPU (CUDA_VISIBLE_DEVICES is '-1')"),
        ("0,9,1", [0], "'9' in CUDA_VISIBLE_DEVICES is no GPU of this machine"),
    ],
)
def test_only_visible_gpus_are_used(
    machine: LiveServer, nvml: FakeNvml, visible: str, found: list[int], said: str
) -> None:
    nvml.show(gpu(0), gpu(1), gpu(2))
    machine.env["CUDA_VISIBLE_DEVICES"] = visible
    started = machine.server_command("start")
    assert started.code == 0, started
    assert said in started.out
    assert [device["uuid"] for device in devices(machine)] == [uuid(number) for number in found]
    assert [device["number"] for device in devices(machine)] == [str(number) for number in found]


@pytest.mark.parametrize(
    ("text", "found"),
    [("[2]", [2]), ('"0,1"', [0, 1]), ("1", [1]), ("[]", [])],
)
def test_visible_gpus_of_the_file(
    machine: LiveServer, nvml: FakeNvml, text: str, found: list[int]
) -> None:
    nvml.show(gpu(0), gpu(1), gpu(2))
    file = machine.home / "config" / "server.config.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(f"visible_gpus: {text}\n")
    machine.start()
    assert [device["uuid"] for device in devices(machine)] == [uuid(number) for number in found]


def test_a_number_of_gpus_takes_the_first_that_are_found(
    machine: LiveServer, nvml: FakeNvml
) -> None:
    nvml.show(gpu(0), gpu(1), gpu(2))
    machine.start("--num-gpus", "2")
    assert [device["uuid"] for device in devices(machine)] == [uuid(0), uuid(1)]


def test_declared_devices_that_are_found_later_stay_in_use(
    machine: LiveServer, nvml: FakeNvml, folder: Path
) -> None:
    nvml.show(init=NOT_LOADED)
    machine.start("--num-gpus", "2")
    assert [device["uuid"] for device in devices(machine)] == ["0", "1"]
    holder = running(machine, folder, 1)
    machine.stop()
    nvml.show(init=UNKNOWN)
    machine.start("--num-gpus", "2")
    assert devices(machine) == [], "they are not declared anew while the driver may know better"
    nvml.show(gpu(0), gpu(1))
    machine.wait_for(lambda: len(devices(machine)) == 2, "devices")
    assert [device["jobs"] for device in devices(machine)] == [{holder: 1}, {}]
    assert held(machine, running(machine, folder, 1)) == [uuid(1)]
    third = machine.send(folder, "sees.py", resources=asks(1))
    assert waits(machine, third) == "waits for 1 GPU: 0 of 2 are free"


def test_mig_instances_are_given_out_one_by_one(
    machine: LiveServer, nvml: FakeNvml, folder: Path
) -> None:
    nvml.show(gpu(0), mig(0, 0), mig(0, 1), gpu(1))
    machine.start()
    jobs = [running(machine, folder, 1) for _ in range(3)]
    assert [held(machine, job) for job in jobs] == [["MIG-0-0"], ["MIG-0-1"], [uuid(1)]]


@pytest.mark.parametrize("option", ["-g", "--enable-gpu"])
def test_old_scripts_that_ask_for_gpus(machine: LiveServer, nvml: FakeNvml, option: str) -> None:
    nvml.show(init=NOT_LOADED)
    done = machine.server_command("start", option)
    assert done.code == 0, done
    assert "atlas-server: warning: no GPU is used: the NVIDIA driver is not loaded." in done.err
    machine.stop()
    nvml.show(gpu(0))
    done = machine.server_command("start", option)
    assert (done.code, done.err) == (0, "")
    assert "1 GPU" in done.out


def test_what_can_never_run_is_refused_before_it_waits(
    machine: LiveServer, nvml: FakeNvml, folder: Path
) -> None:
    nvml.show(gpu(0), gpu(1))
    machine.start()
    words = ("submit", "--num-gpus", "3", "scheduler", str(folder), "sees.py")
    done = machine.cli(*words)
    assert done.code == 1
    assert "The job asks for 3 GPUs; there are 2." in done.err
    machine.stop()
    nvml.show(init=NOT_LOADED)
    machine.start()
    (folder / "job.config.yaml").write_text("num_gpus: 1\n")
    done = machine.cli("submit", "scheduler", str(folder), "sees.py")
    assert done.code == 1
    assert "asks for 1 GPU; there is none: the NVIDIA driver is not loaded." in done.err
    assert "foundations info" in done.err
    assert machine.api().jobs()["jobs"] == []
    done = machine.cli("submit", "--num-gpus", "0", "scheduler", str(folder), "sees.py")
    assert done.code == 0, done


def test_a_device_that_falls_off_the_bus_takes_no_new_jobs(
    machine: LiveServer, nvml: FakeNvml, folder: Path
) -> None:
    nvml.show(gpu(0), gpu(1))
    machine.start()
    holder = running(machine, folder, 1)
    nvml.show(gpu(0, error=LOST), gpu(1))
    machine.wait_for(lambda: problems(machine) == ["GPU is lost", None], "loss of the device")
    other = running(machine, folder, 1)
    assert held(machine, other) == [uuid(1)]
    third = machine.send(folder, "wait.py", str(machine.root / "end"), resources=asks(1))
    assert waits(machine, third) == "waits for 1 GPU: 0 of 2 are free, 1 is out of order"
    pair = machine.send(folder, "wait.py", str(machine.root / "end"), resources=asks(2))
    assert waits(machine, pair) == "waits for 2 GPUs: 1 of 2 is out of order"
    assert machine.job(holder)["state"] == "running", "we do not end what holds it"
    done = machine.cli("info")
    assert "out of order" in done.out
    assert "GPU 0 gets no new jobs: GPU is lost." in done.out
    assert f"GPU {uuid(0)} ({MODEL}) gets no new jobs: GPU is lost." in machine.log()
    nvml.show(gpu(0), gpu(1))
    (machine.root / "end").touch()
    for job in (holder, other, third, pair):
        machine.completed(job)
    assert problems(machine) == [None, None]
    assert "is in order again" in machine.log()


def test_the_end_of_a_job_with_gpus_is_a_reason_to_look(
    machine: LiveServer, nvml: FakeNvml, folder: Path
) -> None:
    """A job that a broken device has ended must not be followed by all that wait."""
    nvml.show(gpu(0), gpu(1))
    machine.env["ATLAS_GPU_CHECK"] = "100000"
    machine.start()
    nvml.show(gpu(0, error=LOST), gpu(1))
    job = machine.send(folder, "sees.py", resources=asks(1))
    machine.completed(job)
    assert held(machine, job) == [uuid(0)]
    machine.wait_for(lambda: problems(machine) == ["GPU is lost", None], "loss of the device")


def test_jobs_that_wait_for_a_device_start_when_it_is_back(
    machine: LiveServer, nvml: FakeNvml, folder: Path
) -> None:
    nvml.show(gpu(0), gpu(1))
    machine.start()
    nvml.show(gpu(0))
    machine.wait_for(lambda: problems(machine)[1], "loss of the device")
    job = machine.send(folder, "sees.py", resources=asks(2))
    assert waits(machine, job) == "waits for 2 GPUs: 1 of 2 is out of order"
    nvml.show(gpu(0), gpu(1))
    machine.completed(job)


def test_a_driver_that_is_loaded_anew(machine: LiveServer, nvml: FakeNvml, folder: Path) -> None:
    nvml.show(gpu(0), gpu(1))
    machine.start()
    holder = running(machine, folder, 1)
    nvml.show(init=NOT_LOADED)
    machine.wait_for(lambda: all(problems(machine)), "loss of the driver")
    job = machine.send(folder, "sees.py", resources=asks(1))
    assert "out of order" in waits(machine, job)
    plain = machine.send(folder, "sees.py")
    machine.completed(plain)
    nvml.show(gpu(0), gpu(1))
    machine.completed(job)
    assert held(machine, job) == [uuid(1)]
    assert machine.job(holder)["state"] == "running"
    assert held(machine, holder) == [uuid(0)]


def test_a_driver_that_comes_up_after_the_server(
    machine: LiveServer, nvml: FakeNvml, folder: Path
) -> None:
    nvml.show(init=NOT_LOADED)
    machine.start()
    assert devices(machine) == []
    nvml.show(gpu(0))
    machine.wait_for(lambda: devices(machine), "devices")
    machine.completed(machine.send(folder, "sees.py", resources=asks(1)))


def test_a_driver_that_hangs_holds_up_nothing(
    machine: LiveServer, nvml: FakeNvml, folder: Path
) -> None:
    nvml.show(gpu(0))
    machine.start()
    nvml.show(gpu(0), hang=1)

    def asking() -> bool:
        return any("atlas_server.executors.nvml" in one.cmdline() for one in machine.processes())

    machine.wait_for(asking, "question to the driver")
    machine.completed(machine.send(folder, "sees.py"))
    machine.completed(machine.send(folder, "sees.py", resources=asks(1)))
    machine.stop()
    machine.wait_for(lambda: not machine.processes(), "end of everything")


def test_show_names_the_devices(machine: LiveServer, nvml: FakeNvml, folder: Path) -> None:
    nvml.show(gpu(0), gpu(1))
    machine.start()
    job = machine.send(folder, "sees.py", resources=asks(0.5))
    found = machine.completed(job)
    assert found["environment"]["devices"] == [uuid(0)]
    shown = machine.cli("show", job).out
    section = shown.partition("\nGPUs\n")[2].partition("\n\n")[0]
    for word in (uuid(0), MODEL, "0.5"):
        assert word in section
    # What it was given stays known when the device is not there any more.
    machine.stop()
    nvml.show()
    machine.start()
    assert MODEL in machine.cli("show", job).out
    plain = machine.send(folder, "sees.py")
    machine.completed(plain)
    assert "GPUs" not in machine.cli("show", plain).out

"""Which GPUs jobs may use: what the driver says, what its owner lets them see, what breaks."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.nvml import fake
from tests.nvml.fake import LOST, MISMATCH, MODEL, NO_PERMISSION, FakeNvml, gpu, mig, uuid

from atlas_server.executors.driver import NOT_LOADED, Device, Driver, Look
from atlas_server.executors.gpus import GpuPool
from atlas_server.executors.inventory import DeclaredInventory, Inventory
from atlas_server.executors.visible import choose

# A busy machine fails no test.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

PARTS = (Device("MIG-0", "part", 1), Device("MIG-1", "part", 1))
FOUR = (
    Device("GPU-1111-a", "X", 1),
    Device("GPU-1122-b", "X", 1),
    Device("GPU-3333-c", "X", 1, parts=PARTS),
    Device("", "", 0, "GPU is lost"),
)


@pytest.mark.parametrize(
    ("visible", "chosen", "complaint"),
    [
        ("0", ["GPU-1111-a"], None),
        ("1,0", ["GPU-1122-b", "GPU-1111-a"], None),
        ("0,2,-1,1", ["GPU-1111-a", "GPU-3333-c"], None),
        ("3", ["unknown-3"], None),
        ("", [], None),
        ("-1", [], None),
        ("NoDevFiles", [], None),
        ("0,,1", ["GPU-1111-a"], None),
        ("0,0,1", ["GPU-1111-a", "GPU-1122-b"], None),
        ("GPU-1111-a,GPU-1111-a", ["GPU-1111-a"], None),
        ("0,4,1", ["GPU-1111-a"], "'4' in CUDA_VISIBLE_DEVICES is no GPU of this machine and ends"),
        ("9", [], "'9' in CUDA_VISIBLE_DEVICES is no GPU of this machine"),
        ("two", [], "'two' in CUDA_VISIBLE_DEVICES is no GPU of this machine"),
        ("GPU-1122", ["GPU-1122-b"], None),
        ("GPU-11", [], "'GPU-11' in CUDA_VISIBLE_DEVICES fits several GPUs"),
        ("GPU-9", [], "'GPU-9' in CUDA_VISIBLE_DEVICES is no GPU"),
        ("MIG-1", ["MIG-1"], None),
        ("MIG-", [], "'MIG-' in CUDA_VISIBLE_DEVICES fits several GPUs"),
        ("1111", [], "'1111' in CUDA_VISIBLE_DEVICES is no GPU"),
    ],
)  # fmt: skip
def test_visible_devices_are_read_as_cuda_reads_them(
    visible: str, chosen: list[str], complaint: str | None
) -> None:
    found, said = choose(FOUR, [entry.strip() for entry in visible.split(",")])
    assert found == chosen
    assert (said is None) == (complaint is None)
    assert (said or "").startswith(complaint or "")


# -- what is remembered from one look to the next


def state(pool: GpuPool) -> dict[str, str | None]:
    return {gpu.uuid: gpu.problem for gpu in pool.gpus}


def pool_of(
    *devices: Device, visible: list[str] | None = None, limit: int | None = None
) -> GpuPool:
    pool = GpuPool(visible, limit)
    pool.take_in(Look(devices))
    return pool


A, B, C = (Device(name, "X", 7) for name in ("GPU-a", "GPU-b", "GPU-c"))


def test_a_device_that_vanishes_is_out_of_order_until_it_is_back() -> None:
    pool = pool_of(A, B, C)
    pool.take_in(Look((A, C)))
    assert state(pool) == {"GPU-a": None, "GPU-b": "it is not there any more", "GPU-c": None}
    pool.take_in(Look((A, B, C)))
    assert set(state(pool).values()) == {None}


def test_a_device_that_cannot_be_named_is_the_missing_one() -> None:
    pool = pool_of(A, B, C)
    pool.take_in(Look((A, Device("", "", 0, "GPU is lost"), C)))
    assert state(pool) == {"GPU-a": None, "GPU-b": "GPU is lost", "GPU-c": None}


def test_a_broken_device_keeps_its_name_and_memory() -> None:
    pool = pool_of(A)
    pool.take_in(Look((replace(A, name="", memory=0, problem="GPU is lost"),)))
    (found,) = pool.gpus
    assert (found.name, found.memory, found.problem) == ("X", 7, "GPU is lost")


def test_a_device_that_was_lost_before_the_start_is_counted() -> None:
    pool = pool_of(A, Device("", "", 0, "GPU is lost"))
    assert state(pool) == {"GPU-a": None, "unknown-1": "GPU is lost"}
    pool.take_in(Look((A, B)))
    assert state(pool) == {"GPU-a": None, "GPU-b": None}


def test_a_driver_that_fails_takes_all_out_until_it_is_back() -> None:
    pool = pool_of(A, B)
    pool.take_in(Look(trouble="the NVIDIA driver says: no"))
    assert set(state(pool).values()) == {"the NVIDIA driver says: no"}
    assert pool.trouble == "the NVIDIA driver says: no"
    pool.take_in(Look((A, B)))
    assert (set(state(pool).values()), pool.trouble) == ({None}, None)


def test_a_driver_that_comes_late_is_welcome() -> None:
    pool = GpuPool(["1"])
    pool.take_in(Look(trouble="not yet"))
    assert (pool.gpus, pool.trouble) == ((), "not yet")
    pool.take_in(Look(()))
    assert pool.trouble == "the NVIDIA driver knows of no GPU"
    pool.take_in(Look((A, B)))
    assert (state(pool), pool.trouble) == ({"GPU-b": None}, None)


def test_numbers_keep_their_meaning_when_a_device_is_lost() -> None:
    pool = pool_of(A, B, C, visible=["0", "2"])
    pool.take_in(Look((B, C)))
    assert state(pool) == {"GPU-a": "it is not there any more", "GPU-c": None}


def test_divided_gpus_are_used_by_their_parts() -> None:
    divided = replace(A, parts=PARTS)
    pool = pool_of(divided, B)
    assert state(pool) == {"MIG-0": None, "MIG-1": None, "GPU-b": None}
    lost = replace(A, problem="GPU is lost")
    pool.take_in(Look((lost, B)))
    assert state(pool) == {"MIG-0": "GPU is lost", "MIG-1": "GPU is lost", "GPU-b": None}
    pool.take_in(Look((replace(A, parts=PARTS[1:]), B)))
    assert state(pool) == {"MIG-1": None, "GPU-b": None}, "one was taken away by its owner"
    pool.take_in(Look((A, B)))
    assert state(pool) == {"GPU-b": None, "GPU-a": None}
    assert state(pool_of(replace(A, parts=()))) == {}
    assert state(pool_of(divided, B, visible=["MIG-1"])) == {"MIG-1": None}
    assert state(pool_of(divided, B, visible=["0"])) == {"MIG-0": None, "MIG-1": None}


def test_devices_keep_the_numbers_that_nvidia_smi_showed() -> None:
    pool = pool_of(A, replace(B, parts=PARTS), C)
    assert [gpu.number for gpu in pool.gpus] == ["0", "1.0", "1.1", "2"]
    pool.take_in(Look((C,)))
    assert [gpu.number for gpu in pool.gpus] == ["0", "1.0", "1.1", "2"]
    assert [gpu.number for gpu in pool_of(A, B, C, visible=["2", "1"]).gpus] == ["1", "2"]


def test_a_limit_takes_the_first() -> None:
    pool = pool_of(A, B, C, limit=2)
    pool.take_in(Look((B, C)))
    assert state(pool) == {"GPU-a": "it is not there any more", "GPU-b": None}


looks = st.lists(
    st.one_of(
        st.just(Look(trouble="no")),
        st.permutations(range(5)).flatmap(
            lambda order: st.integers(0, 5).flatmap(
                lambda count: st.lists(
                    st.sampled_from(["well", "broken", "nameless"]), min_size=5, max_size=5
                ).map(lambda states: _look(order[:count], states))
            )
        ),
    ),
    min_size=1,
    max_size=8,
)


def _look(numbers: list[int], states: list[str]) -> Look:
    well = {number: Device(f"GPU-{number}", "X", 1) for number in numbers}
    broken = {
        "well": lambda device: device,
        "broken": lambda device: replace(device, name="", memory=0, problem="broken"),
        "nameless": lambda device: Device("", "", 0, "lost"),
    }
    return Look(tuple(broken[states[number]](device) for number, device in well.items()))


@unhurried
@given(looks, st.sampled_from([None, ["0", "1"], ["GPU-3"], [""]]))
def test_whatever_the_driver_says(looks: list[Look], visible: list[str] | None) -> None:
    pool = GpuPool(visible)
    ever: set[str] = set()
    for look in looks:
        pool.take_in(look)
        now = state(pool)
        assert len(now) == len(pool.gpus), "no device twice"
        well = {device.uuid for device in look.devices if device.problem is None}
        in_order = {name for name, problem in now.items() if problem is None}
        assert in_order <= well, "what the driver does not vouch for is not in order"
        if visible is None:
            assert in_order == well
        ever |= {name for name in now if name.startswith("GPU-")}
        assert ever <= set(now), "nothing that was seen is forgotten"
        if visible == ["GPU-3"]:
            assert ever <= {"GPU-3"}
        if visible == [""]:
            assert not now
        assert pool.gpus or pool.trouble


# -- the driver itself, at the boundary of the process


@pytest.fixture
def driver(nvml: FakeNvml, monkeypatch: pytest.MonkeyPatch) -> Driver:
    for name, value in nvml.environment.items():
        monkeypatch.setenv(name, value)
    return Driver()


@pytest.mark.cc
def test_what_the_driver_tells_of_its_devices(nvml: FakeNvml, driver: Driver) -> None:
    nvml.show(gpu(0), gpu(1, error=LOST), gpu(2, handle=LOST), gpu(3, handle=NO_PERMISSION))
    assert driver.look() == Look(
        (
            Device(uuid(0), MODEL, 80 << 30),
            Device(uuid(1), "", 0, "GPU is lost"),
            Device("", "", 0, "GPU is lost"),
        )
    )
    nvml.show(gpu(0), gpu(1, hidden=1), gpu(2, no_memory=1))
    assert driver.look() == Look((Device(uuid(0), MODEL, 80 << 30), Device(uuid(2), MODEL, 0)))


@pytest.mark.cc
@pytest.mark.parametrize(
    ("fact", "words"),
    [
        ({"recovery": 1}, "it needs a reset"),
        ({"recovery": 2}, "the machine needs a reboot"),
        ({"recovery": 4}, "it is to be drained and reset"),
        ({"recovery": 99}, "the driver wants it repaired"),
        ({"remap_failed": 1}, "its memory is broken (row remapping failed)"),
    ],
)
def test_devices_that_the_driver_does_not_trust(
    nvml: FakeNvml, driver: Driver, fact: dict[str, int], words: str
) -> None:
    nvml.show(gpu(0, **fact))
    assert driver.look() == Look((Device(uuid(0), MODEL, 80 << 30, words),))


@pytest.mark.cc
def test_mig_instances(nvml: FakeNvml, driver: Driver) -> None:
    nvml.show(gpu(0), mig(0, 1), mig(0, 2), gpu(1))
    first, second = driver.look().devices
    assert [part.uuid for part in first.parts or ()] == ["MIG-0-1", "MIG-0-2"]
    assert (first.parts or ())[0].memory == 10 << 30
    assert second.parts is None


@pytest.mark.cc
def test_a_driver_that_does_not_work(nvml: FakeNvml, driver: Driver) -> None:
    nvml.show(gpu(0), init=MISMATCH)
    trouble = driver.look().trouble
    assert trouble is not None
    assert trouble.startswith("the NVIDIA driver says: ")
    assert "mismatch" in trouble
    nvml.show(gpu(0))
    assert driver.look().trouble is None, "asked anew, it works again"


@pytest.mark.cc
def test_a_driver_that_is_not_loaded(nvml: FakeNvml, driver: Driver) -> None:
    nvml.show(init=fake.NOT_LOADED)
    assert driver.look().trouble == NOT_LOADED


@pytest.mark.cc
def test_a_driver_that_crashes_takes_nobody_with_it(nvml: FakeNvml, driver: Driver) -> None:
    nvml.show(gpu(0), crash=1)
    trouble = driver.look().trouble
    assert trouble is not None
    assert trouble.startswith("asking the NVIDIA driver failed (")


# -- what the owner declares


def inventory(**declared: object) -> Inventory:
    return Inventory(DeclaredInventory(**declared))  # pyright: ignore[reportArgumentType]


def test_declared_gpus_are_those_that_are_visible() -> None:
    if Driver().is_installed():
        pytest.skip("this machine has GPUs of its own")
    assert [one.uuid for one in inventory(gpus=2).node.gpus] == ["0", "1"]
    assert [one.uuid for one in inventory(gpus=2, visible=("3", "5", "7")).node.gpus] == ["3", "5"]
    assert [one.uuid for one in inventory(gpus=2, visible=("",)).node.gpus] == ["0", "1"]
    none = inventory(gpus=0).node
    assert (none.gpus, none.gpu_trouble) == ((), "the server is set to use none")
    assert inventory().node.gpu_trouble == "no NVIDIA driver was found"

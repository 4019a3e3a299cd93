"""Scalars of SummaryWriters as metrics: TensorBoard's, tensorboardX's and PyTorch's."""

from __future__ import annotations

import time

import pytest

pytest.importorskip("tensorboard")

import numpy

from foundations.integrations.tensorboard import mirror_scalars, stop_mirroring

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def mirrored():
    mirror_scalars()
    mirror_scalars()
    yield
    stop_mirroring()


def test_tensorboards_own_writer(job, points, tmp_path):
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    writer = EventFileWriter(str(tmp_path / "runs"))
    text = Summary.Value(tag="note", metadata={"plugin_data": {"plugin_name": "text"}})
    loss = Summary.Value(tag="loss", simple_value=0.5)
    writer.add_event(Event(wall_time=time.time(), step=7, summary=Summary(value=[loss, text])))
    writer.close()
    assert points("loss") == [(7, 0.5)]
    assert len(job.events("metric")) == 1
    stop_mirroring()
    writer = EventFileWriter(str(tmp_path / "more"))
    writer.add_event(Event(step=8, summary=Summary(value=[loss])))
    writer.close()
    assert len(job.events("metric")) == 1


@pytest.mark.parametrize("package", ["torch.utils.tensorboard", "tensorboardX"])
def test_a_summary_writer(job, points, tmp_path, package):
    pytest.importorskip(package.partition(".")[0])
    module = pytest.importorskip(package)
    with module.SummaryWriter(str(tmp_path / "runs")) as writer:
        for step in range(3):
            writer.add_scalar("Loss/train", 1 / (step + 1), step)
            writer.add_scalars("both", {"a": step, "b": -step}, step)
        writer.add_text("note", "not a number")
        writer.add_histogram("weights", numpy.array([1.0, 2.0]))
        if package.startswith("torch"):
            writer.add_scalar("new", 2.5, 1, new_style=True)
    assert points("Loss/train") == [(0, 1.0), (1, 0.5), (2, pytest.approx(1 / 3))]
    named = {event["key"] for event in job.events("metric")} - {"Loss/train", "new"}
    assert named in ({"both_a/both", "both_b/both"}, {"both/a/both", "both/b/both"})
    if package.startswith("torch"):
        assert points("new") == [(1, 2.5)]
    assert list((tmp_path / "runs").glob("events*"))

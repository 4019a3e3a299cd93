"""Whole programs of frameworks, run by hand: a training on two ranks, a notebook."""

from __future__ import annotations

import socket
import sys

import pytest
from tests.sdk.executing import Place

TRAINS = """
import foundations, torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

dist.init_process_group("gloo")
torch.manual_seed(0)
points = torch.randn(64, 8)
data = TensorDataset(points, points.sum(1, keepdim=True))
loader = DataLoader(data, batch_size=8, sampler=DistributedSampler(data), num_workers=1)
model = DistributedDataParallel(torch.nn.Linear(8, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
foundations.log_params({"lr": 0.05, "world": dist.get_world_size()})
for epoch in range(2):
    for x, y in loader:
        optimizer.zero_grad()
        loss = ((model(x) - y) ** 2).mean()
        loss.backward()
        optimizer.step()
        foundations.log_metric("loss", loss.detach(), step=epoch)
    print("rank", dist.get_rank(), "epoch", epoch, flush=True)
if dist.get_rank() == 0:
    torch.save(model.module.state_dict(), "model.pt")
    foundations.save_artifact("model.pt", "model")
dist.destroy_process_group()
"""


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def test_a_training_on_two_ranks_is_one_job(place):
    pytest.importorskip("torch")
    place.write("main.py", TRAINS)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ("--nproc_per_node=2", f"--master_port={port}", "main.py")
    done = place.python("-m", "torch.distributed.run", *words, OMP_NUM_THREADS="1")
    assert done.returncode == 0, done.stderr
    job = place.job()
    assert [member.end["exit_code"] for member in job.members()] == [0, 0]
    points = [(event["r"], event["step"]) for event in job.events("metric")]
    assert sorted(points) == [(r, epoch) for r in (0, 1) for epoch in (0, 1) for _ in range(4)]
    (artifact,) = job.events("artifact")
    assert (artifact["key"], artifact["r"]) == ("model", 0)
    printed = {f"rank {r} epoch {epoch}" for r in (0, 1) for epoch in (0, 1)}
    assert printed <= set(job.log().splitlines())


def test_a_notebook_is_a_job(place):
    for name in ("nbclient", "ipykernel"):
        pytest.importorskip(name)
    place.write(
        "run.py",
        """
        import nbformat
        from nbclient import NotebookClient
        cells = [
            "import foundations",
            "for step in range(3): foundations.log_metric('loss', 1 / (step + 1), step=step)",
            "print('trained'); foundations.set_tag('notebook')",
            "with foundations.start_job(name='part') as part: foundations.log_metric('own', 1)",
        ]
        book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        book.metadata.kernelspec = {"name": "python3", "display_name": "", "language": "python"}
        NotebookClient(book, timeout=50, kernel_name="python3").execute()
        print([output["text"] for cell in book.cells for output in cell.outputs])
        """,
    )
    done = place.python("run.py", JUPYTER_DATA_DIR=str(place.root / "jupyter"))
    assert done.returncode == 0, done.stderr
    assert done.stdout == "['trained\\n']\n"
    whole, part = place.jobs()
    assert [event["value"] for event in whole.events("metric")] == [1, 1 / 2, 1 / 3]
    assert [event["key"] for event in whole.events("tag")] == ["notebook"]
    assert whole.log() == "trained\n"
    assert whole.facts()["kind"] == "interactive"
    assert part.facts()["name"] == "part"
    assert [event["key"] for event in part.events("metric")] == ["own"]
    assert sys.executable == whole.facts()["executable"]

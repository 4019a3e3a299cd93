"""What the devices of a job are called."""

from __future__ import annotations

from atlas_runner.devices import devices_of_the_node


def test_devices_that_slurm_numbers_anew_are_called_as_their_node_calls_them() -> None:
    variables = {"CUDA_VISIBLE_DEVICES": "0,1", "SLURM_JOB_GPUS": "2,5"}
    assert devices_of_the_node(["1"], variables) == ["5"]
    assert devices_of_the_node(["1"], {"CUDA_VISIBLE_DEVICES": "0,1"}) == ["1"]
    assert devices_of_the_node([], variables) == []

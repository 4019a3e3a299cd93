"""What is sent to Ray, word by word, and what its answers mean."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from atlas_server.domain.ports import Life
from atlas_server.domain.resources import Gpu
from atlas_server.domain.wishes import Wish, wish_of
from atlas_server.executor_settings import Kind, RaySettings, SlurmSettings, chosen, read_executors
from atlas_server.executors.ray_answers import (
    WITHDRAWN,
    Row,
    grouped,
    machines,
    observation,
    row,
    to_come,
)
from atlas_server.executors.ray_submission import Request, job, told
from foundations.contract.cluster import read_cluster
from foundations.contract.states import StateReason
from foundations.errors import ConfigError

ASSIGNMENT = {
    "attempt": 12, "token": "the-token", "job_id": "j", "number": 1, "server": "http://head:5000",
    "instance": "i", "home": "/home", "blobs": "/home/blobs", "spec": {"params": {"key": "secret"}},
    "environment": {"PASSWORD": "secret"}, "recover": False, "ending": None, "grace": 10.0,
}  # fmt: skip
VARIABLES = {"FOUNDATIONS_HOME": "/var/tmp/atlas/1f", "ATLAS_TOLD": "{}"}


def sent(request: Request) -> dict[str, Any]:
    return dict(job("atlas-1f-12", request, "/py 3", VARIABLES, job_id="j", grace=10.0).body)


def test_a_job_asks_for_what_it_is_given_and_no_more() -> None:
    plain = sent(Request(2.0))
    assert plain == {
        "submission_id": "atlas-1f-12",
        "entrypoint": "exec '/py 3' -P -m atlas_runner.anchor",
        "metadata": {"atlas_job": "j"},
        "runtime_env": {"env_vars": {**VARIABLES, "RAY_JOB_STOP_WAIT_TIME_S": "70"}},
        "entrypoint_num_cpus": 2.0,
    }
    full = sent(Request(0.5, 1 << 30, 0.25, {"zone": "a"}, {"disk": 1}))
    assert {key: value for key, value in full.items() if plain.get(key) != value} == {
        "entrypoint_num_cpus": 0.5,
        "entrypoint_memory": 1 << 30,
        "entrypoint_num_gpus": 0.25,
        "entrypoint_resources": {"disk": 1},
        "entrypoint_label_selector": {"zone": "a"},
    }
    there = sent(Request(machine="10.0.0.7"))
    assert there["entrypoint_resources"] == {"node:10.0.0.7": 0.001}
    assert there["entrypoint_num_cpus"] == 0


def test_several_nodes_are_a_placement_group_for_which_the_job_itself_takes_nothing() -> None:
    group = sent(Request(2.0, 1 << 30, 1, {"zone": "a"}, {"disk": 1}, nodes=3))
    assert group["entrypoint"] == "exec '/py 3' -P -m atlas_runner.ray_group"
    assert {key for key in group if key.startswith("entrypoint_")} == {"entrypoint_num_cpus"}
    assert group["entrypoint_num_cpus"] == 0
    assert json.loads(group["runtime_env"]["env_vars"]["ATLAS_GROUP_ASKED"]) == {
        "name": "atlas-1f-12", "python": "/py 3", "nodes": 3, "labels": {"zone": "a"},
        "bundle": {"CPU": 2.0, "GPU": 1, "memory": 1 << 30, "disk": 1}, "grace": 10.0,
    }  # fmt: skip


def test_they_wait_until_ray_has_their_nodes() -> None:
    found = row({**SAID, "metadata": {"atlas_nodes": "2"}})
    assert found.node is None
    assert observation(found, None).life is Life.WAITING
    bundles = [{"bundle_id": {"bundle_index": at}, "node_id": f"n{at}"} for at in (1, 0)]
    groups = [{"name": "mine", "state": "CREATED", "bundles": bundles}]
    assert grouped([*groups, {"name": "other", "state": "PENDING"}]) == {"mine": ("n0", "n1")}
    placed = observation(replace(found, node="n0", others=("n1",)), "ray/0", ["ray/1"])
    assert (placed.life, placed.node, placed.others) == (Life.ALIVE, "ray/0", ("ray/1",))


def test_what_others_can_read_holds_no_secret() -> None:
    text = told(ASSIGNMENT, {"home": "/var/tmp/atlas/1f", "remote": True})
    known = json.loads(text)
    assert "secret" not in text
    assert "the-token" not in text
    assert known.pop("claim").startswith("atc_12_")
    assert known == {
        "attempt": 12, "job_id": "j", "number": 1, "server": "http://head:5000", "instance": "i",
        "home": "/var/tmp/atlas/1f", "blobs": "/home/blobs", "remote": True,
    }  # fmt: skip
    ending = {"reason": "lost", "message": "m"}
    again = json.loads(told({**ASSIGNMENT, "recover": True, "ending": ending}, {}))
    assert (again["recover"], again["ending"]) == (True, ending)


SAID = {
    "type": "SUBMISSION", "submission_id": "atlas-1f-12", "status": "RUNNING", "message": "runs",
    "error_type": None, "end_time": None, "driver_node_id": "a1", "driver_exit_code": None,
}  # fmt: skip
_DIED = "JOB_SUPERVISOR_ACTOR_DIED"
_ENDED = "JOB_ENTRYPOINT_COMMAND_ERROR"
ENDED = {"status": "FAILED", "error_type": _ENDED}
PREEMPTED = StateReason.PREEMPTED


@pytest.mark.parametrize(
    ("said", "life", "certain", "began", "reason"),
    [
        ({"status": "PENDING"}, Life.WAITING, True, True, None),
        ({}, Life.ALIVE, True, True, None),
        ({"status": "SUCCEEDED", "driver_exit_code": 0}, Life.GONE, True, True, None),
        ({"status": "STOPPED"}, Life.GONE, False, True, PREEMPTED),
        ({"status": "STOPPED", "driver_node_id": None}, Life.GONE, True, False, PREEMPTED),
        ({"status": WITHDRAWN}, Life.GONE, True, False, StateReason.STOP_REQUESTED),
        # The runner has died; only what waits for it has; the node has, for all that Ray sees.
        ({**ENDED, "driver_exit_code": 70}, Life.GONE, True, True, None),
        ({**ENDED, "driver_exit_code": -9}, Life.GONE, False, True, None),
        ({"status": "FAILED", "error_type": _DIED}, Life.GONE, False, True, StateReason.LOST),
        # There is no Python, or none with Atlas.
        (
            {**ENDED, "driver_exit_code": 127},
            Life.GONE, True, False, StateReason.START_FAILED,
        ),
        (
            {"status": "FAILED", "error_type": "JOB_SUPERVISOR_ACTOR_START_TIMEOUT"},
            Life.GONE, True, False, StateReason.START_FAILED,
        ),
    ],
)  # fmt: skip
def test_what_each_state_of_ray_means(
    said: dict[str, Any], life: Life, certain: bool, began: bool, reason: StateReason | None
) -> None:
    seen = observation(row({**SAID, **said}), "ray/n1")
    assert (seen.life, seen.certain, seen.began, seen.reason) == (life, certain, began, reason)


def test_the_last_words_of_what_could_not_start_are_told() -> None:
    why = "Job entrypoint command failed\nlast logs:\n/py: No module named atlas_runner\n"
    said = {**SAID, "status": "FAILED", "error_type": _ENDED, "driver_exit_code": 1, "message": why}
    message = observation(row(said), None).message
    assert message == "The node could not start the job's runner: /py: No module named atlas_runner"
    assert row({**SAID, "end_time": 5000}) == Row("atlas-1f-12", "RUNNING", "a1", "runs", ended=5.0)


def node(name: str, number: str, **more: Any) -> dict[str, Any]:
    resources = {
        "CPU": 8.0, "GPU": 2.0, "memory": 4e9, "object_store_memory": 1e9, "node:10.0.0.1": 1.0,
        "accelerator_type:A100": 1.0, "fast_disk": 2.0, "node:__internal_head__": 1.0,
    }  # fmt: skip
    return {
        "node_id": number * 8, "node_ip": "10.0.0.1", "node_name": name, "state": "ALIVE",
        "resources_total": resources, "labels": {"zone": "a"}, "end_time_ms": 0,
        "state_message": None, **more,
    }  # fmt: skip


def test_nodes_have_what_ray_says() -> None:
    (found,) = machines([node("n1", "a")], "ray", 0.0)
    assert (found.number, found.address) == ("aaaaaaaa", "10.0.0.1")
    assert (found.node.name, found.node.cpus, found.node.memory) == ("ray/n1", 8.0, 4_000_000_000)
    assert found.node.gpus[0] == Gpu("ray/n1:0", "A100", 0, number="0")
    assert found.node.labels == ("fast_disk", "zone=a")
    twice = machines([node("n1", "a"), node("n1", "b")], "ray", 0.0)
    assert [each.node.name for each in twice] == ["ray/n1-aaaaaa", "ray/n1-bbbbbb"]


def test_lost_nodes_are_shown_for_a_while_and_those_that_were_let_go_are_not() -> None:
    lost = {"state": "DEAD", "end_time_ms": 10_000_000, "state_message": "health check failed"}
    told_off = {**lost, "state_message": "Expected termination: received SIGTERM"}
    said = [node("n1", "a", **lost), node("n2", "b", **told_off), node("n3", "c", **lost)]
    there = [*said, node("n3", "d")]
    shown = [(each.node.name, each.node.accepting) for each in machines(there, "ray", 10_100.0)]
    assert shown == [("ray/n3", True), ("ray/n1", False)]
    assert len(machines(there, "ray", 20_000.0)) == 1


def test_an_autoscaler_is_asked_for_no_more_than_it_may_add() -> None:
    kinds = (Kind(3, 8.0, gpus=2, labels=("zone=a",)), Kind(1, 64.0))
    there = [each.node for each in machines([node("n1", "a")], "ray", 0.0)]
    found = to_come(kinds, there, "ray")
    assert [each.name for each in found] == ["ray/new-1-1", "ray/new-1-2", "ray/new-2-1"]
    assert (found[0].cpus, len(found[0].gpus), found[0].labels) == (8.0, 2, ("zone=a",))


def test_settings_of_ray() -> None:
    told = {"ray": {"address": "head", "autoscaling": {"nodes": 2, "cpus": 4, "ram": 8}}}
    (read,) = read_executors(told)
    kind = Kind(2, 4.0, 8 << 30)
    assert read == RaySettings(address="http://head:8265", autoscaling=(kind,))
    assert chosen(["ray=https://ray.lab/a/"], told) == (
        RaySettings(address="https://ray.lab/a", autoscaling=(kind,)),
    )
    assert chosen("slurm,ray=h:1", None) == (SlurmSettings(), RaySettings(address="http://h:1"))


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"ray": {"address": "ftp://x"}}, "not the address"),
        ({"ray": {"address": "http://me:word@x"}}, "not the address"),
        ({"ray": {"autoscaling": {"cpus": 4}}}, "autoscaling cannot be"),
        ({"ray": {"autoscaling": {"nodes": 1, "cpus": 4, "disk": 2}}}, "autoscaling cannot be"),
        (["slurm=host"], "has no address"),
    ],
)
def test_settings_of_ray_that_make_no_sense(told: object, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        read_executors(told)


def test_labels_and_resources_are_wishes() -> None:
    cluster = read_cluster({"node_labels": {"zone": "a", "rack": 3}, "node_resources": {"disk": 1}})
    wish = wish_of({"cluster": cluster})
    assert wish == Wish(labels=("disk", "rack=3", "zone=a"))
    assert Wish.from_text(wish.to_text()) == wish
    # As it was written before there were any.
    assert Wish.from_text('["slurm", "main", false]') == Wish("slurm", "main")
    (found,) = machines([node("n1", "a")], "ray", 0.0)
    assert Wish(labels=("fast_disk", "zone=a")).allows(found.node)
    assert not Wish(labels=("zone=b",)).allows(found.node)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"node_labels": "zone"}, "label: value"),
        ({"node_resources": {"disk": 0}}, "resource: amount"),
        ({"node_resources": {"GPU": 1}}, "Use num_gpus"),
    ],
)
def test_wishes_that_make_no_sense(said: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_cluster(said)
    assert words in f"{caught.value.message} {caught.value.hint}"

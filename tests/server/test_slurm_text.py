"""What is written to Slurm, letter by letter, and what is read from it."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from atlas_server.domain.ports import Life
from atlas_server.domain.resources import Gpu
from atlas_server.executor_settings import LocalSettings, SlurmSettings, chosen, read_executors
from atlas_server.executors.slurm_script import Request, options, script
from atlas_server.executors.slurm_tables import hosts, nodes, observation, rows
from foundations.contract.cluster import read_cluster
from foundations.errors import ConfigError

PLAIN = Request("atlas-1f-7", "job", 1.0, None, 0.0, None, {}, 10.0)
ALWAYS = [
    "--job-name=atlas-1f-7",
    "--comment=job",
    "--parsable",
    "--no-requeue",
    "--nodes=1",
    "--ntasks=1",
]
LAST = [
    "--signal=B:USR1@40",
    "--chdir=/",
    "--input=none",
    "--output=/dev/null",
    "--error=/dev/null",
]


def test_the_options_of_a_plain_job() -> None:
    assert options(PLAIN, SlurmSettings()) == [*ALWAYS, "--cpus-per-task=1", *LAST]


def test_the_options_of_a_job_that_asks_for_everything() -> None:
    cluster = {
        "partition": "gpu",
        "account": "lab",
        "qos": "high",
        "constraint": "a100&ib",
        "sbatch": ["--exclusive", "--mail-type=END"],
    }
    request = Request("atlas-1f-7", "job", 2.5, 3 << 30, 2.0, 3600.0, cluster, 10.0)
    settings = SlurmSettings(partition="main", sbatch=("--nice=5",))
    assert options(request, settings) == [
        *ALWAYS,
        "--cpus-per-task=3",
        "--mem=3072M",
        "--gres=gpu:2",
        "--time=70",
        *LAST,
        "--partition=gpu",
        "--account=lab",
        "--qos=high",
        "--constraint=a100&ib",
        "--nice=5",
        "--exclusive",
        "--mail-type=END",
    ]


def test_drained_nodes_are_left_out() -> None:
    request = replace(PLAIN, avoid=("n1", "n7"))
    assert options(request, SlurmSettings())[-1] == "--exclude=n1,n7"
    assert options(PLAIN, SlurmSettings(), ["--exclude=n1"])[-1] == "--exclude=n1"


def test_a_job_of_several_nodes_asks_for_one_task_on_each() -> None:
    asked = options(replace(PLAIN, nodes=4, gpus=2.0), SlurmSettings())
    assert [word for word in asked if "nodes" in word or "task" in word or "gres" in word] == [
        "--nodes=4", "--ntasks=4", "--ntasks-per-node=1", "--cpus-per-task=1", "--gres=gpu:2",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", []),
        ("n1", ["n1"]),
        ("n[1-3,7],gpu-2", ["n1", "n2", "n3", "n7", "gpu-2"]),
        ("rack1-[008-011]", ["rack1-008", "rack1-009", "rack1-010", "rack1-011"]),
        ("a[1-2]-ib,b", ["a1-ib", "a2-ib", "b"]),
    ],
)
def test_lists_of_nodes_are_read(text: str, names: list[str]) -> None:
    assert hosts(text) == names


def test_the_settings_are_for_jobs_that_do_not_say() -> None:
    settings = SlurmSettings(partition="main", account="lab")
    assert options(PLAIN, settings)[-2:] == ["--partition=main", "--account=lab"]


def test_the_script_to_the_letter() -> None:
    text = script("/opt/py thon", {"a": 1}, {"B": "it's", "A": "x"}, "/home/o'b/logs/runners.log")
    assert text == (
        "#!/bin/sh\n"
        "umask 077\n"
        "mkdir -p '/home/o'\"'\"'b/logs' && exec 2>>'/home/o'\"'\"'b/logs/runners.log'\n"
        "export A=x\n"
        "export B='it'\"'\"'s'\n"
        "exec '/opt/py thon' -P -m atlas_runner.errand <<'ATLAS_ASSIGNMENT'\n"
        '{"a": 1}\n'
        "ATLAS_ASSIGNMENT\n"
    )


def test_a_shell_hands_the_assignment_on_as_it_is(tmp_path: Path) -> None:
    reader = tmp_path / "python"
    reader.write_text(f"#!/bin/sh\ncat > {tmp_path}/got\n")
    reader.chmod(0o755)
    odd = {"x": "$HOME `id` \\ ' \" \nATLAS_ASSIGNMENT\n é \ud800"}
    text = script(str(reader), odd, {}, f"{tmp_path}/logs/log")
    subprocess.run(["/bin/sh"], input=text, text=True, check=True)
    assert json.loads((tmp_path / "got").read_text()) == odd


SQUEUE = """\
1|atlas-1f-1|FAILED|768|n1|2026-11-24T23:07:48|NonZeroExitCode|
2|atlas-1f-2|FAILED|9|n1|2026-11-24T23:07:48|JobLaunchFailure|
3|atlas-1f-3|PENDING|0||N/A|Resources|
4|atlas-1f-4|RUNNING|0|n2|2026-11-24T23:07:48|None|
5|atlas-1f-5|CANCELLED|0||N/A|None|
6|atlas-1f-6|NODE_FAIL|0|n2|2026-11-24T23:07:48|NodeDown|
7|atlas-1f-7|OUT_OF_MEMORY|0|n2|2026-11-24T23:07:48|OutOfMemory|
8|atlas-1f-8|TIMEOUT|0|n2|2026-11-24T23:07:48|TimeLimit|
9|atlas-1f-9|PREEMPTED|0|n2|2026-11-24T23:07:48|None|
10|another|RUNNING|0|n2|2026-11-24T23:07:48|None|
"""


@pytest.mark.parametrize(
    ("number", "life", "certain", "began", "reason", "words"),
    [
        (1, Life.GONE, True, True, "lost", "exit code 3"),
        (2, Life.GONE, True, True, "lost", "signal 9"),
        (3, Life.WAITING, True, True, None, "Resources"),
        (4, Life.ALIVE, True, True, None, ""),
        (5, Life.GONE, True, False, "preempted", "cancelled"),
        (6, Life.GONE, False, True, "lost", "node n2"),
        (7, Life.GONE, True, True, "out_of_memory", "memory"),
        (8, Life.GONE, True, True, "timed_out", "limit"),
        (9, Life.GONE, True, True, "preempted", "place"),
    ],
)
def test_what_each_state_of_slurm_means(
    number: int, life: Life, certain: bool, began: bool, reason: str | None, words: str
) -> None:
    found = rows(SQUEUE, "atlas-1f-")
    assert len(found) == 9
    seen = observation(found[f"atlas-1f-{number}"], "slurm/")
    assert (seen.life, seen.certain, seen.began) == (life, certain, began)
    assert (seen.reason.value if seen.reason else None) == reason
    assert words in (seen.message or "")


def test_sacct_is_read_as_well() -> None:
    told = "12|atlas-1f-9|CANCELLED by 1000|0:15|n1|2026-11-24T23:07:48|None\n"
    seen = observation(rows(told, "atlas-")["atlas-1f-9"], "slurm/")
    assert (seen.life, seen.node, seen.began) == (Life.GONE, "slurm/n1", True)
    failed = "12|atlas-1f-9|FAILED|3:0|n1|2026-11-24T23:07:48|None\n"
    assert "exit code 3" in (observation(rows(failed, "")["atlas-1f-9"], "").message or "")


SINFO = """\
n1|main*|idle|2|4000|gpu:2|none|
n1|small|idle|2|4000|gpu:2|none|
n2|main*|draining|8|4000|gpu:a100:1(S:0-1),gpu:v100:1,fs:3|bad fan|
n3|small|mixed*|2|4000|(null)|Not responding|
n4|small|idle~|2|4000|(null)|none|
"""


def test_nodes_as_sinfo_has_them() -> None:
    n1, n2, n3, n4 = nodes(SINFO, "slurm", None)
    assert (n1.name, n1.cpus, n1.memory, n1.pools) == (
        "slurm/n1", 2.0, 4000 << 20, ("main", "small")
    )  # fmt: skip
    assert n1.accepting
    assert n1.is_open
    assert n2.gpus == (
        Gpu("slurm/n2:0", "a100", 0, number="0"),
        Gpu("slurm/n2:1", "v100", 0, number="1"),
    )
    assert (n2.accepting, n2.condition) == (False, "draining: bad fan")
    assert (n3.accepting, n3.condition) == (False, "mixed, does not answer: Not responding")
    assert not n3.is_open
    # Asleep to save power: a job wakes it.
    assert n4.accepting
    assert [node.is_open for node in nodes(SINFO, "slurm", "small")] == [True, False, True, True]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"sbatch": ["--output=/etc/x"]}, "--output is not for a job"),
        ({"sbatch": ["--outp=/etc/x"]}, "--output is not for a job"),
        ({"sbatch": ["-o/etc/x"]}, "--output is not for a job"),
        ({"sbatch": ["--uid=0"]}, "--uid is not for a job"),
        ({"sbatch": ["script.sh"]}, "no option of sbatch"),
        ({"sbatch": "--mail-type END"}, "'END' is no option"),
        ({"sbatch": ["--"]}, "no option"),
        ({"partition": "-x"}, "partition must be a name"),
        ({"account": 3}, "account must be a name"),
    ],
)
def test_what_a_job_cannot_say(values: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        read_cluster(values)


def test_what_a_job_can_say() -> None:
    said = {"partition": "gpu", "sbatch": "--exclusive --mail-type=END -w n1", "qos": None}
    with pytest.raises(ConfigError):
        read_cluster(said)
    said["sbatch"] = "--exclusive --mail-type=END -wn1"
    assert read_cluster(said) == {
        "partition": "gpu",
        "sbatch": ["--exclusive", "--mail-type=END", "-wn1"],
    }


def test_executors_are_named_or_described() -> None:
    told = {"lab": {"kind": "slurm", "partition": "gpu", "poll": "2"}, "local": None}
    lab = SlurmSettings(name="lab", partition="gpu", poll=2.0)
    assert read_executors(told) == (lab, LocalSettings())
    assert read_executors("local, slurm") == (LocalSettings(), SlurmSettings())
    assert chosen(None, None) == (LocalSettings(),)
    assert chosen(["lab"], told) == (lab,)


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"lab": None}, "no known kind"),
        ({"slrum": None}, "Did you mean 'slurm'"),
        ({"slurm": {"partitions": "x"}}, "Did you mean 'partition'"),
        ({"slurm": {"poll": "soon"}}, "poll cannot be"),
        ({"slurm": ["x"]}, "setting: value"),
        ([], "name one at least"),
    ],
)
def test_settings_of_executors_that_make_no_sense(told: object, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        read_executors(told)

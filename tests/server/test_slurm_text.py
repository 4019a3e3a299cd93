"""What is written to Slurm, letter by letter, and what is read from it."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, strategies

from atlas_server.domain.ports import Life
from atlas_server.domain.resources import Gpu
from atlas_server.executor_settings import LocalSettings, SlurmSettings, chosen, read_executors
from atlas_server.executors.slurm_arrays import Submission, alike, submitted
from atlas_server.executors.slurm_script import Program, Request, options, script
from atlas_server.executors.slurm_tables import hosts, nodes, observation, rows
from foundations.contract.arrays import fold, unfold
from foundations.contract.cluster import read_cluster
from foundations.errors import ConfigError

PLAIN = Request(1.0, None, 0.0, None, {}, 10.0)
ALWAYS = [
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
    request = Request(2.5, 3 << 30, 2.0, 3600.0, cluster, 10.0)
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
    program = Program("/opt/py thon", {"B": "it's", "A": "x"}, "/home/o'b/logs/runners.log")
    order = Submission("atlas-1f-7", "job", ("--parsable",), program, {"a": 1}, 7)
    words, text, places = submitted([order], "atlas-1f-", 1000)
    assert words == ["sbatch", "--job-name=atlas-1f-7", "--comment=job", "--parsable"]
    assert places == {"atlas-1f-7": ""}
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
    program = Program(str(reader), {}, f"{tmp_path}/logs/log")
    text = script(program, fold({1: odd, 2: {**odd, "attempt": 2}}))
    subprocess.run(["/bin/sh"], input=text, text=True, check=True)
    lines = (tmp_path / "got").read_text().splitlines()
    assert unfold(lines, "1") == odd
    assert unfold(lines, "2") == {**odd, "attempt": 2}


def an_order(attempt: int, **said: object) -> Submission:
    order = Submission(
        f"atlas-1f-{attempt}",
        f"job {attempt}",
        ("--parsable", "--cpus-per-task=1"),
        Program("python", {}, "/home/logs/runners.log"),
        {"attempt": attempt, "home": "/home", "spec": {"command": ["main.py"], "params": attempt}},
        attempt,
    )
    return replace(order, **said)


def test_an_array_to_the_letter() -> None:
    orders = [an_order(number) for number in (1998, 1999, 1007)]
    words, text, places = submitted(orders, "atlas-1f-", 1000)
    assert words == [
        "sbatch", "--job-name=atlas-1f-array-1000", "--comment=7,998-999", "--parsable",
        "--cpus-per-task=1", "--array=7,998-999",
    ]  # fmt: skip
    assert places == {"atlas-1f-1998": "_998", "atlas-1f-1999": "_999", "atlas-1f-1007": "_7"}
    assert text == (
        "#!/bin/sh\n"
        "umask 077\n"
        "mkdir -p /home/logs && exec 2>>/home/logs/runners.log\n"
        "exec python -P -m atlas_runner.errand <<'ATLAS_ASSIGNMENT'\n"
        '{"home": "/home", "spec": {"command": ["main.py"]}}\n'
        '998 {"attempt": 1998, "spec": {"params": 1998}}\n'
        '999 {"attempt": 1999, "spec": {"params": 1999}}\n'
        '7 {"attempt": 1007, "spec": {"params": 1007}}\n'
        "ATLAS_ASSIGNMENT\n"
    )


def test_an_array_is_of_those_that_ask_for_the_same() -> None:
    plain, next_block = an_order(999), an_order(1000)
    other, alone = an_order(5, options=("--parsable",)), replace(an_order(6), attempt=None)
    same = an_order(7)
    every = [plain, next_block, other, alone, same]
    assert alike(every, 1000) == [plain, same]
    assert alike(every[1:], 1000) == [next_block]
    assert alike([alone, plain], 1000) == [alone]
    assert alike(every, 1) == [plain], "a site without arrays"


JSON = strategies.recursive(
    strategies.none() | strategies.booleans() | strategies.integers(0, 2) | strategies.text("ab"),
    lambda inner: (
        strategies.lists(inner, max_size=2)
        | strategies.dictionaries(strategies.sampled_from("abc"), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(strategies.lists(strategies.dictionaries(strategies.sampled_from("abc"), JSON), min_size=1))
def test_every_task_reads_what_it_was_told(told: list[dict[str, object]]) -> None:
    lines = fold(dict(enumerate(told)))
    for number, each in enumerate(told):
        assert json.dumps(unfold(lines, str(number)), sort_keys=True) == json.dumps(
            each, sort_keys=True
        )
    with pytest.raises(LookupError):
        unfold(lines, str(len(told)))
    assert unfold(fold({0: told[0]})[:1], None) == told[0]


def test_each_task_of_an_array_is_found_as_what_it_is() -> None:
    listed = """\
8_998|atlas-1f-array-1000|RUNNING|0|n2|2026-11-24T23:07:48|None|7,998-1000|
8_999|atlas-1f-array-1000|COMPLETED|0|n2|2026-11-24T23:07:48|None|7,998-1000|
8_N/A|atlas-1f-array-1000|CANCELLED|0||N/A|None|7,998-1000|
9_N/A|atlas-1f-1|PENDING|0||N/A|Priority|job|
"""
    found = {name: (row.number, row.state) for name, row in rows(listed, "atlas-1f-").items()}
    assert found == {
        "atlas-1f-1998": ("8_998", "RUNNING"),
        "atlas-1f-1999": ("8_999", "COMPLETED"),
        # Cancelled as a whole, they never became tasks of their own.
        "atlas-1f-1007": ("8_7", "CANCELLED"),
        "atlas-1f-2000": ("8_1000", "CANCELLED"),
        "atlas-1f-1": ("9", "PENDING"),
    }
    accounted = "8_[2-3,7-11:2%5]|atlas-array-0|CANCELLED by 0|0:0|None assigned|None|None\n"
    assert {row.number for row in rows(accounted, "atlas-").values()} == {
        "8_2", "8_3", "8_7", "8_9", "8_11",
    }  # fmt: skip


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


@pytest.mark.parametrize(
    ("why", "told"),
    [
        ("None", None),
        ("Priority", "Waits in Slurm: others go first (Priority)."),
        ("QOSMaxJobsPerUserLimit", "Waits in Slurm: its QOS has a limit (QOSMaxJobsPerUserLimit)."),
        (
            "ReqNodeNotAvail, UnavailableNodes:n[1-2]",
            "Waits in Slurm: a node that it needs is not available"
            " (ReqNodeNotAvail, UnavailableNodes:n[1-2]).",
        ),
        ("FedJobLock", "Waits in Slurm: FedJobLock."),
    ],
)
def test_why_a_job_waits_is_told_in_words(why: str, told: str | None) -> None:
    seen = observation(rows(f"3_N/A|atlas-3|PENDING|0||N/A|{why}|job", "atlas-")["atlas-3"], "")
    assert (seen.life, seen.message) == (Life.WAITING, told)

"""Training in many processes is one job, in which nothing is lost and nothing is doubled."""

from __future__ import annotations

import os

import pytest
from tests.sdk.executing import Place

PARENT = """
import multiprocessing, sys
import foundations

def train(rank):
    for step in range(50):
        foundations.log_metric("loss", rank, step=step)
    print("child", rank)

if __name__ == "__main__":
    foundations.log_param("world", 3)
    foundations.log_metric("before", 1)
    print("half", end="", flush=False)
    context = multiprocessing.get_context(sys.argv[1])
    children = [context.Process(target=train, args=(rank,)) for rank in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0, 0, 0]
    foundations.log_metric("after", 1)
"""
# What torch.distributed.run is for its processes: it starts them, with what they need to know in
# their environment, and again all of them where one has failed.
LAUNCHER = """
import os, subprocess, sys
restarts, arguments = int(sys.argv[1]), sys.argv[2:]
for count in range(restarts + 1):
    processes = [
        subprocess.Popen(
            [sys.executable, *arguments],
            env={**os.environ, "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2",
                 "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(29500 + count),
                 "TORCHELASTIC_RUN_ID": "none", "TORCHELASTIC_RESTART_COUNT": str(count)},
        )
        for rank in range(2)
    ]
    codes = [process.wait() for process in processes]
    if codes == [0, 0]:
        sys.exit(0)
sys.exit(1)
"""


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


@pytest.mark.parametrize("way", ["fork", "spawn", "forkserver"])
def test_children_record_for_their_parents_job(place, way):
    done = place.run(PARENT, way)
    assert done.returncode == 0, done.stderr
    job = place.job()
    points = [(event["key"], event["value"], event["step"]) for event in job.events("metric")]
    expected = [("loss", rank, step) for rank in range(3) for step in range(50)]
    assert sorted(point for point in points if point[0] == "loss") == expected
    assert sorted(point[0] for point in points if point[0] != "loss") == ["after", "before"]
    assert len(job.events("params")) == 1
    assert job.end()["exit_code"] == 0
    log = job.log()
    assert sorted(line[-7:] for line in log.splitlines() if "child" in line) == [
        "child 0",
        "child 1",
        "child 2",
    ]
    assert log.count("half") == 1


def launched(place, text, restarts=0):
    place.write("launch.py", LAUNCHER)
    place.write("main.py", text)
    return place.python("launch.py", str(restarts), "main.py")


def test_ranks_that_a_launcher_starts_are_one_job(place):
    done = launched(
        place,
        """
        import os
        import foundations
        rank = int(os.environ["RANK"])
        foundations.log_param("rate", 0.1)
        for step in range(20):
            foundations.log_metric("loss", rank, step=step)
        print("rank", rank, foundations.current_job().job_id)
        """,
    )
    assert done.returncode == 0, done.stderr
    job = place.job()
    assert {line.split()[2] for line in done.stdout.splitlines()} == {job.job_id}
    assert sorted(job.log().splitlines()) == sorted(done.stdout.splitlines())
    points = [(event["r"], event["value"], event["step"]) for event in job.events("metric")]
    assert sorted(points) == [(rank, rank, step) for rank in range(2) for step in range(20)]
    members = job.members()
    assert sorted(member.rank for member in members) == [0, 1]
    assert [member.end["exit_code"] for member in members] == [0, 0]
    assert job.is_over(0.0)


def test_a_rank_that_fails_says_so(place):
    done = launched(
        place,
        """
        import os
        import foundations
        foundations.log_metric("loss", 1)
        if os.environ["RANK"] == "1":
            raise ValueError("rank one")
        """,
    )
    assert done.returncode == 1
    job = place.job()
    (error,) = job.events("error")
    assert (error["message"], error["r"], error["round"]) == ("rank one", 1, 0)
    ends = {member.rank: member.end["exit_code"] for member in job.members()}
    assert ends == {0: 0, 1: 1}


def test_ranks_that_are_started_again_stay_in_their_job(place):
    done = launched(
        place,
        """
        import os, sys
        import foundations
        count = int(os.environ["TORCHELASTIC_RESTART_COUNT"])
        foundations.log_metric("loss", count)
        if count == 0:
            sys.exit(3)
        """,
        restarts=1,
    )
    assert done.returncode == 0
    job = place.job()
    ends = [(member.round, member.rank, member.end["exit_code"]) for member in job.members()]
    assert sorted(ends) == [(0, 0, 3), (0, 1, 3), (1, 0, 0), (1, 1, 0)]
    assert sorted(event["value"] for event in job.events("metric")) == [0, 0, 1, 1]


def test_two_launches_are_two_jobs(place):
    for _ in range(2):
        assert launched(place, "import foundations\n").returncode == 0
    first, second = place.jobs()
    assert len(first.members()) == len(second.members()) == 2


def test_ranks_begin_each_of_their_jobs_together(place):
    done = launched(
        place,
        """
        import foundations, os
        for rate in (0.1, 0.2):
            with foundations.start_job(project="search", params={"rate": rate}):
                foundations.log_metric("loss", rate)
        """,
    )
    assert done.returncode == 0, done.stderr
    jobs = [job for job in place.jobs() if not job.is_withdrawn()]
    found = [sorted(event["value"] for event in job.events("metric")) for job in jobs]
    assert found == [[0.1, 0.1], [0.2, 0.2]]


def test_a_single_process_with_the_variables_of_many_is_no_group(place):
    done = place.run("import foundations", RANK="0", WORLD_SIZE="1")
    assert done.returncode == 0
    assert "group" not in place.job().facts()
    assert place.job().members()[0].rank is None


def test_the_rank_of_a_child_is_recorded(place):
    done = place.run(
        """
        import multiprocessing, os
        import foundations
        def train(rank):
            os.environ.update(RANK=str(rank), WORLD_SIZE="2")
            foundations.log_metric("loss", 1)
        if __name__ == "__main__":
            for rank in range(2):
                child = multiprocessing.get_context("spawn").Process(target=train, args=(rank,))
                child.start()
                child.join()
        """
    )
    assert done.returncode == 0, done.stderr
    assert sorted(event["r"] for event in place.job().events("metric")) == [0, 1]


def test_programs_that_share_an_id_by_wish_are_one_job(place):
    place.write(
        "main.py",
        """
        import sys
        import foundations
        foundations.log_metric(sys.argv[1], 1)
        print("ready", flush=True)
        sys.stdin.read()
        """,
    )
    reader, writer = os.pipe()
    processes = []
    for name in ("first", "second"):
        process = place.start("main.py", name, FOUNDATIONS_JOB_ID="shared")
        processes.append(process)
        process.stdout.readline() if name == "second" else None
    os.close(reader)
    os.close(writer)
    for process in processes:
        process.communicate(timeout=60)
    keys = sorted(event["key"] for job in place.jobs() for event in job.events("metric"))
    assert keys == ["first", "second"]


def test_a_process_that_cannot_be_seen_is_known_by_its_file(place):
    # In a container its number means something else, and elsewhere it means nothing.
    text = "import foundations, sys, time\nprint('up', flush=True)\ntime.sleep(600)\n"
    place.write("main.py", text)
    process = place.start("main.py")
    try:
        assert process.stdout.readline() == b"up\n"
        job = place.job()
        (path,) = (place.home / "local" / job.job_id / "processes").iterdir()
        path.write_text(path.read_text().replace('"where": "', '"where": "elsewhere '))
        (member,) = job.members()
        assert (member.is_here, member.is_over) == (False, False)
    finally:
        process.kill()
        process.communicate()
    assert job.is_over(0.0)

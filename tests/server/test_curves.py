"""Curves in few points, and logs by lines, against a look at all of them."""

from __future__ import annotations

import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from atlas_server.archive.log_lines import LogLines
from atlas_server.archive.logs import LogArchive
from atlas_server.domain.patterns import line_finder
from atlas_server.store import curves, jobs, projects, tracking
from atlas_server.store.curves import Range
from atlas_server.store.tracking import Point

JOB = "00000001-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def store(tmp_path_factory, databases):
    with databases.store(tmp_path_factory.mktemp("curves")) as store:
        yield store


def new_job(connection) -> int:
    return jobs.insert_job(
        connection,
        {
            "job_id": JOB, "project_id": projects.ensure(connection, "p", 1), "user": "u",
            "state": "running", "priority": 0, "cpus": 1.0, "gpus": 0.0, "retries": 0,
            "attempts": 1, "submitted_at": 1.0, "queued_at": 1.0, "bundle": "0" * 64, "spec": {},
        },
    )  # fmt: skip


# Waves with a spike now and then, and what is no number; sent in batches of any size.
shapes = st.tuples(
    st.integers(1, 6000), st.lists(st.integers(1, 700), min_size=1, max_size=8),
    st.sets(st.integers(0, 5999), max_size=5), st.sets(st.integers(0, 5999), max_size=5),
)  # fmt: skip


def value_at(n: int, spikes: set[int], holes: set[int]) -> float:
    return math.nan if n in holes else 1000.0 + n if n in spikes else math.sin(n / 50)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(shapes, st.integers(10, 400), st.data())
def test_a_sample_keeps_ends_and_spikes(store, shape, points, data):
    count, batches, spikes, holes = shape
    values = [value_at(n, spikes, holes) for n in range(count)]
    with store.write() as connection:
        key = new_job(connection)
        done = turn = 0
        while done < count:
            size = batches[turn % len(batches)]
            part = range(done, min(count, done + size))
            tracking.add_points(
                connection, key, [Point("loss", 10.0 + n, float(n), values[n]) for n in part]
            )
            done, turn = done + size, turn + 1
        [known] = curves.find(connection, [(JOB, "loss")]).values()
        first = data.draw(st.none() | st.integers(0, count))
        last = data.draw(st.none() | st.integers(0, count + 10))
        axis = data.draw(st.sampled_from(["step", "time", "seq"]))
        shift = {"step": 0, "time": 10, "seq": 1}[axis]
        part = Range(
            axis, None if first is None else first + shift, None if last is None else last + shift
        )
        sample = curves.sample(connection, known, part, points)
        jobs.remove(connection, [key])
    inside = range(first or 0, count if last is None else min(count, last + 1))
    finite = [n for n in inside if not math.isnan(values[n])]
    found = [seq - 1 for seq, *_ in sample.points]
    if not sample.sampled:
        assert found == list(inside)
        return
    assert len(found) <= points
    assert found == sorted(set(found))
    assert set(found) <= set(finite)
    for seq, time, step, number, text in sample.points:
        assert (time, step, number, text) == (9.0 + seq, seq - 1.0, values[seq - 1], None)
    if finite and points >= 100:
        # The lowest and the highest of all are there, whatever lies between.
        assert max(finite, key=values.__getitem__) in found
        assert min(values[n] for n in found) == min(values[n] for n in finite)
    assert sum(mark[4] for mark in sample.marks) >= len([n for n in inside if n in holes])


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.binary(max_size=300), max_size=60), st.integers(-70, 70), st.integers(1, 20))
def test_lines_of_a_log(tmp_path_factory, pieces, first, count):
    logs = LogArchive(tmp_path_factory.mktemp("logs"))
    data = b"\n".join(pieces) * 40
    logs.append(JOB, 1, 0, data)
    expected = data.split(b"\n")
    if expected[-1] == b"":
        expected.pop()
    window = LogLines(logs).window(JOB, 1, first, count)
    begin = max(0, len(expected) + first) if first < 0 else min(first, len(expected))
    assert (window.first, window.total, window.size) == (begin, len(expected), len(data))
    assert window.lines == expected[begin : begin + count]
    assert window.offset == len(b"".join(line + b"\n" for line in expected[:begin])[: len(data)])


def test_a_long_log_is_read_by_its_index(tmp_path):
    logs = LogArchive(tmp_path)
    lines = LogLines(logs)
    size = 0
    for block in range(3):  # it grows while it is read
        data = b"".join(b"line %d of many, some of them long\n" % n for n in range(50_000))
        size = logs.append(JOB, 1, size, data)
        total = 50_000 * (block + 1)
        window = lines.window(JOB, 1, total - 2, 5)
        assert [line.split()[1] for line in window.lines] == [b"49998", b"49999"]
        assert lines.window(JOB, 1, 49_999, 1).lines[0].startswith(b"line 49999 ")
    find = line_finder("LINE 49999 ", is_pattern=False, folded=True)
    found, following = lines.search(JOB, 1, find, 0, 10, 1 << 30)
    assert [match.line for match in found] == [49_999, 99_999, 149_999]
    assert following is None
    # A little at a time, as a browser asks.
    position: int | None = 0
    found = []
    while position is not None:
        some, position = lines.search(JOB, 1, find, position, 1, 1 << 20)
        found += some
    assert [match.line for match in found] == [49_999, 99_999, 149_999]
    logs.remove(JOB)
    assert lines.window(JOB, 1, 0, 5).lines == []
    assert list(tmp_path.rglob("*.lines")) == []


def test_a_line_without_end_is_cut(tmp_path):
    logs = LogArchive(tmp_path)
    logs.append(JOB, 1, 0, b"x" * 3_000_000 + b"\nshort")
    window = LogLines(logs).window(JOB, 1, 0, 5)
    assert [len(line) for line in window.lines] == [16 * 1024, 5]
    assert window.cut == [0]

"""The journal: nothing is lost, doubled or reordered, wherever a writer or a reader stops."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foundations.contract import events
from foundations.errors import JournalError
from foundations.journal.reader import JournalReader
from foundations.journal.spool import Writer

SOURCE = str(Path(__file__).resolve().parents[2] / "src")


def metric(value, key="m"):
    return {"key": key, "value": value, "step": None}


def drain(reader, max_bytes=1_000_000, finish=False):
    """Everything there is to read, acknowledged: {writer: [(n, value)]}."""
    found = {}
    while True:
        batches = reader.read(max_bytes, finish)
        if not batches:
            return found
        for batch in batches:
            numbered = [(batch.first_n + i, event["value"]) for i, event in enumerate(batch.events)]
            found.setdefault(batch.writer, []).extend(numbered)
            reader.advance(batch)


def values_of(journal_dir, finish=False):
    return [
        [value for _, value in written]
        for written in drain(JournalReader(str(journal_dir)), finish=finish).values()
    ]


def run_python(program, *arguments, **options):
    environment = {**os.environ, "PYTHONPATH": SOURCE}
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        **options,
    )


# --- writing ---------------------------------------------------------------------------------


def test_a_line_has_number_time_kind_and_fields(tmp_path):
    writer = Writer(str(tmp_path / "journal"))
    writer.append(events.METRIC, metric(0.5, "loss"))
    writer.append(events.TAG, {"key": "ünïcode 🎉", "value": "line\nbreak"})
    (path,) = (tmp_path / "journal").iterdir()
    assert path.suffix == ".jsonl"
    first, second = [json.loads(line) for line in path.read_text().splitlines()]
    assert first.pop("t") > 1_500_000_000
    assert first == {"n": 1, "k": "metric", "key": "loss", "value": 0.5, "step": None}
    assert (second["n"], second["key"], second["value"]) == (2, "ünïcode 🎉", "line\nbreak")


def test_who_records_nothing_leaves_no_file(tmp_path):
    Writer(str(tmp_path / "journal"))
    assert list(tmp_path.iterdir()) == []
    assert JournalReader(str(tmp_path / "journal")).read() == []


def test_not_a_number_and_infinities_are_kept(tmp_path):
    writer = Writer(str(tmp_path))
    for value in (math.nan, math.inf, -math.inf):
        writer.append(events.METRIC, metric(value))
    ((first, *others),) = values_of(tmp_path)
    assert math.isnan(first)
    assert others == [math.inf, -math.inf]


def test_a_line_that_is_too_long_is_refused_by_name_and_leaves_nothing(tmp_path):
    writer = Writer(str(tmp_path))
    with pytest.raises(JournalError, match=r'Metric "huge".*1,000,000'):
        writer.append(events.METRIC, metric("x" * events.MAX_LINE_BYTES, "huge"))
    writer.append(events.METRIC, metric(1))
    assert values_of(tmp_path) == [[1]]


def test_the_longest_line_that_is_accepted_can_be_read(tmp_path):
    writer = Writer(str(tmp_path))
    text = "x" * (events.MAX_LINE_BYTES - 200)
    writer.append(events.METRIC, metric(text))
    assert drain(JournalReader(str(tmp_path)), max_bytes=10) != {}


def test_threads_share_a_writer(tmp_path):
    writer = Writer(str(tmp_path))

    def log(thread):
        for i in range(200):
            writer.append(events.METRIC, metric([thread, i]))

    threads = [threading.Thread(target=log, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (found,) = drain(JournalReader(str(tmp_path))).values()
    assert [n for n, _ in found] == list(range(1, 801))
    for number in range(4):
        assert [i for _, (thread, i) in found if thread == number] == list(range(200))


def test_lines_logged_before_a_kill_are_all_there(tmp_path):
    program = """
import sys
from foundations.journal.spool import Writer
writer = Writer(sys.argv[1])
for i in range(10**9):
    writer.append("metric", {"key": "m", "value": i, "step": None})
    sys.stdout.write("%d\\n" % i); sys.stdout.flush()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": SOURCE},
    )
    with process:
        for _ in range(500):
            process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
        said = 500 + process.stdout.read().count("\n")
    (found,) = values_of(tmp_path, finish=True)
    assert found == list(range(len(found)))
    assert len(found) in (said, said + 1)  # the one more was logged, but not yet said


def test_a_forked_child_writes_a_file_of_its_own(tmp_path):
    program = """
import os, sys, threading
from foundations.journal.spool import Writer
writer = Writer(sys.argv[1])
stop = threading.Event()
def chatter():
    while not stop.is_set():
        writer.append("metric", {"key": "busy", "value": "busy", "step": None})
thread = threading.Thread(target=chatter)
writer.append("metric", {"key": "m", "value": "before", "step": None})
thread.start()                          # holds the lock most of the time
children = []
for child in range(20):
    pid = os.fork()
    if pid == 0:
        for i in range(10):
            writer.append("metric", {"key": "m", "value": [child, i], "step": None})
        os._exit(0)
    children.append(pid)
for pid in children:
    assert os.waitpid(pid, 0)[1] == 0
stop.set(); thread.join()
writer.append("metric", {"key": "m", "value": "after", "step": None})
"""
    ran = run_python("import warnings; warnings.simplefilter('ignore')\n" + program, tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")
    found = values_of(tmp_path)
    assert len(found) == 21
    parents = [values for values in found if values[0] == "before"]
    children = sorted(values for values in found if values[0] != "before")
    assert [[v for v in values if v != "busy"] for values in parents] == [["before", "after"]]
    assert children == [[[child, i] for i in range(10)] for child in range(20)]


def test_a_signal_handler_that_logs_neither_hangs_nor_tears_lines(tmp_path):
    program = """
import signal, sys
from foundations.journal.spool import Writer
writer = Writer(sys.argv[1])
seen = 0
armed = False
def handler(*_):
    global seen, armed
    writer.append("metric", {"key": "h", "value": "handler", "step": None})
    seen += 1
    armed = False
signal.signal(signal.SIGALRM, handler)
logged = 0
while seen < 300:
    if not armed:
        armed = True
        signal.setitimer(signal.ITIMER_REAL, 0.0003)
    writer.append("metric", {"key": "m", "value": logged, "step": None})
    logged += 1
while armed:
    pass
print(logged, seen)
"""
    ran = run_python(program, tmp_path)
    assert ran.stderr == ""
    logged, seen = map(int, ran.stdout.split())
    reader = JournalReader(str(tmp_path))
    found = [value for written in drain(reader).values() for _, value in written]
    assert reader.broken == []
    assert sorted(value for value in found if value != "handler") == list(range(logged))
    assert found.count("handler") == seen


def test_an_interrupted_call_does_not_spoil_later_ones(tmp_path):
    program = """
import signal, sys
from foundations.journal.spool import Writer
writer = Writer(sys.argv[1])
def handler(*_):
    global armed
    armed = False
    if inside:
        raise KeyboardInterrupt
signal.signal(signal.SIGALRM, handler)
done = []
interruptions = 0
i = 0
armed = inside = False
while interruptions < 100:
    if not armed:
        armed = True
        signal.setitimer(signal.ITIMER_REAL, 0.0005)
    i += 1
    try:
        inside = True
        writer.append("metric", {"key": "m", "value": i, "step": None})
        inside = False
        done.append(i)
    except KeyboardInterrupt:
        inside = False
        interruptions += 1
print(*done)
"""
    ran = run_python(program, tmp_path)
    assert ran.returncode == 0, ran.stderr
    found = [value for values in values_of(tmp_path, finish=True) for value in values]
    assert len(found) == len(set(found))
    assert set(map(int, ran.stdout.split())) <= set(found)


def test_a_full_disk_loses_lines_not_the_program_and_is_said_once(tmp_path):
    program = """
import resource, sys
from foundations.journal.spool import Writer
writer = Writer(sys.argv[1])
write = lambda i: writer.append("metric", {"key": "m", "value": i, "step": None})
write(0)
unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (200, unlimited[1]))   # in the middle of a line
for i in range(1, 10):
    write(i)
lost = writer.lost
assert 0 < lost < 10
resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
write("after")
print(lost)
"""
    ran = run_python(program, tmp_path)
    assert ran.returncode == 0, ran.stderr
    lost = int(ran.stdout)
    reader = JournalReader(str(tmp_path))
    (found,) = drain(reader).values()
    assert found == [*((i + 1, i) for i in range(10 - lost)), (11 - lost, "after")]
    assert reader.broken == []
    first, last = ran.stderr.splitlines()
    assert first.startswith("Foundations WARNING: The journal in ")
    assert last == (
        "Foundations WARNING: {} logged values were lost: the journal could not be written.".format(
            lost
        )
    )


def test_a_large_journal_is_many_files_that_go_when_they_were_taken_in(tmp_path):
    writer = Writer(str(tmp_path), limit=160_000)
    reader = JournalReader(str(tmp_path))
    received = []
    for round_ in range(20):
        for number in range(300):
            writer.append(events.METRIC, metric(300 * round_ + number))
        for written in drain(reader, max_bytes=5000).values():
            received.extend(value for _, value in written)
        reader.tidy()
    writer.close()
    assert received == list(range(6000))
    assert reader.broken == []
    left = sorted(path.name for path in tmp_path.glob("*.jsonl"))
    assert 2 <= len(left) <= 4
    # Whoever comes after reads what is left, in the order in which it was written.
    (again, *more) = [values for values in values_of(tmp_path) if values]
    assert sum(more, again) == list(range(again[0], 6000))


def test_files_of_a_writer_are_read_one_after_the_other(tmp_path):
    for name, numbers in (("w", range(3)), ("w.000002", range(3, 6)), ("w.000003", range(6, 9))):
        text = "".join(line(n, n) for n in numbers)
        (tmp_path / (name + ".jsonl")).write_text(text)
    with (tmp_path / "w.jsonl").open("a") as file:
        file.write('{"n": 4, "k": "met')  # torn, and nobody will write the rest
    reader = JournalReader(str(tmp_path))
    found = []
    while True:
        batches = reader.read(60)
        assert len({batch.writer for batch in batches}) < 2
        if not batches:
            break
        for batch in batches:
            found.extend(event["value"] for event in batch.events)
            reader.advance(batch)
    assert found == list(range(9))
    assert [(writer, n) for writer, n, _ in reader.broken] == [("w", 4)]


def test_a_journal_that_nobody_takes_in_is_limited_and_said_to_be(tmp_path):
    program = """
import pathlib, sys
from foundations.journal.reader import JournalReader
from foundations.journal.spool import Writer
from tests.sdk.test_journal import drain, metric
first, second = Writer(sys.argv[1], limit=100_000), Writer(sys.argv[1], limit=100_000)
written = 0
while not first.lost:
    written += 1
    first.append("metric", metric(written))
second.append("metric", metric("full"))
assert second.lost == 1
reader = JournalReader(sys.argv[1])
assert sum(map(len, drain(reader).values())) == written - 1
reader.tidy()
lost = 1
while first.lost + second.lost > lost:   # measured anew after a while
    lost = first.lost + second.lost
    first.append("metric", metric("again"))
files = pathlib.Path(sys.argv[1]).iterdir()
print(first.lost + second.lost, sum(file.stat().st_size for file in files))
assert [v for values in drain(reader).values() for _, v in values] == ["again"]
"""
    ran = run_python(program, tmp_path, cwd=str(Path(__file__).parents[2]))
    assert ran.returncode == 0, ran.stderr
    lost, size = map(int, ran.stdout.split())
    assert lost >= 2
    assert size <= 110_000
    assert "holds the 100,000 bytes that may wait for a server" in ran.stderr
    assert "{:,} logged values were lost".format(lost) in ran.stderr


def test_a_journal_that_cannot_be_made_loses_lines_not_the_program(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    writer = Writer(str(tmp_path / "file" / "journal"))
    writer.append(events.METRIC, metric(1))
    writer.append(events.METRIC, metric(2))
    assert writer.lost == 2
    assert capsys.readouterr().err.count("cannot be written") == 1
    writer.lost = 0


def test_a_program_that_closes_all_descriptors_keeps_its_files_clean(tmp_path):
    program = """
import os, sys
from foundations.journal.spool import Writer
writer = Writer(sys.argv[1] + "/journal")
write = lambda i: writer.append("metric", {"key": "m", "value": i, "step": None})
write(1)
os.closerange(0, 100)
files = [os.open("%s/user%d" % (sys.argv[1], i), os.O_CREAT | os.O_WRONLY) for i in range(8)]
write(2)
for file in files: os.close(file)
write(3)
"""
    run_python(program, tmp_path)
    assert all((tmp_path / "user{}".format(i)).read_text() == "" for i in range(8))
    assert values_of(tmp_path / "journal") == [[1], [2, 3]] or values_of(tmp_path / "journal") == [
        [2, 3],
        [1],
    ]


def test_output_never_lands_in_the_journal_when_stdout_was_closed(tmp_path):
    program = """
import os, sys
from foundations.journal.spool import Writer
os.close(1); os.close(2)
writer = Writer(sys.argv[1])
writer.append("metric", {"key": "m", "value": 1, "step": None})
for fd in (1, 2):
    try: os.write(fd, b"printed\\n")
    except OSError: pass
"""
    run_python(program, tmp_path)
    reader = JournalReader(str(tmp_path))
    assert list(drain(reader).values()) == [[(1, 1)]]
    assert reader.broken == []


# --- reading ---------------------------------------------------------------------------------


def line(n, value):
    return json.dumps({"n": n, "t": 0.0, "k": "metric", "key": "m", "value": value}) + "\n"


def test_what_is_not_acknowledged_is_read_again_also_by_a_new_reader(tmp_path):
    writer = Writer(str(tmp_path))
    for i in range(3):
        writer.append(events.METRIC, metric(i))
    reader = JournalReader(str(tmp_path))
    (first,) = reader.read()
    (again,) = reader.read()
    assert [e["value"] for e in first.events] == [e["value"] for e in again.events] == [0, 1, 2]
    reader.advance(first)
    reader.advance(first)
    assert reader.read() == []
    writer.append(events.METRIC, metric("new"))
    resumed = JournalReader(str(tmp_path), json.loads(json.dumps(reader.positions)))
    (batch,) = resumed.read()
    assert (batch.first_n, [e["value"] for e in batch.events]) == (4, ["new"])


def test_a_batch_cannot_be_acknowledged_before_the_one_in_front_of_it(tmp_path):
    (tmp_path / "w.jsonl").write_text(line(1, 1) + "broken\n" + line(3, 3))
    reader = JournalReader(str(tmp_path))
    first, second = reader.read()
    with pytest.raises(ValueError, match="not acknowledged"):
        reader.advance(second)
    reader.advance(first)
    reader.advance(second)
    assert reader.positions["w"][1] == 3


@pytest.mark.parametrize(
    "broken",
    [
        b"no json",
        b"",
        b"[1]",
        b'{"n": 2}',
        b'{"k": 1}',
        b"\xff\xfe",
        b'{"n": 2, "k": "met',
        b"[" * 100_000,
        b"1" * 5000,
        b"x" * (events.MAX_LINE_BYTES + 1),
        b"x" * (3 * events.MAX_LINE_BYTES),
    ],
    ids=lambda line: repr(line[:12]),
)
@pytest.mark.parametrize("max_bytes", [1, 1_000_000])
def test_a_broken_line_is_lost_alone_and_reported_once(tmp_path, broken, max_bytes):
    content = line(1, "a").encode() + broken + b"\n" + line(3, "c").encode()
    (tmp_path / "w.jsonl").write_bytes(content)
    reader = JournalReader(str(tmp_path))
    reader.read(max_bytes)
    assert drain(reader, max_bytes) == {"w": [(1, "a"), (3, "c")]}
    ((writer, n, excerpt),) = reader.broken
    assert (writer, n) == ("w", 2)
    assert excerpt == broken[:80].decode("utf-8", "replace")


def test_a_journal_of_broken_lines_alone_comes_to_an_end(tmp_path):
    (tmp_path / "w.jsonl").write_text("x\n" * 1000)
    reader = JournalReader(str(tmp_path))
    assert drain(reader, max_bytes=10) == {}
    assert len(reader.broken) == 1000
    assert reader.positions == {"w": (2000, 1000)}


@pytest.mark.parametrize("finish", [False, True])
def test_a_torn_last_line_waits_until_the_end(tmp_path, finish):
    (tmp_path / "w.jsonl").write_text(line(1, "a") + line(2, "b")[:-5])
    reader = JournalReader(str(tmp_path))
    assert drain(reader, finish=finish) == {"w": [(1, "a")]}
    assert len(reader.broken) == finish
    if not finish:
        with (tmp_path / "w.jsonl").open("a") as file:
            file.write(line(2, "b")[-5:])
        assert drain(reader) == {"w": [(2, "b")]}


def test_links_and_folders_are_not_read(tmp_path):
    journal = tmp_path / "journal"
    journal.mkdir()
    (tmp_path / "secret").write_text(line(1, "secret"))
    (journal / "link.jsonl").symlink_to(tmp_path / "secret")
    (journal / "folder.jsonl").mkdir()
    os.mkfifo(str(journal / "pipe.jsonl"))
    (journal / "notes.txt").write_text(line(1, "other"))
    assert JournalReader(str(journal)).read(finish=True) == []


def test_a_busy_writer_does_not_hold_up_the_others(tmp_path):
    for name in ("a", "b", "c"):
        (tmp_path / (name + ".jsonl")).write_text("".join(line(n, name) for n in range(1, 101)))
    reader = JournalReader(str(tmp_path))
    served = []
    for _ in range(3):
        for batch in reader.read(max_bytes=500):
            served.append(batch.writer)
            reader.advance(batch)
    assert set(served) == {"a", "b", "c"}


def test_half_characters_become_something_a_database_can_hold(tmp_path):
    Writer(str(tmp_path)).append(events.TAG, {"key": "bad \udc80 good 🎉", "value": ""})
    (batch,) = JournalReader(str(tmp_path)).read()
    assert batch.events[0]["key"] == "bad ? good 🎉"


json_scalars = st.one_of(
    st.text(max_size=20), st.integers(), st.floats(allow_nan=False), st.booleans()
)


@settings(max_examples=100, deadline=None)
@given(
    values=st.lists(json_scalars, min_size=1, max_size=8),
    where=st.integers(0, 10**6),
    near_an_end=st.booleans(),
)
def test_whole_lines_survive_a_cut_at_any_byte(values, where, near_an_end):
    with tempfile.TemporaryDirectory() as folder:
        writer = Writer(folder)
        for value in values:
            writer.append(events.METRIC, metric(value))
        (path,) = Path(folder).iterdir()
        content = path.read_bytes()
        ends = [i for i, byte in enumerate(content) if byte == ord("\n")]
        # Ends of lines are where it is delicate: right before and after each.
        cut = ends[where % len(ends)] + where % 2 if near_an_end else where % (len(content) + 1)
        path.write_bytes(content[:cut])

        ended = sum(end < cut for end in ends)
        reader = JournalReader(folder)
        found = drain(reader)
        assert [value for written in found.values() for _, value in written] == values[:ended]
        assert reader.broken == []

        # The end of the line itself may be missing: nothing of the event is.
        whole = sum(end <= cut for end in ends)
        rest = drain(reader, finish=True)
        assert [value for written in rest.values() for _, value in written] == values[ended:whole]
        torn = cut > 0 and cut not in ends and cut - 1 not in ends
        assert len(reader.broken) == torn


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("write"), st.integers(0, 3)),
            st.tuples(st.just("read"), st.integers(1, 400)),
            st.tuples(st.just("reread"), st.integers(1, 400)),
            st.tuples(st.just("restart"), st.just(0)),
            st.tuples(st.just("damage"), st.integers(0, 3)),
        ),
        max_size=60,
    )
)
def test_any_course_of_writing_reading_and_restarting_keeps_order_and_number(steps):
    with tempfile.TemporaryDirectory() as folder:
        written = {}
        lines = {}
        received = {}
        reader = JournalReader(folder)
        for step, argument in [*steps, ("restart", 0), ("read", 10**6)]:
            if step in ("write", "damage"):
                name = "w{}".format(argument)
                n = lines[name] = lines.get(name, 0) + 1
                with (Path(folder) / (name + ".jsonl")).open("a") as file:
                    file.write(line(n, n) if step == "write" else "garbage\n")
                if step == "write":
                    written.setdefault(name, []).append((n, n))
            elif step == "reread":
                reader.read(argument)
            elif step == "restart":
                reader = JournalReader(folder, reader.positions)
            else:
                for batch in reader.read(argument):
                    received.setdefault(batch.writer, []).extend(
                        (batch.first_n + i, event["value"]) for i, event in enumerate(batch.events)
                    )
                    reader.advance(batch)
        assert received == written

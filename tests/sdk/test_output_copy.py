"""What a program prints goes where it always went, and into the job's log."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest
from tests.sdk.executing import Place


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def test_both_streams_are_copied(place):
    done = place.run(
        """
        import foundations, sys
        print("out")
        print("err", file=sys.stderr)
        sys.stdout.write("no end")
        """
    )
    assert (done.stdout, done.stderr) == ("out\nno end", "err\n")
    assert sorted(place.job().log().splitlines()) == ["err", "no end", "out"]


def test_every_kind_of_writing_is_copied(place):
    done = place.run(
        """
        import foundations, logging, sys
        sys.stdout.buffer.write(b"bytes\\n")
        sys.stdout.writelines(["one\\n", "two\\n"])
        logging.basicConfig(stream=sys.stdout, format="%(message)s")
        logging.warning("logged")
        print("é 日本")
        for part in range(3):
            print("\\r%d" % part, end="", flush=True)
        sys.stdout.buffer.flush()
        """
    )
    assert done.stdout == place.job().log()
    assert done.stdout == "bytes\none\ntwo\nlogged\né 日本\n\r0\r1\r2"


def test_what_was_printed_is_in_the_log_before_the_program_ends(place):
    place.write("main.py", "import foundations, signal\nprint('begun')\nsignal.pause()\n")
    # Not flushed: with its output in a pipe the program keeps it back, the log does not.
    process = place.start("main.py", PYTHONUNBUFFERED="")
    try:
        assert place.until(lambda: place.job().log()) == "begun\n"
    finally:
        process.kill()
        process.communicate()


def test_a_killed_program_has_its_lines_in_the_log(place):
    done = place.run(
        """
        import foundations, os
        for number in range(100):
            print("line", number)
        os.kill(os.getpid(), 9)
        """,
        PYTHONUNBUFFERED="",
    )
    assert done.stdout == ""
    assert place.job().log().splitlines()[-1] == "line 99"


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_much_is_copied_whole(place, unbuffered):
    done = place.run(
        """
        import foundations
        for number in range(20000):
            print("line", number)
        print("x" * 300000)
        """,
        PYTHONUNBUFFERED=unbuffered,
    )
    assert len(done.stdout) > 500000
    assert place.job().log() == done.stdout


def test_the_streams_are_like_those_they_stand_for(place):
    look = """
        import io, json, sys
        {}
        print(json.dumps([[s.encoding, s.errors, s.line_buffering, s.isatty(), s.fileno(), s.name,
            s.mode, s.readable(), s.writable(), s.closed, isinstance(s, io.TextIOBase)]
            for s in (sys.stdout, sys.stderr)]))
        """
    plain = place.run(look.format(""))
    copied = place.run(look.format("import foundations"))
    assert copied.stdout == plain.stdout


def test_a_terminal_stays_one(place):
    place.write(
        "main.py",
        """
        import foundations, os, sys
        print(sys.stdout.isatty(), sys.stderr.isatty(), os.get_terminal_size(sys.stdout.fileno()))
        print("\\033[31mred\\033[0m")
        """,
    )
    leader, follower = pty.openpty()
    pid = os.fork()
    if pid == 0:
        for number in range(3):
            os.dup2(follower, number)
        os.chdir(str(place.directory))
        os.execve(sys.executable, [sys.executable, "main.py"], place.environment())
    os.close(follower)
    seen = b""
    while True:
        try:
            part = os.read(leader, 1000)
        except OSError:  # all of the other end is closed
            break
        if not part:
            break
        seen += part
    os.close(leader)
    assert os.waitpid(pid, 0)[1] == 0
    assert b"True True" in seen
    assert seen.replace(b"\r\n", b"\n").decode() == place.job().log()


def test_a_stream_that_is_replaced_is_left_alone(place):
    done = place.run(
        """
        import foundations, io, sys
        mine = sys.stdout = io.StringIO()
        print("mine")
        assert mine.getvalue() == "mine\\n"
        sys.stdout = sys.__stdout__
        print("original")
        """
    )
    assert done.stdout == "original\n"
    assert place.job().log() == ""


def test_a_stream_without_bytes_below_is_copied(place):
    done = place.run(
        """
        import io, sys
        class Notebook(io.TextIOBase):
            special = "kept"
            def write(self, text):
                return sys.__stdout__.write(text.upper())
            def flush(self):
                sys.__stdout__.flush()
        sys.stdout = own = Notebook()
        import foundations
        print("small")
        assert sys.stdout is not own and sys.stdout.special == "kept"
        foundations.current_job().finish()
        assert sys.stdout is own
        """
    )
    assert (done.stdout, done.stderr) == ("SMALL\n", "")
    assert place.job().log() == "small\n"


def test_a_program_without_streams_runs(place):
    place.write("main.py", "import foundations\nfoundations.log_metric('loss', 1)\n")
    close = "import os; os.close(1); os.close(2); os.execv({0!r}, [{0!r}, 'main.py'])"
    close = close.format(sys.executable)
    process = place.start("-c", close)
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert len(place.job().events("metric")) == 1


def test_a_handler_outlives_the_job_whose_output_it_saw(place):
    done = place.run(
        """
        import foundations, logging, sys
        logging.basicConfig(stream=sys.stdout, format="%(message)s")
        logging.warning("in the job")
        foundations.current_job().finish()
        logging.warning("after it")
        print("plain", type(sys.stdout) is type(sys.__stdout__))
        """
    )
    assert done.stdout == "in the job\nafter it\nplain True\n"
    assert place.job().log() == "in the job\n"


def test_a_daemon_that_closes_everything_writes_into_no_file_of_its_own(place):
    done = place.run(
        """
        import foundations, os
        print("before", flush=True)
        os.closerange(3, 100)
        own = os.open("own.txt", os.O_WRONLY | os.O_CREAT)
        more = [os.dup(own) for _ in range(20)]
        print("after", flush=True)
        """
    )
    assert done.stdout == "before\nafter\n"
    assert (place.directory / "own.txt").read_text() == ""
    assert place.job().log() == "before\nafter\n"


def test_children_that_print_to_the_same_place_are_copied(place):
    place.write("child.py", "import foundations\nprint('child')\n")
    done = place.run(
        """
        import foundations, subprocess, sys
        subprocess.run([sys.executable, "child.py"], check=True)
        caught = subprocess.check_output([sys.executable, "child.py"])
        print("caught", caught)
        """
    )
    # Caught output is printed once: by whoever caught it, if at all.
    assert done.stdout.splitlines() == ["child", "caught b'child\\n'"]
    assert place.job().log() == done.stdout


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    "text",
    ["for n in range(9999): print('line', n)", "print('a')", "print('a'); sys.exit(3)"],
)
def test_a_program_whose_reader_leaves_ends_as_it_would_without_us(place, text, unbuffered):
    def ends(first):
        program = "import sys, time\n{}\nprint('begun', flush=True)\nsys.stdin.read()\n{}\n"
        place.write("main.py", program.format(first, text))
        pipe, taken = os.pipe()
        process = subprocess.Popen(
            [sys.executable, "main.py"],
            cwd=str(place.directory),
            env=place.environment(PYTHONUNBUFFERED=unbuffered),
            stdin=subprocess.PIPE,
            stdout=taken,
            stderr=subprocess.PIPE,
        )
        os.close(taken)
        with os.fdopen(pipe) as reader:
            assert reader.readline() == "begun\n"
        err = process.communicate(timeout=60)[1].decode()
        # What the interpreter says of it, without the lines of code that it came through.
        return process.returncode, [line for line in err.splitlines() if line[:1] not in ("", " ")]

    assert ends("import foundations") == ends("")

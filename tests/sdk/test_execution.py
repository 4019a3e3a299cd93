"""A program run by hand is a job: which programs are, what is known of them, how they end."""

from __future__ import annotations

import json
import os
import signal

import pytest
from tests.sdk.executing import Place, shown


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


# --- which programs are jobs -----------------------------------------------------------------


def test_a_script_that_imports_foundations_is_a_job(place):
    done = place.run("import foundations\nprint('hello')\n", "--lr", "0.1")
    assert (done.returncode, done.stdout, done.stderr) == (0, "hello\n", "")
    job = place.job()
    facts = job.facts()
    assert facts["project"] == "project"
    assert facts["words"] == [str(place.directory / "main.py"), "--lr", "0.1"]
    assert facts["directory"] == str(place.directory)
    assert job.end()["exit_code"] == 0
    assert job.log() == "hello\n"


def test_a_module_run_by_its_name_is_a_job(place):
    place.write("package/__init__.py", "import foundations\n")
    place.write("package/train.py", "import foundations\nfoundations.log_metric('loss', 1)\n")
    assert place.python("-m", "package.train", "x").returncode == 0
    job = place.job()
    assert job.facts()["words"] == ["-m", "package.train", "x"]
    assert [event["key"] for event in job.events("metric")] == ["loss"]
    assert place.until(job.spec)["command"] == ["-m", "package.train", "x"]


NO_JOBS = {
    "command": ["-c", "import foundations"],
    "test runner": ["-m", "unittest", "test_training"],
    "test by itself": ["test_training.py"],
    "installed": ["-m", "installed_tool"],
    "installed command": ["bin/tool"],
}


@pytest.mark.parametrize("arguments", NO_JOBS.values(), ids=NO_JOBS)
def test_tools_are_no_jobs(place, arguments):
    place.write(
        "test_training.py",
        """
        import unittest
        import foundations

        class Test(unittest.TestCase):
            def test(self):
                foundations.log_metric("loss", 1)

        if __name__ == "__main__":
            unittest.main()
        """,
    )
    place.write("lib/site-packages/installed_tool.py", "import foundations\n")
    place.write("bin/tool", "import foundations\n")
    packages = str(place.directory / "lib" / "site-packages")
    path = os.pathsep.join([packages, place.environment()["PYTHONPATH"]])
    script = place.directory / "bin" / "tool"
    if arguments == ["bin/tool"]:
        # Where pip puts the commands of packages.
        commands = place.root / ".local" / "bin"
        commands.mkdir(parents=True)
        script = script.rename(commands / "tool")
        arguments = [str(script)]
    done = place.python(*arguments, PYTHONPATH=path, HOME=str(place.root))
    assert done.returncode == 0, done.stderr
    assert place.jobs() == []


def test_pytest_is_no_job(place):
    pytest.importorskip("pytest")
    place.write("test_it.py", "import foundations\ndef test(): foundations.log_metric('loss', 1)\n")
    done = place.python("-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py")
    assert done.returncode == 0, done.stdout
    assert place.jobs() == []


@pytest.mark.parametrize("true", ["True", "true", "1", "yes", "ON", " y "])
def test_a_true_value_turns_it_off(place, true):
    done = place.run(
        "import foundations\nfoundations.log_metric('loss', 1)\n", FOUNDATIONS_COMMAND_LINE=true
    )
    assert done.returncode == 0
    assert "Script not run with Foundations." in done.stderr
    assert place.jobs() == []


def test_any_other_value_does_not(place):
    assert place.run("import foundations", FOUNDATIONS_COMMAND_LINE="False").returncode == 0
    assert place.job().end()["exit_code"] == 0


def test_a_profiler_that_runs_a_script_leaves_it_a_job(place):
    place.write("main.py", "import foundations\nfoundations.log_metric('loss', 1)\n")
    assert place.python("-m", "cProfile", "-o", "profile", "main.py", "a").returncode == 0
    job = place.job()
    assert job.facts()["words"] == [str(place.directory / "main.py"), "a"]
    assert len(job.events("metric")) == 1


INTERACTIVE = """
import builtins
builtins.__IPYTHON__ = True
import foundations
before = foundations.current_job()
foundations.log_metric("loss", 1)
first = foundations.current_job()
first.finish()
between = foundations.current_job()
foundations.log_metric("loss", 2)
print(before, between, first.job_id == foundations.current_job().job_id)
"""


def test_a_session_becomes_a_job_by_recording_something(place):
    assert place.run(INTERACTIVE).stdout == "None None False\n"
    first, second = place.jobs()
    assert [event["value"] for event in first.events("metric")] == [1]
    assert [event["value"] for event in second.events("metric")] == [2]
    assert first.end()["exit_code"] == second.end()["exit_code"] == 0


def test_an_error_in_a_session_is_not_the_end_of_its_job(place):
    place.run(INTERACTIVE + "\nimport sys\nsys.last_value = ValueError('of one cell')\n")
    assert [job.end()["exit_code"] for job in place.jobs()] == [0, 0]


# --- what is known of it ---------------------------------------------------------------------

PROJECTS = {
    "folder": ({}, None, "project"),
    "variable": ({"FOUNDATIONS_PROJECT_NAME": "first", "PROJECT_NAME": "second"}, None, "first"),
    "older variable": ({"PROJECT_NAME": "second"}, "project_name: third", "second"),
    "file": ({}, "num_gpus: 1\nproject_name: third  # really\n", "third"),
    "quoted": ({}, "project_name: 'my project'\n", "my project"),
    "for a parser": ({}, '{"project_name": "braces"}\n', "braces"),
    "escapes": ({}, 'project_name: "tab\\x41"\n', "tabA"),
    "no name": ({}, "project_name:\n", "project"),
    "no YAML": ({}, "project_name: [\n", "project"),
    "cannot be one": ({"PROJECT_NAME": "a/b\n"}, None, "a_b_"),
}


@pytest.mark.parametrize(("variables", "config", "project"), PROJECTS.values(), ids=PROJECTS)
def test_the_project(place, variables, config, project):
    if config is not None:
        place.write("job.config.yaml", config)
    done = place.run(
        "import foundations; print(foundations.current_job().project_name)", **variables
    )
    assert (done.stdout, done.stderr) == (project + "\n", "")
    assert place.job().facts()["project"] == project


def test_the_project_can_be_set_later(place):
    done = place.run(
        """
        import foundations
        foundations.set_project_name("other")
        print(foundations.current_job().project_name)
        """
    )
    assert done.stdout == "other\n"
    assert [event["name"] for event in place.job().events("project")] == ["other"]


def test_id_and_user_can_be_chosen(place):
    text = """
        import foundations
        job = foundations.current_job()
        print(job.job_id, job.user_name)
        """
    done = place.run(text, FOUNDATIONS_JOB_ID="experiment-7", FOUNDATIONS_USER="ada")
    assert done.stdout == "experiment-7 ada\n"
    job = place.job()
    assert (job.job_id, job.facts()["user"]) == ("experiment-7", "ada")


def test_an_id_that_is_none_is_replaced_with_a_word(place):
    done = place.run("import foundations", FOUNDATIONS_JOB_ID="../up")
    assert done.returncode == 0
    assert len(done.stderr.splitlines()) == 1
    assert "'../up' cannot be a job's ID" in done.stderr
    assert len(place.job().job_id) == 36


def test_an_id_is_used_once(place):
    for _ in range(2):
        done = place.run("import foundations", FOUNDATIONS_JOB_ID="twice")
    assert "There has been a job twice before" in done.stderr
    assert len(place.jobs()) == 2


def test_a_home_that_cannot_be_written_keeps_no_program_from_running(place):
    place.home.write_text("a file")
    done = place.run("import foundations\nfoundations.log_metric('loss', 1)\nprint('trained')\n")
    assert (done.returncode, done.stdout) == (0, "trained\n")
    assert "This program is not recorded" in done.stderr


# --- how it ends -----------------------------------------------------------------------------

MAIN = "import foundations, os, signal, sys\ndef main():\n    return 3\n"
ENDS = {
    "well": ("pass", 0, 0, None),
    "sys.exit": ("sys.exit(4)", 4, 4, None),
    "sys.exit without code": ("sys.exit()", 0, 0, None),
    "imported exit": ("from sys import exit\nexit(4)", 4, 4, None),
    "exit": ("exit(5)", 5, 5, None),
    "SystemExit": ("raise SystemExit(main())", 3, 3, None),
    "SystemExit without code": ("raise SystemExit", 0, 0, None),
    "text": ("sys.exit('no data')", 1, 1, "no data"),
    "caught": ("try:\n    sys.exit(4)\nexcept SystemExit:\n    pass", 0, 0, None),
    "caught before": (
        "try:\n    sys.exit(4)\nexcept SystemExit as e:\n    kept = e\nraise SystemExit(6)",
        6,
        6,
        None,
    ),
    "os._exit": ("os._exit(7)", 7, 7, None),
    "exception": ("raise ValueError('bad rate')", 1, 1, "ValueError: bad rate"),
    "own exception": (
        "class Broken(Exception):\n    pass\nraise Broken",
        1,
        1,
        "Broken",
    ),
    "exception in the message": (
        "class Odd(Exception):\n    def __str__(self):\n        raise TypeError('none')\nraise Odd",
        1,
        1,
        "Odd: Odd (its text cannot be had: TypeError('none'))",
    ),
    "arguments": (
        "import argparse\np = argparse.ArgumentParser()\np.add_argument('--x', required=True)\n"
        "p.parse_args()",
        2,
        2,
        None,
    ),
    "forked": ("pid = os.fork()\nif pid:\n    os.waitpid(pid, 0)\n    sys.exit(8)", 8, 8, None),
}  # fmt: skip


@pytest.mark.parametrize("way", ["script", "module"])
@pytest.mark.parametrize(("text", "code", "told", "message"), ENDS.values(), ids=ENDS)
def test_the_end(place, way, text, code, told, message):
    place.write("main.py", MAIN + text)
    done = place.python(*(["main.py"] if way == "script" else ["-m", "main"]))
    assert done.returncode == code
    end = place.job().end()
    assert (end["exit_code"], end["message"]) == (told, message)


def test_an_exception_is_kept_with_its_traceback(place):
    done = place.run(
        """
        import foundations
        def load(path):
            raise KeyError(path)
        try:
            load("data")
        except KeyError as error:
            raise RuntimeError("no data") from error
        """
    )
    (error,) = place.job().events("error")
    assert (error["type"], error["message"]) == ("RuntimeError", "no data")
    assert "KeyError: 'data'" in error["traceback"]
    assert "in load\n    raise KeyError(path)" in error["traceback"]
    assert done.stderr.endswith("RuntimeError: no data\n")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_a_signal_leaves_a_job_that_is_over(place, number):
    done = place.run("import foundations, os\nos.kill(os.getpid(), {})".format(int(number)))
    assert done.returncode == -number
    job = place.job()
    assert job.end() is None
    assert job.is_over(0.0)


def test_a_ctrl_c_ends_the_program_as_it_did_before(place):
    text = "import foundations, signal\nprint('ready', flush=True)\nsignal.pause()\n"
    place.write("main.py", text)
    process = place.start("main.py")
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT
    end = place.job().end()
    assert (end["exit_code"], end["message"]) == (130, "KeyboardInterrupt")


def test_a_program_that_replaces_itself_is_one_job(place):
    done = place.run(
        """
        import os, sys
        import foundations
        foundations.log_metric("step", len(sys.argv))
        if len(sys.argv) == 1:
            os.execv(sys.executable, [sys.executable, *sys.argv, "again"])
        sys.exit(9)
        """
    )
    assert done.returncode == 9, done.stderr
    job = place.job()
    assert sorted(event["value"] for event in job.events("metric")) == [1, 2]
    assert job.end()["exit_code"] == 9


# --- what it does not change -----------------------------------------------------------------


def test_nothing_is_left_behind(place):
    done = place.run(
        """
        import atexit, logging, signal, sys, threading
        known = [sys.exit, sys.stdout, sys.stderr, sys.excepthook]
        import os
        known.append(os._exit)

        def look():
            now = [sys.exit, sys.stdout, sys.stderr, sys.excepthook, os._exit]
            print([a is b for a, b in zip(known, now)])

        # What was registered before comes after.
        atexit.register(look)
        import foundations
        assert sys.excepthook is known[3]
        assert logging.getLogger().handlers == []
        assert threading.active_count() == 1
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        foundations.log_metric("loss", 1)
        """
    )
    assert done.stdout == "[True, True, True, True, True]\n", done.stderr


def test_no_child_of_the_program_is_ours(place):
    done = place.run(
        """
        import foundations, os
        try:
            os.wait()
        except ChildProcessError:
            print("none")
        """
    )
    assert done.stdout == "none\n"


def test_nothing_goes_over_a_network(place):
    done = place.run(
        """
        import socket
        def refuse(*_, **__):
            raise AssertionError("a socket")
        socket.socket = refuse
        import foundations
        foundations.log_metric("loss", 1)
        """
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_children_see_their_job_and_the_shell_does_not(place):
    done = place.run(
        """
        import json, os, subprocess, sys
        import foundations
        seen = "import json, os; print(json.dumps({n: v for n, v in os.environ.items()}))"
        child = json.loads(subprocess.check_output([sys.executable, "-c", seen]))
        print(json.dumps([child["FOUNDATIONS_JOB_ID"], foundations.current_job().job_id]))
        """
    )
    seen, known = shown(done.stdout)
    assert seen == known == place.job().job_id


def test_a_job_that_is_over_is_nobodys(place):
    place.run("import foundations")
    left = {
        "FOUNDATIONS_ATTEMPT_DIR": place.job().root,
        "FOUNDATIONS_JOB_ID": place.job().job_id,
    }
    assert place.run("import foundations", **left).returncode == 0
    assert len(place.jobs()) == 2


def test_a_submitted_job_is_joined_and_no_other_begun(place):
    attempt = place.root / "work" / "a1" / "1"
    (attempt / "journal").mkdir(parents=True)
    done = place.run(
        """
        import foundations, sys
        foundations.log_metric("loss", 1)
        print(foundations.current_job().job_id, type(sys.stdout).__name__)
        raise ValueError("bad rate")
        """,
        FOUNDATIONS_ATTEMPT_DIR=str(attempt),
        FOUNDATIONS_JOB_ID="a1",
    )
    assert done.stdout == "a1 TextIOWrapper\n"
    assert place.jobs() == []
    texts = [path.read_text() for path in (attempt / "journal").iterdir()]
    lines = [json.loads(line) for text in texts for line in text.splitlines()]
    assert sorted(line["k"] for line in lines) == ["error", "metric"]
    assert not (attempt / "log").exists()


def test_importing_costs_no_more_than_it_must(place):
    done = place.run(
        """
        import json, sys
        import foundations
        heavy = {"asyncio", "dataclasses", "hashlib", "inspect", "logging", "multiprocessing",
                 "pathlib", "shutil", "socket", "ssl", "subprocess", "tempfile", "threading",
                 "traceback", "typing", "urllib", "yaml"}
        print(json.dumps(sorted(heavy & set(sys.modules))))
        """
    )
    assert shown(done.stdout) == []

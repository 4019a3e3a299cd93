"""How the command line looks: on terminals of any width, piped, without colour."""

from __future__ import annotations

import os
import pty
import re
import struct
import subprocess
import sys
from fcntl import ioctl
from termios import TIOCSWINSZ

import pytest

from foundations.cli.main import COMMANDS

KINDS = ("logs", "job", "artifacts")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture(scope="module")
def long_names(atlas):
    name = "训练 a name far longer than any column \x1b[31m of it"
    params = '{"some_long_parameter_name": "%s"}' % ("value " * 30)
    script = "import foundations; foundations.load_parameters()"
    return atlas.submit(
        "a_project_with_a_very_long_name_indeed",
        script,
        "--name",
        name,
        "--params",
        params,
        "--tag",
        "sweep=with_a_long_value_" + "x" * 40,
    )


def on_terminal(atlas, columns, *words, answer=b"", **env):
    """Run a command on a terminal of so many columns and return what it shows."""
    parent, child = pty.openpty()
    ioctl(child, TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    with subprocess.Popen(
        [sys.executable, "-m", "foundations", *words], cwd=atlas.home,
        env=atlas.environment(TERM="xterm-256color", **env),
        stdin=child, stdout=child, stderr=child,
    ) as process:  # fmt: skip
        os.close(child)
        os.write(parent, answer)
        shown = b""
        while True:
            try:
                data = os.read(parent, 65536)
            except OSError:  # the other end is closed
                break
            shown += data
        process.wait(60)
    os.close(parent)
    return process.returncode, shown.decode().replace("\r\n", "\n")


@pytest.mark.parametrize("columns", [60, 80, 160])
@pytest.mark.parametrize("command", ["list", "show", "queue", "projects", "info"])
def test_what_is_shown_fits_the_terminal(atlas, long_names, columns, command):
    from rich.cells import cell_len

    words = [command, long_names] if command == "show" else [command]
    code, shown = on_terminal(atlas, columns, *words)
    assert code == 0
    assert max(cell_len(line) for line in _COLOUR.sub("", shown).splitlines()) <= columns


def test_states_have_colours_on_a_terminal_only(atlas, long_names):
    assert "\x1b[32mcompleted" in on_terminal(atlas, 100, "list")[1]
    assert "\x1b" not in on_terminal(atlas, 100, "list", NO_COLOR="1")[1]
    piped = atlas("list", "--all").stdout
    assert "\x1b" not in piped
    assert "a_project_with_a_very_long_name_indeed" in piped


def test_control_codes_of_jobs_do_not_reach_the_terminal(atlas, long_names):
    assert r"\x1b[31m" in on_terminal(atlas, 300, "show", long_names)[1]


def test_deleting_asks_on_a_terminal(atlas):
    job = atlas.submit("asked", "print(1)")
    code, shown = on_terminal(atlas, 80, "delete", "job", "scheduler", job, answer=b"n\n")
    assert code == 1
    assert f"{job} of asked" in shown
    assert "[y/N]" in shown
    assert atlas("show", job).returncode == 0
    code, _ = on_terminal(atlas, 80, "delete", "job", "scheduler", job, answer=b"y\n")
    assert code == 0
    assert atlas("show", job).returncode == 1


def test_the_job_that_is_asked_about_is_looked_up_first(atlas):
    job = atlas.submit("asked", "print(1)", "--name", "the asked one")
    code, shown = on_terminal(atlas, 200, "delete", "the asked one", answer=b"n\n")
    assert code == 1
    assert f"{job} 'the asked one' of asked" in shown
    code, shown = on_terminal(atlas, 80, "delete", "job", "scheduler", "ffffffffffff")
    assert code == 1
    assert "There is no job" in shown
    assert "[y/N]" not in shown


@pytest.mark.parametrize("columns", [60, 80, 100])
def test_a_state_is_never_cut(atlas, long_names, columns):
    atlas.submit("a_project_with_a_very_long_name_indeed", "import sys; sys.exit(143)")
    assert "failed (exit 143)" in on_terminal(atlas, columns, "list")[1]


def test_what_is_the_same_in_every_row_goes_first(atlas, long_names):
    words = ("list", "--project", "a_project_with_a_very_long_name_indeed")
    _, shown = on_terminal(atlas, 100, *words)
    head = _COLOUR.sub("", shown).splitlines()[0]
    assert "PARAMS" in head
    assert "USER" not in head
    assert "PROJECT" not in head


@pytest.mark.parametrize("columns", ["60", "200"])
def test_no_line_of_help_below_the_options_is_wider_than_a_terminal(atlas, columns):
    for words in (*((name,) for name in COMMANDS), *(("get", kind) for kind in KINDS)):
        text = atlas(*words, "--help", env={"COLUMNS": columns}).stdout
        epilog = text[text.rindex("\n\n" if "examples:" not in text else "options") :]
        lines = epilog.partition("\n\n")[2].splitlines()
        assert all(len(line) <= 78 for line in lines), words


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(atlas, command):
    done = atlas(command, "--help")
    assert done.returncode == 0
    assert re.search("examples?:", done.stdout)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_without_unicode_is_no_trouble(atlas, long_names, encoding):
    for words in (["list"], ["show", long_names]):
        done = atlas(*words, env={"PYTHONIOENCODING": encoding})
        assert done.returncode == 0, done.stderr


def completed(atlas, tmp_path, line):
    """What the shell would offer after `line`."""
    found = tmp_path / "found"
    environment = atlas.environment(
        _ARGCOMPLETE="1", _ARGCOMPLETE_STDOUT_FILENAME=str(found), COMP_LINE=line,
        COMP_POINT=str(len(line)), _ARGCOMPLETE_IFS="\n", _ARGCOMPLETE_SHELL="bash",
    )  # fmt: skip
    subprocess.run([sys.executable, "-m", "foundations"], env=environment, timeout=60)
    return found.read_text().split("\n")


def test_the_shell_completes_commands_jobs_and_projects(atlas, long_names, tmp_path):
    assert "queue" in str(completed(atlas, tmp_path, "foundations qu"))
    assert long_names in str(completed(atlas, tmp_path, f"foundations show {long_names[:6]}"))
    assert "a_project" in str(completed(atlas, tmp_path, "foundations list --project a_p"))


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_is_printed(atlas, shell):
    done = atlas("completion", shell)
    assert done.returncode == 0
    assert "foundations" in done.stdout

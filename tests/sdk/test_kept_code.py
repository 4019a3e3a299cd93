"""The code of a job run by hand is kept as it was when the job began, and nothing else is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.sdk.executing import SOURCE, Place


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def kept(place):
    """The code of the one job, once it has been kept."""
    job = place.job()
    place.until(job.spec)
    return job.code(place.home)


def test_the_folder_is_kept_as_it_was(place):
    place.write("library.py", "rate = 0.1\n")
    place.write(".git/config", "")
    place.write(".venv/pyvenv.cfg", "")
    place.write(".foundationsignore", "data/\n")
    place.write("data/large", "")
    place.write("result.txt", "old")
    (place.directory / "link").symlink_to("library.py")
    done = place.run("import foundations, library\nprint(library.rate)\n")
    assert done.stdout == "0.1\n"
    code = kept(place)
    assert sorted(set(code) - {"__pycache__"}) == [
        ".foundationsignore", "library.py", "link", "main.py", "result.txt",
    ]  # fmt: skip
    assert code["library.py"] == b"rate = 0.1\n"
    spec = place.job().spec()
    assert spec["command"] == ["main.py"]
    assert spec["origin"]["directory"] == str(place.directory)


def test_what_job_config_asks_for_is_for_running_it_again(place):
    place.write("job.config.yaml", "num_gpus: 2\nram: 4\ntimeout: 90\nparams: {rate: 1}\n")
    place.run("import foundations")
    spec = place.until(place.job().spec)
    assert spec["resources"]["gpus"] == 2
    assert spec["timeout"] == 90


def test_a_wrong_job_config_does_not_matter(place):
    place.write("job.config.yaml", "no_such_key: 1\n")
    assert place.run("import foundations").stderr == ""
    assert "main.py" in kept(place)


def test_of_a_script_that_lies_elsewhere_its_own_folder_is_kept(place):
    place.write("main.py", "import foundations\n")
    place.write("beside.py", "")
    other = place.root / "other"
    other.mkdir()
    (other / "private").write_text("")
    done = place.python(str(place.directory / "main.py"), "x", cwd=other)
    assert done.returncode == 0
    assert sorted(kept(place)) == ["beside.py", "main.py"]
    assert place.job().facts()["project"] == "other"
    assert place.job().spec()["command"] == ["main.py", "x"]


@pytest.mark.parametrize("where", ["home", "above", "root"])
def test_a_home_is_never_kept(place, where):
    place.write("main.py", "import foundations\n")
    place.write("letter.txt", "private")
    homes = {"home": place.directory, "above": place.directory / "users" / "ada"}
    home = homes.get(where, place.root)
    home.mkdir(parents=True, exist_ok=True)
    script = place.directory / "main.py"
    if where == "root":
        done = place.python(str(script), cwd="/", HOME=str(place.directory))
    else:
        done = place.python("main.py", HOME=str(home))
    assert done.returncode == 0
    assert list(kept(place)) == ["main.py"]
    assert "Only the script is kept" in place.job().log()


def test_the_home_of_foundations_is_not_kept(place):
    place.home = place.directory / ".atlas"
    place.home.mkdir()
    (place.home / "database").write_text("large")
    place.run("import foundations")
    assert list(kept(place)) == ["main.py"]


def test_of_a_very_large_folder_only_code_is_kept(place):
    place.write("library.py", "")
    with (place.directory / "data.bin").open("wb") as file:
        file.truncate(300_000_000)
    with (place.directory / "table.json").open("wb") as file:
        file.truncate(2_000_000)
    place.write("conf/small.yaml", "")
    assert place.run("import foundations").returncode == 0
    assert sorted(kept(place)) == ["conf/small.yaml", "library.py", "main.py"]
    assert "The folder holds 302 MB in 5 files: only what looks like code" in place.job().log()


def test_what_cannot_be_kept_is_named_and_the_rest_is_kept(place):
    (place.directory / "up").symlink_to("../..")
    place.run("import foundations")
    assert list(kept(place)) == ["main.py"]
    assert "Not kept with the code: The symlink up leads out of the folder" in place.job().log()


def test_the_output_of_a_redirected_program_does_not_disturb(place):
    place.write("main.py", "import foundations\nfor n in range(20000): print('line', n)\n")
    with (place.directory / "out.txt").open("wb") as file:
        subprocess.run(
            [sys.executable, "main.py"],
            cwd=str(place.directory),
            env=place.environment(),
            stdout=file,
            check=True,
        )
    assert "main.py" in kept(place)


def test_a_job_is_offered_once_it_is_one(place):
    place.write(
        "main.py", "import foundations, sys\nsys.stdin.read()\nfoundations.log_metric('m', 1)\n"
    )
    place.run("import foundations\nfoundations.log_metric('m', 1)\n")
    job = place.job()
    place.until(Path(job.ready_path).exists)
    assert job.spec() is not None


def test_modules_of_the_project_do_not_stand_in_for_those_of_python(place):
    # The process that keeps the code starts in the project's folder, too.
    for name in ("logging", "json", "subprocess", "hashlib"):
        place.write("{}.py".format(name), "raise ImportError('of the project')\n")
    place.write("main.py", "import sys\nsys.path.append(sys.path.pop(0))\nimport foundations\n")
    done = place.python("main.py", PYTHONPATH=SOURCE)
    assert done.returncode == 0, done.stderr
    assert "main.py" in kept(place)

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from atlas_runner import installer
from atlas_runner.environment import (
    InterpreterInfo,
    Prepared,
    banner,
    find_prepared,
    interpreter_identity,
    packages,
    prepare,
)
from atlas_runner.errors import PreparationStopped, RequirementsFailed, StartFailed
from atlas_runner.requirements import read_requirements

SLOW_BACKEND = """
import os, time, zipfile
INFO = 'slow-1.dist-info'
FILES = {{
    'slow.py': '',
    INFO + '/METADATA': 'Metadata-Version: 2.1\\nName: slow\\nVersion: 1\\n',
    INFO + '/WHEEL': 'Wheel-Version: 1.0\\nGenerator: x\\n'
                     'Root-Is-Purelib: true\\nTag: py3-none-any\\n',
}}
def build_wheel(folder, *_):
    with open({mark!r}, 'w') as mark:
        mark.write(str(os.getpid()))
    while not os.path.exists({go!r}): time.sleep(0.01)
    return write(FILES, folder)
def build_editable(folder, *_):
    files = dict(FILES)
    del files['slow.py']
    return write(dict(files, **{{'slow.pth': os.getcwd()}}), folder)
def write(files, folder):
    name = 'slow-1-py3-none-any.whl'
    files = dict(files, **{{INFO + '/RECORD': ''.join(f + ',,\\n' for f in files)}})
    with zipfile.ZipFile(os.path.join(folder, name), 'w') as archive:
        for file, text in files.items():
            archive.writestr(file, text)
    return name
"""


def make_wheel(folder: Path, name: str, version: str, requires: str = "") -> Path:
    """Write a wheel of one module that knows its version."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    need = f"Requires-Dist: {requires}\n" if requires else ""
    files = {
        f"{name}.py": f"VERSION = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{need}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: x\n"
        "Root-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{file},,\n" for file in files) + f"{info}/RECORD,,\n"
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(file, text)
    return path


class Place:
    """A home, a job's folder, a folder of wheels and a submitter with packages of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home = root / "home"
        self.job = root / "job"
        self.wheels = root / "wheels"
        self.job.mkdir()
        self.wheels.mkdir()
        self.log = b""
        self.submitter = root / "submitter"
        self.uv("venv", "-q", "--python", sys.executable, str(self.submitter))

    def uv(self, *arguments: str) -> None:
        env = {**os.environ, "UV_CACHE_DIR": str(self.home / "cache" / "uv")}
        subprocess.run([installer.find_uv(), *arguments], env=env, check=True, capture_output=True)

    def give_submitter(self, name: str, version: str, requires: str = "") -> None:
        wheel = make_wheel(self.wheels, name, version, requires)
        python = str(self.submitter / "bin/python")
        self.uv("pip", "install", "--no-deps", "--offline", "--python", python, str(wheel))

    @property
    def info(self) -> InterpreterInfo:
        return interpreter_identity(str(self.submitter / "bin/python"), self.home / "cache")

    def require(self, *lines: str, index: bool = False) -> Path:
        path = self.job / "requirements.txt"
        head = [] if index else ["--no-index", f"--find-links {self.wheels}"]
        path.write_text("\n".join([*head, *lines]) + "\n")
        return path

    def write(self, chunk: bytes) -> None:
        self.log += chunk

    def prepare(self, path: Path | None, job_key: str = "code", stop_fd: int = -1) -> Prepared:
        return prepare(path, self.info, self.home, self.job, job_key, self.write, stop_fd=stop_fd)

    def envs(self) -> list[Path]:
        return [path for path in (self.home / "envs").glob("*") if path.is_dir()]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def in_python(prepared: Prepared, code: str) -> str:
    done = subprocess.run(
        [prepared.python, "-c", code], check=True, capture_output=True, text=True, cwd="/"
    )
    return done.stdout.strip()


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# --- interpreters


def test_an_interpreter_is_described(tmp_path: Path) -> None:
    info = interpreter_identity(sys.executable, tmp_path)
    assert info.version == ".".join(map(str, sys.version_info[:3]))
    assert info.prefix == sys.prefix
    assert info.implementation == "CPython"
    assert all(os.path.isdir(folder) for folder in info.site_packages)
    assert info.site_packages


def test_the_second_look_starts_no_process(tmp_path: Path) -> None:
    python = tmp_path / "python"
    count = tmp_path / "count"
    python.write_text(f'#!/bin/sh\necho >> {count}\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    first = interpreter_identity(str(python), tmp_path / "cache")
    assert interpreter_identity(str(python), tmp_path / "cache") == first
    assert count.read_text() == "\n"
    python.write_text(python.read_text() + "# changed\n")
    interpreter_identity(str(python), tmp_path / "cache")
    assert count.read_text() == "\n\n"


def test_two_environments_of_one_base_are_two_interpreters(place: Place) -> None:
    base = interpreter_identity(os.path.realpath(sys.executable), place.home / "cache")
    assert place.info.prefix == str(place.submitter)
    assert base.prefix != place.info.prefix


def test_a_damaged_note_is_asked_again(tmp_path: Path) -> None:
    first = interpreter_identity(sys.executable, tmp_path)
    (note,) = (tmp_path / "interpreters").iterdir()
    note.write_text("{")
    assert interpreter_identity(sys.executable, tmp_path) == first


@pytest.mark.parametrize(
    ("content", "mode", "says"),
    [
        (None, 0, "does not exist"),
        ("#!/bin/sh\n", 0o644, "may not be executed"),
        ("#!/bin/sh\necho not me >&2; exit 1\n", 0o755, "is not a Python 3 .*not me"),
        ("#!/no/such\n", 0o755, "cannot be run"),
    ],
)
def test_what_is_no_interpreter_is_refused(
    tmp_path: Path, content: str | None, mode: int, says: str
) -> None:
    python = tmp_path / "python"
    if content is not None:
        python.write_text(content)
        python.chmod(mode)
    with pytest.raises(StartFailed, match=says):
        interpreter_identity(str(python), tmp_path)


def test_packages_are_listed_by_normalised_name(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    for entry in ("Ruamel.Yaml-0.17.dist-info", "~six-1.0.dist-info", "six-1.15.0.dist-info"):
        (first / entry).mkdir(parents=True)
    (second / "six-1.16.0.dist-info").mkdir(parents=True)
    (second / "old_style-2.0-py3.11.egg-info").touch()
    (second / "dev.egg-info").mkdir()
    (second / "dev.egg-info/PKG-INFO").write_text("Name: dev\nVersion: 0.1\n")
    info = InterpreterInfo("", "", "", "", (str(first), str(second), str(tmp_path / "gone")))
    assert packages(info) == {
        "dev": "0.1", "old-style": "2.0", "ruamel-yaml": "0.17", "six": "1.15.0",
    }  # fmt: skip
    (first / "new-1.dist-info").mkdir()
    os.utime(first, ns=(1, 1))
    assert packages(info)["new"] == "1"


def test_packages_agree_with_importlib(tmp_path: Path) -> None:
    info = interpreter_identity(sys.executable, tmp_path)
    listing = "[(d.name, d.version) for d in m.distributions()]"
    code = f"import json, importlib.metadata as m; print(json.dumps({listing}))"
    listed = json.loads(subprocess.check_output([sys.executable, "-I", "-c", code]))
    normal = {name.lower().replace("_", "-").replace(".", "-"): v for name, v in listed}
    assert packages(info) == normal


# --- banner


def test_the_banner_is_120_wide() -> None:
    assert banner("No user requirements found.").decode().splitlines() == [
        "=" * 120, "No user requirements found.", "=" * 120,
    ]  # fmt: skip


# --- environments


def test_without_requirements_the_submitters_interpreter_serves(place: Place) -> None:
    prepared = place.prepare(None)
    assert prepared.python == place.info.executable
    assert prepared.path_prefix == str(place.submitter / "bin")
    empty = place.require(index=True)
    empty.write_text("# nothing\n\n")
    assert place.prepare(empty) == prepared
    assert not (place.home / "envs").exists()


def test_the_environment_lies_on_top_of_the_submitters(place: Place) -> None:
    place.give_submitter("mine", "1.0")
    place.give_submitter("both", "1.0")
    make_wheel(place.wheels, "both", "2.0")
    prepared = place.prepare(place.require("both==2.0"))
    assert not prepared.cached
    code = "import mine, both; print(mine.VERSION, both.VERSION)"
    assert in_python(prepared, code) == "1.0 2.0"
    assert b"both==2.0" in place.log
    assert packages(prepared.info) == {"mine": "1.0", "both": "2.0"}
    metadata = "import importlib.metadata as m; print(m.version('mine'), m.version('both'))"
    assert in_python(prepared, metadata) == "1.0 2.0"
    # The submitter's own environment is as it was.
    assert packages(place.info) == {"mine": "1.0", "both": "1.0"}
    assert (place.submitter / "lib").exists()
    assert prepared.path_prefix.split(":")[1] == str(place.submitter / "bin")


def test_what_the_submitter_has_is_not_installed_again(place: Place) -> None:
    place.give_submitter("base", "1.0")
    make_wheel(place.wheels, "base", "9.0")
    make_wheel(place.wheels, "top", "1.0", requires="base")
    prepared = place.prepare(place.require("top"))
    own = Path(prepared.info.site_packages[0])
    assert not list(own.glob("base*")), "an install into the submitter's environment keeps it too"
    assert in_python(prepared, "import top, base; print(base.VERSION)") == "1.0"


def test_path_files_of_the_submitter_work(place: Place) -> None:
    (place.root / "project").mkdir()
    (place.root / "project/editable_module.py").write_text("")
    site = Path(place.info.site_packages[0])
    (site / "project.pth").write_text(str(place.root / "project") + "\n")
    make_wheel(place.wheels, "top", "1.0")
    in_python(place.prepare(place.require("top")), "import editable_module, top")


def test_a_submitter_that_has_everything_is_used_itself(place: Place) -> None:
    place.give_submitter("mine", "1.0")
    path = place.require("mine>=1")
    prepared = place.prepare(path)
    assert prepared.python == place.info.executable
    assert place.envs() == []
    assert not prepared.cached
    assert place.prepare(path).cached
    # It no longer has everything: the remembered answer does not count any more.
    place.uv("pip", "uninstall", "--python", str(place.submitter / "bin/python"), "mine")
    assert place.prepare(path).python != place.info.executable


def test_the_second_time_starts_no_process(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    make_wheel(place.wheels, "top", "1.0")
    path = place.require("top")
    assert find_prepared(path, place.info, place.home, place.job, "code") is None
    first = place.prepare(path)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    second = place.prepare(path, job_key="other code")
    assert second.cached
    assert second.python == first.python
    assert find_prepared(path, place.info, place.home, place.job, "x") == second


def test_included_files_are_part_of_the_key(place: Place) -> None:
    make_wheel(place.wheels, "one", "1.0")
    make_wheel(place.wheels, "one", "2.0")
    (place.job / "sub").mkdir()
    (place.job / "sub/more.txt").write_text("-r most.txt\n-r ../requirements.txt\n")
    (place.job / "sub/most.txt").write_text("one==1.0\n")
    path = place.require("-r sub/more.txt")
    first = place.prepare(path)
    (place.job / "sub/most.txt").write_text("one==2.0\n")
    second = place.prepare(path)
    assert first.python != second.python
    assert in_python(second, "import one; print(one.VERSION)") == "2.0"


def test_parallel_jobs_build_once(place: Place) -> None:
    make_wheel(place.wheels, "top", "1.0")
    path = place.require("top")
    found: list[Prepared] = []
    info = place.info
    barrier = threading.Barrier(4)

    def one() -> None:
        barrier.wait()
        found.append(prepare(path, info, place.home, place.job, "code", place.write))

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({prepared.python for prepared in found}) == 1
    assert sorted(prepared.cached for prepared in found) == [False, True, True, True]
    assert place.log.count(b"+ top==1.0") == 1
    assert place.log.count(b"Waiting for another job") <= 3


def make_slow_source(place: Place) -> tuple[Path, Path]:
    """Put a source package into the job whose build goes on until a file exists."""
    mark, go = place.root / "building", place.root / "go"
    source = place.job / "slow"
    source.mkdir()
    backend = "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n"
    (source / "pyproject.toml").write_text(backend + "[project]\nname = 'slow'\nversion = '1'\n")
    (source / "backend.py").write_text(SLOW_BACKEND.format(mark=str(mark), go=str(go)))
    return mark, go


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_killed_build_is_ended_and_built_again(place: Place) -> None:
    mark, go = make_slow_source(place)
    path = place.require("./slow")
    code = (
        "import sys\nfrom pathlib import Path\nfrom atlas_runner.environment import *\n"
        "info = interpreter_identity(sys.argv[1], sys.argv[2] + '/cache')\n"
        "prepare(Path(sys.argv[3]), info, Path(sys.argv[2]), Path(sys.argv[4]), 'code', print)\n"
    )
    runner = subprocess.Popen(
        [sys.executable, "-c", code, place.info.executable, place.home, path, place.job],
        stdout=subprocess.DEVNULL,
    )
    wait_for(lambda: mark.exists() and mark.read_text())
    builder = int(mark.read_text())
    runner.send_signal(signal.SIGKILL)
    runner.wait()
    assert len(place.envs()) == 1, "half an environment is left"
    assert alive(builder), "and so is the installer"
    go.touch()
    in_python(place.prepare(path), "import slow")
    assert len(place.envs()) == 1


def test_a_stopped_build_leaves_nothing(place: Place) -> None:
    mark, _ = make_slow_source(place)
    path = place.require("./slow")
    reader, writer = os.pipe()

    def stop() -> None:
        wait_for(lambda: mark.exists() and mark.read_text())
        os.write(writer, b"x")

    thread = threading.Thread(target=stop)
    thread.start()
    with pytest.raises(PreparationStopped):
        place.prepare(path, stop_fd=reader)
    thread.join()
    os.close(reader)
    os.close(writer)
    assert place.envs() == []
    wait_for(lambda: not alive(int(mark.read_text())))


def test_local_packages_are_shared_only_with_the_same_code(place: Place) -> None:
    _, go = make_slow_source(place)
    go.touch()
    path = place.require("./slow")
    first = place.prepare(path, job_key="one")
    assert place.prepare(path, job_key="one").cached
    second = place.prepare(path, job_key="two")
    assert not second.cached
    assert second.python != first.python


@pytest.mark.parametrize(
    ("line", "local", "unshared"),
    [
        ("six", False, False),
        ("six==1.0; python_version < '3'  # ./comment", False, False),
        ("-e .", True, True),
        ("--editable=./pkg", True, True),
        ("./pkg", True, False),
        ("./pkg[extra] ; python_version > '3'", True, False),
        ("pkg/", True, False),
        ("pkg-1-py3-none-any.whl", True, False),
        ("pkg @ file:./pkg", True, False),
        ("pkg[a,b]@./pkg", True, False),
        ("/usr", True, True),
        ("../other", True, True),
        ("file:///usr/lib", True, True),
        ("git+ssh://git@example.org/a/b@main", False, False),
        ("pkg @ https://example.org/pkg-1.tar.gz#sha256=0", False, False),
        ("https://example.org/pkg-1.whl", False, False),
        ("--index-url https://example.org/a", False, False),
        ("--find-links wheels", True, False),
        ("-f /opt/wheels", False, False),
        ("six \\\n --hash=sha256:00", False, False),
    ],
)
def test_lines_that_name_local_files_are_known(
    tmp_path: Path, line: str, local: bool, unshared: bool
) -> None:
    path = tmp_path / "requirements.txt"
    path.write_text(line + "\n")
    read = read_requirements(path, tmp_path)
    assert not read.empty
    assert (read.local, read.unshared) == (local, unshared)


def test_editable_packages_work_and_are_never_shared(place: Place) -> None:
    make_slow_source(place)
    (place.job / "slow/slow.py").write_text("")
    prepared = place.prepare(place.require("-e ./slow"))
    code = "import slow; print(slow.__file__)"
    assert in_python(prepared, code) == str(place.job / "slow/slow.py")
    place.job.rename(place.root / "other")
    place.job = place.root / "other"
    assert not place.prepare(place.job / "requirements.txt").cached


def test_a_failed_install_says_what_uv_said_and_leaves_nothing(place: Place) -> None:
    with pytest.raises(RequirementsFailed, match="no-such-package") as failed:
        place.prepare(place.require("no-such-package==1.0"))
    assert failed.value.code == "requirements_failed"
    assert "No solution found" in failed.value.message
    assert b"no-such-package" in place.log
    assert place.envs() == []


def test_a_line_that_cannot_be_read_is_shown(place: Place) -> None:
    with pytest.raises(RequirementsFailed, match="=>"):
        place.prepare(place.require("six=>1"))


def test_a_missing_file_is_named(place: Place) -> None:
    with pytest.raises(RequirementsFailed, match=r"gone\.txt cannot be read"):
        place.prepare(place.job / "gone.txt")


def test_an_environment_whose_interpreter_went_away_is_built_again(place: Place) -> None:
    make_wheel(place.wheels, "top", "1.0")
    path = place.require("top")
    first = place.prepare(path)
    os.unlink(first.python)
    assert not place.prepare(path).cached
    in_python(first, "import top")


def test_a_package_from_the_index(place: Place) -> None:
    prepared = place.prepare(place.require("six==1.16.0", index=True))
    assert in_python(prepared, "import six; print(six.__version__)") == "1.16.0"
    assert list(Path(prepared.info.site_packages[0]).glob("__pycache__/six*.pyc"))


# --- settings


def test_pips_settings_count_where_uvs_are_not_set(place: Place, tmp_path: Path) -> None:
    conf = tmp_path / "pip.conf"
    conf.write_text(
        "[global]\nindex-url = https://file\nextra-index-url =\n  https://a\n  https://b\n"
    )
    env = {"PIP_CONFIG_FILE": str(conf), "PIP_FIND_LINKS": "/x /y", "VIRTUAL_ENV": "/z"}
    found = installer.settings(env, place.home, place.info.prefix)
    assert found["UV_INDEX_URL"] == "https://file"
    assert found["UV_EXTRA_INDEX_URL"] == "https://a https://b"
    assert found["UV_INDEX_STRATEGY"] == "unsafe-best-match", "as pip chooses"
    assert found["UV_FIND_LINKS"] == "/x,/y"
    assert found["UV_PYTHON_DOWNLOADS"] == "never"
    assert "VIRTUAL_ENV" not in found
    env |= {"PIP_INDEX_URL": "https://variable", "UV_EXTRA_INDEX_URL": "https://own"}
    found = installer.settings(env, place.home, place.info.prefix)
    assert found["UV_INDEX_URL"] == "https://variable"
    assert found["UV_EXTRA_INDEX_URL"] == "https://own"
    assert "UV_INDEX_STRATEGY" not in found
    own = installer.settings(
        {"UV_DEFAULT_INDEX": "https://d", **env}, place.home, place.info.prefix
    )
    assert "UV_INDEX_URL" not in own


def test_pips_index_is_really_used(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    make_wheel(place.wheels, "only_here", "1.0")
    monkeypatch.setenv("PIP_FIND_LINKS", str(place.wheels))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    in_python(place.prepare(place.require("only-here", index=True)), "import only_here")


def test_the_marker_of_a_bound_environment_names_its_folder(place: Place) -> None:
    outside = place.root / "outside"
    make_slow_source(place)[1].touch()
    (place.job / "slow").rename(outside)
    place.prepare(place.require("../outside"))
    (env,) = place.envs()
    assert json.loads((env / ".atlas-complete").read_text())["bound_to"] == str(place.job)

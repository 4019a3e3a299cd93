"""`foundations init`: a new project folder."""

from __future__ import annotations

import os
import re
import runpy

import pytest

from foundations.cli.init import init_project
from foundations.cli.main import main
from foundations.errors import ConfigError


def tree(folder):
    """Every path below `folder`, with the content of files and the targets of links."""
    found = {}
    for where, folders, files in os.walk(str(folder)):
        for name in folders:
            found[os.path.relpath(os.path.join(where, name), str(folder))] = None
        for name in files:
            path = os.path.join(where, name)
            shown = os.path.relpath(path, str(folder))
            if os.path.islink(path):
                found[shown] = os.readlink(path)
            else:
                with open(path, "rb") as file:
                    found[shown] = file.read()
    return found


def config_of(path):
    yaml = pytest.importorskip("yaml")
    with open(os.path.join(path, "job.config.yaml"), encoding="utf-8") as file:
        return yaml.safe_load(file)


def test_a_project_has_the_files_of_the_template(tmp_path):
    path = init_project("my_project", str(tmp_path))
    assert path == str(tmp_path / "my_project")
    assert sorted(tree(path)) == ["README.txt", "data", "data/.keep", "job.config.yaml", "main.py"]


@pytest.mark.parametrize("name", ["my_project", 'it\'s "quoted" \\ #1: {x}', "naïve 模型", "yes"])
def test_the_project_is_named_after_its_folder(tmp_path, name):
    assert config_of(init_project(name, str(tmp_path))) == {
        "project_name": name,
        "log_level": "INFO",
    }


def test_every_key_in_a_comment_is_yaml_once_uncommented(tmp_path):
    yaml = pytest.importorskip("yaml")
    path = init_project("p", str(tmp_path))
    with open(os.path.join(path, "job.config.yaml"), encoding="utf-8") as file:
        lines = file.read().splitlines()
    keys = [line[2:] for line in lines if re.match(r"# +\S+:( |$)", line)]
    config = yaml.safe_load("\n".join(keys))
    assert set(config) == {
        "name", "tags", "params", "priority", "timeout", "retries",
        "install_requirements", "num_gpus", "num_cpus", "ram", "entrypoint", "worker",
        "executor", "partition", "account", "qos", "constraint", "sbatch", "pilot",
    }  # fmt: skip
    assert set(config["worker"]) == {
        "image", "entrypoint", "command", "working_dir", "volumes", "environment", "shm_size",
    }  # fmt: skip


def test_a_name_of_several_parts_makes_the_parents(tmp_path):
    path = init_project("team/vision/./first", str(tmp_path))
    assert path == str(tmp_path / "team" / "vision" / "first")
    assert config_of(path)["project_name"] == "first"


@pytest.mark.parametrize("kind", ["folder", "file", "dangling link"])
def test_what_exists_is_not_touched(tmp_path, kind):
    target = tmp_path / "taken"
    if kind == "folder":
        target.mkdir()
        (target / "mine.txt").write_text("mine")
    elif kind == "file":
        target.write_text("mine")
    else:
        target.symlink_to("nowhere")
    before = tree(tmp_path)
    with pytest.raises(ConfigError, match=r"'.*taken' already exists"):
        init_project("taken", str(tmp_path))
    assert tree(tmp_path) == before
    assert not (tmp_path / "nowhere").exists()


def test_a_file_in_the_place_of_a_parent(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ConfigError, match="file"):
        init_project("file/project", str(tmp_path))
    assert tree(tmp_path) == {"file": b"mine"}


@pytest.mark.parametrize("name", ["", "  ", ".", "./", "/", "/tmp/x", "..", "../x", "a/../../x"])
def test_a_name_that_is_none_or_leaves_the_directory(tmp_path, name):
    inside = tmp_path / "inside"
    inside.mkdir()
    with pytest.raises(ConfigError):
        init_project(name, str(inside))
    assert tree(tmp_path) == {"inside": None}


@pytest.mark.parametrize("name", ["a\0b", "a\nb", "a\x1b[31m", "\udcff"])
def test_a_name_that_does_not_print(tmp_path, name):
    with pytest.raises(ConfigError, match="do not print"):
        init_project(name, str(tmp_path))
    assert tree(tmp_path) == {}


def test_a_name_that_is_too_long_for_the_disk(tmp_path):
    with pytest.raises(ConfigError, match="cannot be made"):
        init_project("x" * 300, str(tmp_path))
    assert tree(tmp_path) == {}


@pytest.mark.filterwarnings("ignore")
def test_the_script_runs_by_hand(tmp_path, monkeypatch):
    pytest.importorskip("foundations.tracking")
    path = init_project("by_hand", str(tmp_path))
    monkeypatch.setenv("FOUNDATIONS_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(path)
    runpy.run_path("main.py", run_name="__main__")


def test_the_script_takes_what_it_is_given(tmp_path, monkeypatch):
    logged = {}
    path = init_project("given", str(tmp_path))
    monkeypatch.setenv("FOUNDATIONS_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(path)
    monkeypatch.setattr("foundations.log_params", logged.update)
    monkeypatch.setattr("foundations.log_metric", lambda *_, **__: None)
    monkeypatch.setattr("foundations.save_artifact", lambda *_: None)
    with open("foundations_job_parameters.json", "w", encoding="utf-8") as file:
        file.write('{"depth": 7}')
    params = runpy.run_path("main.py", run_name="__main__")["params"]
    assert params == logged
    assert (params["depth"], params["epochs"]) == (7, 5)


def test_what_to_type_next_is_quoted_for_the_shell(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["init", "a b/c"]) == 0
    assert "cd 'a b/c'\n" in capsys.readouterr().out

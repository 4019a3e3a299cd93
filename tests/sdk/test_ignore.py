"""`.foundationsignore` means what git makes of the same lines in a `.gitignore`."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Dict, List, Set

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foundations.bundle import ignore
from foundations.bundle.ignore import Rules

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")

FOLDERS = ["a", "b", "a/b", "a/b/c", "a b", "b/a"]
NAMES = ["a", "ab.c", "x.pyc", "[a]", "a-b", "!a", "#a", "c ", "a\\b", "*"]
TREE = {folder: [f"{folder}/{name}x" for name in NAMES] for folder in FOLDERS}
FILES = [f"{name}x" for name in NAMES] + [path for paths in TREE.values() for path in paths]


def ignored(rules: Dict[str, str], files: List[str] = FILES) -> Set[str]:
    """Walk as the scan does and return every path that stays behind, from the top down."""
    folders = {"": Rules(rules.get("", ""))}
    gone: Set[str] = set()
    for file in sorted(files, key=lambda path: path.count("/")):
        parts = file.split("/")
        for depth in range(1, len(parts) + 1):
            path, name = "/".join(parts[:depth]), parts[depth - 1]
            parent = "/".join(parts[: depth - 1])
            above, is_folder = folders[parent], depth < len(parts)
            if parent in gone or above.ignores(path, name, is_folder):
                gone.add(path)
            if is_folder and path not in folders:
                folders[path] = Rules(rules.get(path, ""), path, above)
    return gone


def ignored_by_git(top: Path, rules: Dict[str, str], files: List[str] = FILES) -> Set[str]:
    repository = Path(str(top)) / "repo"
    defaults = Path(str(top)) / "defaults"
    if not repository.exists():
        subprocess.run(["git", "init", "-q", str(repository)], check=True)
        defaults.write_text("\n".join([*sorted(ignore.DEFAULT_NAMES), "*.pyc"]))
        for path in files:
            (repository / path).parent.mkdir(parents=True, exist_ok=True)
            (repository / path).touch()
    for old in repository.rglob(".gitignore"):
        old.unlink()
    for folder, text in rules.items():
        (repository / folder / ".gitignore").write_bytes(text.encode("utf-8", "surrogateescape"))
    paths = {"/".join(file.split("/")[:n]) for file in files for n in range(1, 9)}
    answer = subprocess.run(
        ["git", "-c", f"core.excludesFile={defaults}", "check-ignore", "--no-index", "--stdin"]
        + ["-z"],
        cwd=str(repository),
        input="\0".join(sorted(paths)).encode("utf-8", "surrogateescape"),
        stdout=subprocess.PIPE,
        check=False,
        env={**os.environ, "LC_ALL": "C.UTF-8", "GIT_CONFIG_NOSYSTEM": "1"},
    )
    assert answer.returncode in (0, 1)
    return set(answer.stdout.decode("utf-8", "surrogateescape").split("\0")) - {""}


ATOMS = st.sampled_from(
    ["a", "b", "c", "x", ".", "-", " ", "*", "?", "\\", "!", "#", "[", "]", "[ab]", "[!a]", "[a-c]"]
    + ["[^b-]", "[[:alpha:]]", "[[:punct:]]", "[]a]", "[\\]]", "\\*", "*x", "*.pyc", "a/b", "x.pyc"]
)
SEGMENT = st.lists(ATOMS, min_size=1, max_size=4).map("".join)
STARS = st.just("**")
GLOB = st.lists(st.one_of(SEGMENT, SEGMENT, STARS), min_size=1, max_size=4).map("/".join)
LINE = st.builds(
    "{}{}{}{}{}".format,
    st.sampled_from(["", "", "", "!", "#", " "]),
    st.sampled_from(["", "", "/"]),
    GLOB,
    st.sampled_from(["", "", "/", "/**", "/*"]),
    st.sampled_from(["", "", " ", "  ", "\\ ", "\\  ", "\r", "\t"]),
)
TEXT = st.lists(LINE, max_size=5).map("\n".join)


@needs_git
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.dictionaries(st.sampled_from(["", "a", "a/b", "b"]), TEXT, max_size=3))
def test_agrees_with_git(tmp_path: Path, rules: Dict[str, str]) -> None:
    assert ignored(rules) == ignored_by_git(tmp_path, rules)


@needs_git
@pytest.mark.parametrize(
    "text",
    [
        "*\n!*/\n!*.cx",
        "/a\n!/a/b",
        "a/*\n!a/b\n",
        "a/**/ax",
        "**/b/**",
        "\ufeffab.cx",
        "a b/",
        "\\#ax\n\\!ax",
        "cx \ncx\\ ",
        "*.pycx\n!a/*.pycx",
        "[a",
        "a\\",
        "/",
        "//",
        "!",
        "b/**/",
        "**",
        "***/ax",
        "a/***",
        "[z-a]x",
        "[[:nope:]]x",
        "[[:]x",
        "[a-]x\n",
        "\\**",
        "\\\\ \n",
        "a\\\\bx",
    ],
)
def test_agrees_with_git_on_the_corners(tmp_path: Path, text: str) -> None:
    assert ignored({"": text}) == ignored_by_git(tmp_path, {"": text})


def test_defaults_stay_behind_without_any_ignore_file() -> None:
    rules = Rules()
    for name in sorted(ignore.DEFAULT_NAMES):
        assert rules.ignores(name, name, True)
    assert rules.ignores("src/m.pyc", "m.pyc", False)
    assert not rules.ignores("data", "data", True)
    assert not rules.ignores(".gitignore", ".gitignore", False)


def test_a_negated_line_brings_a_default_back() -> None:
    rules = Rules("!.git\n!*.pyc\n!/venv/\n")
    assert not rules.ignores(".git", ".git", True)
    assert not rules.ignores("a/m.pyc", "m.pyc", False)
    assert rules.ignores(".hg", ".hg", True)
    assert not rules.ignores_environment("venv", "venv", {"pyvenv.cfg"})
    assert rules.ignores_environment("env", "env", {"pyvenv.cfg"})
    assert rules.ignores_environment("conda", "conda", {"conda-meta", "bin"})
    assert not rules.ignores_environment("src", "src", {"main.py"})


def test_names_that_are_not_utf8_and_names_with_newlines() -> None:
    rules = Rules("*.tmp\n?\n")
    assert rules.ignores("\udcff.tmp", "\udcff.tmp", False)
    assert rules.ignores("\udcff", "\udcff", False)
    assert rules.ignores("\n", "\n", False)
    assert not rules.ignores("a\n", "a\n", False)

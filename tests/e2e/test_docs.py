"""What README.md and docs/ tell people to type works, and nothing is left out."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.live import LiveServer

import foundations
from atlas_server.config import ServerConfig
from foundations import config
from foundations.cli.main import COMMANDS
from foundations.contract import environment
from foundations.contract.worker_options import OPTIONS, PRIVILEGE, REFUSED

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LINKED = [
    *DOCUMENTS,
    ROOT / "CONTRIBUTING.md",
    ROOT / "bench" / "README.md",
    *sorted((ROOT / "worker_images").glob("*/README.md")),
]
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_NAMED_FILE = re.compile(r"\(`([\w.]+\.(?:py|yaml))`\)")
_OPTION = re.compile(r"--[a-z][a-z_-]+")


class Block(NamedTuple):
    """Something to type; `before` is the paragraph that introduces it."""

    language: str
    text: str
    before: str


def name_of(document: Path) -> str:
    return str(document.relative_to(ROOT))


def blocks(document: Path) -> list[Block]:
    text = document.read_text()
    return [
        Block(found[1], found[2], text[: found.start()].strip().rpartition("\n\n")[2])
        for found in _BLOCK.finditer(text)
        if found[1] in ("bash", "python", "yaml")
    ]


def script_of(document: Path, scratch: Path) -> str:
    """One shell script of all blocks: Python and YAML are written to the file that the text names;
    Python is run as a job where it names none.
    """
    parts = ["set -eu -o pipefail", f"cd {scratch}"]
    for number, block in enumerate(blocks(document)):
        # So that a failure says how far it came.
        parts.append(f"echo '=== block {number}'")
        if block.language == "bash":
            parts.append(block.text)
            continue
        named = _NAMED_FILE.search(block.before)
        if named:
            (scratch / named[1]).write_text(block.text)
        elif block.language == "python":
            folder = scratch / f"job{number}"
            folder.mkdir()
            (folder / "main.py").write_text(block.text)
            (folder / "model.bin").write_bytes(b"model")
            params = "'{\"epochs\": 2}'"
            parts.append(f"foundations submit --params {params} scheduler {folder} main.py")
    return "\n".join(parts)


def needs_docker(document: Path) -> bool:
    return any("build-worker" in block.text for block in blocks(document))


def needs_slurm(document: Path) -> bool:
    return any("--executor slurm" in block.text for block in blocks(document))


@pytest.fixture
def cluster(request: pytest.FixtureRequest, document: Path) -> dict[str, str]:
    """The variable that names Slurm's configuration, where a cluster is used."""
    if not needs_slurm(document):
        return {}
    return {"SLURM_CONF": str(request.getfixturevalue("slurm").conf)}


@pytest.fixture
def base_image(request: pytest.FixtureRequest, document: Path) -> Iterator[dict[str, str]]:
    """The variable that names a base image on this machine, where one is built upon."""
    if not needs_docker(document):
        yield {}
        return
    import docker

    yield {"FOUNDATIONS_WORKER_BASE": request.getfixturevalue("image")("python")}
    with (
        contextlib.closing(docker.from_env()) as client,
        contextlib.suppress(docker.errors.NotFound),
    ):
        client.images.remove("my-project-worker", force=True)


def needs_postgres(document: Path) -> bool:
    return any("postgresql://" in block.text for block in blocks(document))


@pytest.fixture
def postgres(request: pytest.FixtureRequest, document: Path) -> dict[str, str]:
    """How libpq finds a cluster of the test's own, as it finds the reader's."""
    if not needs_postgres(document):
        return {}
    cluster = request.getfixturevalue("own_cluster")
    return {"PGHOST": str(cluster.folder), "PGUSER": cluster.user}


def marks_of(document: Path) -> list[pytest.MarkDecorator]:
    needs = {"docker": needs_docker(document), "postgres": needs_postgres(document)}
    needs["slurm"] = needs_slurm(document)
    return [getattr(pytest.mark, name) for name, needed in needs.items() if needed]


@pytest.mark.parametrize(
    "document",
    [pytest.param(path, marks=marks_of(path)) for path in DOCUMENTS if blocks(path)],
    ids=name_of,
)
def test_blocks_work_in_order(document, base_image, cluster, postgres, tmp_path):
    shell = shutil.which("bash")
    assert shell is not None
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    programs = Path(sys.executable).parent
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    services = {**base_image, **cluster, **postgres}
    server = LiveServer(tmp_path, cpus=4, environment={"PATH": path, **services})
    # As for the readers: what they do not set is not set.
    for setting in ("CPUS", "HEARTBEAT", "LEASE", "GRACE"):
        del server.env["ATLAS_" + setting]
    assert (programs / "foundations").exists(), "the commands are not installed beside Python"
    try:
        script = tmp_path / "typed.sh"
        script.write_text(script_of(document, scratch))
        done = server._run([shell, str(script)], cwd=scratch)
    finally:
        server.close()
    assert done.code == 0, f"{done.out[-3000:]}\n{done.err[-3000:]}\n{server.log()[-2000:]}"
    assert "Traceback" not in done.out + done.err


def test_every_name_of_the_sdk_is_described():
    described = (ROOT / "docs" / "sdk.md").read_text()
    names = set(foundations.__all__) - {"__version__"}
    assert {name for name in names if not re.search(rf"\b{name}\b", described)} == set()


@pytest.mark.parametrize("document", LINKED, ids=name_of)
def test_links_lead_somewhere(document):
    for link in _LINK.findall(document.read_text()):
        if "://" in link:
            continue
        path, _, place = link.partition("#")
        target = document.parent / path if path else document
        assert target.exists(), link
        if place:
            headings = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
            anchors = {
                re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in headings
            }
            assert place in anchors, link


@pytest.fixture(scope="module")
def everything() -> str:
    return "\n".join(document.read_text() for document in DOCUMENTS)


def help_of(tmp_path: Path, *words: str) -> str:
    done = LiveServer(tmp_path).cli(*words, "--help")
    assert done.code == 0
    return done.out


@pytest.mark.parametrize("command", COMMANDS)
def test_command_has_a_section_with_all_its_options(command, tmp_path):
    text = (ROOT / "docs" / "commands.md").read_text()
    found = re.search(rf"^## {command}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"docs/commands.md has no section {command}"
    section = found[1] + text[: text.index("\n## ")]
    kinds = ["logs", "job", "artifacts"] if command == "get" else [None]
    for kind in kinds:
        shown = help_of(tmp_path, command, *([kind] if kind else []))
        usage = shown.partition("\nexamples:")[0].partition("\nexample:")[0]
        for option in set(_OPTION.findall(usage)) - {"--help", "--save-dir", "--source-dir"}:
            assert option in section, f"{command} {option}"
    assert "```bash" in found[1]


def test_server_command_has_a_section_with_all_its_options(tmp_path):
    text = (ROOT / "docs" / "commands.md").read_text()
    server = LiveServer(tmp_path)
    for words in ([], ["start"], ["status"], ["logs"]):
        shown = server.server_command(*words, "--help").out
        old = {"--help", "--dashboard-port", "--enable-gpu"}
        for option in set(_OPTION.findall(shown)) - old:
            assert option in text, option


def test_every_setting_is_described(everything):
    for field in fields(ServerConfig):
        if field.name == "home":
            continue
        assert f"| `{field.name}` |" in everything
        if field.name != "visible_gpus":
            assert f"`ATLAS_{field.name.upper()}`" in everything


def test_every_key_of_the_job_config_is_described(everything):
    for key in config._JOB_KEYS:
        assert f"| `{key}` |" in everything
    for key in {**OPTIONS, **REFUSED}:
        assert f"`{key}`" in (ROOT / "docs" / "worker.md").read_text(), key


def test_every_privilege_is_marked():
    text = (ROOT / "docs" / "worker.md").read_text()
    marked = set(re.findall(r"`(\w+)`\\\*", text))
    assert marked == {name for name, option in OPTIONS.items() if option.asks == PRIVILEGE}


def test_every_variable_is_described(everything):
    for name in (
        environment.JOB_ID, environment.PROJECT_NAME, environment.USER, environment.HOME,
        environment.ATTEMPT_DIR,
    ):  # fmt: skip
        assert f"`{name}`" in everything
    source = "\n".join(path.read_text() for path in (ROOT / "src" / "foundations").rglob("*.py"))
    for name in re.findall(r"environ(?:\.get\(|\[)\"([A-Z_]{5,})\"", source):
        # These mean what they mean to every program.
        if name in ("COLUMNS", "SHELL", "LOGNAME", "_ARGCOMPLETE"):
            continue
        if not name.startswith(("XDG_", "PIP_")):
            assert f"`{name}`" in everything, name

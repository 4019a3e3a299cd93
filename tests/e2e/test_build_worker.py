"""`foundations build-worker`, with a real engine, pip and package index."""

from __future__ import annotations

import contextlib
import io
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import NotFound
from tests.engines import until
from tests.package_index import PASSWORD, PackageIndex

from foundations.cli.job_config_edit import set_worker_image
from foundations.errors import ConfigError

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]


@pytest.fixture
def engine() -> Iterator[docker.DockerClient]:
    with contextlib.closing(docker.from_env()) as client:
        yield client


@pytest.fixture
def index(tmp_path: Path) -> Iterator[PackageIndex]:
    with PackageIndex(tmp_path / "packages") as index:
        index.add("greeting", module="WORD = 'hello'\n")
        yield index


@pytest.fixture
def built(atlas: Any, index: PackageIndex, engine: docker.DockerClient) -> Iterator[Builds]:
    builds = Builds(atlas, index, engine)
    yield builds
    builds.forget()


class Builds:
    """Builds of one image, which is removed in the end with the bases that were made for it."""

    def __init__(self, atlas: Any, index: PackageIndex, engine: docker.DockerClient) -> None:
        self.atlas = atlas
        self.index = index
        self.engine = engine
        self.tag = f"atlas-test/built-{secrets.token_hex(4)}"
        self._bases: list[str] = []
        self._made: set[str] = set()

    def base(self, image: str, *lines: str) -> str:
        """Return an image like `image` with a name that no other test has."""
        name = f"{self.tag}-base{len(self._bases)}"
        content = "\n".join([f"FROM {image}", *lines, ""]).encode()
        self.engine.images.build(fileobj=io.BytesIO(content), tag=name, rm=True)
        self._bases.append(name)
        return name

    def run(self, folder: Path, *options: str, **env: str) -> subprocess.CompletedProcess[str]:
        return self.atlas(
            "build-worker", str(folder), "--tag", self.tag, "--network", "host", *options,
            env={**self.index.settings, **env},
        )  # fmt: skip

    def well(self, folder: Path, *options: str, **env: str) -> str:
        done = self.run(folder, *options, **env)
        assert done.returncode == 0, done.stdout + done.stderr
        self._made.add(self.image().id)
        return done.stdout

    def say(self, program: str) -> str:
        """Run a Python program in the image."""
        return self.engine.containers.run(self.tag, ["-c", program], remove=True).decode().strip()

    def containers(self, base: str) -> list[Any]:
        """The containers in which something is installed into `base`."""
        named = {"label": f"atlas.worker.base={base}:latest"}
        return self.engine.containers.list(all=True, filters=named, sparse=True)

    def image(self) -> Any:
        return self.engine.images.get(self.tag)

    def forget(self) -> None:
        for name in (self.tag, *self._made, *self._bases):
            with contextlib.suppress(NotFound):
                self.engine.images.remove(name, force=True)


def project(atlas: Any, name: str, requirements: str = "greeting==1.0\n", **files: str) -> Path:
    folder = atlas.folder(name, main_py="import greeting; print(greeting.WORD)\n", **files)
    (folder / "requirements.txt").write_text(requirements)
    return folder


def test_jobs_run_in_the_image_with_nothing_to_install(atlas, built, image):
    folder = project(atlas, "building")
    base = built.base(image("python"))
    said = built.well(folder, "--base", base, "--write")
    assert "Successfully installed greeting-1.0" in said
    assert "job.config.yaml names it now" in said
    assert built.containers(base) == []

    done = atlas("submit", "scheduler", str(folder), "main.py")
    assert done.returncode == 0, done.stdout
    # The job's server knows nothing of the index: what it needs is there already.
    assert "hello\n" in done.stdout


def test_nothing_is_built_twice(atlas, built, image):
    folder = project(atlas, "unchanged")
    built.well(folder, "--base", image("python"))
    first = built.image().id
    assert "Nothing has changed" in built.well(folder, "--base", image("python"))
    assert built.image().id == first

    (folder / "requirements.txt").write_text("# other\ngreeting\n")
    assert built.well(folder, "--base", image("python"), "--quiet") == f"{built.tag}:latest\n"
    second = built.image().id
    assert second != first
    shown = json.loads(built.well(folder, "--base", image("python"), "--rebuild", "--json"))
    assert shown["id"] == built.image().id != second


def test_the_image_knows_no_password_and_has_no_traces(atlas, built, image, tmp_path):
    folder = project(atlas, "secretive")
    said = built.well(folder, "--base", image("python"), NO_PROXY="127.0.0.1,secret-of-tests")
    assert PASSWORD not in said
    base = built.engine.images.get(image("python"))
    assert built.image().attrs["Config"]["Env"] == base.attrs["Config"]["Env"]
    with (tmp_path / "image.tar").open("wb") as file:
        file.writelines(built.image().save())
    content = (tmp_path / "image.tar").read_bytes()
    for trace in (PASSWORD, "secret-of-tests", "atlas-build/"):
        assert trace.encode() not in content


def test_what_the_base_image_says_is_kept(atlas, built, image):
    built.well(project(atlas, "other-user"), "--base", image("user"))
    assert built.say("import greeting, os; print(greeting.WORD, os.getuid())") == "hello 1234"


def test_files_that_the_requirements_include_are_sent(atlas, built, image):
    folder = project(atlas, "including", "-r more/test.txt\n-c limits.txt  # old\n")
    (folder / "more").mkdir(exist_ok=True)
    (folder / "more" / "test.txt").write_text("greeting\n")
    (folder / "limits.txt").write_text("greeting<2\n")
    built.index.add("greeting", "2.0")
    assert "greeting-1.0" in built.well(folder, "--base", image("python"))

    (folder / "more" / "test.txt").write_text("-r ../../beside.txt\n")
    done = built.run(folder, "--base", image("python"))
    assert done.returncode == 1
    assert "requirements.txt includes ../beside.txt, which is not in its folder" in done.stderr


def test_pip_says_why_it_failed(atlas, built, image):
    base = built.base(image("python"))
    done = built.run(project(atlas, "unmet", "no-such-package==7\n"), "--base", base)
    assert done.returncode == 1
    assert f"Error: pip failed in {base}:latest: ERROR: No matching distribution" in done.stderr
    assert built.containers(base) == []
    with pytest.raises(NotFound):
        built.image()


@pytest.mark.parametrize(
    ("base", "complaint"),
    [
        ("no python", "has no Python to install requirements for."),
        ("no pip", "has no pip."),
        ("absent", "The image 127.0.0.1:9/absent:latest cannot be had: "),
    ],
)
def test_a_base_image_that_cannot_be_used(atlas, built, image, base, complaint):
    name = "127.0.0.1:9/absent"
    if base == "no python":
        name = built.base(image("busybox"))
    elif base == "no pip":
        name = built.base(image("python"), "RUN rm -r /usr/lib/python3/dist-packages/pip")
    done = built.run(project(atlas, "unusable"), "--base", name)
    assert done.returncode == 1
    assert complaint in done.stderr
    assert built.containers(name) == []


def test_without_an_engine(atlas, built, tmp_path):
    nowhere = f"unix://{tmp_path}/no.sock"
    done = built.run(project(atlas, "lonely"), DOCKER_HOST=nowhere)
    assert done.returncode == 1
    assert f"No container engine answers at {nowhere}: no such file" in done.stderr
    assert "apt-get install docker.io" in done.stderr


def test_names_that_no_image_can_have(atlas, built):
    folder = project(atlas, "misnamed")
    for name in ("myCustomWorker", "none", "worker@sha256:" + "0" * 64):
        done = atlas("build-worker", str(folder), "--tag", name)
        assert done.returncode == 1
        assert "Error: --tag: " in done.stderr


def test_a_dockerfile_of_ones_own(atlas, built, image):
    folder = project(atlas, "dockerfile")
    (folder / "word.txt").write_text("from the folder")
    (folder / "Dockerfile").write_text(
        f'FROM {image("python")}\nCOPY word.txt /word\nENTRYPOINT ["python3"]\n'
    )
    assert "Successfully tagged" in built.well(folder, "--file", "Dockerfile")
    assert built.say("print(open('/word').read())") == "from the folder"

    (folder / "Dockerfile").write_text(f"FROM {image('python')}\nRUN echo why >&2; exit 3\n")
    done = built.run(folder, "--file", str(folder / "Dockerfile"))
    assert done.returncode == 1
    assert "why" in done.stdout
    assert "returned a non-zero code: 3" in done.stderr


def test_a_killed_build_leaves_no_container(atlas, built, image):
    base = built.base(image("python"))
    process = subprocess.Popen(
        [sys.executable, "-m", "foundations", "build-worker", "--base", base, "--tag", built.tag],
        cwd=project(atlas, "killed", "--retries 1000\nabsent\n"),
        env=atlas.environment(PIP_INDEX_URL="https://127.0.0.1:9/", PIP_CONFIG_FILE="/dev/null"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until(lambda: any(each.status == "running" for each in built.containers(base)))
    process.kill()
    process.wait()
    until(lambda: not built.containers(base))


CONFIGS = {
    "": "worker:\n  image: lab/x:1\n",
    "num_cpus: 1": "num_cpus: 1\nworker:\n  image: lab/x:1\n",
    "worker:  # mine\n    shm_size: 1G\nnum_cpus: 1\n": (
        "worker:  # mine\n    image: lab/x:1\n    shm_size: 1G\nnum_cpus: 1\n"
    ),
    "worker:\n  environment:\n    image: a\n  image: old  # that\n": (
        "worker:\n  environment:\n    image: a\n  image: lab/x:1  # that\n"
    ),
    "# worker:\n#   image: a\nworker:\n\n  # here\n  image: 'old'\n\nram: 1\n": (
        "# worker:\n#   image: a\nworker:\n\n  # here\n  image: lab/x:1\n\nram: 1\n"
    ),
    "worker:\nname: x\n": "worker:\n  image: lab/x:1\nname: x\n",
    "name: x\r\nworker:\r\n  image: old\r\n": "name: x\r\nworker:\r\n  image: lab/x:1\r\n",
}


@pytest.mark.parametrize(("before", "after"), CONFIGS.items())
def test_one_line_of_the_config_is_changed(tmp_path, before, after):
    path = tmp_path / "job.config.yaml"
    path.write_bytes(before.encode())
    path.chmod(0o640)
    set_worker_image(str(tmp_path), "lab/x:1")
    assert path.read_bytes().decode() == after
    assert path.stat().st_mode & 0o777 == 0o640
    assert os.listdir(tmp_path) == ["job.config.yaml"]


def test_a_config_of_another_form_is_left_alone(tmp_path):
    path = tmp_path / "job.config.yaml"
    path.write_text("worker: {shm_size: 1G}\n")
    with pytest.raises(ConfigError, match=r"changed one by one.*worker: .image: lab/x:1."):
        set_worker_image(str(tmp_path), "lab/x:1")
    assert path.read_text() == "worker: {shm_size: 1G}\n"
    assert os.listdir(tmp_path) == ["job.config.yaml"]

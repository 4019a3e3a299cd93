"""The server's image: built as server_image/README.md says, and run with the host's engine."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

import docker
import pytest
from docker.models.containers import Container
from packaging.requirements import Requirement
from tests import images
from tests.engines import until

pytestmark = pytest.mark.docker

ROOT = Path(__file__).parents[2]
USER = os.getuid() or 1000
MARK = {"atlas-test.recipe": images.RECIPE}
TAG, BASE = "atlas-test/server:latest", "atlas-test/server-base:latest"
WORKS = "import foundations\nfoundations.log_metric('loss', 0.5)\nprint('it works', flush=True)\n"


def dependencies() -> Iterator[Distribution]:
    """All that Atlas needs, as it is installed here: the tests fetch nothing."""
    wanted, seen = ["foundations-atlas"], set[str]()
    while wanted:
        name = wanted.pop().lower().replace("_", "-")
        if name in seen:
            continue
        seen.add(name)
        found = distribution(name)
        for each in map(Requirement, found.requires or ()):
            if each.marker is None or each.marker.evaluate({"extra": ""}):
                wanted.append(each.name)
        if name != "foundations-atlas":
            yield found


@pytest.fixture(scope="module")
def client() -> Iterator[docker.DockerClient]:
    with contextlib.closing(docker.from_env(timeout=300)) as client:
        yield client


@pytest.fixture(scope="module")
def server_image(
    client: docker.DockerClient,
    image: Callable[[str], str],
    tmp_path_factory: pytest.TempPathFactory,
) -> str:
    """The image, of a wheel of these sources without web pages; built as one does."""
    folder = tmp_path_factory.mktemp("image")
    packages = folder / "packages"
    for found in dependencies():
        for file in found.files or ():
            source, target = Path(str(found.locate_file(file))), packages / str(file)
            if ".." not in file.parts and "__pycache__" not in file.parts and source.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)
    version = f"python3.{sys.version_info.minor}"
    (folder / "Dockerfile").write_text(
        f"FROM {image('python')}\nCOPY packages /usr/local/lib/{version}/dist-packages\n"
    )
    client.images.build(path=str(folder), tag=BASE, labels=MARK, rm=True, forcerm=True)
    context = folder / "dist"
    subprocess.run(
        [Path(sys.executable).with_name("uv"), "build", "--quiet", "--wheel", "--out-dir", context],
        cwd=ROOT, env={**os.environ, "ATLAS_BUILD_WITHOUT_GUI": "1"}, check=True,
    )  # fmt: skip
    (context / ".gitignore").unlink(missing_ok=True)
    shutil.copy(ROOT / "server_image" / "Dockerfile", context)
    arguments = {"BASE": BASE, "EXTRAS": ""}
    client.images.build(
        path=str(context), tag=TAG, buildargs=arguments, labels=MARK, rm=True, forcerm=True
    )
    client.images.prune({"dangling": True, "label": "atlas-test.recipe"})
    return TAG


def run(container: Container, *command: str, at: str | None = None) -> str:
    code, output = container.exec_run(list(command), workdir=at)
    assert code == 0, output.decode()
    return output.decode()


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder that the server's user can get at: those of tests are closed to others."""
    with tempfile.TemporaryDirectory(prefix="atlas-image-") as folder:
        os.chown(folder, USER, -1)
        yield Path(folder)


def test_a_server_in_a_container(
    client: docker.DockerClient, server_image: str, image: Callable[[str], str], home: Path
) -> None:
    """Jobs as processes in it, and in containers of the host's engine beside it."""
    socket = "/var/run/docker.sock"
    binds = {str(home): {"bind": str(home)}, socket: {"bind": socket}}
    environment = {
        "FOUNDATIONS_HOME": str(home), "ATLAS_HOST": "127.0.0.1", "ATLAS_PORT": "5000",
        "ATLAS_CPUS": "2",
    }  # fmt: skip
    container = client.containers.run(
        server_image, detach=True, init=True, user=str(USER), group_add=[os.stat(socket).st_gid],
        volumes=binds, environment=environment,
    )  # fmt: skip
    try:
        until(lambda: b"Ctrl-C" in container.logs())
        assert run(container, "id", "-u").strip() == str(USER)
        (health,) = client.api.inspect_image(server_image)["Config"]["Healthcheck"]["Test"][3:]
        run(container, "python3", "-c", health)
        run(container, "mkdir", "/tmp/job")
        run(container, "python3", "-c", f"open('/tmp/job/main.py', 'w').write({WORKS!r})")
        submit = ("foundations", "submit", "scheduler", ".", "main.py")
        assert "it works" in run(container, *submit, at="/tmp/job")
        inside = (*submit[:2], "--image", image("python"), *submit[2:])
        assert "it works" in run(container, *inside, at="/tmp/job")
        told = run(container, "foundations", "list", "--json")
        assert told.count('"completed"') == 2, told
        container.stop(timeout=40)
        container.reload()
        assert container.attrs["State"]["ExitCode"] == 0, container.logs().decode()
    finally:
        container.remove(force=True, v=True)

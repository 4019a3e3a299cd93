"""What holds for every test: services that may be absent.

A test marked `docker`, `slurm`, `ray`, `postgres`, `browser` or `cc` needs the real thing. Where it
is absent, a developer's run skips the test; with CI=true it fails, so that nothing is left out
unseen.
"""

from __future__ import annotations

import functools
import glob
import os
import shutil
import signal
import socket
import warnings
from pathlib import Path
from typing import Callable, Dict, Iterator, NoReturn

import pytest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tests.databases import Databases
    from tests.engines import PrivateEngine
    from tests.nvml.fake import FakeNvml
    from tests.postgres import Cluster
    from tests.ray import RayCluster
    from tests.registry import Registry
    from tests.slurm import SlurmCluster


# Where Debian has daemons, and `ip`: not everybody's PATH leads there.
os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])


def has_docker() -> bool:
    """Whether a Docker daemon listens."""
    address = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    if not address.startswith("unix://"):
        return True
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        return connection.connect_ex(address[len("unix://") :]) == 0


def has_slurm() -> bool:
    """Whether Slurm's controller, node daemon and commands are installed, and munge."""
    return all(map(shutil.which, ("sbatch", "slurmctld", "slurmd", "munged")))


def has_ray() -> bool:
    """Whether scripts/ray-environment has been run."""
    return (Path(__file__).parents[1] / "build" / "ray" / "bin" / "ray").exists()


def has_postgres() -> bool:
    """Whether PostgreSQL's programs are installed; Debian keeps them out of PATH."""
    return bool(shutil.which("initdb") or glob.glob("/usr/lib/postgresql/*/bin/initdb"))


def has_browser() -> bool:
    """Whether Chromium is installed."""
    return any(shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome"))


def has_cc() -> bool:
    """Whether there is a C compiler, which makes the NVIDIA driver's stand-in (tests/nvml)."""
    return shutil.which("cc") is not None


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # As a shell leaves it for what runs in the background: programs under test would inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)

SERVICES: Dict[str, Callable[[], bool]] = {
    "docker": has_docker,
    "slurm": has_slurm,
    "ray": has_ray,
    "postgres": has_postgres,
    "browser": has_browser,
    "cc": has_cc,
}


@functools.lru_cache(maxsize=None)
def is_present(service: str) -> bool:
    """Ask once a process whether the service is there."""
    return SERVICES[service]()


def is_absent(what: str) -> NoReturn:
    """Skip the test, or fail it where everything must be there."""
    if os.environ.get("CI") == "true":
        pytest.fail("{} is needed here and absent".format(what), pytrace=False)
    pytest.skip("{} is absent".format(what))


def pytest_xdist_auto_num_workers() -> int:
    """`-n auto`: more than there are cores, since tests of daemons wait half of their time."""
    return max(1, len(os.sched_getaffinity(0)) * 3 // 2)


def pytest_runtest_setup(item: pytest.Item) -> None:
    for service in SERVICES:
        if item.get_closest_marker(service) and not is_present(service):
            is_absent(service)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Tests on Ray take turns at the one cluster: those that wait have not failed."""
    if item.get_closest_marker("ray"):
        item.add_marker(pytest.mark.timeout(400))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Make the usual images before the first test: none has minutes to wait for debootstrap."""
    wanted = any(item.get_closest_marker("docker") for item in session.items)
    if wanted and not session.config.option.collectonly and is_present("docker"):
        from tests import images

        try:
            images.provide(*images.USUAL)
        except images.CannotMake as error:
            # The tests that ask for the image say it again.
            warnings.warn(pytest.PytestWarning(str(error)), stacklevel=1)


@pytest.fixture(scope="session")
def image() -> Callable[[str], str]:
    """Say what an image of tests/images.py is called, and make it where it is missing.

    `image("python")` has Python and pip, `image("entrypoint")` also ENTRYPOINT ["python3"],
    `image("user")` another user than root, `image("busybox")` no Python and no libc,
    `image("pythons")` has every CPython from 3.8 to 3.14.
    """
    from tests import images

    def name_of(name: str) -> str:
        try:
            images.provide(name)
        except images.CannotMake as error:
            is_absent("the image {} ({})".format(name, error))
        return images.reference(name)

    return name_of


@pytest.fixture(scope="session")
def nvml_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a libnvidia-ml.so.1 that needs no GPU. For tests marked `cc`."""
    from tests.nvml.fake import build

    return build(tmp_path_factory.mktemp("nvml"))


@pytest.fixture
def nvml(tmp_path: Path, nvml_library: Path) -> FakeNvml:
    """An NVIDIA driver without devices, until it is told to show some. For tests marked `cc`."""
    from tests.nvml.fake import FakeNvml

    return FakeNvml(tmp_path, nvml_library)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL cluster for all tests of this process. For tests marked `postgres`."""
    from tests.postgres import Cluster

    with Cluster() as running:
        yield running


@pytest.fixture
def own_cluster() -> Iterator[Cluster]:
    """A PostgreSQL cluster for one test alone, which may kill and restart it."""
    from tests.postgres import Cluster

    with Cluster() as running:
        yield running


BOTH_DATABASES = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]


@pytest.fixture(scope="session", params=BOTH_DATABASES)
def databases(request: pytest.FixtureRequest) -> Databases:
    """Each kind of database in turn."""
    from tests.databases import Databases

    wanted = request.param == "postgres"
    return Databases(request.getfixturevalue("cluster") if wanted else None)


@pytest.fixture
def private_engine() -> Iterator[PrivateEngine]:
    """A Docker engine for one test alone, which may kill, stop, hang and restart it."""
    yield from _engine()


@pytest.fixture
def gpu_engine() -> Iterator[PrivateEngine]:
    """A private engine that gives containers any GPU they ask for, in NVIDIA_VISIBLE_DEVICES."""
    yield from _engine(nvidia=True)


def _engine(nvidia: bool = False) -> Iterator[PrivateEngine]:
    from tests import engines

    if not engines.can_start():
        is_absent("root with dockerd, for an engine of the test's own,")
    with engines.PrivateEngine(nvidia=nvidia) as engine:
        yield engine


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlurmCluster]:
    """A Slurm cluster of two nodes with two GPUs each. For tests marked `slurm`."""
    yield from _cluster(tmp_path_factory)


@pytest.fixture(scope="module")
def private_slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlurmCluster]:
    """A Slurm cluster for one module alone, which may kill its daemons."""
    yield from _cluster(tmp_path_factory)


def _cluster(folders: pytest.TempPathFactory) -> Iterator[SlurmCluster]:
    from tests import slurm

    if not slurm.can_start():
        is_absent("root, who makes the device files of Slurm's GPUs,")
    with slurm.SlurmCluster(folders.mktemp("slurm")) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def ray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayCluster]:
    """A Ray cluster of two nodes with two GPUs each. For tests marked `ray`.

    It takes ten seconds to start: all processes of a run have the same one.
    """
    from tests.ray import shared_cluster

    parallel = bool(os.environ.get("PYTEST_XDIST_WORKER"))
    base = tmp_path_factory.getbasetemp()
    with shared_cluster(base.parent if parallel else base) as cluster:
        yield cluster


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    """An image registry that anybody may read."""
    yield from _registry(tmp_path)


@pytest.fixture
def locked_registry(tmp_path: Path) -> Iterator[Registry]:
    """An image registry that asks for a password; its `docker_config()` writes a file with it."""
    yield from _registry(tmp_path, with_password=True)


def _registry(folder: Path, with_password: bool = False) -> Iterator[Registry]:
    from tests import registry

    if not registry.is_installed():
        is_absent("docker-registry")
    with registry.Registry(folder / "registry", with_password) as running:
        yield running

"""Small images for tests, made on this machine: no public registry is needed.

`provide()` makes what is missing in an engine. What debootstrap fetched is kept below
ATLAS_TEST_CACHE (default ~/.cache/atlas-tests), so that only the first call takes long.
`scripts/test-images` does the same from the shell.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
from docker.errors import ImageNotFound

MIRROR = os.environ.get("ATLAS_TEST_MIRROR", "http://deb.debian.org/debian")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# What nobody reads in a container; Debian's own slim images leave it out too.
UNREAD = (
    "./usr/share/doc", "./usr/share/man", "./usr/share/locale", "./usr/share/info",
    "./var/cache/apt", "./var/lib/apt/lists", "./var/log", "./dev",
)  # fmt: skip
# The user of `atlas-test/user`: neither root nor whoever runs the tests.
USER = "1234:4321"
PATIENCE = 600
# Raised with every change of what an image holds: those of older recipes are made anew.
RECIPE = "1"


class CannotMake(Exception):
    """Why an image cannot be made here; one line."""


def cache() -> Path:
    """Where fetched systems are kept."""
    given = os.environ.get("ATLAS_TEST_CACHE")
    return Path(given) if given else Path.home() / ".cache" / "atlas-tests"


def reference(name: str) -> str:
    """What the image is called in an engine."""
    return f"atlas-test/{name}:latest"


def provide(*names: str, client: docker.DockerClient | None = None) -> None:
    """Make the images that the engine lacks or has from an older recipe.

    Raises:
        CannotMake: with the reason.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(_alone())
        engine = client or stack.enter_context(
            contextlib.closing(docker.from_env(timeout=PATIENCE))
        )
        for name in names:
            _provide(engine, name)


def _provide(engine: docker.DockerClient, name: str) -> None:
    for parent in PARENTS.get(name, ()):
        _provide(engine, parent)
    try:
        if engine.images.get(reference(name)).labels.get("atlas-test.recipe") == RECIPE:
            return
    except ImageNotFound:
        pass
    MAKERS[name](engine, name)
    engine.images.prune({"dangling": True, "label": "atlas-test.recipe"})


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Keep parallel processes from making the same image twice."""
    cache().mkdir(parents=True, exist_ok=True)
    with (cache() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


# -- kinds of images


def _make_debian(engine: docker.DockerClient, name: str) -> None:
    """Plain Debian with Python and pip, no entrypoint."""
    system = _debian("bookworm", "python3,python3-pip,ca-certificates")
    _import(engine, name, system, f"ENV PATH={PATH}", 'CMD ["python3"]')


def _make_busybox(engine: docker.DockerClient, name: str) -> None:
    """From scratch: Debian's static busybox; no Python, no libc, no CA certificates."""
    program = shutil.which("busybox")
    if program is None:
        raise CannotMake("busybox is not installed (Debian: apt-get install busybox-static)")
    applets = subprocess.run([program, "--list"], capture_output=True, text=True, check=True)
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        archive.add(program, "bin/busybox")
        for applet in applets.stdout.split():
            if applet != "busybox":
                link = tarfile.TarInfo(f"bin/{applet}")
                link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                archive.addfile(link)
        for folder, mode in (("etc", 0o755), ("root", 0o700), ("tmp", 0o1777)):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, mode
            archive.addfile(entry)
        _add_file(archive, "etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n")
        _add_file(archive, "etc/group", b"root:x:0:\n")
    with _temporary(content.getvalue()) as path:
        _import(engine, name, path, "ENV PATH=/bin", 'CMD ["sh"]')


def _derive(*lines: str) -> Callable[[docker.DockerClient, str], None]:
    """A maker of the Debian image with more in its configuration."""

    def make(engine: docker.DockerClient, name: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            _build(engine, name, Path(folder), f"FROM {reference('python')}", *lines)

    return make


def _make_pythons(engine: docker.DockerClient, name: str) -> None:
    """Every CPython from 3.8 on that pyenv has here, beside the newest of Debian testing.

    They are /usr/local/bin/python3.x. Testing's libc is newer than the one that they were
    built with, which is the direction that works.
    """
    system = _debian("forky", "python3,libsqlite3-0,libbz2-1.0,libssl3t64,ca-certificates")
    _import(engine, f"{name}-base", system, f"ENV PATH={PATH}")
    with tempfile.TemporaryDirectory() as folder:
        pythons = Path(folder) / "pythons"
        pythons.mkdir()
        for python in pyenv_pythons():
            _copy_python(python, pythons / python.name)
        _build(
            engine,
            name,
            Path(folder),
            f"FROM {reference(f'{name}-base')}",
            "COPY pythons /opt/pythons",
            "RUN for each in /opt/pythons/*; do echo $each/lib >> /etc/ld.so.conf.d/pythons.conf;"
            " ln -s $each/bin/python3.* /usr/local/bin/; done; ldconfig",
        )


def pyenv_pythons() -> list[Path]:
    """The folders of pyenv's CPythons from 3.8 on, one a minor version."""
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    found = {}
    for folder in sorted(root.glob("3.*.*")):
        _, minor, _ = folder.name.split(".", 2)
        if minor.isdecimal() and int(minor) >= 8 and not folder.is_symlink():
            found[int(minor)] = folder
    return list(found.values())


def _copy_python(source: Path, target: Path) -> None:
    """Copy interpreter and standard library without what only developers of it need."""
    skipped = shutil.ignore_patterns(
        "__pycache__", "test", "tests", "idlelib", "tkinter", "turtledemo", "lib2to3", "ensurepip",
        "site-packages", "config-3*", "*.a", "pkgconfig", "pydoc_data", "*config.py",
    )  # fmt: skip
    (target / "bin").mkdir(parents=True)
    short = "python3." + source.name.split(".")[1]
    shutil.copy2(source / "bin" / short, target / "bin" / short)
    shutil.copytree(source / "lib", target / "lib", symlinks=True, ignore=skipped)
    (target / "lib" / short / "site-packages").mkdir()
    if strip := shutil.which("strip"):
        for library in target.glob("lib/libpython3.*.so.1.0"):
            subprocess.run([strip, "--strip-unneeded", library], check=True)


# -- making


def _debian(suite: str, packages: str) -> Path:
    """A small Debian as a tar file, fetched once."""
    key = hashlib.sha256(f"{suite} {packages} {UNREAD} {MIRROR}".encode()).hexdigest()[:12]
    target = cache() / f"{suite}-{key}.tar"
    if target.exists():
        return target
    program = shutil.which("debootstrap", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        raise CannotMake("debootstrap is not installed (Debian: apt-get install debootstrap)")
    as_root = [] if os.geteuid() == 0 else ["sudo", "--non-interactive"]
    root, partial = cache() / f"{suite}-{key}", target.with_suffix(".partial")
    exclude = [f"--exclude={path}/*" for path in UNREAD]
    # Every suite is made as sid is, and a debootstrap does not know suites younger than itself.
    script = ["/usr/share/debootstrap/scripts/sid"]
    steps = [
        ["rm", "-rf", "--one-file-system", str(root)],
        [program, "--variant=minbase", f"--include={packages}", suite, str(root), MIRROR, *script],
        ["tar", "-C", str(root), "--numeric-owner", *exclude, "-cf", str(partial), "."],
        ["rm", "-rf", "--one-file-system", str(root)],
    ]
    log = cache() / f"{suite}-{key}.log"
    with log.open("wb") as output:
        for step in steps:
            done = subprocess.run([*as_root, *step], stdout=output, stderr=output)
            if done.returncode != 0:
                last = log.read_text(errors="replace").strip().rpartition("\n")[2]
                raise CannotMake(f"{step[0]} failed: {last} (see {log})")
    partial.rename(target)
    return target


def _import(engine: docker.DockerClient, name: str, system: Path, *changes: str) -> None:
    made_by = f"LABEL atlas-test.recipe={RECIPE}"
    engine.api.import_image_from_file(
        str(system),
        repository=reference(name).rpartition(":")[0],
        tag="latest",
        changes=[*changes, made_by],
    )


def _build(engine: docker.DockerClient, name: str, context: Path, *lines: str) -> None:
    recipe = "\n".join([*lines, f"LABEL atlas-test.recipe={RECIPE}", ""])
    (context / "Dockerfile").write_text(recipe, encoding="utf-8")
    engine.images.build(path=str(context), tag=reference(name), rm=True, forcerm=True)


def _add_file(archive: tarfile.TarFile, path: str, content: bytes) -> None:
    entry = tarfile.TarInfo(path)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))


@contextlib.contextmanager
def _temporary(content: bytes) -> Iterator[Path]:
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        yield Path(file.name)


MAKERS: dict[str, Callable[[docker.DockerClient, str], None]] = {
    "python": _make_debian,
    "entrypoint": _derive('ENTRYPOINT ["python3"]', "CMD []"),
    "user": _derive(f"USER {USER}"),
    "busybox": _make_busybox,
    "pythons": _make_pythons,
}
# What most tests want; `pythons` is left to those that ask for it.
USUAL = ("python", "entrypoint", "user", "busybox")
PARENTS = {"entrypoint": ("python",), "user": ("python",)}


def main() -> None:
    """Make the images named on the command line, or all."""
    names = sys.argv[1:] or list(MAKERS)
    if unknown := [name for name in names if name not in MAKERS]:
        sys.exit(f"There is no image {unknown[0]}; there are {', '.join(MAKERS)}")
    try:
        for name in names:
            provide(name)
            print(reference(name))
    except CannotMake as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()

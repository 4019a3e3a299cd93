"""The Dockerfiles of worker_images/ make images in which jobs run."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from docker.errors import NotFound

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

FOLDER = Path(__file__).parents[2] / "worker_images"
# What tells apart the base images that the Dockerfiles name from the one that tests have: a pip
# that minds nothing, and `python`.
LIKE_PUBLIC = [
    "RUN rm /usr/lib/python3*/EXTERNALLY-MANAGED && ln -s python3 /usr/bin/python",
]


@pytest.fixture
def engine() -> Iterator[docker.DockerClient]:
    with contextlib.closing(docker.from_env(timeout=600)) as client:
        yield client


@pytest.mark.parametrize("name", ["custom", "gpu"])
def test_a_job_runs_in_the_image(atlas, engine, image, tmp_path, name):
    base, tag = (f"atlas-test/{part}-{secrets.token_hex(4)}" for part in ("base", "worker"))
    (tmp_path / "Dockerfile").write_text("\n".join([f"FROM {image('python')}", *LIKE_PUBLIC]))
    folder = atlas.folder(
        f"in-{name}", main_py="import sys, foundations; print('ran with', sys.executable)"
    )
    # Which index is reached from a build is no business of these files.
    (folder / "requirements.txt").write_text("pip\n")
    (folder / "job.config.yaml").write_text(f"worker: {{image: {tag}}}\n")
    try:
        engine.images.build(path=str(tmp_path), tag=base, rm=True)
        engine.images.build(
            path=str(folder), dockerfile=str(FOLDER / name / "Dockerfile"), tag=tag,
            buildargs={"BASE": base}, rm=True, forcerm=True,
        )  # fmt: skip
        done = atlas("submit", "scheduler", str(folder), "main.py")
    finally:
        for made in (tag, base):
            with contextlib.suppress(NotFound):
                engine.images.remove(made, force=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ran with /" in done.stdout

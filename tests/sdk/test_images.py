"""Names of images: what is meant, what no image can be called, what no registry has any more."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foundations.contract.images import PROCESS, is_former, read_image
from foundations.errors import ConfigError

DIGEST = "sha256:" + "0a" * 32


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("pytorch", "pytorch:latest"),
        ("pytorch/pytorch", "pytorch/pytorch:latest"),
        ("pytorch/pytorch:2.4-CUDA", "pytorch/pytorch:2.4-CUDA"),
        (" alpine:3 ", "alpine:3"),
        ("localhost:5000/a/b_c", "localhost:5000/a/b_c:latest"),
        ("localhost/a", "localhost/a:latest"),
        ("Registry.Example:443/a-b/c.d:x", "Registry.Example:443/a-b/c.d:x"),
        ("[::1]:5000/a", "[::1]:5000/a:latest"),
        ("a@" + DIGEST, "a@" + DIGEST),
        ("a:1@" + DIGEST, "a:1@" + DIGEST),
        (DIGEST, DIGEST),
        ("none", PROCESS),
        ("None", PROCESS),
    ],
)
def test_what_is_meant(written: str, meant: str) -> None:
    assert read_image("worker.image", written) == meant
    assert read_image("worker.image", meant) == meant


@pytest.mark.parametrize(
    "written",
    [
        "", " ", "A", "Pytorch/pytorch", "a b", "a:", "a:b:c", "a:-x", "a:" + "x" * 129, "/a", "a/",
        "a//b", "-a", "a-", "a@sha256:0", "a@", "a@md5:00", "https://a/b", "a\n", "a\0", "ä",
        "REGISTRY!.com/a", "x" * 256, None, 1, ["a"], {"a": "b"}, True,
    ],
)  # fmt: skip
def test_what_no_image_is_called(written: object) -> None:
    if written == "a\n":
        assert read_image("--image", written) == "a:latest"  # space around a name is no part of it
        return
    with pytest.raises(ConfigError, match="--image"):
        read_image("--image", written)


@pytest.mark.parametrize(
    "image",
    [
        "us.gcr.io/atlas-ce/worker:latest", "us.gcr.io/atlas-ce/worker-gpu:0.1",
        "us.gcr.io/dessa-atlas/worker:latest", "atlas-ce/worker:x", "gcr.io/atlas-ce/worker",
        "us.gcr.io/atlas-ce/worker@" + DIGEST,
    ],
)  # fmt: skip
def test_images_of_the_former_atlas(image: str) -> None:
    assert is_former(read_image("image", image))


@pytest.mark.parametrize(
    "image",
    [
        "worker", "my/worker", "registry.example/atlas-ce/worker", "us.gcr.io/my/worker",
        "us.gcr.io/atlas-ce/scheduler", "localhost:5000/atlas-ce/worker:1", "a/atlas-ce/worker", "",
        PROCESS, DIGEST,
    ],
)  # fmt: skip
def test_other_images_are_not_the_former_ones(image: str) -> None:
    assert not is_former(image)


@settings(deadline=None)
@given(st.text(alphabet="aZ09./:@-_ é[]", max_size=30))
def test_a_name_is_read_as_one_with_a_tag_or_refused(written: str) -> None:
    try:
        found = read_image("image", written)
    except ConfigError:
        return
    assert read_image("image", found) == found
    assert found == written.strip() or found == written.strip() + ":latest"

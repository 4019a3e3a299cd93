"""What a worker block says, as the engine SDK wants it."""

from typing import Any


def container_options(worker: dict[str, Any]) -> dict[str, Any]:
    """Return keyword arguments for making a container."""
    skip = {"image", "image_id", "image_digest", "working_dir"}
    return {k: v for k, v in worker.items() if k not in skip}

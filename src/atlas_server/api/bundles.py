"""Endpoints of manifests and blobs."""

from __future__ import annotations

from collections.abc import Iterator

import anyio
import anyio.to_thread
from fastapi import APIRouter, Request
from starlette.responses import StreamingResponse

from atlas_server.api.bodies import chunks_of, unpack
from atlas_server.api.rights import Router, needs
from atlas_server.domain.rights import Right
from atlas_server.services.content import Content
from foundations.contract.manifest import MAX_MANIFEST_BYTES
from foundations.errors import BundleError

_CHUNK = 1 << 20
# An upload holds its thread until the last byte has come. Apart from the threads that answer
# everything else, so that senders that stall cannot keep runners from reporting.
_UPLOADS = 64


def routes(content: Content) -> APIRouter:
    """Return the endpoints."""
    router = Router(tags=["bundles"])
    uploads = anyio.CapacityLimiter(_UPLOADS)

    @router.post("/bundles")
    @needs(Right.SEND)
    async def send_manifest(request: Request) -> dict[str, object]:
        """Store a manifest; answers its digest and the blobs that are missing."""

        def receive() -> tuple[str, list[str]]:
            return content.receive_manifest(_manifest_in(chunks_of(request)))

        digest, missing = await anyio.to_thread.run_sync(receive, limiter=uploads)
        return {"digest": digest, "missing": missing}

    @router.post("/blobs", status_code=204)
    @needs(Right.SEND)
    async def send_blobs(request: Request) -> None:
        """Store a pack of blobs, all or none."""

        def receive() -> None:
            content.receive_blobs(unpack(chunks_of(request)))

        await anyio.to_thread.run_sync(receive, limiter=uploads)

    @router.get("/blobs/{digest}")
    @needs(Right.FETCH)
    def get_blob(digest: str) -> StreamingResponse:
        """Return the content of a blob."""
        file = content.open_blob(digest)
        size = str(content.blob_size(digest))

        def chunks() -> Iterator[bytes]:
            with file:
                while data := file.read(_CHUNK):
                    yield data

        return StreamingResponse(
            chunks(), media_type="application/octet-stream", headers={"Content-Length": size}
        )

    return router


def _manifest_in(chunks: Iterator[bytes]) -> bytes:
    parts: list[bytes] = []
    size = 0
    for chunk in chunks:
        parts.append(chunk)
        size += len(chunk)
        if size > MAX_MANIFEST_BYTES:
            limit = MAX_MANIFEST_BYTES // 1_000_000
            raise BundleError(f"The manifest is larger than {limit} MB.")
    return b"".join(parts)

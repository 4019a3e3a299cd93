"""Endpoints of manifests and blobs."""

from __future__ import annotations

from collections.abc import Iterator

from fastapi import APIRouter, Request
from starlette.responses import StreamingResponse

from atlas_server.api.bodies import chunks_of, unpack
from atlas_server.services.content import Content
from foundations.errors import BundleError

_LARGEST_MANIFEST = 256 * 1024 * 1024
_CHUNK = 1 << 20


def routes(content: Content) -> APIRouter:
    """Return the endpoints."""
    router = APIRouter(tags=["bundles"])

    @router.post("/bundles")
    def send_manifest(request: Request) -> dict[str, object]:
        """Store a manifest; answers its digest and the blobs that are missing."""
        data = b""
        for chunk in chunks_of(request):
            data += chunk
            if len(data) > _LARGEST_MANIFEST:
                raise BundleError("The manifest is larger than 256 MB.")
        digest, missing = content.receive_manifest(data)
        return {"digest": digest, "missing": missing}

    @router.post("/blobs", status_code=204)
    def send_blobs(request: Request) -> None:
        """Store a pack of blobs, all or none."""
        content.receive_blobs(unpack(chunks_of(request)))

    @router.get("/blobs/{digest}")
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

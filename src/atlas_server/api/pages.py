"""The web pages: one document for every address, and the files that it loads."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, HTMLResponse, Response

from atlas_server.api.outside import PREFIX
from atlas_server.api.rights import Router, needs
from atlas_server.domain.rights import Right

GUI = Path(__file__).parents[1] / "gui_dist"

# All comes from this server, and no script or style stands in the document itself: what a job is
# called or logs cannot become either.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; "
    "img-src 'self' data: blob:; media-src 'self'; connect-src 'self'; frame-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
# Their names hold a digest of what they hold.
_FOREVER = "public, max-age=31536000, immutable"
_ASK_AGAIN = "no-cache"
# Where the addresses of pages begin.
_PAGES = ("", "projects", "jobs", "queue", "nodes", "compare", "account", "users", "audit")

_NOT_BUILT = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>Atlas</title>'
    "<h1>Atlas runs, but its web pages are not built</h1>"
    "<p>In the clone that this server was started from, type <code>scripts/gui</code> and load this"
    " page again. The command line works without: <code>foundations list</code></p>"
)


def routes() -> APIRouter:
    """Return the endpoints; to be included last, for they answer every address that is left."""
    router = Router(include_in_schema=False)

    @router.api_route("/{path:path}", methods=["GET", "HEAD"])
    @needs(Right.PUBLIC)
    def page(path: str, request: Request) -> Response:
        if path == "api" or path.startswith("api/"):
            raise HTTPException(404, "Not Found")
        found = _file(path)
        if found is not None:
            return _answer(found, request, lasting=path.startswith("assets/"))
        is_page = path.partition("/")[0] in _PAGES or _is_browser(request)
        if path.startswith("assets/") or not is_page:
            raise HTTPException(404, "Not Found")
        document = GUI / "index.html"
        if not document.is_file():
            return HTMLResponse(_NOT_BUILT, 503, headers=_HEADERS)
        # Whatever the address of a page is, what it loads lies below the server's own.
        text = document.read_text().replace('"./', f'"{request.scope[PREFIX]}/')
        return HTMLResponse(text, headers={**_HEADERS, "Cache-Control": _ASK_AGAIN})

    return router


def _answer(found: Path, request: Request, *, lasting: bool) -> Response:
    headers = {**_HEADERS, "Cache-Control": _FOREVER if lasting else _ASK_AGAIN}
    packed = found.with_name(f"{found.name}.gz")
    if not packed.is_file():
        return FileResponse(found, headers=headers)
    headers["Vary"] = "Accept-Encoding"
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return FileResponse(found, headers=headers)
    # Its type is that of what is in it, also by its name.
    return FileResponse(packed, headers={**headers, "Content-Encoding": "gzip"})


def _is_browser(request: Request) -> bool:
    """Whether a person asks, who is shown what there is instead of a page that there is not."""
    return "text/html" in request.headers.get("accept", "")


def _file(path: str) -> Path | None:
    """The file of that name, if it is one of the pages' own."""
    wanted = (GUI / path).resolve()
    inside = wanted.is_relative_to(GUI.resolve()) and "\0" not in path
    return wanted if inside and wanted.is_file() and wanted.name != "source.sha256" else None

"""What files are, by their names, and how browsers may show what jobs have made.

A job's files are its author's, not ours: whatever is served of them runs, if at all, without this
server's origin and without the network.
"""

from __future__ import annotations

_TYPES = {
    "image/png": "png", "image/jpeg": "jpg jpeg", "image/gif": "gif", "image/webp": "webp",
    "image/bmp": "bmp", "image/svg+xml": "svg", "image/avif": "avif", "image/x-icon": "ico",
    "image/tiff": "tif tiff", "audio/mpeg": "mp3", "audio/wav": "wav", "audio/ogg": "ogg oga opus",
    "audio/flac": "flac", "audio/mp4": "m4a", "audio/aac": "aac", "video/mp4": "mp4 m4v",
    "video/webm": "webm", "video/ogg": "ogv", "video/quicktime": "mov", "text/html": "html htm",
    "application/pdf": "pdf", "text/csv": "csv", "text/tab-separated-values": "tsv",
    "application/json": "json ipynb geojson", "text/markdown": "md markdown",
    "application/gzip": "gz tgz", "application/zip": "zip npz whl",
    "text/plain": "txt log text rst py pyi js mjs cjs ts tsx jsx css scss c h cc cpp cxx hpp cu cuh"
    " rs go java kt scala rb php pl lua r jl m sh bash zsh fish bat ps1 sql yaml yml toml ini cfg"
    " conf env properties xml xsl jsonl ndjson tex bib diff patch dockerfile makefile cmake proto"
    " graphql vue svelte lock out err gitignore dockerignore foundationsignore editorconfig",
}  # fmt: skip
_BY_ENDING = {ending: kind for kind, endings in _TYPES.items() for ending in endings.split()}
# Files that are texts without an ending that says so.
_TEXTS = frozenset(
    {"makefile", "dockerfile", "license", "licence", "readme", "authors", "changelog"}
)
_UNKNOWN = "application/octet-stream"
_UNSHOWN = frozenset({_UNKNOWN, "application/gzip", "application/zip", "image/tiff"})

_ALONE = "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
_PAGE = (
    "sandbox allow-scripts; default-src 'none'; "
    "script-src 'unsafe-inline' 'unsafe-eval' data: blob:; "
    "style-src 'unsafe-inline' data:; img-src data: blob:; font-src data:; media-src data: blob:; "
    f"connect-src data: blob:; worker-src blob: data:; {_ALONE}"
)
# Chromium's own viewer does not work in a sandbox; scripts in a document are the viewer's to run.
_DOCUMENT = f"script-src 'none'; connect-src 'none'; {_ALONE}"
_OTHER = (
    "sandbox; default-src 'none'; img-src 'self' data:; media-src 'self'; "
    f"style-src 'unsafe-inline'; {_ALONE}"
)


def media_type(name: str) -> str:
    """The media type of a file, by its name alone."""
    base = name.rpartition("/")[2].lower()
    stem, dot, ending = base.rpartition(".")
    if not dot:
        return "text/plain" if base in _TEXTS else _BY_ENDING.get(base, _UNKNOWN)
    return _BY_ENDING.get(ending, "text/plain" if stem in _TEXTS else _UNKNOWN)


def is_shown(kind: str) -> bool:
    """Whether browsers have something to show of this type; otherwise it is only downloaded."""
    return kind not in _UNSHOWN


def policy(kind: str) -> str:
    """The Content-Security-Policy under which a file of this type is shown."""
    return {"text/html": _PAGE, "application/pdf": _DOCUMENT}.get(kind, _OTHER)


def with_charset(kind: str) -> str:
    """The value of Content-Type: of texts we know no other encoding."""
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind

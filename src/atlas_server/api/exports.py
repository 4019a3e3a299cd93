"""The endpoint that hands tables of jobs to other programs, as files."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Annotated, Any, BinaryIO, Literal

from fastapi import APIRouter, Query
from starlette.responses import Response, StreamingResponse

from atlas_server.api.rights import Router, needs
from atlas_server.domain.rights import Right
from atlas_server.services.exports import ExportColumn, Exports, Table
from atlas_server.services.queries import Asked
from foundations.errors import Refused

_Texts = Annotated[list[str] | None, Query()]
_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
    "jsonl": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
}
_BATCH = 500
_CHUNK = 1 << 18
# Spreadsheets take a text that begins so for a formula, which may do anything.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def routes(exports: Exports) -> APIRouter:
    """Return the endpoint."""
    router = Router(tags=["tables"])

    @router.get("/export", response_class=Response)
    @needs(Right.READ)
    def export(
        project: str | None = None,
        query: Annotated[str, Query(max_length=10_000)] = "",
        sort: _Texts = None,
        columns: _Texts = None,
        format: Literal["csv", "json", "jsonl", "parquet"] = "csv",  # noqa: A002 - its name
        tz: str | None = None,
        limit: Annotated[int | None, Query(ge=1)] = None,
    ) -> Response:
        """Return all jobs that a query selects, or the first of them, as a file."""
        asked = Asked(project, query, tuple(sort or ()), zone=tz)
        table = exports.table(asked, columns, limit)
        write = {"csv": _csv, "json": _json, "jsonl": _json_lines, "parquet": _parquet}[format]
        name = f'attachment; filename="jobs.{format}"'
        headers = {"Content-Disposition": name, "X-Content-Type-Options": "nosniff"}
        return StreamingResponse(write(table), media_type=_TYPES[format], headers=headers)

    return router


def _csv(table: Table) -> Iterator[bytes]:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([_harmless(column.title) for column in table.columns])
    while batch := list(islice(table.rows, _BATCH)):
        for row in batch:
            writer.writerow(map(_csv_cell, row, table.columns))
        yield text.getvalue().encode("utf-8", "replace")
        text.seek(0)
        text.truncate()
    yield text.getvalue().encode("utf-8", "replace")


def _csv_cell(value: Any, column: ExportColumn) -> Any:
    if column.time and value is not None:
        return datetime.fromtimestamp(value, UTC).isoformat()
    if isinstance(value, str):
        return _harmless(value)
    return json.dumps(value) if isinstance(value, (list, dict, bool)) else value


def _harmless(text: str) -> str:
    return "'" + text if text.startswith(_FORMULA) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _objects(table: Table) -> Iterator[str]:
    titles = [column.title for column in table.columns]
    for row in table.rows:
        yield json.dumps(dict(zip(titles, row, strict=True)))


def _json(table: Table) -> Iterator[bytes]:
    objects, before = _objects(table), "[\n"
    while batch := list(islice(objects, _BATCH)):
        yield (before + ",\n".join(batch)).encode()
        before = ",\n"
    yield b"[]\n" if before == "[\n" else b"\n]\n"


def _json_lines(table: Table) -> Iterator[bytes]:
    objects = _objects(table)
    while batch := list(islice(objects, _BATCH)):
        yield ("\n".join(batch) + "\n").encode()


def _parquet(table: Table) -> Iterator[bytes]:
    """Written as a whole first: what a Parquet file begins with is known at its end."""
    try:
        import pyarrow as arrow  # noqa: PLC0415 - an extra
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError as error:
        raise Refused(
            "This server cannot write Parquet.",
            "Install it there: pip install 'foundations-atlas[parquet]'; or take CSV.",
        ) from error
    file: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `_read_out`
    kinds: Any = [_arrow_type(column, arrow) for column in table.columns]
    fields = zip((column.title for column in table.columns), kinds, strict=True)
    schema: Any = arrow.schema(list(fields))
    with parquet.ParquetWriter(file, schema) as writer:
        while batch := list(islice(table.rows, _BATCH)):
            cells = [
                [_arrow_cell(value, column) for value in values]
                for values, column in zip(zip(*batch, strict=True), table.columns, strict=True)
            ]
            arrays = [arrow.array(c, kind) for c, kind in zip(cells, kinds, strict=True)]
            writer.write_batch(arrow.record_batch(arrays, schema=schema))
    return _read_out(file)


def _read_out(file: BinaryIO) -> Iterator[bytes]:
    with file:
        file.seek(0)
        while data := file.read(_CHUNK):
            yield data


def _arrow_type(column: ExportColumn, arrow: Any) -> Any:
    if column.time:
        return arrow.timestamp("us", tz="UTC")
    return arrow.float64() if column.numeric else arrow.string()


def _arrow_cell(value: Any, column: ExportColumn) -> Any:
    if value is None:
        return None
    if column.time:
        return datetime.fromtimestamp(value, UTC)
    if column.numeric:
        return float(value)
    return value if isinstance(value, str) else json.dumps(value)

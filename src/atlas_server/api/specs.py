"""Specs of jobs from JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from foundations.contract.spec import JobSpec
from foundations.errors import InvalidRequest

_SPEC = TypeAdapter(JobSpec)


def read_spec(values: Mapping[str, Any]) -> JobSpec:
    """Return the spec that JSON values are. Raises InvalidRequest."""
    try:
        return _SPEC.validate_python(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidRequest(f"{where}: {first['msg']}.") from error

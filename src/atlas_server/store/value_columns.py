"""What jobs have as parameters and metrics once more, column by column: in SQLite alone.

A table of jobs reads one parameter of very many jobs. In `params` those lie far apart, and finding
each takes longer than all else; here they lie one after the other, under whole numbers that SQLite
steps through. Triggers keep them (`migrations.value_columns` made them), so that no writer has to
know. PostgreSQL joins in other ways, and has none of this.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column as SqlColumn
from sqlalchemy import ColumnElement, Float, Integer, MetaData, String, Table, Text, select

from atlas_server.store.tables import jobs, metric_keys
from atlas_server.store.tables import metadata as kept

# Apart from all other tables, for copies of a database do without them.
metadata = MetaData(naming_convention=kept.naming_convention)

param_keys = Table(
    "param_keys",
    metadata,
    SqlColumn("id", Integer, primary_key=True),
    SqlColumn("name", String, nullable=False, unique=True),
)

param_values = Table(
    "param_values",
    metadata,
    SqlColumn("id", Integer, primary_key=True),
    SqlColumn("number", Float),
    SqlColumn("text", Text),
)

metric_values = Table(
    "metric_values",
    metadata,
    SqlColumn("id", Integer, primary_key=True),
    SqlColumn("count", Integer, nullable=False),
    SqlColumn("number", Float),
    SqlColumn("text", Text),
    SqlColumn("lowest", Float),
    SqlColumn("highest", Float),
)

# So many jobs have room below each name; the rest of 63 bits is for the names.
_JOBS = 1 << 40


def param_of_job(name: str) -> tuple[Any, ColumnElement[bool]]:
    """Return a table of a parameter's values, and which of its rows is that of a row of `jobs`."""
    return _of_job(param_values, param_keys, name)


def metric_of_job(name: str) -> tuple[Any, ColumnElement[bool]]:
    """Return a table of a metric's values, and which of its rows is that of a row of `jobs`."""
    return _of_job(metric_values, metric_keys, name)


def _of_job(values: Table, keys: Table, name: str) -> tuple[Any, ColumnElement[bool]]:
    table = values.alias()
    key = select(keys.c.id).where(keys.c.name == name).scalar_subquery()
    return table, table.c.id == key * _JOBS + jobs.c.id

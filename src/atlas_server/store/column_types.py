"""Types of columns that mean the same in both databases."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import JSON, BigInteger, Dialect, Integer, String, Text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import TypeCompiler
from sqlalchemy.types import TypeDecorator, TypeEngine

# SQLite counts rows by itself only where the key is INTEGER; PostgreSQL wants 64 bits.
Id = BigInteger().with_variant(Integer, "sqlite")


class Json(TypeDecorator[Any]):
    """JSON as Python writes it, with NaN and infinities, which PostgreSQL's own type refuses.

    There it is kept as text. None is JSON's null, as everywhere in SQLAlchemy.
    """

    impl = JSON
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return what the database has for it."""
        return dialect.type_descriptor(Text() if dialect.name == "postgresql" else JSON())

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """Return what is sent."""
        return json.dumps(value) if dialect.name == "postgresql" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """Return what was kept."""
        if dialect.name == "postgresql" and value is not None:
            return json.loads(value)
        return value


def _text_column(kind: Any, compiler: TypeCompiler, **options: Any) -> str:
    """Texts are as in SQLite: of any length, and compared by their bytes.

    Whatever language the database was made for; lower case, too, is then that of ASCII alone.
    """
    if _is_column(options):
        return 'TEXT COLLATE "C"' if isinstance(kind, Text) else 'VARCHAR COLLATE "C"'
    return getattr(compiler, f"visit_{kind.__visit_name__}")(kind, **options)


def _json_column(kind: Any, compiler: TypeCompiler, **options: Any) -> str:
    """What migrations call JSON is what `Json` keeps."""
    if _is_column(options):
        return 'TEXT COLLATE "C"'
    return compiler.visit_JSON(kind, **options)  # type: ignore[attr-defined]


def _is_column(options: dict[str, Any]) -> bool:
    """Whether a column is being described; a cast may not name an order."""
    return getattr(options.get("type_expression"), "table", None) is not None


for _text in (String, Text):
    compiles(_text, "postgresql")(_text_column)
compiles(JSON, "postgresql")(_json_column)

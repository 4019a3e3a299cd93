"""Texts as PostgreSQL can keep them. Imported only where its driver is installed."""

from __future__ import annotations

from psycopg.types.string import StrDumper

NUL, SHOWN = "\0", "\N{SYMBOL FOR NULL}"


class TextDumper(StrDumper):
    """Sends a visible sign for the character 0, the one that no text there can hold."""

    def dump(self, obj: str) -> bytes | bytearray | memoryview | None:
        """Return what is sent."""
        return super().dump(obj.replace(NUL, SHOWN) if NUL in obj else obj)

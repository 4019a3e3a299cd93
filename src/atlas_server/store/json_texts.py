"""JSON that the database puts together as text, each in its own words."""

from __future__ import annotations

from typing import Any, Protocol

from sqlalchemy import (
    JSON,
    ColumnElement,
    ScalarSelect,
    Text,
    and_,
    case,
    cast,
    func,
    literal_column,
    select,
)

Sql = ColumnElement[Any]


class JsonTexts(Protocol):
    """Texts of JSON from columns; `json` columns may hold what Python alone takes for it."""

    def object(self, key: Sql, value: Sql, *, of: Any, job: Any) -> ScalarSelect[Any]:
        """All rows of a job in the table `of` as one object; `value` is as the others return it."""
        ...

    def json(self, value: Sql) -> Sql:
        """A column of JSON as a value."""
        ...

    def text(self, value: Sql) -> Sql:
        """A text as a value."""
        ...

    def number_or_text(self, number: Sql, text: Sql) -> Sql:
        """A number, exactly, where there is no text, as a value."""
        ...

    def is_json(self, value: Sql) -> Sql:
        """Whether `member` can look into a column; it returns all of it otherwise."""
        ...

    def member(self, value: Sql, name: str) -> Sql:
        """What a JSON object in a column has under a name."""
        ...


class SqliteTexts:
    """With SQLite's JSON functions."""

    def object(self, key: Sql, value: Sql, *, of: Any, job: Any) -> ScalarSelect[Any]:
        """See JsonTexts."""
        found = select(func.json_group_object(key, value))
        return found.select_from(of).where(job).scalar_subquery()

    def json(self, value: Sql) -> Sql:
        """SQLite makes numbers of JSON that looks like one; text that is none it would refuse."""
        return case(
            (func.typeof(value) == "real", _exact(value)),
            (func.json_valid(value) == 1, func.json(value)),
            else_=value,
        )

    def text(self, value: Sql) -> Sql:
        """See JsonTexts."""
        return value

    def number_or_text(self, number: Sql, text: Sql) -> Sql:
        """See JsonTexts."""
        return case((text.is_(None), _exact(number)), else_=text)

    def is_json(self, value: Sql) -> Sql:
        """See JsonTexts."""
        return func.json_valid(value) == 1

    def member(self, value: Sql, name: str) -> Sql:
        """See JsonTexts."""
        return case((self.is_json(value), func.json_extract(value, f"$.{name}")), else_=value)


class PostgresTexts:
    """With PostgreSQL's, which are given nothing that they would refuse."""

    def object(self, key: Sql, value: Sql, *, of: Any, job: Any) -> ScalarSelect[Any]:
        """See JsonTexts."""
        # Late: most servers have no use for it.
        from sqlalchemy.dialects.postgresql import aggregate_order_by  # noqa: PLC0415

        pair = self.text(key) + literal_column("': '") + value
        separator = aggregate_order_by(literal_column("', '"), key)
        pairs = func.string_agg(pair, separator)
        whole = func.concat(literal_column("'{'"), pairs, literal_column("'}'"))
        return select(whole).select_from(of).where(job).scalar_subquery()

    def json(self, value: Sql) -> Sql:
        """See JsonTexts."""
        return func.coalesce(value, literal_column("'null'"))

    def text(self, value: Sql) -> Sql:
        """See JsonTexts."""
        return cast(func.to_json(value), Text)

    def number_or_text(self, number: Sql, text: Sql) -> Sql:
        """See JsonTexts."""
        return case((text.is_(None), cast(number, Text)), else_=self.text(text))

    def is_json(self, value: Sql) -> Sql:
        """See JsonTexts."""
        return and_(value.not_like("%NaN%"), value.not_like("%Infinity%"))

    def member(self, value: Sql, name: str) -> Sql:
        """See JsonTexts."""
        member = func.json_extract_path_text(cast(value, JSON), name)
        return case((self.is_json(value), member), else_=value)


def _exact(number: Sql) -> Sql:
    """Seventeen digits, for with SQLite's fifteen one may not read the same number again."""
    return func.json(func.printf("%!.17g", number))
